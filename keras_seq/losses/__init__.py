"""Losses that Keras has not."""

from keras_seq.losses.bits import BitCrossentropy
from keras_seq.losses.crossentropy import (
    SmoothedCrossentropy,
    TokenCrossentropy,
    crossentropy_of_logits,
    token_weights,
)
from keras_seq.losses.forecasting import GaussianNLL, PointLoss, QuantileLoss

__all__ = [
    "BitCrossentropy",
    "GaussianNLL",
    "PointLoss",
    "QuantileLoss",
    "SmoothedCrossentropy",
    "TokenCrossentropy",
    "crossentropy_of_logits",
    "token_weights",
]

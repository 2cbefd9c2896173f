"""Metrics that Keras has not. Names in lower case are functions of arrays, the others metrics of Keras."""

from keras_seq.metrics.bits import BitsPerSequence, ExactSequences
from keras_seq.metrics.calibration import ExpectedCalibrationError
from keras_seq.metrics.forecasting import coverage, mae, mase, mse, owa, pinball, smape
from keras_seq.metrics.points import MAE, MSE, SMAPE, Coverage, Pinball
from keras_seq.metrics.tokens import Perplexity, TokenAccuracy

__all__ = [
    "MAE",
    "MSE",
    "SMAPE",
    "BitsPerSequence",
    "Coverage",
    "ExactSequences",
    "ExpectedCalibrationError",
    "Perplexity",
    "Pinball",
    "TokenAccuracy",
    "coverage",
    "mae",
    "mase",
    "mse",
    "owa",
    "pinball",
    "smape",
]

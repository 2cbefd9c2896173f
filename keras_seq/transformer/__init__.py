"""The transformer. Reached as `ks.layers.TransformerBlock` and so on."""

from keras_seq.transformer.block import TransformerBlock
from keras_seq.transformer.cell import TransformerCell
from keras_seq.transformer.feed_forward import FeedForward
from keras_seq.transformer.positions import LearnedPositions, SinusoidalPositions

__all__ = ["FeedForward", "LearnedPositions", "SinusoidalPositions", "TransformerBlock", "TransformerCell"]

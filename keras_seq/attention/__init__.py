"""Attention. Reached as `ks.layers.MultiHeadAttention` and so on."""

from keras_seq.attention.cell import AttentionCell
from keras_seq.attention.multi_head import MultiHeadAttention
from keras_seq.attention.pooling import AttentionPooling
from keras_seq.attention.scores import AdditiveScore, DotScore, GeneralScore

__all__ = ["AdditiveScore", "AttentionCell", "AttentionPooling", "DotScore", "GeneralScore", "MultiHeadAttention"]

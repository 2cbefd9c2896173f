"""Attention. Reached as `ks.layers.AttentionPooling` and so on."""

from keras_seq.attention.pooling import AttentionPooling

__all__ = ["AttentionPooling"]

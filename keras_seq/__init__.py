"""Sequence layers for Keras 3: recurrent cells and layers, text models, and exports that run without this package."""

from keras_seq import layers

__all__ = ["layers"]

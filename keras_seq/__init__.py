"""Sequence layers for Keras 3: recurrent cells and layers, text models, and exports that run without this package."""

import importlib

from keras_seq import (
    callbacks,
    decoding,
    diagnostics,
    initializers,
    interop,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    schedules,
)
from keras_seq.convert import convert  # the function stands before the module of its name

_LAZY = ("data", "saving")  # these import TensorFlow and pandas


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"keras_seq.{name}")
    raise AttributeError(f"module 'keras_seq' has no attribute {name!r}")


__all__ = [
    "callbacks",
    "convert",
    "data",
    "decoding",
    "diagnostics",
    "initializers",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "saving",
    "schedules",
]

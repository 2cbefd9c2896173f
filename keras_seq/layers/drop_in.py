"""Layers that are one cell run over time, behind the signature of the Keras layer whose place they take."""

import inspect
import re

import keras

from keras_seq import kernels
from keras_seq.cells.base import argument_names
from keras_seq.layers.rnn import RNN


def drop_in(cell_class, like=None):
    """A base class: `RNN(cell_class(...))` with the constructor of the Keras layer `like`, as it is installed.

    Arguments of the cell that `like` lacks follow its own, by keyword alone; where Keras has no such layer, the
    constructor is that of the cell, with the arguments of `RNN` after it. Arguments that the cell's constructor has go
    to the cell, the rest to `RNN`. Each argument of the cell can be read off the layer. What `use_cudnn` says wins over
    `implementation`: True raises where cuDNN cannot run, False never uses it, "auto" uses it to train where it can.

    Args:
        cell_class: a class of cells.
        like: a class of layers, or None.

    Returns:
        A class to derive the layer from, which gives it its name and docstring.
    """
    signature = _signature(cell_class, like)
    of_cell = argument_names(cell_class)
    takes_cudnn = "use_cudnn" in signature.parameters

    class DropIn(RNN):
        def __init__(self, *args, **kwargs):
            given = signature.bind(self, *args, **kwargs).arguments
            given.pop("self")
            given.update(given.pop("kwargs", {}))
            use_cudnn = given.pop("use_cudnn", "auto") if takes_cudnn else None
            if takes_cudnn and use_cudnn not in ("auto", True, False):
                raise ValueError(f"Argument `use_cudnn` must be 'auto', True or False, got {use_cudnn!r}.")
            cell = {name: given.pop(name) for name in [*of_cell, "implementation"] if name in given}
            shared = {name: given[name] for name in ("dtype", "trainable") if name in given}
            super().__init__(cell_class(**cell, **shared, name=f"{_snake(type(self).__name__)}_cell"), **given)
            self.input_spec = keras.layers.InputSpec(ndim=3)
            if takes_cudnn:
                self.use_cudnn = use_cudnn
            if takes_cudnn and use_cudnn and not kernels.why_no_cudnn(self.cell, masked=False, training=True):
                self.supports_jit = keras.backend.backend() != "tensorflow"  # XLA cannot compile its operations

        def get_config(self):
            config = super().get_config()
            config.pop("cell")
            of_the_cell = self.cell.get_config()
            config.update({name: of_the_cell[name] for name in (*of_cell, "implementation") if name in of_the_cell})
            config["activity_regularizer"] = keras.regularizers.serialize(self.activity_regularizer)
            if takes_cudnn:
                config["use_cudnn"] = self.use_cudnn
            return config

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    DropIn.__init__.__signature__ = signature
    for name in of_cell:
        setattr(DropIn, name, property(lambda self, name=name: getattr(self.cell, name)))
    return DropIn


def _signature(cell_class, like):
    """The signature of the constructor of a layer: see `drop_in`."""
    of_cell = inspect.signature(cell_class).parameters
    of_layer = inspect.signature((like or RNN).__init__).parameters
    first, rest = (of_layer, of_cell) if like else ({"self": of_layer["self"], **of_cell}, of_layer)
    named = {name: p for name, p in first.items() if p.kind is not p.VAR_KEYWORD}
    for name, p in rest.items():
        if p.kind is not p.VAR_KEYWORD and name != "cell":
            named.setdefault(name, p.replace(kind=p.KEYWORD_ONLY))
    return inspect.Signature([*named.values(), of_layer["kwargs"]])


def _snake(name):
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()

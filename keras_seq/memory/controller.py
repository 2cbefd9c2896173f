"""Controllers of a memory: those that go by a name, and what is asked of others.

"lstm"           LSTMCell(C)
"feed_forward"   h = tanh(x W + b)
"""

import keras

from keras_seq.cells.base import Cell, KernelCell
from keras_seq.cells.inner import check_inner_cell
from keras_seq.cells.lstm import LSTMCell
from keras_seq.checks import positive_integer


@keras.saving.register_keras_serializable("keras_seq")
class FeedForwardCell(Cell):
    """`h = activation(x W + b)`: a layer without states, in the form of a cell.

    Args:
        units: size `C` of the output.
        activation: default `tanh`.

    Call arguments:
        inputs: `(B, D)`.
        states: an empty list.

    Returns:
        `(h, [])`.
    """

    def __init__(self, units, activation="tanh", **kwargs):
        super().__init__(**kwargs)
        self.units = positive_integer("units", units)
        self.activation = keras.activations.get(activation)
        self.state_size, self.output_size = [], self.units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel", autocast=False)
        self.bias = self.add_weight(shape=(self.units,), name="bias", initializer="zeros", autocast=False)
        self.built = True

    input_weights = KernelCell.input_weights
    project = KernelCell.project

    def prepare(self, states, training=False):
        """Nothing: there is no recurrence."""

    def step(self, projected, states, constants):
        return self.activation(projected), states


_BY_NAME = {"lstm": LSTMCell, "feed_forward": FeedForwardCell}


def controller_of(controller, units, dtype):
    """The cell that an argument `controller` means: a name, a cell, or the configuration of one."""
    if isinstance(controller, dict):
        controller = keras.saving.deserialize_keras_object(controller)
    if isinstance(controller, str):
        if controller not in _BY_NAME:
            raise ValueError(
                f"Argument `controller` must be one of {', '.join(map(repr, _BY_NAME))}, or a cell, got {controller!r}."
            )
        return _BY_NAME[controller](units, dtype=dtype)
    check_inner_cell("controller", controller)
    return controller


def projects_by_parts(controller):
    """Whether a controller's projection is `x W + b`, so that the rows of W may be applied one part after the other."""
    return type(controller).project is KernelCell.project

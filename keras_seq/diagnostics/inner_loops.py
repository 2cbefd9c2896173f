"""The seam of the diagnostics: the recurrent layers of a model, lent another `inner_loop` for a while."""

import collections
import contextlib

import keras
from keras import tree

from keras_seq import compat, layers
from keras_seq.errors import InputError
from keras_seq.layers.rnn import RNN
from keras_seq.layers.stacked import cells_within
from keras_seq.layers.states import in_form_of
from keras_seq.layers.streaming_rnn import state_names

STOCK = (keras.layers.SimpleRNNCell, keras.layers.LSTMCell, keras.layers.GRUCell)
_NOTHING = object()
_OF_STOCK = {keras.layers.LSTMCell: layers.LSTMCell, keras.layers.GRUCell: layers.GRUCell}


def recurrent_layers(model):
    """The recurrent layers inside of a model or layer, at any depth, ours and Keras's; itself if it is one."""
    return [one for one in compat.inner_layers(model) if isinstance(one, keras.layers.RNN)]


def names_of(recurrent):
    """What each of these layers goes by, by its `id`: its name, or its path where two have that name."""
    by_id = {id(layer): layer for layer in recurrent}
    count = collections.Counter(layer.name for layer in by_id.values())
    return {key: layer.path if count[layer.name] > 1 else layer.name for key, layer in by_id.items()}


def names_of_states(cell, states):
    """A name for each tensor in the nest of the states of a cell, ours or Keras's."""
    return ["h", "c"][: len(states)] if isinstance(cell, STOCK) else state_names(cell, states)


class Runner:
    """The `inner_loop` of a recurrent layer, ours or Keras's, with the arguments and results of ours.

    Args:
        layer: the layer.
        cell: a cell to run in place of the layer's.
    """

    def __init__(self, layer, cell=None):
        self.layer, self.is_ours = layer, isinstance(layer, RNN)
        self.rnn = layer
        if not self.is_ours or (cell is not None and cell is not layer.cell):
            # The model does not know of it.
            flags = ("return_sequences", "go_backwards", "unroll", "zero_output_for_mask")
            own = {name: getattr(layer, name, False) for name in flags}
            self.rnn = RNN(cell or layer.cell, **own, name=layer.name, dtype=layer.dtype_policy)
        self._loop = self.rnn.inner_loop

    def states(self, initial_state, batch_size):
        """The states that the layer was given, as the runner takes them."""
        return initial_state if self.is_ours else in_form_of(self.rnn.get_initial_state(batch_size), initial_state)

    def __call__(self, sequences, states, mask, training, **how):
        """`(output, states)`, and more if it is asked for."""
        if not self.rnn.built:
            self.rnn.build(tree.flatten(sequences)[0].shape)
        return self._loop(sequences, states, mask, training, **how)

    def result(self, initial_state, output, states, *others):
        """What the layer's own `inner_loop` would have returned."""
        if self.is_ours:
            return output, states, *others
        return output, output, tree.pack_sequence_as(initial_state, tree.flatten(states))


@contextlib.contextmanager
def loops_replaced(loops):
    """Within it, layers have other `inner_loop`s: pairs of a layer and a function. All run by the loop."""
    with contextlib.ExitStack() as stack:
        for layer, loop in loops:
            stack.enter_context(replaced(layer, "inner_loop", loop))
            stack.enter_context(by_loop(layer))
        yield


@contextlib.contextmanager
def by_loop(layer):
    """Within it, a layer that is to run by a kernel or cuDNN, which show no states, runs by the loop."""
    with contextlib.ExitStack() as stack:
        if getattr(layer, "use_cudnn", None) is True:
            stack.enter_context(replaced(layer, "use_cudnn", "auto"))
        for cell in cells_within(layer.cell):
            if getattr(cell, "implementation", None) in ("kernel", "cudnn"):
                stack.enter_context(replaced(cell, "implementation", "loop"))
        yield


@contextlib.contextmanager
def replaced(thing, name, value):
    """An attribute of one object, set past Keras's tracking and put back, or taken away, at the end."""
    before = vars(thing).get(name, _NOTHING)
    object.__setattr__(thing, name, value)
    try:
        yield
    finally:
        if before is _NOTHING:
            object.__delattr__(thing, name)
        else:
            object.__setattr__(thing, name, before)


def as_ours(cell):
    """A cell in which stock LSTM and GRU cells, be it in a stack, are copies of our classes; itself if it has none."""
    if type(cell) in _OF_STOCK:
        ours = _OF_STOCK[type(cell)].from_config(cell.get_config())
        ours.build((None, cell.kernel.shape[0]))
        ours.set_weights(cell.get_weights())
        return ours
    if type(cell) in (keras.layers.StackedRNNCells, layers.StackedRNNCells):
        cells = [as_ours(one) for one in cell.cells]
        if any(new is not old for new, old in zip(cells, cell.cells, strict=True)):
            return layers.StackedRNNCells(cells, name=cell.name)
    return cell


def known(layer, size, what):
    """A size that shapes tell."""
    if size is None:
        raise InputError(
            f"Layer {layer.name!r} reads a number of {what} that only the values of a batch say, and nothing can be "
            "read off: measure the part of the model from there on, on what it is given."
        )
    return size

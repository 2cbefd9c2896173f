"""What a recurrent layer or model is made of, as data: what `plot_structure` draws.

Part     a layer: its recurrences, from the input up, or none for one that is not recurrent
Row      a recurrence in one direction: its cell, states and weights
"""

from dataclasses import dataclass, field

import keras
from keras import tree

from keras_seq import compat
from keras_seq.errors import InputError
from keras_seq.layers.graphs import is_graph
from keras_seq.layers.streaming_rnn import state_names

_STOCK = (keras.layers.SimpleRNNCell, keras.layers.LSTMCell, keras.layers.GRUCell)
_RECURRENT = (keras.layers.RNN, keras.layers.Bidirectional)
_ROWS = {"kernel": "D", "recurrent_kernel": "H"}  # what the rows of a kernel are


@dataclass
class Row:
    """A recurrence in one direction.

    Attributes:
        cell: what it is called, such as "LSTMCell".
        backward: whether it reads from the last step to the first.
        states: `(name, shape)` of each, without the batch.
        weights: `(name, shape)` of each; the shape as it is written, such as "(D, 4H) = (7, 44)".
        output: the shape of an output at one step, without the batch.
    """

    cell: str
    backward: bool
    states: list
    weights: list
    output: tuple


@dataclass
class Part:
    """A layer.

    Attributes:
        name: its name and what it is.
        rows: its `Row`s: the cells of a stack, each reading the one before; or both directions of a `Bidirectional`.
        merge: how the directions are joined; None where there is one.
        every_step: whether it has an output at every step, or one for a sequence.
        output: the shape of an output, without batch and time; None where it is not known.
        attached: whether it reads what the part before gives, as far as is known.
    """

    name: str
    rows: list = field(default_factory=list)
    merge: str | None = None
    every_step: bool = True
    output: tuple | None = None
    attached: bool = True


def parts_of(layer_or_model):
    """The parts of a layer or model, from the input up.

    Raises:
        InputError: for what is no layer, has no recurrent one, or is not built.
    """
    if not isinstance(layer_or_model, keras.layers.Layer):
        raise InputError(
            f"Argument `layer_or_model` must be a layer or a model, got {type(layer_or_model).__name__}: of a cell "
            "make a layer, ks.layers.RNN(cell)."
        )
    parts = [part for layer, attached in _in_order(layer_or_model) for part in _part(layer, attached)]
    if not any(part.rows for part in parts):
        raise InputError(
            f"{type(layer_or_model).__name__} {layer_or_model.name!r} has no recurrent layer (RNN, LSTM, GRU …, ours "
            "or of keras.layers): there is nothing to unroll."
        )
    return parts


def _in_order(layer):
    """The layers to draw, and whether each reads the one before.

    Of a functional model those that it calls, else the recurrent ones, as they were made.
    """
    if isinstance(layer, _RECURRENT):
        return [(layer, True)]
    if is_graph(layer):
        return [pair for one in layer.layers for pair in (_in_order(one) if _holds_recurrent(one) else [(one, True)])]
    within = list({id(one): one for one in compat.layers_as_made(layer)}.values())
    both = [one for one in within if isinstance(one, keras.layers.Bidirectional)]
    directions = {id(one) for layer in both for one in (layer.forward_layer, layer.backward_layer)}
    found = [one for one in within if isinstance(one, _RECURRENT) and id(one) not in directions]
    return [(one, place == 0) for place, one in enumerate(found)]


def _holds_recurrent(layer):
    return any(isinstance(one, keras.layers.RNN) for one in compat.inner_layers(layer))


def _part(layer, attached):
    if isinstance(layer, keras.layers.InputLayer):
        return []
    called = f"{layer.name} ({type(layer).__name__})"
    if isinstance(layer, keras.layers.Bidirectional):
        forward, backward = layer.forward_layer, layer.backward_layer
        rows = [row for one in (forward, backward) for row in _rows(one)]
        sizes = [_rows(one)[-1].output[-1] for one in (forward, backward)]
        merge = layer.merge_mode or "both"
        output = (sum(sizes),) if merge == "concat" else (sizes[0],)
        return [Part(called, rows, merge, forward.return_sequences, output, attached)]
    if isinstance(layer, keras.layers.RNN):
        rows = _rows(layer)
        return [Part(called, rows, None, layer.return_sequences, rows[-1].output, attached)]
    return [Part(called)]


def _rows(layer):
    stack = hasattr(layer.cell, "cells")
    cells = list(layer.cell.cells) if stack else [layer.cell]
    if not layer.built or not all(cell.built for cell in cells):
        raise InputError(
            f"Layer {layer.name!r} is not built, so its weights have no shapes: call it on its inputs, or "
            "`layer.build((None, None, D))` with the number of features."
        )
    start = layer.cell.get_initial_state(batch_size=1)
    return [_row(cell, s, bool(layer.go_backwards)) for cell, s in zip(cells, start if stack else [start], strict=True)]


def _row(cell, start, backward):
    start = start if isinstance(start, (list, tuple)) else [start]
    names = ["h", "c"][: len(start)] if isinstance(cell, _STOCK) else state_names(cell, start)
    names = [name if any(map(str.isalpha, name)) else "state" for name in names]  # no places in a nest
    states = [(name, tuple(s.shape[1:])) for name, s in zip(names, tree.flatten(start), strict=True)]
    own = [w for w in cell.weights if keras.backend.is_float_dtype(keras.backend.standardize_dtype(w.dtype))]
    weights = [(_name(w, cell), _shape(w, cell)) for w in own]
    size = cell.output_size
    size = size if isinstance(size, int) else size[0]  # of an output with others beside it, such as attention weights
    return Row(type(cell).__name__, backward, states, weights, (size,))


def _name(weight, cell):
    """The name of a weight, and of the layer inside of the cell that it is of."""
    within = weight.path.split(f"{cell.name}/", 1)[-1].split("/")
    return ".".join(within)


def _shape(weight, cell):
    """ "(D, 4H) = (7, 44)" of a kernel whose columns are as many blocks of units, "(44)" of others."""
    shape, units = tuple(weight.shape), getattr(cell, "units", None)
    numbers = f"({', '.join(map(str, shape))})"
    name = weight.path.rsplit("/", 1)[-1]
    direct = weight.path.endswith(f"{cell.name}/{name}")
    if not direct or name not in _ROWS or not units or shape[1] % units or len(shape) != 2:
        return numbers
    blocks = shape[1] // units
    return f"({_ROWS[name]}, {blocks if blocks > 1 else ''}H) = {numbers}"

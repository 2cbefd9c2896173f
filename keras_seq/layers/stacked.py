"""Cells on top of each other, and cells that are not ours, on the seam that the loop runs."""

import inspect

import keras
from keras import ops, tree

from keras_seq.cells.base import Cell, dropped, takes_memory
from keras_seq.layers.states import initial_states


@keras.saving.register_keras_serializable("keras_seq")
class StackedRNNCells(keras.layers.StackedRNNCells):
    """Cells on top of each other, as one cell: each reads the output of the one below.

    Drop-in for `keras.layers.StackedRNNCells`. Its states are a list with the states of each cell; each cell drops
    its inputs under one mask per sequence.

    Args:
        cells: cells, the lowest first.

    Example:

    >>> stack = StackedRNNCells([LSTMCell(4), GRUCell(3)])
    >>> output, states = stack(np.ones((2, 5)), stack.get_initial_state(2))
    >>> output.shape, len(states)
    (TensorShape([2, 3]), 2)
    """

    def __init__(self, cells, **kwargs):
        if not cells:
            raise ValueError("Argument `cells` must hold at least one cell, got none.")
        if any(getattr(one, "return_weights", False) for cell in cells[:-1] for one in cells_within(cell)):
            raise ValueError(
                "Argument `cells` holds a cell with `return_weights` that is not the top one: the cell above reads one "
                "output. Leave `return_weights=False` there."
            )
        super().__init__(cells, **kwargs)

    def get_initial_state(self, batch_size=None):
        """For each cell its own: a list, or a bare tensor where its `state_size` is one size."""
        states = []
        for cell in self.cells:
            own = initial_states(cell, batch_size)
            bare = not hasattr(cell, "get_initial_state") and not isinstance(cell.state_size, (list, tuple))
            states.append(own[0] if bare else own)
        return states

    def build(self, input_shape):
        self.build_cells(input_shape)

    def build_cells(self, input_shape, memory_shape=None):
        """Build each cell for the outputs of the one below, and for the memory that is read, if it asks for it."""
        features = input_shape[-1]
        self._features = []
        for cell in self.cells:
            self._features.append(features)
            build_cell(cell, (input_shape[0], features), memory_shape)
            features = output_size(cell)
        self.built = True

    def call(self, inputs, states, training=False):
        new_states = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, new = call_cell(cell, inputs, state, training)
            new_states.append(new)
        return inputs, new_states

    # Inputs are the lowest cell's affair.

    def input_mask(self, shape, dtype, training):
        return self._on_seam()[0].input_mask(shape, dtype, training)

    def drop_inputs(self, inputs, training):
        return self._on_seam()[0].drop_inputs(inputs, training)

    def project(self, inputs):
        return self._on_seam()[0].project(inputs)

    def prepare(self, states, training=False, memory=None, memory_mask=None):
        """For each cell the mask of its inputs (the lowest gets them dropped already) and its own constants.

        A memory goes to each cell that takes one.
        """
        constants = []
        batch = ops.shape(tree.flatten(states)[0])[0]
        for cell, features, state in zip(self._on_seam(), self._features, states, strict=True):
            mask = cell.input_mask((batch, features), cell.compute_dtype, training) if constants else None
            reads = memory is not None and takes_memory(cell)
            context = {"memory": memory, "memory_mask": memory_mask} if reads else {}
            constants.append((mask, cell.prepare(state, training, **context)))
        return constants

    def step(self, projected, states, constants, perturbation=None):
        output, new_states = None, []
        perturbations = [None] * len(states) if perturbation is None else perturbation
        cells = zip(self._on_seam(), states, constants, perturbations, strict=True)
        for cell, state, (mask, prepared), added in cells:
            if output is not None:
                projected = cell.project(dropped(in_dtype_of(cell, output), mask))
            output, new = advance(cell, projected, state, prepared, added)
            new_states.append(new)
        return output, new_states

    def _on_seam(self):
        return [on_seam(cell, features) for cell, features in zip(self.cells, self._features, strict=True)]


class ForeignCell:
    """A cell with Keras's contract alone, on the seam of ours: all of it is `step`."""

    def __init__(self, cell, features):
        self.cell = cell
        self.features = features
        self.compute_dtype = getattr(cell, "compute_dtype", None) or keras.config.floatx()

    def input_mask(self, shape, dtype, training):
        return None

    def drop_inputs(self, inputs, training):
        return inputs

    def project(self, inputs):
        return inputs

    def prepare(self, states, training=False):
        """Draws the dropout masks, which the cells keep until `release`: a draw in the loop would be another one at
        each step."""
        if training:
            _hold_masks(self.cell, self.features, states)
        return training

    def step(self, projected, states, constants):
        return call_cell(self.cell, projected, states, training=constants)


def cells_within(cell):
    """A cell, and all cells inside of it."""
    yield cell
    inner = [getattr(cell, name) for name in ("cell", "controller") if hasattr(cell, name)]
    for one in [*getattr(cell, "cells", []), *inner]:
        yield from cells_within(one)


def advance(cell, projected, states, constants, perturbation=None):
    """`cell.step`, with a term added to each of its new states, and to its output where that is one of them."""
    if perturbation is None:
        return cell.step(projected, states, constants)
    if isinstance(cell, StackedRNNCells):  # what its upper cells read is perturbed too
        return cell.step(projected, states, constants, perturbation)
    output, new_states = cell.step(projected, states, constants)
    flat = tree.flatten(new_states)
    added = [new + ops.cast(p, new.dtype) for new, p in zip(flat, tree.flatten(perturbation), strict=True)]
    output = tree.map_structure(lambda y: next((a for new, a in zip(flat, added, strict=True) if new is y), y), output)
    return output, tree.pack_sequence_as(new_states, added)


def on_seam(cell, features):
    """The cell itself if it is made of `project`, `prepare` and `step`, else what gives it them."""
    return cell if has_parts(cell) else ForeignCell(cell, features)


def has_parts(cell):
    """Whether `call` of a cell is made of `project`, `prepare` and `step`: not where a subclass writes its own."""
    return getattr(type(cell), "call", None) in (Cell.call, StackedRNNCells.call)


def _hold_masks(cell, features, states):
    """Draw the dropout masks of a cell that reads `features`; in a stack those of each cell, for what it reads."""
    if hasattr(cell, "cells"):
        for one, state in zip(cell.cells, states, strict=True):
            _hold_masks(one, features, state)
            features = output_size(one)
    elif hasattr(cell, "get_dropout_mask"):
        state = tree.flatten(states)[0]
        dtype = getattr(cell, "compute_dtype", None) or keras.config.floatx()
        cell.get_dropout_mask(ops.zeros((ops.shape(state)[0], features), dtype))
        cell.get_recurrent_dropout_mask(state)


def release(cell):
    """Make cells forget the dropout masks of this sequence."""
    for one in cells_within(cell):
        if hasattr(one, "reset_dropout_mask"):
            one.reset_dropout_mask()
            one.reset_recurrent_dropout_mask()


def call_cell(cell, inputs, states, training):
    """`cell(inputs, states)`, told whether it trains if it asks."""
    told = {"training": training} if asks_for(cell.call, "training") else {}
    # The contract is a list of states; of a cell in a stack that has one and makes none itself, Keras keeps it bare.
    bare = not tree.is_nested(states)
    returned = (cell if callable(cell) else cell.call)(inputs, [states] if bare else states, **told)
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise ValueError(
            f"The `call` of cell {type(cell).__name__} must return a pair, output and new states, got "
            f"{type(returned).__name__}."
        )
    output, new_states = returned
    return output, new_states[0] if bare and tree.is_nested(new_states) else new_states


def build_cell(cell, input_shape, memory_shape=None):
    """Build a cell for inputs of this shape, and for the memory that is read, if it asks for it."""
    if not isinstance(cell, keras.layers.Layer) or cell.built:
        return
    if isinstance(cell, StackedRNNCells):
        cell.build_cells(input_shape, memory_shape)
    elif memory_shape is not None and asks_for(cell.build, "memory_shape"):
        cell.build(input_shape, memory_shape=memory_shape)
    else:
        cell.build(input_shape)
    cell.built = True


def asks_for(function, name):
    """Whether a function has an argument of this name."""
    return name in inspect.signature(function).parameters


def in_dtype_of(layer, tensors):
    """A nest of tensors: floats in the dtype that a layer or cell computes in, others as they are."""

    def cast(tensor):
        tensor = ops.convert_to_tensor(tensor)
        floats = keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
        return ops.cast(tensor, layer.compute_dtype) if floats else tensor

    return tree.map_structure(cast, tensors)


def output_size(cell):
    """The size of a cell's output: what it says, else that of its first state (Keras's convention)."""
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    size = cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
    while isinstance(size, (list, dict)):  # further in, a tuple is the shape of one state
        size = next(iter(size.values() if isinstance(size, dict) else size))
    return size

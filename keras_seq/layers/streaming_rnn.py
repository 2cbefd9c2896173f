"""The layers that a streaming model has in place of those of the model it was made from."""

import re

import keras
from keras import ops, tree

from keras_seq import compat
from keras_seq.backend.loop import seen, shown_state, where_rows
from keras_seq.cells.base import Cell, KernelCell, map_sizes, takes_memory
from keras_seq.layers.rnn import RNN
from keras_seq.layers.stacked import StackedRNNCells, asks_for, cells_within, has_parts, in_dtype_of, output_size


@keras.saving.register_keras_serializable("keras_seq")
class StreamingRNN(keras.layers.Layer):
    """`RNN` that takes the states a chunk starts from, and returns those that it ends with.

    A masked step repeats the output before it, which may lie in an earlier chunk. Where that output is one of the
    states (as `h` of an LSTM), nothing more is needed; else it is one more state, `output`.

    Args:
        cell: the cell, which may be shared with another layer.
        return_sequences, zero_output_for_mask: as in `RNN`. Without `return_sequences` the output is that so far.

    Call arguments:
        sequences: `(B, T, D)`, or what nest of such tensors the cell reads; `T` may be 0.
        states: a list of tensors `(B, ...)`, one for each name of `get_initial_state`.
        mask, training, memory, memory_mask, reset_mask: as in `RNN`.

    Returns:
        A tuple of the output and the states.
    """

    def __init__(self, cell, return_sequences=False, zero_output_for_mask=False, **kwargs):
        super().__init__(**{**kwargs, "autocast": False})  # states keep their dtypes
        if any(getattr(one, "return_weights", False) for one in cells_within(cell)):
            raise ValueError(
                f"Layer {self.name!r} cannot stream the weights of attention: stream a layer whose cell has "
                "`return_weights=False`, with the same weights."
            )
        self.return_sequences = return_sequences
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.rnn = RNN(
            cell,
            return_sequences=return_sequences,
            return_state=True,
            zero_output_for_mask=zero_output_for_mask,
            name=self.name,
            dtype=self.dtype_policy,
            autocast=False,
        )

    @property
    def cell(self):
        return self.rnn.cell

    def build(self, sequences_shape, memory_shape=None):
        if not self.rnn.built:
            self.rnn.build(sequences_shape, **({} if memory_shape is None else {"memory_shape": memory_shape}))
        self._holds = not (self.return_sequences and self.zero_output_for_mask)
        self._shown = _state_shown(self.cell, sequences_shape) if self._holds else None
        self.built = True

    def get_initial_state(self, batch_size):
        """What a sequence starts from: a dict from the names of states to tensors."""
        states = self.rnn.get_initial_state(batch_size)
        named = dict(zip(state_names(self.cell, states), tree.flatten(states), strict=True))
        if self._holds and self._shown is None:
            size = output_size(self.cell)
            zeros = map_sizes(lambda shape: ops.zeros((batch_size, *shape), self.compute_dtype), size)
            named.update({_joined("output", *path): zero for path, zero in tree.flatten_with_path(zeros)})
        return named

    def call(self, sequences, states, mask=None, training=False, memory=None, memory_mask=None, reset_mask=None):
        sequences = in_dtype_of(self, sequences)
        first = tree.flatten(sequences)[0]
        mask = compat.mask_of(first) if mask is None else tree.flatten(mask)[0]
        before, previous = self._split(states)
        context = {"memory": memory, "memory_mask": memory_mask, "reset_mask": reset_mask}
        output, *after = self.rnn(sequences, initial_state=before, mask=mask, training=training, **context)
        after = tree.flatten(after)
        if not self._holds:
            return (output, *after)
        previous = tree.pack_sequence_as(output, [ops.cast(p, self.compute_dtype) for p in previous])
        keep = ops.ones(ops.shape(first)[:2], "bool") if mask is None else ops.cast(mask, "bool")
        if not self.return_sequences:
            output = last = where_rows(ops.any(keep, axis=1), output, previous)
        else:
            if mask is not None:
                output = tree.map_structure(lambda y, p: _held(keep, y, p), output, previous)
            last = tree.map_structure(_last, output, previous)
        return (output, *after, *(tree.flatten(last) if self._shown is None else ()))

    def compute_output_spec(self, sequences, states, mask=None, training=False, **context):
        output, *_ = self.rnn.compute_output_spec(sequences, initial_state=self._split(states)[0], **context)
        return (output, *(keras.KerasTensor(state.shape, state.dtype) for state in states))

    def compute_mask(self, _, mask):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        outputs = len(tree.flatten(map_sizes(lambda shape: shape[0], output_size(self.cell))))
        return [mask] * outputs + [None] * len(self.get_initial_state(1))

    def _split(self, states):
        """The states of the cell, as it nests them, and the outputs before this chunk."""
        template = self.rnn.get_initial_state(1)
        count = len(tree.flatten(template))
        previous = states[count:] if self._shown is None else [states[self._shown]]
        return tree.pack_sequence_as(template, states[:count]), previous

    def get_config(self):
        own = {"return_sequences": self.return_sequences, "zero_output_for_mask": self.zero_output_for_mask}
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell), **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        cell = keras.saving.deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**{**config, "cell": cell})


@keras.saving.register_keras_serializable("keras_seq")
class TimeFolded(keras.layers.Layer):
    """What `keras.layers.TimeDistributed` is, for any `T`, 0 among them: time becomes a part of the batch.

    Args:
        layer: a layer that reads one step.

    Call arguments:
        inputs: `(B, T, ...)`.
        mask: booleans `(B, T)`, which `layer` gets if it asks for one.
        training: handed on to `layer`.

    Returns:
        `(B, T, ...)`.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer
        self.supports_masking = True

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build((None, *input_shape[2:]))
        self.built = True

    def call(self, inputs, mask=None, training=None):
        batch, length, *rest = ops.shape(inputs)
        told = {"mask": mask, "training": training}
        told = {name: value for name, value in told.items() if value is not None and asks_for(self.layer.call, name)}
        if "mask" in told:
            told["mask"] = ops.reshape(mask, (-1,))
        output = self.layer(ops.reshape(inputs, (-1, *rest)), **told)  # (B T, ...)
        return tree.map_structure(lambda y: ops.reshape(y, (batch, length, *ops.shape(y)[1:])), output)

    def compute_output_shape(self, input_shape):
        shape = self.layer.compute_output_shape((None, *input_shape[2:]))
        return (*input_shape[:2], *shape[1:])

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        layer = keras.saving.deserialize_keras_object(config["layer"], custom_objects=custom_objects)
        return cls(**{**config, "layer": layer})


def _state_shown(cell, sequences_shape):
    """Which state is the output at each step, and is zero before the first, as the output is; None where none is.

    One step on zeros shows it: the output is the very tensor that is returned as a state.
    """
    cells = cell.cells if isinstance(cell, StackedRNNCells) else [cell]
    starts_at_zero = has_parts(cell) and all(
        has_parts(c) and type(c).get_initial_state is Cell.get_initial_state for c in cells
    )
    nested = any(tree.is_nested(shape) for shape in sequences_shape)
    if nested or not starts_at_zero or any(map(takes_memory, cells)):
        return None
    states = cell.get_initial_state(batch_size=1)
    zeros = ops.zeros((1, *sequences_shape[2:]), cells[0].compute_dtype)
    output, new_states = cell.step(cell.project(zeros), states, cell.prepare(states))
    return shown_state(output, states, new_states)


def state_names(cell, states):
    """A name for each tensor in the nest of a cell's states: `h`, `c`, or where it stands in the nest."""
    if isinstance(cell, StackedRNNCells):
        pairs = enumerate(zip(cell.cells, states, strict=True))
        return [_joined(i, name) for i, (one, its_states) in pairs for name in state_names(one, its_states)]
    if isinstance(cell, KernelCell) and len(states) <= 2:
        return list(cell.state_names[: len(states)])
    if len(states) == 1 and isinstance(states[0], dict):  # a cell that names its states
        states = states[0]
    return [_joined(*path) for path, _ in tree.flatten_with_path(states)]


def _joined(*path):
    """The parts of a path as one name, fit for an argument of a signature."""
    return re.sub(r"\W", "_", "_".join(str(part) for part in path if part != ""))


def _held(keep, output, previous):
    """Outputs `(B, T, ...)`, with the one before the chunk at its masked steps that no kept one comes before."""
    return where_rows(seen(keep), output, ops.expand_dims(previous, 1))


def _last(output, previous):
    """The last of outputs `(B, T, ...)`, or the one before if there is none."""
    return ops.concatenate([ops.expand_dims(previous, 1), output], axis=1)[:, -1]

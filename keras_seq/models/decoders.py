"""Decoders: in training over whole targets, in decoding step by step, with the same weights.

A decoder reads vectors of the tokens before, and `Encoded`, what the encoder has made of the source:

    h, a     = decoder(x, encoded)                            all steps: (B, T, E) -> (B, T, H), weights (B, T, S)
    state    = decoder.begin(encoded)
    constant = decoder.prepare(state, encoded)                once per sequence
    h, state = decoder.step(x[:, t], state, constant)         one step: (B, E) -> (B, H)
"""

from typing import Any, NamedTuple

import keras
from keras import ops, tree

from keras_seq.attention import AdditiveScore, AttentionCell
from keras_seq.cells.base import Cell
from keras_seq.layers import RNN, StackedRNNCells, TransformerBlock, TransformerCell
from keras_seq.layers.stacked import output_size
from keras_seq.models.encoders import ENCODERS, is_cell


class Encoded(NamedTuple):
    """What an encoder has made of a source.

    Attributes:
        memory: `(B, S, M)`.
        keep: booleans `(B, S)`, false at padding.
        summaries: for each layer of the encoder the final states of both directions, vectors `(B, H)` in a list; of
            layers that have none, for all of them together, the mean of the memory.
    """

    memory: Any
    keep: Any
    summaries: Any


def is_vector(state):
    """Whether a state is a vector of floats for each row; a clock is none."""
    return len(state.shape) == 2 and keras.backend.is_float_dtype(keras.backend.standardize_dtype(state.dtype))


class RecurrentDecoder(keras.layers.Layer):
    """A stack of cells that starts from the summaries of the source and, with a score, attends to its memory.

    The states of level `i` start from the summary of the encoder's layer `i` (the top one, where there are fewer): from
    its states themselves where it reads one way by a cell of the same class and sizes (Sutskever et al., 2014, arXiv
    1409.3215), else each from `tanh(summary W + b)` (Bahdanau et al., 2015, arXiv 1409.0473, app. A.2.2). States that
    are no vectors start as the cell starts them.

    Args:
        cells: the cells, the lowest first.
        attention: a score layer, or its name, of `ks.layers.AttentionCell`; None for a decoder that knows the source
            by its first states alone. Additive scores attend before a step (Bahdanau), others after it (Luong).
        input_feeding: as in `AttentionCell`.
        dropout: share of the inputs dropped.
    """

    def __init__(self, cells, attention="additive", input_feeding=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.cells, self.attends = cells, attention is not None
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        cell = StackedRNNCells(cells, dtype=self.dtype_policy)
        self.units = output_size(cell)
        if isinstance(attention, keras.layers.Layer):
            attention = type(attention).from_config(attention.get_config())  # with weights of its own
        if self.attends:
            before = isinstance(attention, AdditiveScore) or attention in ("additive", "normalized_additive")
            cell = AttentionCell(
                cell,
                attention,
                attend="before" if before else "after",
                attention_units=self.units,
                input_feeding=input_feeding,
                return_weights=True,
                dtype=self.dtype_policy,
            )
        elif input_feeding:
            raise ValueError(
                "Argument `input_feeding` feeds what attention has read: give a score as `attention`, too."
            )
        self.rnn = RNN(cell, return_sequences=True, dtype=self.dtype_policy)

    def build(self, vectors_shape, memory_shape, summary_sizes, summary_cells):
        """Sizes of the vectors of each summary, and the class of the cell that left them (None for two or none)."""
        memory = {"memory_shape": memory_shape} if self.attends else {}
        self.rnn.build(vectors_shape, **memory)
        self.bridges = []
        for level, cell in enumerate(self.cells):
            place = min(level, len(summary_sizes) - 1)
            sizes = summary_sizes[place]
            states = tree.flatten(cell.get_initial_state(1))
            alike = [is_vector(state) and state.shape[-1] for state in states] == sizes
            same = summary_cells[place] is type(cell) and alike
            self.bridges.append(None if same else self._bridge(states, sum(sizes), level))
        self.built = True

    def _bridge(self, states, size, level):
        """A layer for each state of a level that is a vector, from the summary."""
        layers = []
        for place, state in enumerate(states):
            layer = None
            if is_vector(state):
                name = f"bridge_{level + 1}_{place + 1}"
                layer = keras.layers.Dense(state.shape[-1], activation="tanh", dtype=self.dtype_policy, name=name)
                layer.build((None, size))
            layers.append(layer)
        return layers

    def call(self, x, encoded, training=False):
        x = self.drop(x, training=training)
        output = self.rnn(x, initial_state=self.begin(encoded), training=training, **self._read(encoded))
        return output if self.attends else (output, None)

    def begin(self, encoded):
        """The first states, with `B` rows."""
        start = self.rnn.cell.get_initial_state(ops.shape(encoded.keep)[0])
        for level, layers in enumerate(self.bridges):
            summary = encoded.summaries[min(level, len(encoded.summaries) - 1)]
            flat = tree.flatten(start[level])
            if layers is None:
                flat = [ops.cast(s, state.dtype) for s, state in zip(summary, flat, strict=True)]
            else:
                joined = ops.concatenate(summary, axis=-1)
                flat = [state if layer is None else layer(joined) for layer, state in zip(layers, flat, strict=True)]
            start[level] = tree.pack_sequence_as(start[level], flat)
        return start

    def prepare(self, state, encoded):
        return self.rnn.cell.prepare(state, **self._read(encoded))

    def _read(self, encoded):
        return {"memory": encoded.memory, "memory_mask": encoded.keep} if self.attends else {}

    def step(self, x, state, constants):
        cell = self.rnn.cell
        output, state = cell.step(cell.project(ops.cast(x, self.compute_dtype)), state, constants)
        return (output[0] if self.attends else output), state


class TransformerDecoder(keras.layers.Layer):
    """Causal transformer blocks that read the memory, and a norm: in training in parallel, in decoding from a cache.

    Positions are those that the blocks turn queries and keys by. The weights are the mean over the heads of the top
    block's attention to the memory.

    Args:
        blocks: causal `ks.layers.TransformerBlock`s with `cross_attention`, the lowest first.
        max_length: how many steps can be decoded.
        dropout: share of the inputs dropped.
    """

    def __init__(self, blocks, max_length, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.blocks = blocks
        self.units = blocks[-1].units
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name="norm")
        cells = [TransformerCell(block, max_length) for block in blocks]
        # Past Keras's tracking: its weights are those of the blocks.
        object.__setattr__(self, "cell", StackedRNNCells(cells, dtype=self.dtype_policy))

    def build(self, vectors_shape, memory_shape, summary_sizes=None, summary_cells=None):
        for block in self.blocks:
            block.build(vectors_shape, memory_shape)
        self.norm.build(vectors_shape)
        self.cell.build_cells((None, vectors_shape[-1]), memory_shape)
        self.built = True

    def call(self, x, encoded, training=False):
        x = self.drop(x, training=training)
        for block in self.blocks:
            told = {"memory": encoded.memory, "memory_mask": encoded.keep, "training": training}
            x, _, weights = block(x, **told, return_attention_scores=True)
        return self.norm(x), ops.mean(weights, axis=1)

    def begin(self, encoded):
        """The first states: empty caches."""
        return self.cell.get_initial_state(ops.shape(encoded.keep)[0])

    def prepare(self, state, encoded):
        return self.cell.prepare(state, memory=encoded.memory, memory_mask=encoded.keep)

    def step(self, x, state, constants):
        output, state = self.cell.step(self.cell.project(ops.cast(x, self.compute_dtype)), state, constants)
        return self.norm(output), state


def cells_like(encoder, units, depth, dropout, recurrent_dropout, attends, dtype):
    """The cells of a decoder: those of an encoder of the same name, or copies of the cell that it is or runs."""
    names = [f"cell_{level + 1}" for level in range(depth)]
    if isinstance(encoder, str):
        shares = [0.0] + [dropout] * (depth - 1)  # the lowest reads the context, too
        make = type(ENCODERS[encoder](units).cell)
        how = {"recurrent_dropout": recurrent_dropout, "dtype": dtype}
        return [make(units, dropout=share, **how, name=name) for share, name in zip(shares, names, strict=True)]
    layer = getattr(encoder, "forward_layer", encoder)
    cell = layer if is_cell(layer) else getattr(layer, "cell", None)
    if cell is None or (attends and not isinstance(cell, (Cell, StackedRNNCells))):
        without = "without a cell" if cell is None else f"with a cell that cannot attend, {type(cell).__name__}"
        raise ValueError(
            f"Argument `decoder`, or `encoder` where it is None, is a layer {without}, {type(encoder).__name__}: give "
            "as `decoder` a cell of ks.layers, or a name such as 'gru'."
        )
    return [type(cell).from_config({**cell.get_config(), "name": name}) for name in names]


def transformer_blocks(depth, units, num_heads, hidden_units, dropout, dtype, causal, cross_attention=False):
    """The blocks of an encoder, or, causal, of a decoder; positions are turned (`rotary`), norms come first."""
    return [
        TransformerBlock(
            units,
            num_heads,
            hidden_units,
            causal=causal,
            cross_attention=cross_attention,
            rotary=True,
            dropout=dropout,
            dtype=dtype,
            name=f"{'decoder' if causal else 'encoder'}_{level + 1}",
        )
        for level in range(depth)
    ]

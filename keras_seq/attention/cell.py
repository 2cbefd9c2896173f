"""A cell that attends to a memory at each step.

With a score function (see `scores.py`) of a query q and the entries m[s] of the memory, over the kept s:

    a = softmax over s of score(q, m[s]),   c = sum over s of a[s] m[s]

Before the step, after Bahdanau et al. (2015, arXiv 1409.0473, app. A.1.2 and A.2.2); h~ is optional:

    q = h[t-1],   h[t] = cell([x[t]; c], h[t-1]),   h~ = tanh([c; h[t]] W)

After the step, after Luong et al. (2015, arXiv 1508.04025, eq. 5 and 7, fig. 4); with input feeding x[t] is
[x[t]; h~[t-1]]:

    h[t] = cell(x[t], h[t-1]),   q = h[t],   h~ = tanh([c; h[t]] W)
"""

import keras
from keras import ops, tree

from keras_seq.attention.memory import check_memory_shape, kept_memory
from keras_seq.attention.scores import masked_softmax, score_layer
from keras_seq.cells.base import DropoutCell, dropped, zero_states
from keras_seq.cells.inner import check_inner_cell, vector_size
from keras_seq.checks import positive_integer


@keras.saving.register_keras_serializable("keras_seq")
class AttentionCell(DropoutCell):
    """Lets a cell attend to a memory, `(B, S, M)`, at each step.

    Run by `ks.layers.RNN`, which takes the memory at each call: `RNN(AttentionCell(...))(x, memory=m, memory_mask=k)`;
    by no other, and not by itself. What of the scores depends on the memory alone is computed once per call.

    Weights: `attention_kernel` W `(M + H, A)`, those of the cell, those of the score.

    Args:
        cell: a cell of this package, or `StackedRNNCells` of such.
        score: a score layer, or its name: "additive" (Bahdanau), "normalized_additive", "general" (Luong), "dot" or
            "scaled_dot".
        attend: `"before"` the cell's step, which then reads the context beside its input (Bahdanau), the query being
            the first state before (of a stack that of the top cell), which must be the cell's output; or `"after"` it
            (Luong), the query being the output.
        attention_units: size `A` of the attentional vector h~, which is then the output. None is the size of the cell's
            output where the cell attends after its step, and no such vector, the output being that of the cell, where
            it attends before.
        input_feeding: whether the cell also reads the attentional vector of the step before, a state then.
        return_weights: whether outputs are lists `[output, a]`, with the weights `(B, S)`, over time `(B, T, S)`
            (symbolically `(B, T, None)`). In a stack for the top cell alone, and not in `ks.layers.streaming`.
        kernel_initializer: how `W` starts.
        dropout: share of the inputs x dropped. Context and fed vector are not: dropout of the cell acts on all three.
        recurrent_dropout: share of the fed vector dropped.
        seed: seed of both.

    Call arguments:
        inputs: `(B, D)`.
        states: those of the cell, in a list; with `input_feeding` the attentional vector `(B, A)` after them.
        training: whether dropout acts.

    Returns:
        `(output, states)`. A row whose memory is masked in full has weights and context zero.

    Raises:
        ValueError: without a memory; for a cell of another kind, or one that reads a memory itself; for a fed vector
            that there is none of.

    Example:

    >>> decoder = RNN(AttentionCell(GRUCell(6), attend="after"), return_sequences=True)
    >>> decoder(np.ones((2, 7, 5)), memory=np.ones((2, 11, 3))).shape
    TensorShape([2, 7, 6])
    """

    def __init__(
        self,
        cell,
        score="additive",
        attend="before",
        attention_units=None,
        input_feeding=False,
        return_weights=False,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.cell = cell
        check_inner_cell("cell", cell)
        if attend not in ("before", "after"):
            raise ValueError(f"Argument `attend` must be 'before' or 'after', got {attend!r}.")
        self.score = score_layer(score, dtype=self.dtype_policy)
        self.attend = attend
        self.input_feeding = input_feeding
        self.return_weights = return_weights
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        size = vector_size("cell", cell)
        if attention_units is not None:
            attention_units = positive_integer("attention_units", attention_units)
        self.attention_units = attention_units
        self._vector = attention_units or (size if attend == "after" else None)
        if input_feeding and not self._vector:
            raise ValueError(
                "Argument `input_feeding` feeds the attentional vector, and there is none: give `attention_units`, or "
                "`attend='after'`."
            )
        own = cell.state_size if isinstance(cell.state_size, (list, tuple)) else [cell.state_size]
        first = tree.flatten(_of_top(cell, own))[0]
        if attend == "before" and first != size:
            raise ValueError(
                f"Argument `cell` must show its first state where it attends before its step, got a "
                f"{type(cell).__name__} with a state of size {first} and an output of size {size}: use attend='after'."
            )
        self.state_size = [*own, *([self._vector] if input_feeding else [])]
        output = self._vector or size
        self.output_size = [output, (None,)] if return_weights else output

    def build(self, input_shape, memory_shape=None):
        if memory_shape is None:
            raise self._no_memory()
        check_memory_shape(self, memory_shape)
        self._read = input_shape[-1] + self._memory_read(memory_shape[-1])
        if not self.cell.built:
            self.cell.build((input_shape[0], self._read))
        size = vector_size("cell", self.cell)
        if not self.score.built:
            self.score.build((input_shape[0], size), tuple(memory_shape))
        if self._vector:
            self.attention_kernel = self.add_weight(
                shape=(memory_shape[-1] + size, self._vector),
                name="attention_kernel",
                initializer=self.kernel_initializer,
                autocast=False,
            )
        self.built = True

    def __call__(self, *args, **kwargs):
        raise self._no_memory()

    def _memory_read(self, memory_size):
        """How many features the cell reads beside its inputs."""
        return (memory_size if self.attend == "before" else 0) + (self._vector if self.input_feeding else 0)

    def get_initial_state(self, batch_size=None):
        """The cell's own, and zeros for the attentional vector that is fed."""
        states = list(self.cell.get_initial_state(batch_size))
        return states + (zero_states(self._vector, batch_size, self.compute_dtype) if self.input_feeding else [])

    def prepare(self, states, training=False, memory=None, memory_mask=None):
        """What stays the same over a sequence: the cell's constants, its input mask, the memory and its keys, …"""
        if memory is None:
            raise self._no_memory()
        own = states[:-1] if self.input_feeding else states
        batch = ops.shape(tree.flatten(states)[0])[0]
        drop = self.cell.input_mask((batch, self._read), self.cell.compute_dtype, training)
        fed = self.recurrent_mask(states[-1], training) if self.input_feeding else None
        memory, keep = kept_memory(memory, memory_mask, self.compute_dtype)
        keys = self.score.keys(memory)
        kernel = self.cast(self.attention_kernel) if self._vector else None
        return self.cell.prepare(own, training), drop, fed, memory, keys, keep, kernel

    def project(self, inputs):
        """Inputs as they are: what the cell reads with them is known step by step."""
        return inputs

    def step(self, projected, states, constants):
        prepared, drop, fed, memory, keys, keep, kernel = constants
        own = states[:-1] if self.input_feeding else states
        read = [projected]
        if self.attend == "before":
            context, weights = self._attend(tree.flatten(_of_top(self.cell, own))[0], memory, keys, keep)
            read.append(context)
        if self.input_feeding:
            read.append(dropped(states[-1], fed))
        read = ops.cast(ops.concatenate(read, axis=-1), self.cell.compute_dtype)
        output, new_states = self.cell.step(self.cell.project(dropped(read, drop)), own, prepared)
        if self.attend == "after":
            context, weights = self._attend(output, memory, keys, keep)
        if self._vector:
            output = ops.tanh(ops.matmul(ops.concatenate([context, self.cast(output)], axis=-1), kernel))
        new_states = [*new_states, *([output] if self.input_feeding else [])]
        return [output, weights] if self.return_weights else output, new_states

    def _attend(self, query, memory, keys, keep):
        """`(c, a)`: the context `(B, M)`, and the weights `(B, S)`."""
        a = masked_softmax(self.score.scores(self.cast(query), keys), keep)
        return ops.squeeze(ops.matmul(ops.expand_dims(a, 1), memory), 1), a

    def _no_memory(self):
        return ValueError(
            f"Cell {self.name!r} reads a memory at each call: run it by ks.layers.RNN(cell)(inputs, memory=memory), "
            "with a memory (B, S, M)."
        )

    def get_config(self):
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "score": keras.saving.serialize_keras_object(self.score),
        }

    @classmethod
    def from_config(cls, config):
        """A cell from what `get_config` gave."""
        inner = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("cell", "score")}
        return cls(**{**config, **inner})


def _of_top(cell, states):
    """The states of a cell, or those of the top one of a stack."""
    while hasattr(cell, "cells"):
        cell, states = cell.cells[-1], states[-1]
    return states

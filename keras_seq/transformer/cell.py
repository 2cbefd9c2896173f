"""The causal transformer block as a recurrent cell: its state is the cache of the keys and values of the steps so far.

RNN(TransformerCell(block, L), return_sequences=True)(x) = block(x)     for a causal block, up to L steps; then over the
                                                                        last L of them
"""

import keras
from keras import ops

from keras_seq.attention.cache import empty_cache, in_use, read, written
from keras_seq.attention.memory import check_memory_shape, kept_memory
from keras_seq.cells.base import Cell
from keras_seq.checks import positive_integer
from keras_seq.transformer.block import TransformerBlock


@keras.saving.register_keras_serializable("keras_seq")
class TransformerCell(Cell):
    """One step of a causal `TransformerBlock`, for decoding: each step costs the same, however many came before.

    Train the block on whole sequences, then run the cell, which shares its weights, step by step. A masked step is not
    written into the cache, so that, as for the block, positions count kept steps. (With a mask the block gives zeros at
    masked steps, and so does `ks.layers.RNN` with `zero_output_for_mask`.) `keras.layers.RNN` runs the cell too, but
    casts the count of steps to the dtype that it computes in, which in half precision ends at 256 or 2,048.

    Args:
        block: a causal `ks.layers.TransformerBlock`.
        max_length: number `L` of steps that the cache holds. When it is full, the oldest step is forgotten for each new
            one: the cell goes on, attending to the last `L` steps. (A block with a `sliding_window` looks no further
            back than that; then so much is held at most.)
        dtype: that of the block; another one is refused.

    Call arguments:
        inputs: `(B, D)`.
        states: keys and values `(B, N, L, C)`, and the number of steps so far `(B, 1)`.
        memory, memory_mask: of `ks.layers.RNN`, for a block with `cross_attention`.

    Returns:
        `(output, states)`, the output `(B, D)`.

    Raises:
        ValueError: for a block that is not causal; for another dtype; for inputs of another size; for a memory that
            is missing, or that the block does not read; and where a block with dropout is to be trained step by step.

    Example:

    >>> block = TransformerBlock(8, num_heads=2, causal=True)
    >>> x = np.ones((2, 7, 8))
    >>> steps = RNN(TransformerCell(block, max_length=11), return_sequences=True)
    >>> bool(np.allclose(steps(x), block(x), atol=1e-5))
    True
    """

    def __init__(self, block, max_length, **kwargs):
        if not isinstance(block, TransformerBlock) or not block.causal:
            raise ValueError(
                f"Argument `block` must be a ks.layers.TransformerBlock with `causal=True`, got {block!r}: a step "
                "cannot attend to what comes after it."
            )
        super().__init__(**{"dtype": block.dtype_policy, **kwargs})
        if self.dtype_policy.name != block.dtype_policy.name:
            raise ValueError(
                f"Argument `dtype` must be that of the block, {block.dtype_policy.name!r}, got "
                f"{self.dtype_policy.name!r}: give it to the block."
            )
        self.block = block
        self.reads_memory = block.cross_attention
        self.max_length = positive_integer("max_length", max_length)
        self._length = min(self.max_length, block.sliding_window or self.max_length)
        self._heads, self._size = block.num_heads, block.units // block.num_heads
        shape = (self._heads, self._length, self._size)
        self.state_size = [shape, shape, 1]
        self.output_size = block.units
        self.built = block.built

    def build(self, input_shape, memory_shape=None):
        if self.reads_memory and memory_shape is not None:
            check_memory_shape(self, memory_shape)
        if not self.block.built:
            shape = (input_shape[0], None, input_shape[-1])
            self.block.build(shape, memory_shape if self.reads_memory else None)
        self.built = True

    def get_initial_state(self, batch_size=None):
        """An empty cache."""
        return empty_cache(batch_size, self._length, self._heads, self._size, self._size, self.compute_dtype)

    def project(self, inputs):
        """Inputs as they are: the block reads them step by step."""
        self.block.check_size(inputs.shape)
        return inputs

    def prepare(self, states, training=False, memory=None, memory_mask=None):
        """Keys and values of the memory `(B, N, S, C)`, and its mask: None for a block that reads none."""
        if training and self.block.dropout:
            raise ValueError(
                f"Cell {self.name!r} does not drop anything, and its block has `dropout`: train the block itself, on "
                "whole sequences."
            )
        if not self.reads_memory:
            if memory is not None:
                raise ValueError(f"Cell {self.name!r} was given a `memory`, and its block has no `cross_attention`.")
            return None
        if memory is None:
            raise ValueError(f"Cell {self.name!r} reads a memory at each call: give ks.layers.RNN a `memory`.")
        memory, keep = kept_memory(memory, memory_mask, self.compute_dtype)
        if keep is None and not memory.shape[1]:  # no steps, or none as the graph runs: hidden in full
            keep = ops.ones(ops.shape(memory)[:2], "bool")
        part = self.block.memory_attention
        keys, values = (ops.swapaxes(dense(memory), 1, 2) for dense in (part.key_dense, part.value_dense))
        return keys, values, keep

    def step(self, projected, states, constants):
        cache = states

        def attention(h):
            nonlocal cache
            part = self.block.attention
            query, key, value = self._heads_of(part, h, cache[2])
            cache = written(cache, key, value)
            return _joined(part, read(query, *cache[:2], in_use(cache)))

        def memory_attention(h):
            part = self.block.memory_attention
            keys, values, keep = constants
            query = part.query_dense(ops.expand_dims(h, 1))[:, 0]
            output = _joined(part, read(query, keys, values, keep))
            return output if keep is None else ops.where(ops.any(keep, axis=1, keepdims=True), output, 0.0)

        return self.block.through(projected, attention, memory_attention), cache

    def _heads_of(self, part, h, count):
        """Query, key and value `(B, N, C)` of a step `(B, D)` at position `count` `(B, 1)`."""
        h = ops.expand_dims(h, 1)
        query, key, value = part.query_dense(h), part.key_dense(h), part.value_dense(h)
        if part.rotary:
            query, key = part.turned(query, count), part.turned(key, count)
        return query[:, 0], key[:, 0], value[:, 0]

    def get_config(self):
        return {**super().get_config(), "block": keras.saving.serialize_keras_object(self.block)}

    @classmethod
    def from_config(cls, config):
        """A cell from what `get_config` gave."""
        return cls(**{**config, "block": keras.saving.deserialize_keras_object(config["block"])})


def _joined(part, heads):
    """The output `(B, D)` of what the heads `(B, N, C)` read."""
    return part.output_dense(ops.expand_dims(heads, 1))[:, 0]

"""The memory that a cell reads: in the form in which it is read."""

from keras import ops

from keras_seq import compat
from keras_seq.backend.loop import zero_where_masked


def kept_memory(memory, memory_mask, dtype):
    """`(memory, keep)`: the memory `(B, S, M)` in a dtype, and which of its steps count, booleans `(B, S)` or None.

    The mask is by default the one that came with the memory. Masked steps are zeros: what stands there must not count,
    be it NaN.
    """
    memory_mask = compat.mask_of(memory) if memory_mask is None else memory_mask
    memory = ops.cast(memory, dtype)
    if memory_mask is None:
        return memory, None
    return zero_where_masked(memory, memory_mask), ops.cast(memory_mask, "bool")


def check_memory_shape(cell, shape):
    """Raise unless `shape` is that of one memory `(B, S, M)`."""
    if len(shape) != 3 or any(isinstance(size, (list, tuple)) for size in shape):
        raise ValueError(f"Cell {cell.name!r} reads one memory (B, S, M), got shape {tuple(shape)}.")

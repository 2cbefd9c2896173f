"""The memory that a cell reads at each step of one call: checked, and with its masks."""

from keras import tree

from keras_seq import compat
from keras_seq.cells.base import takes_memory
from keras_seq.checks import fits
from keras_seq.layers.stacked import StackedRNNCells, has_parts


def reads_memory(cell):
    """Whether a cell, or one of a stack, reads a memory."""
    if isinstance(cell, StackedRNNCells) and has_parts(cell):
        return any(map(reads_memory, cell.cells))
    return has_parts(cell) and takes_memory(cell)


def memory_context(layer, batch, memory, memory_mask):
    """Keyword arguments for the `prepare` of a layer's cell: the memory that it reads, and its masks.

    Args:
        layer: the recurrent layer.
        batch: its batch size, None where unknown.
        memory: a tensor `(B, S, ...)`, a list of them, or None.
        memory_mask: booleans `(B, S)`, a list of them, or None for those that came with the memory.
    """
    where = f"of layer {layer.name!r}"
    if memory is None:
        if any(mask is not None for mask in tree.flatten(memory_mask)):
            raise ValueError(f"Argument `memory_mask` {where} was given without `memory`: give both.")
        return {}
    if not reads_memory(layer.cell):
        raise ValueError(f"Argument `memory` {where} was given, but its cell, {type(layer.cell).__name__}, reads none.")
    memories, masks = tree.flatten(memory), tree.flatten(memory_mask)
    if masks == [None]:
        masks = [compat.mask_of(one) for one in memories]
    if len(masks) != len(memories):
        raise ValueError(
            f"Argument `memory_mask` {where} must hold a mask or None for each of {len(memories)} memories, "
            f"got {len(masks)}."
        )
    for one, mask in zip(memories, masks, strict=True):
        if not fits((batch,), one.shape[:1]):
            raise ValueError(f"Argument `memory` {where} must have batch size {batch}, got shape {tuple(one.shape)}.")
        if mask is not None and not fits(mask.shape, one.shape[:2]):
            raise ValueError(
                f"Argument `memory_mask` {where} must have shape (B, S) = {tuple(one.shape[:2])}, "
                f"got {tuple(mask.shape)}."
            )
    return {
        "memory": memory,
        "memory_mask": tree.pack_sequence_as(memory, masks) if tree.is_nested(memory) else masks[0],
    }

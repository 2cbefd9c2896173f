"""What a cell that runs another cell inside of it asks of that one."""

from keras_seq.cells.base import Cell, takes_memory


def check_inner_cell(argument, cell):
    """Raise unless a cell, or each of a stack, is made of this package's three parts and reads no memory per call."""
    if hasattr(cell, "cells") and hasattr(cell, "prepare"):
        for one in cell.cells:
            check_inner_cell(argument, one)
        return
    if getattr(type(cell), "call", None) is not Cell.call:
        raise ValueError(
            f"Argument `{argument}` must be a cell of this package, or ks.layers.StackedRNNCells of such, got "
            f"{cell!r}: "
            "convert a cell of Keras by taking the one of the same name in ks.layers; a subclass must not write `call`."
        )
    if takes_memory(cell):
        raise ValueError(
            f"Argument `{argument}` must be a cell that reads no memory itself, got {type(cell).__name__}: stack such "
            "cells, with ks.layers.RNN([cell, cell])."
        )


def vector_size(argument, cell):
    """The size of the output of a cell, or of the top one of a stack: it must be a vector."""
    size = getattr(cell, "output_size", None)
    size = size[0] if isinstance(size, (list, tuple)) and len(size) == 1 else size
    if not isinstance(size, int):
        raise ValueError(
            f"Argument `{argument}` must be a cell whose output is one vector, got {type(cell).__name__} with "
            f"output_size {size!r}."
        )
    return size

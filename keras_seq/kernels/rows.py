"""Rows whose kept steps are in front: what makes of any mask one at the end."""

from keras import ops

from keras_seq.backend import native


def to_the_front(x, keep):
    """The kept steps of each row `(B, T, ...)` first, in their order."""
    steps = ops.arange(ops.shape(keep)[1])
    order = ops.argsort(ops.where(keep, steps, steps + ops.shape(keep)[1]), axis=1)
    return native.gather(x, order, rows=True)


def kept_so_far(keep):
    """How many steps of a row were kept, up to each step: `(B, T)`."""
    return ops.cumsum(ops.cast(keep, "int32"), axis=1)

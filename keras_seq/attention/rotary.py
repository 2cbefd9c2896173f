"""Rotary positions (Su et al., 2021, arXiv 2104.09864, eq. 34), turning halves of a vector against each other.

With x = [x1; x2] of size C, at position p, and frequencies  f[j] = base ** (-2 j / C), j < C / 2:

    rotary(x, p) = [x1 cos(p f) - x2 sin(p f);  x2 cos(p f) + x1 sin(p f)]

so that `rotary(q, p) . rotary(k, p')` depends on p - p' alone. The paper pairs neighbours; most code, and this, halves:
the same up to the order of columns.
"""

import keras
import numpy as np
from keras import ops


def rotary(x, positions, base=10_000.0):
    """Vectors turned by their positions: x `(B, T, N, C)` with even C, positions `(B, T)` or `(1, T)`, integers."""
    size = x.shape[-1]
    precise = keras.backend.result_type(x.dtype, "float32")
    frequencies = ops.convert_to_tensor(base ** (-np.arange(0, size, 2) / size), precise)
    angle = ops.expand_dims(ops.cast(positions, precise), -1) * frequencies  # (B, T, C / 2)
    angle = ops.expand_dims(angle, 2)
    cos, sin = ops.cast(ops.cos(angle), x.dtype), ops.cast(ops.sin(angle), x.dtype)
    x1, x2 = ops.split(x, 2, axis=-1)
    return ops.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], axis=-1)


def kept_positions(keep, length):
    """The position of each step, `(B, T)`: how many kept steps stand before it. Without a mask `(1, T)`, 0, 1, 2 …"""
    if keep is None:
        return ops.expand_dims(ops.arange(length, dtype="int32"), 0)
    keep = ops.cast(keep, "int32")
    return ops.cumsum(keep, axis=1) - keep

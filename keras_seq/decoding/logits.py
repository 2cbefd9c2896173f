"""What decoders read from the logits `(B, V)` of a step: the largest, and log-probabilities.

    log softmax(z)[i] = z[i] - max(z) - log(sum over j of exp(z[j] - max(z)))

A logit may be -inf, and so may all of a row.
"""

import math

import numpy as np
from keras import ops

from keras_seq.backend import native

LOWEST = float(np.finfo("float32").min)


def largest(x, count):
    """The `count` largest entries of each row of `x` `(B, V)`, falling, and their places: `ops.top_k`, but faster.

    They stand in those `count` blocks of the row whose largest entries are largest; so for long rows few are compared.
    """
    size = x.shape[1]
    if size < max(256, 16 * count):
        return ops.top_k(x, count)
    wanted = round(math.sqrt(size / count))  # then there are as many blocks as entries in those that are looked into
    width = min(range(wanted // 2, 2 * wanted), key=lambda width: (size % width > 0, abs(width - wanted)))
    missing = -size % width
    padded = ops.pad(x, [[0, 0], [0, missing]], constant_values=-float("inf")) if missing else x
    blocks = ops.reshape(padded, (-1, (size + missing) // width, width))
    _, best = ops.top_k(ops.max(blocks, axis=2), count)
    few = ops.reshape(native.gather(blocks, best, rows=True), (-1, count * width))
    values, places = ops.top_k(few, count)
    places = native.gather(best, places // width, rows=True) * width + places % width
    return values, ops.minimum(places, size - 1)  # beyond the end there is nothing but -inf


def log_probabilities(values, logits, highest):
    """Log-probabilities of the tokens whose logits are `values`; `highest` `(rows, 1)` is the largest of `logits`.

    Where all logits are -inf, so are the log-probabilities.
    """
    highest = finite(highest)
    total = ops.sum(ops.exp(logits - highest), axis=1, keepdims=True)
    return values - highest - ops.log(ops.maximum(total, 1.0))  # at least 1: the share of the highest


def finite(highest):
    """A maximum of logits as it may be subtracted from them: above -inf, because -inf - -inf is NaN."""
    return ops.maximum(highest, LOWEST)

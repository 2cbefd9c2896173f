"""Keys and values of the steps so far, for attention step by step.

A cache of L places is a list: keys `(B, N, L, C)`, values `(B, N, L, C')`, and how many steps were written `(B, 1)`,
for each row by itself. Step p stands at place `p mod L`: a full cache forgets its oldest step for each new one, so that
attention is that over the last L steps.
"""

from keras import ops

from keras_seq.attention.scores import masked_softmax, scaled


def empty_cache(batch_size, length, heads, key_dim, value_dim, dtype):
    """A cache of `length` places in which nothing is written."""
    return [
        ops.zeros((batch_size, heads, length, key_dim), dtype),
        ops.zeros((batch_size, heads, length, value_dim), dtype),
        ops.zeros((batch_size, 1), "int32"),
    ]


def written(cache, key, value):
    """The cache with one more step: key `(B, N, C)`, value `(B, N, C')`."""
    keys, values, count = cache
    length = keys.shape[2]
    # (Of `keras.layers.RNN` the count comes as a float.)
    place = ops.mod(ops.cast(count, "int32"), length)
    here = ops.equal(ops.arange(length, dtype="int32"), place)[:, None, :, None]  # (B, 1, L, 1)
    return [
        ops.where(here, ops.expand_dims(key, 2), keys),
        ops.where(here, ops.expand_dims(value, 2), values),
        count + 1,
    ]


def in_use(cache):
    """Which places hold a step: booleans `(B, L)`."""
    keys, _, count = cache
    return ops.arange(keys.shape[2], dtype="int32") < ops.cast(count, "int32")


def read(query, keys, values, keep=None):
    """One query for each head, `(B, N, C)`, over keys and values as a cache has them: `(B, N, C')`.

    `keep` are booleans `(B, L)`, or None. Where nothing is kept the result is zero.
    """
    query, keys = scaled(query, keys)
    scores = ops.squeeze(ops.matmul(keys, ops.expand_dims(query, -1)), -1)  # (B, N, L)
    a = ops.cast(masked_softmax(scores, None if keep is None else ops.expand_dims(keep, 1)), values.dtype)
    return ops.squeeze(ops.matmul(ops.expand_dims(a, 2), values), 2)

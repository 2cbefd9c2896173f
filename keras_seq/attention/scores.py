"""How well each entry of a memory answers a query: the score functions of attention.

With `q` a query and `k[s]` the entries of a memory:

    dot            q . k[s]                                    Luong et al., 2015, arXiv 1508.04025, eq. 8
    scaled dot     q . k[s] / sqrt(A)                          Vaswani et al., 2017, arXiv 1706.03762, eq. 1
    general        q . (k[s] W)                                Luong et al., eq. 8; W (M, A)
    additive       v . tanh(q Q + k[s] K)                      Bahdanau et al., 2015, arXiv 1409.0473, app. A.1.2
    normalised     g v / |v| . tanh(q Q + k[s] K + b)          the same with a normalised v (Salimans and Kingma, 2016)

What depends on the memory alone, `k W` or `k K`, are its keys: a layer computes them once for all queries of a call.
"""

import math

import keras
from keras import ops

from keras_seq.checks import positive_integer
from keras_seq.initializers import fresh

LOWEST = -1e30  # below all scores: infinity would make the softmax of nothing, and its gradient, NaN


def masked_softmax(scores, keep=None):
    """Softmax over the last axis, over the entries where `keep`; all zeros where no entry is kept.

    The softmax is computed in single precision at least; the result has the dtype of `scores`.
    """
    dtype = scores.dtype
    scores = ops.cast(scores, keras.backend.result_type(dtype, "float32"))
    if keep is None:
        return ops.cast(ops.softmax(scores, axis=-1), dtype)
    weights = ops.cast(ops.softmax(ops.where(keep, scores, ops.cast(LOWEST, scores.dtype)), axis=-1), dtype)
    return ops.where(keep, weights, ops.zeros_like(weights))


def scaled(query, keys):
    """`q / sqrt(C)` and `k` as their products are taken: those of float16 may leave its range, so in float32 then."""
    query = query * (1 / math.sqrt(query.shape[-1]))
    if keras.backend.standardize_dtype(query.dtype) != "float16":
        return query, keys
    return ops.cast(query, "float32"), ops.cast(keys, "float32")


def dot(query, keys, scale=None):
    """`q . k[s]`, times `scale`: query `(B, A)` or `(B, T, A)`, keys `(B, S, A)`; gives `(B, S)` or `(B, T, S)`."""
    query = query if scale is None else query * scale
    if len(query.shape) == 2:
        return ops.squeeze(ops.matmul(keys, ops.expand_dims(query, -1)), -1)
    return ops.matmul(query, ops.swapaxes(keys, 1, 2))


def additive(query, keys, v):
    """`v . tanh(q + k[s])`: query `(B, A)` or `(B, T, A)`, keys `(B, S, A)`, v `(A,)`; `(B, S)` or `(B, T, S)`."""
    query = ops.expand_dims(query, -2)
    keys = keys if len(query.shape) == 3 else ops.expand_dims(keys, 1)
    # No product of matrices: of open sizes, the gradient of Keras's fails in XLA on TensorFlow.
    return ops.sum(ops.tanh(query + keys) * v, axis=-1)


class Score(keras.layers.Layer):
    """Scores of the entries of a memory for each query: the base of the score layers.

    A subclass writes `keys(memory)`, which is computed once per memory, and `scores(query, keys)`.

    Call arguments:
        query: `(B, D)` or `(B, T, D)`.
        memory: `(B, S, M)`.

    Returns:
        Scores `(B, S)` or `(B, T, S)`.
    """

    def build(self, query_shape, memory_shape):
        self.built = True

    def call(self, query, memory):
        return self.scores(self.cast(query), self.keys(self.cast(memory)))

    def keys(self, memory):
        """What of the scores depends on the memory `(B, S, M)` alone: `(B, S, A)`."""
        return memory

    def cast(self, tensor):
        """A tensor or a weight in the dtype that this layer computes in."""
        return ops.cast(tensor, self.compute_dtype)

    def compute_output_shape(self, query_shape, memory_shape):
        return (*query_shape[:-1], memory_shape[1])

    def compute_mask(self, _, previous_mask=None):
        return None

    def _add(self, name, shape, initializer):
        return self.add_weight(shape=shape, name=name, initializer=fresh(initializer), autocast=False)


@keras.saving.register_keras_serializable("keras_seq")
class DotScore(Score):
    """`q . k[s]`, or `q . k[s] / sqrt(D)`: see `keras_seq.attention.scores`.

    Args:
        scaled: whether to divide by the root of the size of a query.

    Call arguments:
        query: `(B, D)` or `(B, T, D)`.
        memory: `(B, S, D)`, of the same size.

    Returns:
        Scores `(B, S)` or `(B, T, S)`.

    Raises:
        ValueError: where query and memory differ in size.

    Example:

    >>> DotScore(scaled=True)(np.ones((1, 4)), np.ones((1, 3, 4))).numpy().tolist()
    [[2.0, 2.0, 2.0]]
    """

    def __init__(self, scaled=False, **kwargs):
        super().__init__(**kwargs)
        self.scaled = scaled

    def build(self, query_shape, memory_shape):
        if query_shape[-1] != memory_shape[-1]:
            raise ValueError(
                f"Layer {self.name!r} needs queries and a memory of one size, got {query_shape[-1]} and "
                f"{memory_shape[-1]}: use the score 'general' or 'additive'."
            )
        self.built = True

    def scores(self, query, keys):
        return dot(query, keys, 1 / math.sqrt(query.shape[-1]) if self.scaled else None)

    def get_config(self):
        return {**super().get_config(), "scaled": self.scaled}


@keras.saving.register_keras_serializable("keras_seq")
class GeneralScore(Score):
    """`q . (k[s] W)`, after Luong et al. (2015): see `keras_seq.attention.scores`. Weight: `kernel` W `(M, D)`.

    Args:
        kernel_initializer: how `W` starts.

    Call arguments:
        query: `(B, D)` or `(B, T, D)`.
        memory: `(B, S, M)`.

    Returns:
        Scores `(B, S)` or `(B, T, S)`.

    Example:

    >>> GeneralScore()(np.ones((2, 7, 4)), np.ones((2, 5, 3))).shape
    TensorShape([2, 7, 5])
    """

    def __init__(self, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, query_shape, memory_shape):
        self.kernel = self._add("kernel", (memory_shape[-1], query_shape[-1]), self.kernel_initializer)
        self.built = True

    def keys(self, memory):
        return ops.matmul(memory, self.cast(self.kernel))

    def scores(self, query, keys):
        return dot(query, keys)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("keras_seq")
class AdditiveScore(Score):
    """`v . tanh(q Q + k[s] K)`, after Bahdanau et al. (2015): see `keras_seq.attention.scores`.

    Weights: `query_kernel` Q `(D, A)`, `memory_kernel` K `(M, A)`, `v` `(A,)`; normalised also `g` `()` and `bias` b
    `(A,)`.

    Args:
        units: size `A` in which query and memory meet; None for the size of the query.
        normalize: whether the length of `v` is a weight of its own, g, which starts at `1 / sqrt(A)`, and there is a
            bias.
        kernel_initializer: how `Q`, `K` and `v` start.

    Call arguments:
        query: `(B, D)` or `(B, T, D)`.
        memory: `(B, S, M)`.

    Returns:
        Scores `(B, S)` or `(B, T, S)`.

    Example:

    >>> AdditiveScore(6, normalize=True)(np.ones((2, 7, 4)), np.ones((2, 5, 3))).shape
    TensorShape([2, 7, 5])
    """

    def __init__(self, units=None, normalize=False, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = None if units is None else positive_integer("units", units)
        self.normalize = normalize
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, query_shape, memory_shape):
        units = self.units or query_shape[-1]
        self.query_kernel = self._add("query_kernel", (query_shape[-1], units), self.kernel_initializer)
        self.memory_kernel = self._add("memory_kernel", (memory_shape[-1], units), self.kernel_initializer)
        self.v = self._add("v", (units,), self.kernel_initializer)
        if self.normalize:
            self.g = self._add("g", (), keras.initializers.Constant(1 / math.sqrt(units)))
            self.bias = self._add("bias", (units,), "zeros")
        self.built = True

    def keys(self, memory):
        keys = ops.matmul(memory, self.cast(self.memory_kernel))
        return keys + self.cast(self.bias) if self.normalize else keys

    def scores(self, query, keys):
        v = self.v
        if self.normalize:  # squares of small numbers do not fit into half precision
            v = ops.cast(v, keras.backend.result_type(v.dtype, "float32"))
            length = ops.sqrt(ops.maximum(ops.sum(ops.square(v)), 1e-12))  # a v that starts at zero has no direction
            v = ops.cast(self.g, v.dtype) * v / length
        return additive(ops.matmul(query, self.cast(self.query_kernel)), keys, self.cast(v))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "normalize": self.normalize,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


SCORES = {
    "dot": lambda **kwargs: DotScore(**kwargs),
    "scaled_dot": lambda **kwargs: DotScore(scaled=True, **kwargs),
    "general": lambda **kwargs: GeneralScore(**kwargs),
    "additive": lambda **kwargs: AdditiveScore(**kwargs),
    "normalized_additive": lambda **kwargs: AdditiveScore(normalize=True, **kwargs),
}


def score_layer(score, **kwargs):
    """A score layer, from a name ("dot", "scaled_dot", "general", "additive", "normalized_additive") or as it is.

    `kwargs` are arguments of a layer that is made from its name.
    """
    if isinstance(score, Score):
        return score
    if score in SCORES:
        return SCORES[score](**kwargs)
    raise ValueError(
        f"Argument `score` must be one of {', '.join(map(repr, SCORES))}, or a score layer such as "
        f"ks.layers.AdditiveScore(64), got {score!r}."
    )

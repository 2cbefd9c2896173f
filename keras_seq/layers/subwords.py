"""Vectors of words from the letters that they are written with (Bojanowski et al., 2017, arXiv 1607.04606).

    y[w] = 1 / sqrt(n) * sum over the n runs g of letters in <w>  of  table[1 + crc32(g) mod buckets]

A rare word so shares what is learned of others: "unfunny" has runs in common with "funny" and with "unkind".
"""

import zlib

import keras
import numpy as np
from keras import ops

from keras_seq.checks import positive_integer


@keras.saving.register_keras_serializable("keras_seq")
class SubwordEmbedding(keras.layers.Layer):
    """A vector for each word from the runs of letters in it: to be added to the embedding of the word itself.

    `<` and `>` mark where a word begins and ends. Runs share `buckets` vectors by a hash. The sum is divided by the
    root of their number, so that it is of one size for short and long words. A step holds `(B, T, max_runs, E)` numbers
    in memory, and again as many in training.

    Args:
        vocabulary: the words, in the order of their ids, which count from 2 as in `TextVectorizer`: 0 is padding, 1 a
            word that is not known; both get zeros.
        buckets: number of vectors.
        output_dim: size `E` of a vector.
        shortest, longest: how many letters make a run.
        max_runs: how many runs of a word count, the short ones first.
        embeddings_initializer: how the vectors start.

    Call arguments:
        ids: integers `(B, T)`.

    Returns:
        `(B, T, E)`. The mask is that of `ids`: `ids != 0`.

    Example:

    >>> layer = SubwordEmbedding(["funny", "unfunny", "dull"], 1000, 4)
    >>> layer(np.array([[2, 3, 4, 1, 0]])).shape
    TensorShape([1, 5, 4])
    """

    def __init__(
        self,
        vocabulary,
        buckets,
        output_dim,
        shortest=3,
        longest=4,
        max_runs=14,
        embeddings_initializer="uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(vocabulary, str) or not all(isinstance(word, str) for word in vocabulary):
            raise ValueError(f"Argument `vocabulary` must be a list of words, got {vocabulary!r:.100}.")
        self.vocabulary = list(vocabulary)
        self.buckets = positive_integer("buckets", buckets)
        self.output_dim = positive_integer("output_dim", output_dim)
        self.shortest = positive_integer("shortest", shortest)
        self.longest = positive_integer("longest", longest)
        if self.longest < self.shortest:
            raise ValueError(f"Argument `longest` must be at least `shortest`, {shortest!r}, got {longest!r}.")
        self.max_runs = positive_integer("max_runs", max_runs)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.supports_masking = True
        self._runs = self._table()  # (V, max_runs), rows of `embeddings`

    def _table(self):
        table = np.zeros((len(self.vocabulary) + 2, self.max_runs), "int32")
        for row, word in enumerate(self.vocabulary, 2):
            marked = f"<{word}>"
            sizes = range(self.shortest, self.longest + 1)
            runs = [marked[i : i + size] for size in sizes for i in range(len(marked) - size + 1)][: self.max_runs]
            table[row, : len(runs)] = [1 + zlib.crc32(run.encode("utf-8")) % self.buckets for run in runs]
        return table

    def build(self, ids_shape):
        self.embeddings = self.add_weight(
            shape=(self.buckets + 1, self.output_dim), name="embeddings", initializer=self.embeddings_initializer
        )  # row 0 stands where a word has no more runs, and counts for nothing
        self.built = True

    def call(self, ids):
        runs = ops.take(ops.convert_to_tensor(self._runs), ops.cast(ids, "int32"), axis=0)  # (B, T, max_runs)
        weights = ops.cast(runs != 0, self.compute_dtype)
        weights = weights * ops.rsqrt(ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 1))
        vectors = ops.cast(ops.take(self.embeddings, runs, axis=0), self.compute_dtype)
        return ops.squeeze(ops.matmul(ops.expand_dims(weights, -2), vectors), -2)

    def compute_mask(self, ids, mask=None):
        return ids != 0

    def compute_output_shape(self, ids_shape):
        return (*ids_shape, self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": list(self.vocabulary),
            "buckets": self.buckets,
            "output_dim": self.output_dim,
            "shortest": self.shortest,
            "longest": self.longest,
            "max_runs": self.max_runs,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }

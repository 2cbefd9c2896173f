"""Words that are hidden while training."""

import keras
from keras import ops

from keras_seq.checks import positive_integer, share


@keras.saving.register_keras_serializable("keras_seq")
class WordDropout(keras.layers.Layer):
    """While training, hides each word with probability `rate` behind the id of the unknown word; padding stays.

    The model learns to judge a text without any one of its words, and gets an embedding of the unknown word that is
    trained (Iyyer et al., 2015, "Deep Unordered Composition Rivals Syntactic Methods", section 3.1, drop words
    altogether). What is left is not scaled up.

    Args:
        rate: share of the words that are hidden, at least 0 and below 1.
        unknown_id: the id that stands for a word one does not know.
        seed: of the choice.

    Call arguments:
        ids: integers `(B, T)`, 0 for padding.
        training: whether words are hidden.

    Returns:
        Ids `(B, T)`.

    Example:

    >>> WordDropout(0.5)(np.array([[7, 3, 0]]), training=False).numpy().tolist()
    [[7, 3, 0]]
    """

    def __init__(self, rate, unknown_id=1, seed=None, **kwargs):
        kwargs.setdefault("dtype", "int32")  # of what it returns
        super().__init__(**kwargs)
        self.rate = share("rate", rate)
        self.unknown_id = positive_integer("unknown_id", unknown_id)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, ids, training=False):
        if not training or not self.rate:
            return ids
        hidden = keras.random.uniform(ops.shape(ids), dtype="float32", seed=self.seed_generator) < self.rate
        return ops.where(ops.logical_and(hidden, ids != 0), ops.cast(self.unknown_id, ids.dtype), ids)

    def compute_output_spec(self, ids, training=False):
        return keras.KerasTensor(ids.shape, ids.dtype)

    def compute_output_shape(self, ids_shape):
        return ids_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "unknown_id": self.unknown_id, "seed": self.seed}

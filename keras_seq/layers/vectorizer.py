"""From strings to the ids of their words."""

import keras
import numpy as np


@keras.saving.register_keras_serializable("keras_seq")
class TextVectorizer(keras.layers.TextVectorization):
    """Turns texts into rows of word ids, padded with 0 at the end.

    A word is what stands between spaces; punctuation counts as words of its own (an apostrophe between letters
    stays inside its word, tags such as `<br />` are dropped). Id 0 is padding, 1 a word that the vocabulary does not
    have. An empty text gives a row of zeros; of a long one the first `max_length` words are kept.

    `ks.data.text_vectorizer` makes one from texts.

    Args:
        vocabulary: the known words, the most frequent first; ids count from 2.
        max_length: how many words of a text are kept.
        lowercase: whether case is ignored.

    Call arguments:
        inputs: strings `(B,)`.

    Returns:
        Ids `(B, T)`, `T` the length of the longest text of the batch, at most `max_length`.

    Example:

    >>> vectorizer = TextVectorizer(["a", "film", "!"])
    >>> np.asarray(vectorizer(["A film!", "", "A quiet film"])).tolist()
    [[2, 3, 4], [0, 0, 0], [2, 1, 3]]
    """

    def __init__(self, vocabulary, max_length=400, lowercase=True, **kwargs):
        if not len(vocabulary):
            raise ValueError("Argument `vocabulary` must hold at least one word, got none.")
        if not isinstance(max_length, int) or max_length < 1:
            raise ValueError(f"Argument `max_length` must be a positive integer, got {max_length!r}.")
        self.vocabulary = list(vocabulary)
        self.max_length = max_length
        self.lowercase = lowercase
        super().__init__(standardize=self.standardize_text, split="whitespace", vocabulary=self.vocabulary, **kwargs)
        self.built = True

    def standardize_text(self, texts):
        """Strings with one space around each punctuation mark, in lower case if case is ignored."""
        import tensorflow as tf

        if self.lowercase:
            texts = tf.strings.lower(texts, encoding="utf-8")
        texts = tf.strings.regex_replace(texts, r"</?[A-Za-z][^<>]{0,18}>", " ")
        texts = tf.strings.regex_replace(texts, r"[\pZ\p{Cf}]+", " ")
        texts = tf.strings.regex_replace(texts, "’", "'")
        texts = tf.strings.regex_replace(texts, r"(^|[^\pL\pN\pM])'+", r"\1 ' ")
        texts = tf.strings.regex_replace(texts, r"'+([^\pL\pN\pM]|$)", r" ' \1")
        return tf.strings.regex_replace(texts, r"([^\pL\pN\pM\s'_])", r" \1 ")

    def call(self, inputs):
        return super().call(inputs)[..., : self.max_length]

    def tokens(self, ids):
        """The words of ids `(B, T)` as a list of strings for each row, up to its padding, as labels of a picture.

        Example:

        >>> TextVectorizer(["a", "film", "!"]).tokens([[2, 1, 3, 0], [0, 0, 0, 0]])
        [['a', '<unknown>', 'film'], []]
        """
        names = ["<padding>", "<unknown>", *self.vocabulary]
        return [[names[i] for i in row[np.cumsum(row == 0) == 0]] for row in np.asarray(ids)]

    def get_config(self):
        base = super().get_config()
        own = {"vocabulary": self.vocabulary, "max_length": self.max_length, "lowercase": self.lowercase}
        return {**{name: base[name] for name in ("name", "trainable", "dtype")}, **own}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

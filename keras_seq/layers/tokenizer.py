"""From texts to the ids of their tokens and back: nothing is lost but case, if that is wanted, and repeated spaces.

Spaces become the sign `▁` in front of the token that follows (Kudo & Richardson, 2018, arXiv 1808.06226), so that
tokens written one after the other are the text again:

    Hello, (world)!   ->   ▁Hello  ,  ▁(  world  )  !
"""

from collections import Counter

import keras
import numpy as np

from keras_seq import compat
from keras_seq.checks import positive_integer
from keras_seq.errors import InputError

PADDING, UNKNOWN, START, END = 0, 1, 2, 3
SPACE = "▁"  # U+2581
REPLACEMENT = "\ufffd"  # what stands for an unknown token in a text
FIRST = 4  # the id of the first token of the vocabulary

_WORD = r"[\pL\pN\pM_]+(?:['’][\pL\pN\pM_]+)*"
_TOKEN = rf"({SPACE}?(?:{_WORD}|[^\pL\pN\pM_{SPACE}]\pM*))"


@keras.saving.register_keras_serializable("keras_seq")
class Tokenizer(keras.layers.Layer):
    """Turns texts into rows of token ids, padded with 0 at the end, and such rows into texts.

    Id 0 is padding, 1 an unknown token; 2 and 3 are the start and the end of a text, which a model puts around it. Runs
    of whitespace and control characters count as one space, those at the ends of a text not at all; unless split into
    characters, a `▁` counts as `_`; bytes that are no UTF-8 count as U+FFFD. For texts whose tokens are all known and
    not cut, `detokenize` undoes the rest. An empty text gives a row of zeros. With `keep_spaces` nothing is lost.

    `ks.data.tokenizer` makes one from texts.

    Args:
        vocabulary: the known tokens; their ids count from 4.
        split: "words": punctuation marks and symbols are tokens of their own (an apostrophe between letters stays
            inside its word), and `▁` in front of a token is the space before it. "characters": each is a token,
            the space too. "subwords": each of those words is cut into pieces of the vocabulary, from its start, the
            longest first; a character that no piece covers is unknown.
        lowercase: whether case is given up.
        max_length: how many tokens of a text are kept.
        keep_spaces: whether characters of whitespace and control, such as the ends of lines, are tokens of their own,
            for `split="characters"`.

    Call arguments:
        strings: `(B,)`.

    Returns:
        Ids `(B, T)`, int32, `T` the number of tokens of the longest text of the batch, at most `max_length`.

    Example:

    >>> tokenizer = Tokenizer(["▁the", "▁film", "!", "▁("])
    >>> ids = np.asarray(tokenizer(["the film!", "the (quiet film"]))
    >>> ids.tolist()
    [[4, 5, 6, 0], [4, 7, 1, 5]]
    >>> tokenizer.detokenize(ids)[0].numpy().decode()
    'the film!'
    """

    def __init__(self, vocabulary, split="words", lowercase=False, max_length=128, keep_spaces=False, **kwargs):
        super().__init__(**kwargs)
        if split not in ("words", "characters", "subwords"):
            raise ValueError(f"Argument `split` must be 'words', 'characters' or 'subwords', got {split!r}.")
        if not isinstance(lowercase, bool):
            raise ValueError(f"Argument `lowercase` must be True or False, got {lowercase!r}.")
        if not isinstance(keep_spaces, bool) or (keep_spaces and split != "characters"):
            raise ValueError(
                "Argument `keep_spaces` must be False, or True where texts are split into 'characters', got "
                f"{keep_spaces!r} with split={split!r}."
            )
        self.split = split
        self.lowercase = lowercase
        self.keep_spaces = keep_spaces
        self.max_length = positive_integer("max_length", max_length)
        self.supports_jit = False
        compat.takes_strings(self)
        self.vocabulary = _checked(vocabulary)
        unknown = SPACE + REPLACEMENT if split == "words" else REPLACEMENT
        self._written = np.array([b"", unknown.encode(), b"", b"", *(t.encode() for t in self.vocabulary)], object)
        self._ids = self._table()
        self._encoded = self._compiled()
        self.built = True

    @property
    def size(self):
        """How many ids there are."""
        return len(self.vocabulary) + FIRST

    def _table(self):
        """Ids by token; for subwords also the beginnings of pieces, as UNKNOWN where they are no pieces themselves."""
        import tensorflow as tf

        ids = {}
        if self.split == "subwords":
            ids = {piece[:end]: UNKNOWN for piece in self.vocabulary for end in range(1, len(piece))}
        ids.update({token: i for i, token in enumerate(self.vocabulary, FIRST)})
        with tf.device("CPU:0"):
            keys = tf.constant(np.array([token.encode() for token in ids], object))
            values = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(list(ids.values()), tf.int32))
            return tf.lookup.StaticHashTable(values, default_value=UNKNOWN if self.split != "subwords" else PADDING)

    def _compiled(self):
        """`_encode` as a graph, traced when first called: op by op it takes five times as long and more.

        Within a function of Python, or a SavedModel of the layer would hold it too.
        """
        import tensorflow as tf

        encode = tf.function(self._encode, [tf.TensorSpec([None], tf.string)], autograph=False)
        return lambda strings: encode(strings)

    def tokenize(self, strings):
        """The tokens of each text, known or not: a `tf.RaggedTensor` of strings. Of subwords, the words to be cut."""
        import tensorflow as tf

        strings = tf.strings.unicode_transcode(self._flat(strings), "UTF-8", "UTF-8")  # other bytes become U+FFFD
        if self.lowercase:
            strings = tf.strings.lower(strings, encoding="utf-8")
        if not self.keep_spaces:
            strings = tf.strings.strip(tf.strings.regex_replace(strings, r"[\pZ\p{Cc}]+", " "))
        if self.split == "characters":
            return tf.strings.unicode_split(strings, "UTF-8")
        strings = tf.strings.regex_replace(strings, SPACE, "_")
        strings = tf.strings.regex_replace(strings, "^(.)", r" \1")
        strings = tf.strings.regex_replace(strings, " ", SPACE)
        return tf.strings.split(tf.strings.regex_replace(strings, _TOKEN, r"\1 "))

    def _flat(self, strings):
        """A tensor of strings `(B,)`, or an error."""
        import tensorflow as tf

        try:
            tensor = tf.convert_to_tensor(strings, tf.string)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Layer {self.name!r} reads strings (B,), got {strings!r:.100}: give a flat list of strings."
            ) from error
        if tensor.shape.rank != 1:
            raise ValueError(f"Layer {self.name!r} reads strings (B,), got shape {tensor.shape}: give a flat list.")
        return tensor

    def call(self, strings):
        import tensorflow as tf

        strings = self._flat(strings)
        if not tf.executing_eagerly():
            return self._encode(strings)
        return keras.ops.convert_to_tensor(self._encoded(strings))

    def _encode(self, strings):
        import tensorflow as tf

        with tf.device("CPU:0"):  # the home of strings; a GPU would be handed many small pieces of work
            return self.uncut(strings, self.max_length)[:, : self.max_length].to_tensor(PADDING)

    def uncut(self, strings, needed=None):
        """The ids of each text of `(B,)`, whatever `max_length` is: a `tf.RaggedTensor`, int32 `(B, T)`.

        Of a word that is cut into pieces, at least the first `needed` come; None for all.
        """
        tokens = self.tokenize(strings)
        if self.split == "subwords":
            return self._pieces(tokens, needed)
        return tokens.with_flat_values(self._ids[tokens.flat_values])

    def _pieces(self, words, needed):
        """Ids of the pieces of all words of each text, ragged `(B, T)`. Each different word is cut once."""
        import tensorflow as tf

        unique, places = tf.unique(words.flat_values)
        letters = tf.strings.unicode_split(unique, "UTF-8")  # ragged (U, letters); C letters in all
        ends = tf.repeat(letters.row_limits(), letters.row_lengths())  # (C,) where the word of each letter ends
        lengths, ids = self._longest(letters.flat_values, ends)
        count = tf.size(ends, tf.int64)

        def step(at, starts):  # the next piece of each word that has letters left
            starts = tf.tensor_scatter_nd_update(starts, at[:, None], tf.ones_like(at, tf.bool))
            following = at + tf.gather(lengths, at)
            return tf.boolean_mask(following, following < tf.gather(ends, at)), starts

        first = letters.row_starts()
        _, starts = tf.while_loop(
            lambda at, starts: tf.size(at) > 0,
            step,
            (first, tf.zeros([count], tf.bool)),
            shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None])),
            maximum_iterations=needed,
        )
        pieces = tf.ragged.boolean_mask(letters.with_flat_values(ids), letters.with_flat_values(starts))
        return tf.gather(pieces, words.with_flat_values(places)).merge_dims(1, 2)

    def _longest(self, letters, ends):
        """Length and id of the longest piece that starts at each letter `(C,)`; UNKNOWN, of length 1, for none."""
        import tensorflow as tf

        def step(size, at, text, lengths, ids):  # `text`: the `size` letters from each place `at` that may be a piece
            found = self._ids[text]
            row = tf.boolean_mask(at, found > UNKNOWN)[:, None]
            ids = tf.tensor_scatter_nd_update(ids, row, tf.boolean_mask(found, found > UNKNOWN))
            lengths = tf.tensor_scatter_nd_update(lengths, row, tf.fill([tf.size(row)], size))
            goes_on = (found != PADDING) & (at + size < tf.gather(ends, at))
            at = tf.boolean_mask(at, goes_on)
            text = tf.boolean_mask(text, goes_on) + tf.gather(letters, at + size)
            return size + 1, at, text, lengths, ids

        places = tf.range(tf.size(letters, tf.int64))
        open_shape = tf.TensorShape([None])
        *_, lengths, ids = tf.while_loop(
            lambda size, at, *_: tf.size(at) > 0,
            step,
            (tf.ones([], tf.int64), places, letters, tf.ones_like(places), tf.fill([tf.size(letters)], UNKNOWN)),
            shape_invariants=(tf.TensorShape([]), open_shape, open_shape, open_shape, open_shape),
        )
        return lengths, ids

    def detokenize(self, ids):
        """Texts `(...)` from ids `(..., T)`, up to the first END or PADDING; START is left out, UNKNOWN is U+FFFD."""
        import tensorflow as tf

        ids = tf.cast(ids if tf.is_tensor(ids) else np.asarray(ids), tf.int64)
        if ids.shape.rank == 0:
            raise ValueError(f"Argument `ids` must be ids (..., T), got a single number, {ids}: put it in a list.")
        ids = tf.where((ids >= 0) & (ids < self.size), ids, tf.constant(UNKNOWN, tf.int64))
        ended = tf.cumsum(tf.cast((ids == END) | (ids == PADDING), tf.int32), axis=-1) > 0
        tokens = tf.gather(tf.constant(self._written), tf.where(ended, tf.constant(PADDING, tf.int64), ids))
        strings = tf.strings.reduce_join(tokens, axis=-1)
        if self.split != "characters":
            strings = tf.strings.regex_replace(strings, SPACE, " ")
        return strings if self.keep_spaces else tf.strings.strip(strings)

    def tokens(self, ids):
        """The tokens of ids `(B, T)` as a list of strings for each row, up to its padding, as labels of a picture.

        Example:

        >>> Tokenizer(["▁the", "▁film"]).tokens([[START, 4, 5, UNKNOWN, END, 0]])
        [['<start>', '▁the', '▁film', '<unknown>', '<end>']]
        """
        rows = np.asarray(ids)
        if rows.ndim != 2:
            raise ValueError(f"Argument `ids` must be ids (B, T), got shape {rows.shape}: for one text give [ids].")
        names = ["<padding>", "<unknown>", "<start>", "<end>", *self.vocabulary]
        rows = np.where((rows >= 0) & (rows < self.size), rows, UNKNOWN).astype("int64")
        kept = np.cumsum(rows == PADDING, axis=-1) == 0
        return [[names[i] for i in row[keep]] for row, keep in zip(rows, kept, strict=True)]

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": list(self.vocabulary),
            "split": self.split,
            "lowercase": self.lowercase,
            "max_length": self.max_length,
            "keep_spaces": self.keep_spaces,
        }


def check_tokenizer(name, tokenizer):
    """Raise unless an argument called `name` is a `Tokenizer`."""
    if not isinstance(tokenizer, Tokenizer):
        raise InputError(
            f"Argument `{name}` must be a ks.layers.Tokenizer, which has ids for start and end, got "
            f"{type(tokenizer).__name__}: make one with ks.data.tokenizer."
        )


def _checked(vocabulary):
    """The vocabulary as a list, or an error that names what cannot be a token of its own."""
    tokens = [] if isinstance(vocabulary, str) or not hasattr(vocabulary, "__iter__") else list(vocabulary)
    if not tokens or not all(isinstance(token, str) and token for token in tokens):
        raise ValueError(
            "Argument `vocabulary` must be a list of strings that are not empty, at least one, got "
            f"{vocabulary!r:.100}: make it with ks.data.tokenizer."
        )
    token, times = Counter(tokens).most_common(1)[0]
    if times > 1:
        raise ValueError(f"Argument `vocabulary` must hold each token once, got {token!r} {times} times: drop one.")
    try:
        "".join(tokens).encode("utf-8")
    except UnicodeEncodeError as error:  # half of a surrogate pair
        bad = error.object[error.start]
        raise ValueError(f"Argument `vocabulary` must hold valid Unicode, got {bad!r}: drop what holds it.") from error
    return [str(token) for token in tokens]

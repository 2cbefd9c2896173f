"""Texts and their labels, as the ids and the pipeline that a text model trains on."""

from collections import Counter

import numpy as np
import tensorflow as tf

from keras_seq.data.batches import TextBatches
from keras_seq.data.frames import column
from keras_seq.data.targets import SEVERAL, encoded_labels, many_hot, values_of
from keras_seq.errors import InputError
from keras_seq.layers.vectorizer import TextVectorizer

_AT_ONCE = 256  # texts that are tokenised together: more are no faster, and take memory


def text_vectorizer(texts, max_tokens=20_000, min_count=1, max_length=400, lowercase=True):
    """A `ks.layers.TextVectorizer` that knows the words of `texts`.

    Args:
        texts: strings (a column of a frame, a list).
        max_tokens: how many ids there are at most, padding and unknown word among them; the most frequent words are
            kept, of equally frequent ones the first in the alphabet.
        min_count: how often a word must occur to be known. With 2 or more, the model sees the unknown word while it
            trains.
        max_length: how many words of a text are kept.
        lowercase: whether case is ignored.

    Returns:
        A `TextVectorizer`.

    Raises:
        InputError: for missing texts, or where no word is left.

    Example:

    >>> vectorizer = ks.data.text_vectorizer(["a film", "a book"])
    >>> np.asarray(vectorizer(["a book, a film"])).tolist()
    [[2, 3, 1, 2, 4]]
    """
    texts = checked_texts(texts)
    if max_tokens < 3:
        raise InputError(f"Argument `max_tokens` must be at least 3 (padding, unknown, one word), got {max_tokens!r}.")
    tokenizer = TextVectorizer([" "], max_length=max_length, lowercase=lowercase)
    counts = Counter()
    for start in range(0, len(texts), _AT_ONCE):
        tokens = tf.strings.split(tokenizer.standardize_text(tf.constant(texts[start : start + _AT_ONCE])))
        words, _, occurrences = tf.unique_with_counts(tokens.flat_values)
        counts.update(dict(zip(words.numpy().tolist(), occurrences.numpy().tolist(), strict=True)))
    ranked = sorted((-n, word.decode("utf-8")) for word, n in counts.items() if n >= min_count)
    if not ranked:
        raise InputError(
            f"The vocabulary is empty: {len(texts)} text(s) hold no word that occurs {min_count} time(s) or more. "
            "Give more texts, or a lower `min_count`."
        )
    words = [word for _, word in ranked[: max_tokens - 2]]
    return TextVectorizer(words, max_length=max_length, lowercase=lowercase)


def text_dataset(
    frame,
    vectorizer,
    text="text",
    label="label",
    labels=None,
    batch_size=32,
    buckets=None,
    shuffle=True,
    seed=0,
):
    """A `tf.data` pipeline of word ids and labels, from a frame.

    Texts are vectorised once, here. Batches hold texts of like length, padded to the edge of their length bucket, so
    that there are few shapes and little padding; all but one have `batch_size` rows.

    Args:
        frame: a `pandas.DataFrame`.
        vectorizer: from `text_vectorizer`.
        text: column with the texts.
        label: column with the labels, integers or strings; None for none. For models with `multi_label` a list of
            columns that hold 0 or 1, or, with `labels`, a column that holds a list of labels for each text.
        labels: the list of labels; then the pipeline holds the index of each in it. Without it the pipeline holds
            the labels as they are, which the models of `ks.models` turn into indices by their own list.
        batch_size: rows in a batch.
        buckets: ascending lengths; texts are padded to the first that is long enough. None for 16 words apart, in
            long texts up to a twentieth; on JAX, which compiles each length, up to a half.
        shuffle: whether rows and batches come in another order each epoch. Otherwise rows keep their order.
        seed: the order of epoch `e` depends on the seed and `e` alone.

    Returns:
        A `tf.data.Dataset` of `(ids (B, T), labels (B,))`, or of ids; labels are strings or int64, indices int32, as
        are the zeros and ones `(B, C)` of several labels.
        Its attribute `batches` is the `TextBatches` behind it, whose `epoch` may be set to resume a training
        (`ks.callbacks.EpochSeed` does).

    Raises:
        InputError: for missing columns, texts or labels, or labels of another kind.

    Example:

    >>> frame = ks.data.reviews()
    >>> vectorizer = ks.data.text_vectorizer(frame["text"])
    >>> ids, labels = next(iter(ks.data.text_dataset(frame, vectorizer)))
    >>> ids.shape[0], labels.dtype
    (32, tf.string)
    """
    rows = vectorized(checked_texts(column(frame, text), text), vectorizer)
    columns = () if label is None else (_targets(frame, label, labels),)
    several = list(label if labels is None else labels) if columns and columns[0].ndim == 2 else None
    max_length = vectorizer.max_length
    return TextBatches(rows, columns, batch_size, buckets, max_length, shuffle, seed, several).dataset()


def _targets(frame, label, labels):
    """What a model is to learn: the labels or indices `(N,)`, or for several labels zeros and ones `(N, C)`."""
    if isinstance(label, (list, tuple)):
        if not label or (labels is not None and list(labels) != list(label)):
            raise InputError(f"Argument `label` must name the columns of the labels, {labels}, got {label!r}.")
        return many_hot(np.stack([column(frame, name) for name in label], axis=1), label, "label")
    values = column(frame, label)
    if labels is not None and len(values) and isinstance(values.iloc[0], SEVERAL):
        return many_hot(values, labels, label)
    return encoded_labels(values, labels, label)


def vectorized(texts, vectorizer):
    """The ids of each text without padding: a list of arrays."""
    rows = []
    for start in range(0, len(texts), _AT_ONCE):
        ids = np.asarray(vectorizer(tf.constant(texts[start : start + _AT_ONCE])), "int32")
        lengths = (ids != 0).sum(axis=1)
        rows.extend(row[:length] for row, length in zip(ids, lengths, strict=True))
    return rows


def checked_texts(texts, name="texts"):
    """Texts as a list of strings, or an error that names the first that is none."""
    texts = values_of(texts)
    if not texts:
        raise InputError(f"Column {name!r} has no rows.")
    bad = [row for row, text in enumerate(texts) if not _is_text(text)]
    if bad:
        raise InputError(
            f"Column {name!r} must hold strings of valid Unicode, got {texts[bad[0]]!r} in row {bad[0]} "
            f"({len(bad)} such row(s)): drop those rows or mend them."
        )
    return texts


def _is_text(value):
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, or a byte that was no UTF-8
        return False
    return True

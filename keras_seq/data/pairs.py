"""Pairs of texts, source and target, as a sequence-to-sequence model trains on them (teacher forcing).

target = start  y1  y2 … yn        what the decoder reads
labels = y1     y2  … yn  end      what it is to say next
"""

import gzip
import zlib
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from keras_seq.checks import positive_integer
from keras_seq.data.batches import Batches, length_buckets, padded
from keras_seq.data.frames import column, read_frame
from keras_seq.data.targets import values_of
from keras_seq.data.text import checked_texts, vectorized
from keras_seq.errors import InputError
from keras_seq.layers.tokenizer import END, START, check_tokenizer

_STEP = 4  # lengths are rounded up to multiples of it
_POOL = 16  # batches whose rows are sorted together


def read_pairs(source, target=None, source_column="source", target_column="target"):
    """Pairs of texts from a table with two columns, or from two text files of which line `i` belongs to line `i`.

    Args:
        source: a table as `read_frame` reads it (CSV, TSV, JSON lines, Parquet); or, with `target`, a text file.
        target: the text file of the targets, or None for a table.
        source_column, target_column: where a table holds the texts.

    Text files are UTF-8 with a text in each line; `.gz` is unpacked. Only a line feed ends a line, with or without a
    carriage return before it; other separators of Unicode are part of the text. Spaces and empty lines are kept.

    Returns:
        A frame with the columns `source` and `target`. Empty cells of a table are missing values (NaN), empty lines of
        a file empty strings; `pair_dataset` takes neither.

    Raises:
        InputError: where a file is missing, empty, damaged or not UTF-8, the numbers of lines differ, or a column is
            missing.

    Example:

    >>> ks.data.read_pairs("train.en.gz", "train.de.gz")                              # doctest: +SKIP
    >>> ks.data.read_pairs("pairs.csv", source_column="en", target_column="de")       # doctest: +SKIP
    """
    if target is None:
        frame = read_frame(source)
        return pd.DataFrame({"source": column(frame, source_column), "target": column(frame, target_column)})
    sources, targets = _lines(source), _lines(target)
    if len(sources) != len(targets):
        raise InputError(
            f"Files of pairs must have as many lines as each other: {str(source)!r} has {len(sources)}, "
            f"{str(target)!r} has {len(targets)}. Find the line that is missing."
        )
    return pd.DataFrame({"source": sources, "target": targets})


def _lines(path):
    """The lines of a text file. (`str.splitlines` would also split at separators inside a text.)"""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}: check the path.")
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix.lower() == ".gz" else content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"File {str(path)!r} is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}): "
            "convert it, for example with `iconv -f latin1 -t utf-8`."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"File {str(path)!r} cannot be read: {error}. Mend or unpack it.") from error
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(f"File {str(path)!r} is empty: give a file with a text in each line.")
    return lines


def paired(sources, targets):
    """A frame of two lists of texts."""
    sources, targets = values_of(sources), values_of(targets)
    if len(sources) != len(targets):
        raise InputError(f"There are {len(sources)} sources and {len(targets)} targets: give one for each.")
    return pd.DataFrame({"source": sources, "target": targets})


def pair_dataset(
    pairs,
    source_vectorizer,
    target_vectorizer,
    source="source",
    target="target",
    tokens_per_batch=4096,
    batch_size=None,
    shuffle=True,
    seed=0,
):
    """A `tf.data` pipeline of pairs of texts as ids, for teacher forcing, from a frame.

    Texts are vectorised once, here. Batches hold pairs of like length, as many as `tokens_per_batch` allows. Each side
    is padded to its longest text of the batch, rounded up to a multiple of 4 where its vectoriser allows such lengths.
    On JAX, which compiles each shape, both sides are padded to the edge of a length bucket, and all batches of a bucket
    have one shape; only one batch of an epoch can differ.

    Args:
        pairs: a `pandas.DataFrame`, as from `read_pairs`.
        source_vectorizer, target_vectorizer: `ks.layers.Tokenizer`s, or the same one twice.
        source, target: columns with the texts.
        tokens_per_batch: bound on rows times steps of the longer side, padding, start and end included. A pair that is
            longer, with its padding, is a batch of its own.
        batch_size: rows in a batch, in place of that bound.
        shuffle: whether rows and batches come in another order each epoch. Otherwise rows keep their order.
        seed: the order of epoch `e` depends on the seed and `e` alone.

    Returns:
        A `tf.data.Dataset` of `({"source": (B, S), "target": (B, T)}, labels (B, T))`, all int32 and padded with 0:
        `target` is start (2) and the text, `labels` the text and end (3). A text that the vectoriser cut to its
        `max_length` has its end all the same, so `T` is at most `max_length + 1`.
        Its attribute `batches` is the `PairBatches` behind it, whose `epoch` may be set to resume a training
        (`ks.callbacks.EpochSeed` does).

    Raises:
        InputError: for missing columns or rows, a text that is empty, only space or no string, or an object that is no
            frame or no tokenizer.

    Example:

    >>> frame = ks.data.dates(rows=100)
    >>> tokenizer = ks.data.tokenizer([*frame["text"], *frame["iso"]], split="characters")
    >>> dataset = ks.data.pair_dataset(frame, tokenizer, tokenizer, source="text", target="iso", batch_size=5)
    >>> ids, labels = next(iter(dataset))
    >>> ids["target"].shape, labels.shape
    (TensorShape([5, 12]), TensorShape([5, 12]))
    >>> "".join(tokenizer.tokens(ids["target"])[0]), "".join(tokenizer.tokens(labels)[0])
    ('<start>1972-06-19', '1972-06-19<end>')
    """
    if not isinstance(pairs, pd.DataFrame):
        raise InputError(
            f"Argument `pairs` must be a pandas frame, got {type(pairs).__name__}: read files with ks.data.read_pairs, "
            'make a frame of lists with pd.DataFrame({"source": sources, "target": targets}).'
        )
    sources = encoded_side(column(pairs, source), source_vectorizer, source, "source_vectorizer")
    targets = encoded_side(column(pairs, target), target_vectorizer, target, "target_vectorizer")
    longest = source_vectorizer.max_length, target_vectorizer.max_length
    return PairBatches(sources, targets, longest, tokens_per_batch, batch_size, shuffle, seed).dataset()


def encoded_side(texts, vectorizer, name="texts", argument="vectorizer"):
    """The ids of the texts of one side, without padding, start and end: a list of arrays.

    Args:
        texts: strings.
        vectorizer: a `ks.layers.Tokenizer`.
        name, argument: what to call texts and vectoriser in a message.
    """
    check_tokenizer(argument, vectorizer)
    texts = checked_texts(texts, name)
    rows = vectorized(texts, vectorizer)
    empty = [row for row, ids in enumerate(rows) if not len(ids)]
    if empty:
        raise InputError(
            f"Column {name!r} must hold a text in each row, got {texts[empty[0]]!r} in row {empty[0]} "
            f"({len(empty)} such row(s)): drop those rows, on both sides."
        )
    return rows


class PairBatches(Batches):
    """Padded batches of pairs of rows of ids; order and epochs as in `Batches`.

    Args:
        sources, targets: lists of integer arrays `(length,)`, without start and end.
        longest: the two lengths that no source and no target exceeds.
        tokens_per_batch, batch_size, shuffle, seed: as in `pair_dataset`.
    """

    def __init__(self, sources, targets, longest, tokens_per_batch=4096, batch_size=None, shuffle=False, seed=0):
        self.sources, self.targets = sources, targets
        self.widest = longest[0], longest[1] + 1  # a target has its start, or its end, besides
        self.lengths = np.array([[len(row) for row in sources], [len(row) + 1 for row in targets]])
        self.has_few_shapes = keras.backend.backend() == "jax"
        edges = length_buckets(max(self.widest)) if self.has_few_shapes else _every_step(max(self.widest))
        if batch_size is None:
            tokens = positive_integer("tokens_per_batch", tokens_per_batch)
            sizes = [max(1, tokens // edge) for edge in edges]
        else:
            sizes = [positive_integer("batch_size", batch_size)] * len(edges)
        super().__init__(self.lengths.max(axis=0), edges, sizes, shuffle, seed)

    def _arranged(self, rows, size):
        """Rows of like shape beside each other, in pools of some batches; rows of one shape stay at random.

        The longer sides of a bucket are alike, so that the difference of the sides tells the shape.
        """
        if self.has_few_shapes:
            return rows
        pools = np.arange(len(rows)) // (_POOL * size)
        s, t = _rounded(self.lengths[:, rows])
        return rows[np.lexsort((s - t, pools))]

    def _batch(self, rows, bucket):
        longest = self.edges[bucket] if self.has_few_shapes else self.lengths[:, rows].max(axis=1)
        s, t = np.minimum(_rounded(longest), self.widest)
        labels = padded([self.targets[row] for row in rows], t)
        target = np.roll(labels, 1, axis=1)  # the last column is padding
        target[:, 0] = START
        labels[np.arange(len(rows)), self.lengths[1, rows] - 1] = END
        return {"source": padded([self.sources[row] for row in rows], s), "target": target}, labels

    def _signature(self):
        ids = tf.TensorSpec((None, None), tf.int32)
        return {"source": ids, "target": ids}, ids


def _rounded(lengths):
    return -(-lengths // _STEP) * _STEP


def _every_step(longest):
    return [*range(_STEP, longest, _STEP), longest]

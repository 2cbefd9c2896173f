"""Batches of rows of like length: little padding, few shapes, an order that an epoch can be resumed in."""

import keras
import numpy as np
import tensorflow as tf


def length_buckets(max_length):
    """Ascending lengths to pad to, `max_length` the last.

    Narrow, since the time of a step grows with the padding; fewer on JAX, which compiles each.
    """
    edges, growth = ([16], 1.5) if keras.backend.backend() == "jax" else ([8, 16], 1.05)
    while edges[-1] < max_length:
        edges.append(max(edges[-1] + 16, int(edges[-1] * growth) // 16 * 16))
    return [*(edge for edge in edges if edge < max_length), max_length]


class Batches:
    """Rows of like length, dealt out to batches epoch by epoch. Subclasses say what a batch holds.

    With `shuffle`, rows are dealt out at random to batches of their length bucket; rows left over go up to the next
    bucket, so that only one batch of an epoch can be smaller than its bucket wants; then batches are shuffled. The
    order of epoch `e` depends on `(seed, e)` alone: set `epoch` to go on from any epoch. Without it, rows keep their
    order. Each epoch has as many batches as the others.

    Args:
        lengths: of the rows; a row is in the bucket of the first edge that it does not exceed.
        edges: ascending lengths; no row is longer than the last.
        sizes: how many rows a batch has, for each bucket; not more than in the bucket before.
        shuffle, seed: as in `text_dataset`.
    """

    def __init__(self, lengths, edges, sizes, shuffle, seed):
        self.edges, self.sizes, self.shuffle, self.seed = np.asarray(edges), sizes, shuffle, seed
        self.bucket_of_row = np.searchsorted(self.edges, lengths)
        self.epoch = 0
        self._count = len(self._plan(0))

    def __len__(self):
        return self._count

    def __iter__(self):
        """The batches of this epoch; then comes the next."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        for rows, bucket in self._plan(epoch):
            yield self._batch(rows, bucket)

    def _plan(self, epoch):
        """For each batch of an epoch the rows, and a bucket that is wide enough for them."""
        return self._shuffled(epoch) if self.shuffle else self._in_order()

    def _in_order(self):
        batches, start = [], 0
        while start < len(self.bucket_of_row):
            bucket = next(b for b, n in enumerate(self.sizes) if self.bucket_of_row[start : start + n].max() <= b)
            rows = np.arange(start, min(start + self.sizes[bucket], len(self.bucket_of_row)))
            batches.append((rows, bucket))
            start += len(rows)
        return batches

    def _shuffled(self, epoch):
        rng = np.random.default_rng((self.seed, epoch))
        batches, left = [], np.array([], "int64")
        for bucket, size in enumerate(self.sizes):
            rows = np.concatenate([left, rng.permutation(np.flatnonzero(self.bucket_of_row == bucket))])
            rows = self._arranged(rows, size)
            whole = len(rows) // size * size
            batches.extend((batch, bucket) for batch in rows[:whole].reshape(-1, size))
            left = rows[whole:]
        if len(left):
            batches.append((left, self.bucket_of_row[left].max()))
        return [batches[i] for i in rng.permutation(len(batches))]

    def _arranged(self, rows, size):
        """The rows of a bucket, at random, in the order in which they are to be cut into batches of `size`."""
        return rows

    def dataset(self):
        """The batches as a prefetched `tf.data.Dataset`."""
        dataset = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=self._signature())
        dataset = prefetched(dataset.apply(tf.data.experimental.assert_cardinality(len(self))))
        dataset.batches = self
        return dataset


class TextBatches(Batches):
    """Padded batches of rows of ids, all but one of the same number of rows; order and epochs as in `Batches`.

    Args:
        rows: a list of integer arrays `(length,)`.
        columns: arrays `(N, …)` with an entry a row (labels, weights), handed out beside the ids.
        batch_size, buckets, shuffle, seed: as in `text_dataset`.
        max_length: no row is longer.
        labels: which labels the zeros and ones of the first column stand for, if they do.
    """

    def __init__(self, rows, columns, batch_size, buckets, max_length, shuffle=False, seed=0, labels=None):
        if batch_size < 1:
            raise ValueError(f"Argument `batch_size` must be at least 1, got {batch_size!r}.")
        self.rows, self.columns, self.batch_size, self.labels = rows, columns, batch_size, labels
        edges = length_buckets(max_length) if buckets is None else buckets
        edges = sorted({*(edge for edge in edges if edge < max_length), max_length})
        super().__init__([len(row) for row in rows], edges, [batch_size] * len(edges), shuffle, seed)

    def _batch(self, rows, bucket):
        """Padded to the first edge that is long enough: rows may have come up from a lower bucket."""
        ids = padded([self.rows[row] for row in rows], self.edges[self.bucket_of_row[rows].max()])
        return (ids, *(column[rows] for column in self.columns)) if self.columns else ids

    def _signature(self):
        ids = tf.TensorSpec((None, None), tf.int32)
        return (ids, *map(_spec, self.columns)) if self.columns else ids


def padded(rows, width):
    """Rows of ids `(length,)` as one int32 array `(B, width)`, zeros behind them."""
    ids = np.zeros((len(rows), width), "int32")
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = row
    return ids


def prefetched(dataset):
    """A dataset that prepares two batches ahead, and is not tuned by `tf.data`.

    At the end of `fit`, TensorFlow may wait for what tunes: 9 s were seen after 12 s of steps, and none without it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)


def _spec(column):
    kind = tf.string if column.dtype == object else tf.as_dtype(column.dtype)
    return tf.TensorSpec((None, *column.shape[1:]), kind)

"""Batches of rows of like length: little padding, few shapes, an order that an epoch can be resumed in."""

import math

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


class TextBatches:
    """Padded batches of rows of ids, epoch by epoch.

    With `shuffle`, rows are dealt out at random to batches of their length bucket; rows left over go up to the next
    bucket, so that only one batch of an epoch can be smaller than the others; then batches are shuffled. The order of
    epoch `e` depends on `(seed, e)` alone: set `epoch` to go on from any epoch. Without it, rows keep their order.

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
        self.rows, self.columns, self.batch_size, self.shuffle, self.seed = rows, columns, batch_size, shuffle, seed
        self.labels = labels
        edges = length_buckets(max_length) if buckets is None else buckets
        self.edges = np.array(sorted({*(edge for edge in edges if edge < max_length), max_length}))
        self.edge_of_row = np.searchsorted(self.edges, [len(row) for row in rows])
        self.epoch = 0

    def __len__(self):
        return math.ceil(len(self.rows) / self.batch_size)

    def __iter__(self):
        """The batches of this epoch; then comes the next."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        for rows in self._shuffled(epoch) if self.shuffle else self._in_order():
            ids = self._padded(rows)
            yield (ids, *(column[rows] for column in self.columns)) if self.columns else ids

    def _in_order(self):
        for start in range(0, len(self.rows), self.batch_size):
            yield np.arange(start, min(start + self.batch_size, len(self.rows)))

    def _shuffled(self, epoch):
        rng = np.random.default_rng((self.seed, epoch))
        batches, left = [], np.array([], "int64")
        for bucket in range(len(self.edges)):
            rows = np.concatenate([left, rng.permutation(np.flatnonzero(self.edge_of_row == bucket))])
            whole = len(rows) // self.batch_size * self.batch_size
            batches.extend(rows[:whole].reshape(-1, self.batch_size))
            left = rows[whole:]
        if len(left):
            batches.append(left)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _padded(self, rows):
        ids = np.zeros((len(rows), self.edges[self.edge_of_row[rows].max()]), "int32")
        for i, row in enumerate(rows):
            ids[i, : len(self.rows[row])] = self.rows[row]
        return ids

    def dataset(self):
        """The batches as a prefetched `tf.data.Dataset`."""
        signature = tf.TensorSpec((None, None), tf.int32)
        if self.columns:
            signature = (signature, *map(_spec, self.columns))
        dataset = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=signature)
        dataset = prefetched(dataset.apply(tf.data.experimental.assert_cardinality(len(self))))
        dataset.batches = self
        return dataset


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

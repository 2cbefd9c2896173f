"""Batches of the tasks on memory, new ones in each epoch, padded to few lengths."""

from itertools import pairwise

import numpy as np
import tensorflow as tf

from keras_seq.checks import natural_number, positive_integer
from keras_seq.data.batches import prefetched
from keras_seq.data.memory_tasks import AssociativeRecall, Copy, RepeatCopy, drawn

TASKS = {"copy": Copy, "repeat_copy": RepeatCopy, "associative_recall": AssociativeRecall}


def memory_dataset(task, batch_size=16, batches=1000, buckets=4, seed=0, **sizes):
    """Batches of a task on memory for `fit`, which are new ones in each epoch.

    The sizes that a row may have are put into buckets by the length of their sequences. A batch draws its bucket, then
    each of its rows a size out of it, so that all sizes are as likely and a batch has one of `buckets` lengths: a step
    that is compiled for each length is compiled so often.

    Batch `i` of epoch `e` depends on `(seed, e, i)` alone. Set `dataset.batches.epoch` to go on from any epoch.

    Args:
        task: `"copy"`, `"repeat_copy"` or `"associative_recall"`.
        batch_size: rows of a batch.
        batches: of an epoch.
        buckets: how many lengths batches may have.
        seed: of all epochs.
        **sizes: arguments of `ks.data.tasks.copy`, `repeat_copy` or `associative_recall`, without `rows` and `seed`.

    Returns:
        A `tf.data.Dataset` of `(inputs (B, T, D), targets (B, T, bits), weights (B, T))`; its cardinality is known.

    Raises:
        ValueError: for a task that is not known, and numbers that cannot be.

    Example:

    >>> dataset = ks.data.tasks.memory_dataset("copy", batch_size=3, batches=40, length=(1, 20))
    >>> sorted({x.shape[1] for x, y, w in dataset})
    [11, 21, 31, 41]
    """
    if task not in TASKS:
        raise ValueError(f"Argument `task` must be one of {', '.join(map(repr, TASKS))}, got {task!r}.")
    source = MemoryBatches(
        TASKS[task](**sizes),
        positive_integer("batch_size", batch_size),
        positive_integer("batches", batches),
        positive_integer("buckets", buckets),
        natural_number("seed", seed),
    )
    return source.dataset()


class MemoryBatches:
    """The batches of one epoch after the other: see `memory_dataset`."""

    def __init__(self, task, batch_size, batches, buckets, seed):
        self.task, self.batch_size, self.batches, self.seed = task, batch_size, batches, seed
        self.epoch = 0
        cases = sorted(task.cases(), key=lambda case: task.steps(*case))
        self.buckets = [list(part) for part in _parts(cases, min(buckets, len(cases)))]
        self.shares = [len(bucket) / len(cases) for bucket in self.buckets]

    def __len__(self):
        return self.batches

    def __iter__(self):
        """The batches of this epoch; then comes the next."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        for i in range(self.batches):
            rng = np.random.default_rng((self.seed, epoch, i))
            bucket = self.buckets[rng.choice(len(self.buckets), p=self.shares)]
            yield drawn(self.task, bucket, self.batch_size, rng)

    def dataset(self):
        """The batches as a prefetched `tf.data.Dataset`."""
        shapes = [(self.batch_size, None, width) for width in self.task.widths] + [(self.batch_size, None)]
        signature = tuple(tf.TensorSpec(shape, "float32") for shape in shapes)
        dataset = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=signature)
        dataset = prefetched(dataset.apply(tf.data.experimental.assert_cardinality(len(self))))
        dataset.batches = self
        return dataset


def _parts(cases, count):
    """A list cut into `count` parts of nearly the same size."""
    edges = [round(len(cases) * i / count) for i in range(count + 1)]
    return [cases[a:b] for a, b in pairwise(edges)]

"""Long streams, cut into consecutive windows for stateful training (truncated backpropagation through time).

The streams are laid end to end and cut into `B` lanes of `K` windows of `T` steps. Window `k` of lane `b` is row `b` of
batch `k`, so that a stateful layer, which keeps the states of each row, reads each lane from its beginning to its end:

    lane b, window k, step t  =  element  (b K + k) T + t
"""

import numpy as np
import tensorflow as tf

from keras_seq.checks import positive_integer
from keras_seq.data.batches import prefetched
from keras_seq.errors import InputError


def stream_dataset(stream, length, batch_size=1, targets=None, shift=None, with_reset=False, pad=False):
    """Consecutive windows of long streams, in `batch_size` lanes, for the training of stateful models.

    Row `b` of each batch goes on where row `b` of the batch before ended. Train with `stateful=True` layers and
    `ks.callbacks.ResetStates()`: states flow from window to window, gradients end at a window's edge.

    An input is paired with the target `shift` steps later in the same stream; the last `shift` inputs of each stream
    have none and are dropped (they are targets only). Of all other pairs the last ones, fewer than
    `batch_size * length`, are dropped, unless `pad` is set. Order and batches are the same in each epoch; windows are
    read from the streams as they are asked for, so an array on disk (`np.memmap`) stays there.

    Args:
        stream: an array `(N,)` or `(N, D)`, such as the ids of a long text, or a list of such arrays of any lengths.
        length: steps `T` of a window.
        batch_size: lanes `B`.
        targets: what to predict, aligned with `stream`: an array `(N, ...)`, or a list of such. By default the stream.
        shift: how many steps a target lies ahead of its input: by default 1, or 0 where `targets` are given.
        with_reset: whether to say where another stream begins, for the call argument `reset_mask` of `ks.layers.RNN`:
            a lane, too, begins with it. Without it, states run on from one stream into the next of its lane.
        pad: whether to keep all pairs: the last lane, or the last lanes, are filled up with zeros, and sample weights
            say what counts.

    Returns:
        A `tf.data.Dataset` of `(inputs (B, T, ...), targets (B, T, ...))`; with `with_reset` inputs are a dict
        `{"inputs": (B, T, ...), "reset_mask": (B, T)}`; with `pad` sample weights `(B, T)`, 0 for padding, come third.
        Its cardinality, the number `K` of windows in a lane, is known.

    Raises:
        InputError: for streams that hold no numbers or are too short, and targets that are not aligned with them.

    Example:

    >>> ids = np.arange(12)
    >>> for x, y in ks.data.stream_dataset(ids, length=2, batch_size=2):
    ...     print(x.numpy().tolist(), y.numpy().tolist())
    [[0, 1], [4, 5]] [[1, 2], [5, 6]]
    [[2, 3], [6, 7]] [[3, 4], [7, 8]]
    """
    length, batch_size = positive_integer("length", length), positive_integer("batch_size", batch_size)
    shift = (1 if targets is None else 0) if shift is None else shift
    if isinstance(shift, bool) or not hasattr(shift, "__index__") or shift < 0:
        raise InputError(f"Argument `shift` must be an integer of at least 0, got {shift!r}.")
    streams = _streams("stream", stream)
    aims = streams if targets is None else _streams("targets", targets)
    if [len(s) for s in streams] != [len(a) for a in aims]:
        raise InputError(
            "Argument `targets` must be aligned with `stream`, one target for each element: lengths are "
            f"{_lengths(streams)}, got {_lengths(aims)}."
        )
    pairs = [max(len(s) - shift, 0) for s in streams]
    windows = -(-sum(pairs) // (batch_size * length)) if pad else sum(pairs) // (batch_size * length)
    if windows == 0:
        raise InputError(
            f"Argument `stream` must hold at least batch_size * length + shift = {batch_size * length + shift} "
            f"elements, got {_lengths(streams)} (each stream loses {shift}): give more, a shorter `length`, fewer "
            "lanes, or `pad=True`."
        )
    inputs = _Laid([s[: len(s) - shift] for s in streams if len(s) > shift])
    outputs = _Laid([a[shift:] for a in aims if len(a) > shift])

    def batches():
        for k in range(windows):
            starts = [(b * windows + k) * length for b in range(batch_size)]
            x, y = inputs.rows(starts, length), outputs.rows(starts, length)
            if with_reset:
                x = {"inputs": x, "reset_mask": inputs.beginnings(starts, length, lanes_begin=k == 0)}
            yield (x, y, inputs.present(starts, length)) if pad else (x, y)

    def spec(laid):
        return tf.TensorSpec((batch_size, length, *laid.shape), laid.dtype)

    signature = (spec(inputs), spec(outputs))
    if with_reset:
        signature = ({"inputs": signature[0], "reset_mask": tf.TensorSpec((batch_size, length), "bool")}, signature[1])
    if pad:
        signature = (*signature, tf.TensorSpec((batch_size, length), "float32"))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return prefetched(dataset.apply(tf.data.experimental.assert_cardinality(windows)))


class _Laid:
    """Arrays laid end to end, which stay where they are; after the last one come zeros."""

    def __init__(self, parts):
        self.parts = parts
        self.edges = np.cumsum([0, *map(len, parts)])  # where each begins, and the end
        self.shape, self.dtype = parts[0].shape[1:], np.result_type(*parts)

    def rows(self, starts, length):
        """A window from each start: `(B, T, ...)`."""
        rows = np.zeros((len(starts), length, *self.shape), self.dtype)
        for row, start in zip(rows, starts, strict=True):
            i = np.searchsorted(self.edges, start, side="right") - 1
            while i < len(self.parts) and self.edges[i] < start + length:
                first, end = max(start, self.edges[i]), min(start + length, self.edges[i + 1])
                row[first - start : end - start] = self.parts[i][first - self.edges[i] : end - self.edges[i]]
                i += 1
        return rows

    def beginnings(self, starts, length, lanes_begin):
        """Whether a stream begins, `(B, T)`, or a lane."""
        marks = np.isin(np.add.outer(starts, np.arange(length)), self.edges[:-1])
        marks[:, 0] |= lanes_begin
        return marks

    def present(self, starts, length):
        """1 for what is there, 0 for the zeros after the end: `(B, T)`."""
        return (np.add.outer(starts, np.arange(length)) < self.edges[-1]).astype("float32")


def _streams(name, given):
    """One array, or a list of arrays, as a list of arrays of numbers of one kind."""
    several = isinstance(given, (list, tuple)) and len(given) and np.ndim(given[0]) > 0
    streams = [np.asarray(one) for one in given] if several else [np.asarray(given)]  # views: nothing is read
    kinds = {(s.dtype.kind, s.shape[1:]) for s in streams}
    if any(s.ndim == 0 or s.dtype.kind not in "biuf" for s in streams) or len(kinds) > 1:
        found = ", ".join(f"{s.dtype} {s.shape}" for s in streams[:3])
        raise InputError(
            f"Argument `{name}` must be an array of numbers (N,) or (N, D), or a list of such of one kind, got {found}."
        )
    return streams


def _lengths(streams):
    lengths = [len(s) for s in streams]
    return str(lengths[0]) if len(lengths) == 1 else f"{lengths[:5]}{' …' if len(lengths) > 5 else ''}"

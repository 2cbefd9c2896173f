"""Metrics of sequences of bits: a mean over sequences, in each of which the steps with a weight are the answer."""

import math

import keras
from keras import ops

from keras_seq.losses.bits import bit_crossentropy
from keras_seq.losses.crossentropy import step_weights


class _SequenceMean(keras.metrics.Metric):
    """The mean of a value over the sequences that have an answer, summed in float32 over all batches."""

    def __init__(self, from_logits=True, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.from_logits = from_logits
        self.total = self.add_variable((), "zeros", dtype="float32", name="total")
        self.count = self.add_variable((), "zeros", dtype="float32", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = (ops.cast(ops.convert_to_tensor(y), "float32") for y in (y_true, y_pred))
        nats = bit_crossentropy(self.name, y_true, y_pred, self.from_logits)  # (B, T)
        weight = step_weights(self.name, sample_weight, nats.shape, "float32")
        weight = ops.broadcast_to(weight, ops.shape(nats))
        asked = ops.cast(ops.any(weight != 0, axis=1), "float32")  # (B,)
        self.total.assign_add(ops.sum(asked * self.values(y_true, y_pred, nats, weight)))
        self.count.assign_add(ops.sum(asked))

    def result(self):
        return ops.divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}


@keras.saving.register_keras_serializable("keras_seq")
class BitsPerSequence(_SequenceMean):
    """The cross-entropy of an answer in bits, summed over its steps and bits: the mean over sequences.

        bits per sequence = -(sum over answers of  y log2 p + (1 - y) log2(1 - p)) / number of sequences

    As in the figures of Graves et al. (2014, arXiv 1410.5401). A model that knows nothing has as many as there are bits
    to say. It is that of all batches together; 0 if there are no sequences.

    Args:
        from_logits: whether predictions are logits, not probabilities (which count as at least 1e-7 from 0 and 1).

    Call arguments:
        y_true: bits `(B, T, bits)`.
        y_pred: logits or probabilities `(B, T, bits)`. A Keras mask of them changes nothing.
        sample_weight: which steps are answers `(B, T)`, each counting as much as its weight; or one for each row
            `(B,)`, or a number. A row without any weight is no sequence.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> metric = ks.metrics.BitsPerSequence()
    >>> metric.update_state(np.ones((3, 7, 8)), np.zeros((3, 7, 8)), np.arange(7) < [[4], [4], [4]])
    >>> round(float(metric.result()), 4)  # 4 steps of 8 bits
    32.0
    """

    def __init__(self, from_logits=True, name="bits_per_sequence", **kwargs):
        super().__init__(from_logits, name, **kwargs)

    def values(self, y_true, y_pred, nats, weight):
        return ops.sum(ops.where(weight != 0, weight * nats, 0), axis=1) / math.log(2)


@keras.saving.register_keras_serializable("keras_seq")
class ExactSequences(_SequenceMean):
    """The share of sequences in whose answer all bits are right, a bit being 1 where its probability is above 1/2.

    Args:
        from_logits: whether predictions are logits, not probabilities.

    Call arguments:
        y_true: bits `(B, T, bits)`.
        y_pred: logits or probabilities `(B, T, bits)`. A Keras mask of them changes nothing.
        sample_weight: which steps are answers, those whose weight is not 0: `(B, T)`, or one for each row `(B,)`, or a
            number. A row without any is no sequence.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> metric = ks.metrics.ExactSequences(from_logits=False)
    >>> metric.update_state(np.array([[[1, 0]], [[1, 0]]]), np.array([[[0.9, 0.2]], [[0.9, 0.7]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, from_logits=True, name="exact_sequences", **kwargs):
        super().__init__(from_logits, name, **kwargs)

    def values(self, y_true, y_pred, nats, weight):
        said = y_pred > (0 if self.from_logits else 0.5)
        right = ops.all(said == (y_true > 0.5), axis=-1)  # (B, T)
        return ops.cast(ops.all(ops.logical_or(right, weight == 0), axis=1), "float32")

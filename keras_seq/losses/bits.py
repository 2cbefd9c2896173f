"""The cross-entropy of sequences of bits, where only some steps are answers.

bits of step t = -(sum over bits of  y log p + (1 - y) log(1 - p))
loss           = mean over sequences of  sum over steps of  w[t] * bits of step t
"""

import keras
from keras import ops

from keras_seq.checks import fits
from keras_seq.losses.crossentropy import step_weights


def bit_crossentropy(name, y_true, y_pred, from_logits):
    """The cross-entropy of each step `(B, T)`, in nats, of bits and logits or probabilities `(B, T, bits)`.

    Raises:
        ValueError: names `name` where the shapes do not fit.
    """
    check_bits(name, y_true, y_pred)
    return ops.sum(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=-1)


def check_bits(name, y_true, y_pred):
    """Raise a ValueError that names `name` where bits and predictions do not fit."""
    given, wanted = tuple(y_pred.shape), tuple(y_true.shape)
    if len(given) != 3 or not fits(given, wanted):
        raise ValueError(f"{name!r} needs bits and predictions (B, T, bits), got shapes {wanted} and {given}.")


@keras.saving.register_keras_serializable("keras_seq")
class BitCrossentropy(keras.losses.Loss):
    """The cross-entropy of bits, summed over a sequence: see `keras_seq.losses.bits`.

    `keras.losses.BinaryCrossentropy` takes the mean over bits and over all steps, so that an answer counts for less the
    more padding there is. Divided by log 2, this loss is `ks.metrics.BitsPerSequence` (of rows that all have answers).

    Args:
        from_logits: whether predictions are logits, not probabilities.
        reduction: `"sum_over_batch_size"` or `"mean"`, the mean over rows; `"sum"`, over rows and steps;
            `"mean_with_sample_weight"`, the mean over the steps by their weights; `"none"`, of each step `(B, T)`.

    Call arguments:
        y_true: bits `(B, T, bits)`.
        y_pred: logits or probabilities `(B, T, bits)`. A Keras mask of them changes nothing.
        sample_weight: `w`, which says what steps are answers `(B, T)`; or one for each row `(B,)`, or a number.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> loss = ks.losses.BitCrossentropy(from_logits=False)
    >>> y, p = np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.array([[[0.5, 0.5], [0.5, 0.25]]])
    >>> round(float(loss(y, p, np.array([[0, 1]])) / np.log(2)), 4)  # one bit and two bits
    3.0
    """

    def __init__(self, from_logits=True, name="bit_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.from_logits = from_logits

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = (ops.cast(ops.convert_to_tensor(y), self.dtype) for y in (y_true, y_pred))
        check_bits(self.name, y_true, y_pred)
        weight = step_weights(self.name, sample_weight, y_pred.shape[:2], self.dtype)
        # What stands where nothing counts must not reach the gradient, be it NaN.
        counts = ops.broadcast_to(weight, ops.shape(y_pred)[:2])[..., None] != 0
        y_true, y_pred = (ops.where(counts, y, 0) for y in (y_true, y_pred))
        steps = bit_crossentropy(self.name, y_true, y_pred, self.from_logits)
        if self.reduction in ("sum_over_batch_size", "mean"):
            weight = weight * ops.cast(ops.shape(steps)[1], self.dtype)  # Keras divides by all steps of all rows
        # In one row, so that it is a tensor that has no mask of Keras. What has no weight counts for nothing, whatever
        # stands there.
        weight = ops.broadcast_to(weight, ops.shape(steps))
        steps = ops.where(weight != 0, steps, 0)
        loss = super().__call__(*(ops.reshape(x, (-1,)) for x in (ops.zeros_like(steps), steps, weight)))
        return ops.reshape(loss, ops.shape(steps)) if self.reduction in (None, "none") else loss

    def call(self, _, steps):
        return steps

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}

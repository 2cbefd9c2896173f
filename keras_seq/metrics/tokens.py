"""Metrics of tokens, over those that are not padding."""

import keras
from keras import ops

from keras_seq.losses import crossentropy_of_logits, token_weights


class _TokenMean(keras.metrics.Metric):
    """The weighted mean of a value over the tokens that are not padding, summed in float32 over all batches."""

    def __init__(self, name, **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable((), "zeros", dtype="float32", name="total")
        self.count = self.add_variable((), "zeros", dtype="float32", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        weight = token_weights(self.name, y_true, y_pred, sample_weight, "float32")
        values = ops.where(y_true != 0, self.values(ops.cast(y_true, "int32"), y_pred), 0)
        self.total.assign_add(ops.sum(weight * values))
        self.count.assign_add(ops.sum(weight))

    def result(self):
        return ops.divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))


@keras.saving.register_keras_serializable("keras_seq")
class TokenAccuracy(_TokenMean):
    """The share of tokens whose logit is the greatest, among those that are not padding (id 0).

    It is that of all batches together, whatever number of tokens each has; 0 if there are none.

    Call arguments:
        y_true: ids `(B, T)`, 0 for padding. A Keras mask of the predictions changes nothing.
        y_pred: logits or probabilities `(B, T, V)`.
        sample_weight: a number, one for each row, `(B,)` or `(B, 1)`, or one for each token, `(B, T)`.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> metric = ks.metrics.TokenAccuracy()
    >>> metric.update_state(np.array([[1, 2, 0]]), np.array([[[0, 9, 1], [0, 9, 1], [0, 9, 1]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name="token_accuracy", **kwargs):
        super().__init__(name=name, **kwargs)

    def values(self, y_true, y_pred):
        return ops.cast(ops.cast(ops.argmax(y_pred, axis=-1), "int32") == y_true, "float32")


@keras.saving.register_keras_serializable("keras_seq")
class Perplexity(_TokenMean):
    """`exp` of the mean cross-entropy of the tokens that are not padding (id 0), without label smoothing.

        perplexity = exp(-(sum over tokens of log p[y]) / number of tokens)

    It is that of all batches together, whatever number of tokens each has; 1 if there are none. A model that knows
    nothing has that of its vocabulary's size. Beyond the range of float32 (a cross-entropy over 88) it is infinite.

    Call arguments:
        y_true: ids `(B, T)`, 0 for padding. A Keras mask of the predictions changes nothing.
        y_pred: logits `(B, T, V)`.
        sample_weight: a number, one for each row, `(B,)` or `(B, 1)`, or one for each token, `(B, T)`.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> metric = ks.metrics.Perplexity()
    >>> metric.update_state(np.array([[1, 2, 0]]), np.zeros((1, 3, 5)))
    >>> round(float(metric.result()), 4)
    5.0
    """

    def __init__(self, name="perplexity", **kwargs):
        super().__init__(name=name, **kwargs)

    def values(self, y_true, y_pred):
        return crossentropy_of_logits(y_true, ops.cast(y_pred, "float32"))

    def result(self):
        return ops.exp(super().result())

"""How far probabilities can be trusted."""

import keras
from keras import ops

from keras_seq.checks import positive_integer


@keras.saving.register_keras_serializable("keras_seq")
class ExpectedCalibrationError(keras.metrics.Metric):
    """How far stated confidence is from being right (Guo et al., 2017, arXiv 1706.04599, eq. 5).

        ECE = sum over bins of  n[bin] / N * |accuracy[bin] - mean confidence[bin]|

    Confidence is the probability of the label that is judged likeliest, in equal bins from 0 to 1: a model that says
    0.8 is right eight times of ten if its error is zero.

    Args:
        bins: number of bins.

    Call arguments:
        y_true: indices `(N,)` or `(N, 1)` of the true labels.
        y_pred: probabilities `(N, C)`.
        sample_weight: a number, or one for each row, `(N,)` or `(N, 1)`.

    Raises:
        ValueError: for arrays of other shapes, such as those of models with `multi_label`.

    Example:

    >>> metric = ks.metrics.ExpectedCalibrationError()
    >>> metric.update_state(np.array([0, 1]), np.array([[0.8, 0.2], [0.8, 0.2]]))
    >>> round(float(metric.result()), 4)
    0.3
    """

    def __init__(self, bins=15, name="expected_calibration_error", **kwargs):
        super().__init__(name=name, **kwargs)
        self.bins = positive_integer("bins", bins)
        # Of each bin: how many are right, less the sum of their confidences. Divided by all, its size is the error.
        self.excess = self.add_variable((self.bins,), "zeros", name="excess")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) != 2 or y_pred.shape[1] == 1 or y_true.shape[1:] not in ((), (1,)):
            raise ValueError(
                "ExpectedCalibrationError needs indices of labels (N,) and probabilities of all labels (N, C), with "
                f"C of 2 or more, got shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}. Of a single probability "
                "p give 1 - p and p; judge several labels of a text one by one."
            )
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        confidence = ops.max(y_pred, axis=-1)
        right = ops.cast(ops.argmax(y_pred, axis=-1) == y_true, self.dtype)
        weight = ops.ones_like(confidence)
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
        bins = ops.clip(ops.cast(ops.ceil(confidence * self.bins), "int32") - 1, 0, self.bins - 1)
        of_bin = ops.one_hot(bins, self.bins, dtype=self.dtype)  # (N, bins)
        self.excess.assign_add(ops.matmul(weight * (right - confidence), of_bin))
        self.count.assign_add(ops.sum(weight))

    def result(self):
        return ops.divide_no_nan(ops.sum(ops.abs(self.excess)), self.count)

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}

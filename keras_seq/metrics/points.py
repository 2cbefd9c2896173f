"""Metrics of forecasts for Keras: means over all points of all batches. On arrays: `keras_seq.metrics.forecasting`."""

import keras
from keras import ops

from keras_seq.checks import quantile_levels, share
from keras_seq.losses.forecasting import check_outputs, pinball_of
from keras_seq.losses.points import point_weights, true_points


class _PointMean(keras.metrics.Metric):
    """The weighted mean of a value over the points that are known, summed in float32 over all batches."""

    def __init__(self, name, **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable((), "zeros", dtype="float32", name="total")
        self.count = self.add_variable((), "zeros", dtype="float32", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = (ops.cast(ops.convert_to_tensor(y), "float32") for y in (y_true, y_pred))
        y_true = true_points(self.name, y_true, self.points(y_pred))
        weight = point_weights(self.name, y_true, sample_weight)
        # What has no weight does not count, whatever stands there.
        self.total.assign_add(ops.sum(ops.where(weight != 0, weight * self.values(y_true, y_pred), 0)))
        self.count.assign_add(ops.sum(weight))

    def points(self, y_pred):
        """The shape of what predictions are for."""
        return y_pred.shape

    def result(self):
        return ops.divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))


@keras.saving.register_keras_serializable("keras_seq")
class MAE(_PointMean):
    """The mean absolute error: `ks.metrics.mae` over all batches, each value with its own weight.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`. Missing values (NaN) do not count.
        y_pred: the same.
        sample_weight: a number, or weights whose axes are the first of `y_true`: `(B,)`, `(B, F)`, ...

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> metric = ks.metrics.MAE()
    >>> metric.update_state(np.array([[1.0, 0.0]]), np.array([[3.0, 1.0]]))
    >>> float(metric.result())
    1.5
    """

    def __init__(self, name="mae", **kwargs):
        super().__init__(name=name, **kwargs)

    def values(self, y_true, y_pred):
        return ops.abs(y_true - y_pred)


@keras.saving.register_keras_serializable("keras_seq")
class MSE(_PointMean):
    """The mean squared error: `ks.metrics.mse` over all batches; arguments as of `MAE`.

    Example:

    >>> metric = ks.metrics.MSE()
    >>> metric.update_state(np.array([[1.0, 0.0]]), np.array([[3.0, 1.0]]))
    >>> float(metric.result())
    2.5
    """

    def __init__(self, name="mse", **kwargs):
        super().__init__(name=name, **kwargs)

    def values(self, y_true, y_pred):
        return ops.square(y_true - y_pred)


class _OfQuantiles(_PointMean):
    """Reads predictions `(..., Q)`."""

    def __init__(self, quantiles, name, **kwargs):
        super().__init__(name=name, **kwargs)
        self.quantiles = quantile_levels("quantiles", quantiles)

    def points(self, y_pred):
        check_outputs(self.name, y_pred, len(self.quantiles), f"one for each level of {list(self.quantiles)}")
        return y_pred.shape[:-1]

    def get_config(self):
        return {**super().get_config(), "quantiles": list(self.quantiles)}


@keras.saving.register_keras_serializable("keras_seq")
class SMAPE(_PointMean):
    """The symmetric percentage error, from 0 to 200: `ks.metrics.smape` over all batches.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`, in their own unit, not scaled. Missing values (NaN) do not count.
        y_pred: the same.
        sample_weight: a number, or weights whose axes are the first of `y_true`: `(B,)`, `(B, F)`, ...

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> metric = ks.metrics.SMAPE()
    >>> metric.update_state(np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]]))
    >>> float(metric.result())
    50.0
    """

    def __init__(self, name="smape", **kwargs):
        super().__init__(name=name, **kwargs)

    def values(self, y_true, y_pred):
        return 200 * ops.divide_no_nan(ops.abs(y_true - y_pred), ops.abs(y_true) + ops.abs(y_pred))


@keras.saving.register_keras_serializable("keras_seq")
class Pinball(_OfQuantiles):
    """The pinball loss, its mean over the levels: `ks.metrics.pinball` over all batches.

    Args:
        quantiles: levels of the predictions' last axis, increasing, between 0 and 1.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`. Missing values (NaN) do not count.
        y_pred: `(B, F, Q)` or `(B, F, C, Q)`.
        sample_weight: a number, or weights whose axes are the first of `y_true`: `(B,)`, `(B, F)`, ...

    Raises:
        ValueError: for arrays of other shapes, or levels out of order.

    Example:

    >>> metric = ks.metrics.Pinball([0.1, 0.9])
    >>> metric.update_state(np.array([[5.0]]), np.array([[[3.0, 6.0]]]))
    >>> round(float(metric.result()), 4)
    0.15
    """

    def __init__(self, quantiles, name="pinball", **kwargs):
        super().__init__(quantiles, name=name, **kwargs)

    def values(self, y_true, y_pred):
        return pinball_of(y_true, y_pred, self.quantiles)


@keras.saving.register_keras_serializable("keras_seq")
class Coverage(_OfQuantiles):
    """The share of values inside of an interval of two quantiles: `ks.metrics.coverage` over all batches.

    Args:
        quantiles: levels of the predictions' last axis, increasing, between 0 and 1.
        level: the share that should be inside: the interval is from the quantile `(1 - level) / 2` to that at
            `(1 + level) / 2`, both among `quantiles`. 0.8 takes those of 0.1 and 0.9.
        name: by default "coverage_80" for the level 0.8.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`. Missing values (NaN) do not count.
        y_pred: `(B, F, Q)` or `(B, F, C, Q)`.
        sample_weight: a number, or weights whose axes are the first of `y_true`: `(B,)`, `(B, F)`, ...

    Raises:
        ValueError: for arrays of other shapes, levels out of order, or a level whose ends are not among them.

    Example:

    >>> metric = ks.metrics.Coverage([0.1, 0.5, 0.9], level=0.8)
    >>> metric.update_state(np.array([[5.0, 9.0]]), np.array([[[3.0, 4.0, 6.0], [3.0, 4.0, 6.0]]]))
    >>> float(metric.result())
    0.5
    """

    def __init__(self, quantiles, level=0.8, name=None, **kwargs):
        self.level = share("level", level)
        super().__init__(quantiles, name=name or f"coverage_{100 * level:g}", **kwargs)
        self._ends = [self._at((1 - level) / 2), self._at((1 + level) / 2)]

    def _at(self, level):
        found = [i for i, q in enumerate(self.quantiles) if abs(q - level) < 1e-6]
        if not found:
            raise ValueError(
                "Argument `level` must have both ends of its interval, (1 - level) / 2 and (1 + level) / 2, among the "
                f"quantiles {list(self.quantiles)}, got {self.level!r}."
            )
        return found[0]

    def values(self, y_true, y_pred):
        lower, upper = (y_pred[..., end] for end in self._ends)
        return ops.cast(ops.logical_and(lower <= y_true, y_true <= upper), "float32")

    def get_config(self):
        return {**super().get_config(), "level": self.level}

"""Losses of forecasts: of points, quantiles and normal distributions.

A point, with the error `e = y - p`:

    mse    e**2          mae    |e|          huber    e**2 / 2 where |e| <= 1, else |e| - 1/2     (Huber, 1964)

Quantiles (Koenker and Bassett, 1978, "Regression Quantiles", the check function), for the levels `tau[1] .. tau[Q]`:

    e[i] = y - q[i]
    loss = mean over i of  max(tau[i] e[i], (tau[i] - 1) e[i])

Gaussian, the negative log-likelihood of `y` for a mean `m` and a scale `s`:

    loss = log s + ((y - m) / s)**2 / 2 + log(2 pi) / 2
"""

import math

import keras
import numpy as np
from keras import ops

from keras_seq.checks import fits, positive_number, quantile_levels
from keras_seq.losses.points import point_weights, true_points


def pinball_of(y, q, levels):
    """The check function `(...)` of values `(...)` and their quantiles `(..., Q)`, its mean over the levels."""
    tau = ops.convert_to_tensor(np.array(levels), q.dtype)
    e = ops.expand_dims(y, -1) - q
    # The mean of Keras is in float32 on JAX, also that of float64.
    return ops.sum(ops.maximum(tau * e, (tau - 1) * e), axis=-1) / len(levels)


def gaussian_nll(y, m, s):
    """The negative log-likelihood of values, all `(...)`."""
    return ops.log(s) + ops.square((y - m) / s) / 2 + math.log(2 * math.pi) / 2


def _huber(e):
    size = ops.abs(e)
    return ops.where(size <= 1, ops.square(e) / 2, size - 0.5)


ERRORS = {"mse": ops.square, "mae": ops.abs, "huber": _huber}


def check_outputs(name, y_pred, size, meaning):
    """Raise unless predictions have `size` numbers for each point."""
    shape = tuple(y_pred.shape)
    if len(shape) < 2 or not fits(shape[-1:], (size,)):
        raise ValueError(f"{name!r} needs predictions (..., {size}), {meaning}, got shape {shape}.")


class _OfPoints(keras.losses.Loss):
    """A loss that has a value for each point. Points that are not known count like those of weight 0."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        shape = self.points(y_pred)
        y_true = true_points(self.name, ops.cast(ops.convert_to_tensor(y_true), self.dtype), shape)
        return super().__call__(y_true, y_pred, point_weights(self.name, y_true, sample_weight))

    def call(self, y_true, y_pred):
        known = ops.logical_not(ops.isnan(y_true))
        # What is unknown gets a number first: the gradient of a NaN is NaN, even where it is not chosen.
        return ops.where(known, self.of_points(ops.where(known, y_true, 0), y_pred), 0)


@keras.saving.register_keras_serializable("keras_seq")
class PointLoss(_OfPoints):
    """The squared, absolute or Huber's error of each point: see `keras_seq.losses.forecasting`.

    Keras's losses of the same names take the mean over the last axis before they weigh, so that a value that is missing
    in one channel of several cannot be left out; this one weighs each value.

    Args:
        kind: `"mse"`, `"mae"` or `"huber"`.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`. A value that is missing (NaN) has loss 0 and moves nothing.
        y_pred: the same.
        sample_weight: as for `QuantileLoss`.

    Raises:
        ValueError: for arrays of other shapes, or an unknown kind.

    Example:

    >>> loss = ks.losses.PointLoss("mae")
    >>> float(loss(np.array([[5.0, 1.0]]), np.array([[3.0, 1.5]]), np.array([[1.0, 0.0]])))  # 2 / 2 points
    1.0
    """

    def __init__(self, kind="mse", name=None, **kwargs):
        if kind not in ERRORS:
            raise ValueError(f"Argument `kind` must be one of {', '.join(ERRORS)}, got {kind!r}.")
        super().__init__(name=name or kind, **kwargs)
        self.kind = kind

    def points(self, y_pred):
        return y_pred.shape

    def of_points(self, y, y_pred):
        return ERRORS[self.kind](y - y_pred)

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


@keras.saving.register_keras_serializable("keras_seq")
class QuantileLoss(_OfPoints):
    """The pinball loss of quantiles, whose least value is at the true ones: see `keras_seq.losses.forecasting`.

    Its value at a point is the mean over the levels; with the single level 0.5 it is half the absolute error.

    Args:
        quantiles: their levels, increasing, between 0 and 1, in the order of the predictions' last axis.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`. A value that is missing (NaN) has loss 0 and moves nothing.
        y_pred: the same with an axis of the quantiles at the end, `(B, F, Q)` or `(B, F, C, Q)`.
        sample_weight: a number, or weights whose axes are the first of `y_true`: one for each window `(B,)`, each step
            `(B, F)`, each point. As elsewhere in Keras, the mean is divided by the number of all points, missing ones
            too; `reduction="mean_with_sample_weight"` divides by their weights, those of missing ones being 0.

    Raises:
        ValueError: for arrays of other shapes, or levels out of order.

    Example:

    >>> loss = ks.losses.QuantileLoss([0.1, 0.9])
    >>> round(float(loss(np.array([[5.0]]), np.array([[[3.0, 6.0]]]))), 4)  # (0.1 * 2 + 0.1 * 1) / 2
    0.15
    """

    def __init__(self, quantiles, name="quantile_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.quantiles = quantile_levels("quantiles", quantiles)

    def points(self, y_pred):
        check_outputs(self.name, y_pred, len(self.quantiles), f"one for each level of {self.quantiles}")
        return y_pred.shape[:-1]

    def of_points(self, y, y_pred):
        return pinball_of(y, y_pred, self.quantiles)

    def get_config(self):
        return {**super().get_config(), "quantiles": self.quantiles}


@keras.saving.register_keras_serializable("keras_seq")
class GaussianNLL(_OfPoints):
    """The negative log-likelihood of a normal distribution: see `keras_seq.losses.forecasting`.

    Args:
        min_scale: scales below it, such as zero or what is negative, count as this much. The gradient goes through as
            if it were not so: a scale that collapsed can grow again. The default is meant for values of size 1.

    Call arguments:
        y_true: such as `(B, F)` or `(B, F, C)`. A value that is missing (NaN) has loss 0 and moves nothing.
        y_pred: the same with an axis of two at the end, `(B, F, 2)` or `(B, F, C, 2)`: mean, and positive scale (the
            standard deviation, in the unit of the values).
        sample_weight: as for `QuantileLoss`.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> loss = ks.losses.GaussianNLL()
    >>> round(float(loss(np.array([[5.0]]), np.array([[[3.0, 2.0]]]))), 4)  # log 2 + 1 / 2 + log(2 pi) / 2
    2.1121
    """

    def __init__(self, min_scale=1e-3, name="gaussian_nll", **kwargs):
        super().__init__(name=name, **kwargs)
        self.min_scale = positive_number("min_scale", min_scale)

    def points(self, y_pred):
        check_outputs(self.name, y_pred, 2, "mean and scale")
        return y_pred.shape[:-1]

    def of_points(self, y, y_pred):
        m, s = y_pred[..., 0], y_pred[..., 1]
        held = self.min_scale + (s - ops.stop_gradient(s))  # the number, with the gradient of `s`
        return gaussian_nll(y, m, ops.where(s > self.min_scale, s, held))

    def get_config(self):
        return {**super().get_config(), "min_scale": self.min_scale}

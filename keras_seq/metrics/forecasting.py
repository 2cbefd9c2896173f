"""Metrics of forecasts on arrays, in float64.

    sMAPE = mean of  200 |y - p| / (|y| + |p|)                              Makridakis, 1993; 0 where both are zero
    MASE  = mean of  |y - p| / a,     a = mean over t > m of |x[t] - x[t-m]|     Hyndman and Koehler, 2006
    OWA   = (sMAPE / sMAPE of Naive2 + MASE / MASE of Naive2) / 2           Makridakis et al., 2018 (M4)
    pinball = mean of  max(tau (y - q), (tau - 1) (y - q))                  Koenker and Bassett, 1978
    coverage = share of  lower <= y <= upper

with true values `y`, forecasts `p`, the history `x` of a series before them, its season `m`. What is missing (NaN) in
`y` is left out of each mean; where nothing is left, it is NaN. A forecast that is NaN where there is a true value makes
the mean NaN. `axis` is that of `numpy.mean`: None for one number, -1 for one of each series `(B, F)`, 0 for one of each
step ahead.
"""

import numpy as np

from keras_seq.checks import positive_integer, quantile_levels


def smape(y_true, y_pred, axis=None):
    """The symmetric mean absolute percentage error, from 0 to 200. A point where both are zero counts as 0.

    Args:
        y_true: such as `(F,)` or `(B, F)`; NaN where missing.
        y_pred: the same shape.
        axis: over which the mean is taken: see `keras_seq.metrics.forecasting`.

    Returns:
        A `float`, or an array with `axis`.

    Example:

    >>> ks.metrics.smape([1.0, 0.0, np.nan], [3.0, 0.0, 7.0])
    50.0
    """
    y, p = _points(y_true=y_true, y_pred=y_pred)
    size = np.abs(y) + np.abs(p)
    return _mean(200 * np.abs(y - p) / np.where(size == 0, 1.0, size), y, axis)


def mae(y_true, y_pred, axis=None):
    """The mean absolute error; arguments and result as of `smape`.

    Example:

    >>> ks.metrics.mae([1.0, 0.0, np.nan], [3.0, 1.0, 7.0])
    1.5
    """
    y, p = _points(y_true=y_true, y_pred=y_pred)
    return _mean(np.abs(y - p), y, axis)


def mse(y_true, y_pred, axis=None):
    """The mean squared error; arguments and result as of `smape`.

    Example:

    >>> ks.metrics.mse([1.0, 0.0, np.nan], [3.0, 1.0, 7.0])
    2.5
    """
    y, p = _points(y_true=y_true, y_pred=y_pred)
    return _mean(np.square(y - p), y, axis)


def mase(y_true, y_pred, history, season=1, axis=None):
    """The mean absolute error, in units of that of the seasonal naive forecast one step ahead within the history.

    A history that repeats itself exactly (a constant one, say), or that holds no two known values a season apart, has
    no such unit: its series is left out of the mean like missing values, and is NaN with `axis=-1`.

    Args:
        y_true: `(F,)`, or `(B, F)` for several series; NaN where missing.
        y_pred: the same shape.
        history: what came before: `(T,)`, or `(B, T)`, or a list of B arrays of any lengths; NaN where missing.
        season: how many steps a season has, 1 for none.
        axis: over which the mean is taken: see `keras_seq.metrics.forecasting`.

    Returns:
        A `float`, or an array with `axis`.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> ks.metrics.mase([4.0, 8.0], [5.0, 5.0], history=[1.0, 2.0, 3.0, 6.0], season=2)  # 2 / 3
    0.6666666666666666
    """
    y, p = _points(y_true=y_true, y_pred=y_pred)
    season = positive_integer("season", season)
    if y.ndim not in (1, 2):
        raise ValueError(f"Argument `y_true` must have shape (F,) or (B, F), got {y.shape}: give channels one by one.")
    histories = [history] if y.ndim == 1 else list(history)
    rows = np.atleast_2d(y)
    if len(histories) != len(rows):
        raise ValueError(
            f"Argument `history` must hold one array for each of {len(rows)} series, got {len(histories)}."
        )
    unit = np.array([_unit(np.asarray(x, "float64"), season) for x in histories])[:, None]  # (B, 1)
    known = np.where(np.isnan(unit), np.nan, rows).reshape(y.shape)
    return _mean((np.abs(rows - np.atleast_2d(p)) / unit).reshape(y.shape), known, axis)


def owa(y_true, y_pred, naive2, history, season=1):
    """The overall weighted average of the M4 competition: 1 for a forecast as good as Naive2, less for better ones.

    Args:
        y_true: `(F,)`, or `(B, F)` for several series; NaN where missing.
        y_pred: the same shape.
        naive2: the forecast to compare with, of the same shape: that of `ks.models.baselines.naive2`.
        history: what came before: `(T,)`, or `(B, T)`, or a list of B arrays of any lengths.
        season: how many steps a season has, 1 for none.

    Returns:
        A `float`. The errors are averaged over all series before they are divided, as M4 did.

    Example:

    >>> ks.metrics.owa([4.0, 8.0], [5.0, 8.0], [5.0, 5.0], [1.0, 2.0, 3.0, 6.0])
    0.2875
    """
    ours, theirs = (
        np.array([smape(y_true, p), mase(y_true, p, history, season)]) for p in (y_pred, np.asarray(naive2))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.mean(ours / theirs))


def pinball(y_true, y_pred, quantiles, axis=None):
    """The pinball loss, its mean over the levels: half the absolute error for the single level 0.5.

    Args:
        y_true: such as `(F,)` or `(B, F)`; NaN where missing.
        y_pred: quantiles `(..., Q)`.
        quantiles: their levels, increasing, between 0 and 1.
        axis: of `y_true` over which the mean is taken: see `keras_seq.metrics.forecasting`.

    Returns:
        A `float`, or an array with `axis`.

    Example:

    >>> round(ks.metrics.pinball([5.0], [[3.0, 6.0]], [0.1, 0.9]), 4)  # (0.1 * 2 + 0.1 * 1) / 2
    0.15
    """
    tau = np.array(quantile_levels("quantiles", quantiles))
    y, q = np.asarray(y_true, "float64"), np.asarray(y_pred, "float64")
    if q.shape != (*y.shape, len(tau)):
        raise ValueError(f"Argument `y_pred` must have shape {(*y.shape, len(tau))}, got {q.shape}.")
    e = y[..., None] - q
    return _mean(np.maximum(tau * e, (tau - 1) * e).mean(-1), y, axis)


def coverage(y_true, lower, upper, axis=None):
    """The share of values inside of their intervals, the ends included.

    Args:
        y_true: such as `(F,)` or `(B, F)`; NaN where missing.
        lower, upper: the ends, of the same shape.
        axis: over which the share is taken: see `keras_seq.metrics.forecasting`.

    Returns:
        A `float` from 0 to 1, or an array with `axis`.

    Example:

    >>> ks.metrics.coverage([1.0, 5.0, np.nan], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    0.5
    """
    y, low, high = _points(y_true=y_true, lower=lower, upper=upper)
    inside = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= y) & (y <= high))
    return _mean(inside, y, axis)


def _points(**arrays):
    """Arrays of one shape, in float64."""
    (name, first), *others = arrays.items()
    first = np.asarray(first, "float64")
    found = [first]
    for other, value in others:
        found.append(np.asarray(value, "float64"))
        if found[-1].shape != first.shape:
            raise ValueError(
                f"Argument `{other}` must have the shape of `{name}`, {first.shape}, got {found[-1].shape}."
            )
    return found


def _mean(values, y, axis):
    """The mean of values where `y` is known."""
    known = ~np.isnan(y)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    mean = np.where(count == 0, np.nan, total / np.maximum(count, 1))
    return float(mean) if mean.ndim == 0 else mean


def _unit(x, season):
    """The mean absolute difference of values a season apart, NaN where there is none or it is zero."""
    if x.ndim != 1:
        raise ValueError(f"Argument `history` must be of shape (T,) for each series, got {x.shape}.")
    steps = np.abs(x[season:] - x[:-season])
    steps = steps[~np.isnan(steps)]
    return steps.mean() if steps.any() else np.nan

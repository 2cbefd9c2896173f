"""Forecasts that any model must beat, on arrays, in float64.

For a history `x[1] .. x[T]` with a season of `m` steps, and the step `f` of the horizon:

    naive            y[f] = x[T]
    seasonal naive   y[f] = x[T - m + 1 + (f - 1) mod m]
    drift            y[f] = x[T] + f (x[T] - x[1]) / (T - 1)
    Naive2           y[f] = x[T] / S[T] * S[T + f]   where the history is seasonal, else naive

Naive2 is that of the M4 competition (Makridakis et al., 2018; its "Benchmarks and Evaluation", which used R's `acf` and
`decompose`). The history is seasonal if it has three seasons at least, and its autocorrelation `r` passes a test at the
level of 90 %:

    |r[m]| > 1.645 sqrt((1 + 2 (r[1]**2 + .. + r[m-1]**2)) / T)

S are the indices of a classical multiplicative decomposition: the ratios of values to a centred moving average over one
season (for an even `m` over `m + 1` values, the two at its ends by half), averaged for each phase of the season, and
divided by the mean of these averages.
"""

import numpy as np

from keras_seq.checks import positive_integer


def naive(history, horizon):
    """The last known value, for all of the horizon.

    Args:
        history: `(T,)`, or `(B, T)` for several series; NaN where missing.
        horizon: number `F` of steps.

    Returns:
        `(F,)` or `(B, F)`; NaN for a series without a known value.

    Example:

    >>> ks.models.baselines.naive([3.0, 5.0, np.nan], 2).tolist()
    [5.0, 5.0]
    """
    return _of_each(history, horizon, _naive)


def drift(history, horizon):
    """The line through the first and the last known value, continued; a history of one value has no slope.

    Args:
        history: `(T,)`, or `(B, T)` for several series; NaN where missing.
        horizon: number `F` of steps.

    Returns:
        `(F,)` or `(B, F)`; NaN for a series without a known value.

    Example:

    >>> ks.models.baselines.drift([3.0, 4.0, 7.0], 2).tolist()
    [9.0, 11.0]
    """
    return _of_each(history, horizon, _drift)


def seasonal_naive(history, horizon, season):
    """The last season, repeated: for each phase of the season its last known value.

    Args:
        history: `(T,)`, or `(B, T)` for several series, at least one season long; NaN where missing.
        horizon: number `F` of steps.
        season: how many steps a season has; 1 makes it `naive`.

    Returns:
        `(F,)` or `(B, F)`; NaN for phases without a known value.

    Raises:
        ValueError: for a history that is shorter than a season.

    Example:

    >>> ks.models.baselines.seasonal_naive([1.0, 2.0, 3.0, 4.0, 5.0], 4, season=3).tolist()
    [3.0, 4.0, 5.0, 3.0]
    """
    season = positive_integer("season", season)
    length = np.shape(history)[-1] if np.ndim(history) else 0
    if length < season:
        raise ValueError(
            f"Argument `history` must be at least one season ({season} steps) long, got {length}: give a longer one, "
            "or a shorter `season`."
        )
    return _of_each(history, horizon, _seasonal_naive, season)


def naive2(history, horizon, season):
    """The naive forecast of the seasonally adjusted history, as M4 had it: see `keras_seq.models.baselines`.

    It is `naive` where the history does not pass the test for a season; and where it holds values of zero or less, for
    which the indices have no meaning. Missing values count neither in the test nor in the averages.

    Args:
        history: `(T,)`, or `(B, T)` for several series; NaN where missing.
        horizon: number `F` of steps.
        season: how many steps a season has; 1 makes it `naive`.

    Returns:
        `(F,)` or `(B, F)`; NaN for a series without a known value.

    Example:

    >>> x = np.tile([1.0, 2.0, 6.0], 20) * np.linspace(1, 2, 60)
    >>> ks.models.baselines.naive2(x, 4, season=3).round(1).tolist()
    [2.0, 4.0, 12.0, 2.0]
    """
    return _of_each(history, horizon, _naive2, positive_integer("season", season))


def is_seasonal(history, season):
    """Whether one history `(T,)` passes M4's test for a season of some steps (with three seasons at least)."""
    x = np.asarray(history, "float64")
    known = np.isfinite(x)
    if season < 2 or known.sum() < 3 * season or np.ptp(x[known]) == 0:
        return False
    deviation = np.where(known, x - x[known].mean(), 0.0)
    # As R has it for missing values: with nothing missing, the number of pairs and the lag make up T.
    pairs = [(known[k:] & known[: len(x) - k]).sum() for k in range(season + 1)]
    products = [deviation[k:] @ deviation[: len(x) - k] for k in range(season + 1)]
    covariance = np.array([p / max(n + k, 1) for k, (p, n) in enumerate(zip(products, pairs, strict=True))])
    r = covariance / covariance[0]
    limit = 1.645 * np.sqrt((1 + 2 * np.square(r[1:season]).sum()) / known.sum())
    return bool(abs(r[season]) > limit)


def seasonal_indices(history, season):
    """The multiplicative indices `(season,)` of one positive history `(T,)`; the first is that of its start.

    The index is NaN for phases of which nothing is known.
    """
    x = np.asarray(history, "float64")
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    trend = np.full_like(x, np.nan)
    margin = len(weights) // 2
    trend[margin : len(x) - margin] = np.convolve(x, weights / season, "valid")
    ratio = x / trend
    phase = np.arange(len(x)) % season
    of_phases = [ratio[(phase == i) & ~np.isnan(ratio)] for i in range(season)]
    index = np.array([of_phase.mean() if len(of_phase) else np.nan for of_phase in of_phases])
    return index / index.mean()


def _naive(x, horizon):
    return np.full(horizon, _last(x))


def _drift(x, horizon):
    known = np.flatnonzero(~np.isnan(x))
    if not len(known):
        return np.full(horizon, np.nan)
    first, last = known[0], known[-1]
    slope = (x[last] - x[first]) / max(last - first, 1)
    return x[last] + slope * (len(x) - 1 - last + np.arange(1, horizon + 1))


def _seasonal_naive(x, horizon, season):
    ends = [_last(x[i::season]) for i in range(season)]  # by the phase that a step has from the start
    return np.array(ends)[_phases_ahead(x, horizon, season)]


def _naive2(x, horizon, season):
    if not (x[~np.isnan(x)] > 0).all() or not is_seasonal(x, season):
        return _naive(x, horizon)
    index = seasonal_indices(x, season)
    if np.isnan(index).any():
        return _naive(x, horizon)
    adjusted = x / index[np.arange(len(x)) % season]
    return _last(adjusted) * index[_phases_ahead(x, horizon, season)]


def _phases_ahead(x, horizon, season):
    return (len(x) + np.arange(horizon)) % season


def _last(x):
    known = x[~np.isnan(x)]
    return known[-1] if len(known) else np.nan


def _of_each(history, horizon, function, *arguments):
    """`function(x, horizon, *arguments)` of each series."""
    horizon = positive_integer("horizon", horizon)
    x = np.asarray(history, "float64")
    if x.ndim not in (1, 2) or x.shape[-1] == 0:
        raise ValueError(
            f"Argument `history` must be (T,), or (B, T) for several series, with one step at least, got shape "
            f"{x.shape}."
        )
    forecasts = [function(row, horizon, *arguments) for row in np.atleast_2d(x)]
    return forecasts[0] if x.ndim == 1 else np.reshape(forecasts, (len(x), horizon))

"""A generated load of electricity, hour by hour, for examples and tests. None of it was measured.

With `h` the hour of the day, `n` the day, `t` the hours since the start, and weather `w`:

    w(t)   = .98 w(t-1) + N(0, .6)                                          fronts that take days to pass
    warm   = 10 - 9 cos(2π (n - 15) / 365.25) - 4 cos(2π (h - 3) / 24) + w  degrees
    shape  = 25 exp(-((h - 8) / 2.5)²) + 35 exp(-((h - 19) / 3)²)           a morning and an evening peak
    shape  = .5 shape + 12 exp(-((h - 13) / 4)²) - 10                       on Saturdays and Sundays
    u(t)   = .8 u(t-1) + N(0, 1.5)
    y      = 100 + 5 t / 8766 + shape + 1.2 max(0, 15 - warm) + 2 max(0, warm - 20) + u
    temperature = warm + N(0, .5)                                           as forecast, so known in advance

The load's holes are missing values: one begins in each of 400 hours on average, and lasts 1 to 24 hours.
"""

from itertools import accumulate

import numpy as np
import pandas as pd

from keras_seq.checks import natural_number, positive_integer


def load(hours=2 * 365 * 24, seed=0):
    """A generated hourly load with seasons of a day and a week, weather, trend, noise and holes.

    Peaks come in the morning and the evening, weekends are lower, cold and heat raise the load, and it grows by 5 a
    year. About 3 of 100 values are missing, up to a day at a time; all hours have their row.

    Args:
        hours: how many rows.
        seed: the same seed gives the same frame; with fewer hours, its beginning.

    Returns:
        A frame with the columns `ds` (hours from 2022-01-01 on), `y` (the load) and `temperature` (its forecast,
        in degrees, without holes: known in advance).

    Raises:
        ValueError: where `hours` is not a positive integer, or `seed` not an integer of 0 or more.

    Example:

    >>> ks.data.load(hours=3).round(1)
                       ds      y  temperature
    0 2022-01-01 00:00:00  109.9         -1.8
    1 2022-01-01 01:00:00  109.3         -2.4
    2 2022-01-01 02:00:00  108.4         -2.7
    """
    hours, seed = positive_integer("hours", hours), natural_number("seed", seed)
    weather, noise, forecast, holes = (np.random.default_rng((seed, part)) for part in range(4))
    ds = pd.date_range("2022-01-01", periods=hours, freq="h", unit="us", name="ds")
    hour, day = np.asarray(ds.hour, float), np.asarray(ds.dayofyear, float)
    warm = 10 - 9 * np.cos(2 * np.pi * (day - 15) / 365.25) - 4 * np.cos(2 * np.pi * (hour - 3) / 24)
    warm += _drifting(0.98, weather.normal(0, 0.6, hours))
    shape = 25 * np.exp(-(((hour - 8) / 2.5) ** 2)) + 35 * np.exp(-(((hour - 19) / 3) ** 2))
    weekend = 0.5 * shape + 12 * np.exp(-(((hour - 13) / 4) ** 2)) - 10
    y = 100 + 5 * np.arange(hours) / 8766 + np.where(ds.day_of_week >= 5, weekend, shape)
    y += 1.2 * np.maximum(0, 15 - warm) + 2 * np.maximum(0, warm - 20) + _drifting(0.8, noise.normal(0, 1.5, hours))
    y[_missing(holes.random((hours, 2)))] = np.nan
    return pd.DataFrame({"ds": ds, "y": y, "temperature": warm + forecast.normal(0, 0.5, hours)})


def _drifting(share, shocks):
    """x(t) = share x(t-1) + shock(t)"""
    return np.array(list(accumulate(shocks, lambda x, shock: share * x + shock)))


def _missing(drawn):
    """Whether each hour is in a hole: of the numbers drawn, `(hours, 2)`, one begins it, the other is its length."""
    begins = np.flatnonzero(drawn[:, 0] < 1 / 400)
    marks = np.zeros(len(drawn), bool)
    for begin, length in zip(begins, 1 + (24 * drawn[begins, 1]).astype(int), strict=True):
        marks[begin : begin + length] = True
    return marks

"""Where a time stamp stands in the day, the week, the month and the year, as numbers.

With `v` the place in a period `P` (from 0 on: midnight, Monday, the first day, January):

    cyclic:  sin(2π v / P), cos(2π v / P)
    linear:  v / P - 1/2
"""

import numpy as np
import pandas as pd

from keras_seq.errors import InputError

# Of each feature, the steps (in days) that it makes sense for: from the shortest on, to below the longest.
_STEPS = {
    "hour": (0, 1),
    "weekday": (0, 7),
    "day_of_month": (0, 28),
    "day_of_year": (0, 28),
    "month": (28, 365),
}
_LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]  # of months
DAY = 86_400_000_000  # microseconds
ENCODINGS = ("cyclic", "linear")


def calendar_features(index, freq=None, encoding="cyclic"):
    """Calendar features of time stamps, as far as they make sense for the frequency.

    | feature | place `v` of period `P` | for steps |
    |---|---|---|
    | `hour` | hour of the day, with minutes and seconds as its fraction, of 24 | below a day |
    | `weekday` | Monday is 0, of 7 | below a week |
    | `day_of_month` | the first is 0, of the days in that month | below four weeks |
    | `day_of_year` | the first of January is 0, of the days in that year | below four weeks |
    | `month` | January is 0, of 12 | months and quarters |

    A year has no features. Stamps with a time zone count in local time.

    Args:
        index: `pandas.DatetimeIndex` `(T,)`, or what it can be made of.
        freq: frequency, as pandas writes it; None for the median step.
        encoding: `"cyclic"` for a sine and a cosine of each feature, `"linear"` for one number from -.5 to .5.

    Returns:
        A frame `(T, K)` of float32 with the index; columns are `hour_sin`, `hour_cos`, …, or `hour`, ….

    Raises:
        InputError: for stamps that are no dates, an unknown encoding, or one stamp without `freq`.

    Example:

    >>> ks.data.calendar_features(pd.date_range("2024-05-06 18:00", periods=2, freq="h"), encoding="linear").round(3)
                          hour  weekday  day_of_month  day_of_year
    2024-05-06 18:00:00  0.250     -0.5        -0.339       -0.156
    2024-05-06 19:00:00  0.292     -0.5        -0.339       -0.156
    """
    if encoding not in ENCODINGS:
        raise InputError(f"Argument `encoding` must be one of {', '.join(map(repr, ENCODINGS))}, got {encoding!r}.")
    try:
        if pd.api.types.is_numeric_dtype(pd.Index(index).dtype):
            raise TypeError("numbers have no calendar")
        index = pd.DatetimeIndex(index)
    except (TypeError, ValueError) as error:
        raise InputError(f"Argument `index` must hold time stamps, got {type(index).__name__}: {error}.") from error
    columns = {}
    for name in _meant(_days(index, freq)):
        columns.update(_encoded(name, _place(index, name), encoding))
    return pd.DataFrame(columns, index=index, dtype="float32")


def feature_names(freq, encoding):
    """The columns of `calendar_features` for a frequency."""
    return list(calendar_features(pd.date_range("2001-01-01", periods=1), freq, encoding).columns)


def in_graph(ticks, freq, encoding):
    """`calendar_features` of stamps `(...)` in microseconds since the beginning of 1970, int64, in TensorFlow.

    Days become dates by whole numbers (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`):
    years begin in March there, in eras of 400 of them.

    Returns:
        float32 `(..., K)`.
    """
    import tensorflow as tf

    seconds, days = ticks % DAY // 1_000_000, ticks // DAY
    era, of_era = (days + 719_468) // 146_097, (days + 719_468) % 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    day = of_era - (365 * year + year // 4 - year // 100)  # of the year from March on
    month = (5 * day + 2) // 153
    day_of_month = day - (153 * month + 2) // 5
    month = (month + 2) % 12  # January is 0
    year = year + 400 * era + tf.cast(month < 2, ticks.dtype)
    leap = tf.cast((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)), ticks.dtype)
    lengths = tf.gather(tf.constant(_LENGTHS, ticks.dtype), month) + leap * tf.cast(month == 1, ticks.dtype)
    before = tf.gather(tf.constant(np.cumsum([0, *_LENGTHS[:-1]]), ticks.dtype), month)
    day_of_year = before + day_of_month + leap * tf.cast(month > 1, ticks.dtype)
    places = {
        "hour": seconds / 86_400,
        "weekday": (days + 3) % 7 / 7,  # 1970 began on a Thursday
        "day_of_month": day_of_month / lengths,
        "day_of_year": day_of_year / (365 + leap),
        "month": month / 12,
    }
    found = []
    for name in _meant(_days(None, freq)):
        v = places[name]
        found += [v - 0.5] if encoding == "linear" else [tf.sin(2 * np.pi * v), tf.cos(2 * np.pi * v)]
    return tf.cast(tf.stack(found, axis=-1), tf.float32)


def _meant(step):
    """The features that make sense for a step in days."""
    return [name for name, (shortest, longest) in _STEPS.items() if shortest <= step < longest]


def _place(index, name):
    """Where the stamps are in the period, from 0 to below 1."""
    if name == "hour":
        return (index.hour + index.minute / 60 + index.second / 3600) / 24
    if name == "weekday":
        return index.day_of_week / 7
    if name == "day_of_month":
        return (index.day - 1) / index.days_in_month
    if name == "day_of_year":
        return (index.dayofyear - 1) / (365 + index.is_leap_year)
    return (index.month - 1) / 12


def _encoded(name, place, encoding):
    place = np.asarray(place, "float64")
    if encoding == "linear":
        return {name: place - 0.5}
    return {f"{name}_sin": np.sin(2 * np.pi * place), f"{name}_cos": np.cos(2 * np.pi * place)}


def _days(index, freq):
    """The step in days."""
    if freq is not None:
        try:
            two = pd.date_range("2001-01-01", periods=2, freq=freq)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"Argument `freq` must be a frequency of pandas such as 'h', got {freq!r}: {error}."
            ) from error
        return (two[1] - two[0]) / pd.Timedelta(1, "D")
    if len(index) < 2:
        raise InputError(f"Argument `freq` is needed for {len(index)} stamp(s): say it, for example with freq='h'.")
    return np.median(np.diff(index.as_unit("us").asi8)) / DAY

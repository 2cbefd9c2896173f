"""Time stamps: read, checked, and laid on the regular grid that they are taken from.

A stamp is counted in *ticks*: microseconds (of UTC), or as it is where time is an integer. A grid has a fixed step

    row(tick) = (tick - first tick of the series) / step

or, for months, business days and other steps of unequal length, a list of all its ticks.
"""

import calendar

import numpy as np
import pandas as pd

from keras_seq.errors import InputError

_DAY = 86_400_000_000  # ticks
_MONTHS = [name.upper() for name in calendar.month_abbr[1:]]
_LONG = [  # of unequal length; sparse ones first, since a yearly stamp is also a monthly one
    *(f"{kind}-{month}" for kind in ("YS", "YE") for month in _MONTHS),
    *(f"{kind}-{month}" for kind in ("QS", "QE") for month in _MONTHS[:3]),
    *("MS", "ME"),
]
_LOCAL = [*(f"W-{day.upper()}" for day in calendar.day_abbr), "D"]  # of unequal length where clocks are changed
_MOST = 20  # rows on the grid for each one given: beyond, the step is taken for a mistake


class Stamps:
    """The stamps of some series, one series after the other.

    Args:
        ticks: int64 `(N,)`.
        bounds: where each series begins, and the end: `(S + 1,)`.
        dated: whether ticks are microseconds, not integers as given.
        tz: time zone, or None.
        who: from the number of a series to what a message calls it.
    """

    def __init__(self, ticks, bounds, dated, tz, who):
        self.ticks, self.bounds, self.dated, self.tz, self.who = ticks, bounds, dated, tz, who
        first = np.zeros(len(ticks), bool)
        first[bounds[:-1]] = True
        self.later = np.flatnonzero(~first)  # rows with a row of the same series before
        self.steps = ticks[self.later] - ticks[self.later - 1]
        self._check_order()

    def index(self, ticks):
        """Ticks as a `DatetimeIndex` or an `Index` of integers."""
        return as_index(ticks, self.dated, self.tz)

    def show(self, row):
        return str(self.index(self.ticks[[row]])[0])

    def series(self, row):
        """The series of a row, as a message calls it."""
        return self.who(np.searchsorted(self.bounds, row, side="right") - 1)

    def usual_steps(self):
        """The most frequent step of each series, the smallest of several; 0 for a single row."""
        usual = np.zeros(len(self.bounds) - 1, "int64")
        for s, (begin, end) in enumerate(zip(self.bounds[:-1], self.bounds[1:], strict=True)):
            if end - begin > 1:
                usual[s] = _most_frequent(np.diff(self.ticks[begin:end]))
        return usual

    def _check_order(self):
        bad = self.later[self.steps <= 0]
        if len(bad):
            row = bad[0]
            same = self.ticks[row] == self.ticks[row - 1]
            raise InputError(
                f"{self.series(row)}: stamp {self.show(row)} "
                + ("occurs twice" if same else f"comes after {self.show(row - 1)}")
                + f" ({len(bad)} such row(s) in all). "
                + ("Drop or merge duplicates" if same else "Sort the frame by time")
                + (", for example with frame.groupby([…]).mean()" if same else ", with frame.sort_values(…)")
                + ("." if len(self.bounds) > 2 else ", or say with `id=` which column tells series apart.")
            )


class Grid:
    """Regular stamps of a known frequency.

    Args:
        freq: a pandas frequency such as `"h"`, or an integer.
        step: ticks between two stamps, or None for steps of unequal length.
        ticks: all of the grid's ticks over the data, for steps of unequal length.
        dated, tz: as in `Stamps`.
    """

    def __init__(self, freq, step=None, ticks=None, dated=True, tz=None):
        self.freq, self.step, self.ticks, self.dated, self.tz = freq, step, ticks, dated, tz

    def rows(self, stamps):
        """The row of each stamp in its series, `(N,)`: 0 for the first; and which stamps are off the grid."""
        lengths = np.diff(stamps.bounds)
        if self.step is None:
            place = np.searchsorted(self.ticks, stamps.ticks)
            off = self.ticks[np.minimum(place, len(self.ticks) - 1)] != stamps.ticks
            return place - np.repeat(place[stamps.bounds[:-1]], lengths), np.flatnonzero(off)
        rows, rest = np.divmod(stamps.ticks - np.repeat(stamps.ticks[stamps.bounds[:-1]], lengths), self.step)
        return rows, np.flatnonzero(rest)

    def rows_before(self, starts, border):
        """How many rows a series that begins at each of `starts` has before the tick `border`: `(S,)`."""
        if self.step is None:
            return np.searchsorted(self.ticks, border) - np.searchsorted(self.ticks, starts)
        return -((starts - border) // self.step)

    def share(self, starts, lengths, share):
        """The tick that parts the first `share` of the time from the earliest stamp of all to the latest."""
        if self.step is None:
            first = np.searchsorted(self.ticks, starts)
            place = first.min() + round(share * ((first + lengths).max() - first.min()))
            return self.ticks[place] if place < len(self.ticks) else self.ticks[-1] + 1
        ends = starts + lengths * self.step
        return starts.min() + round(share * ((ends.max() - starts.min()) / self.step)) * self.step

    def aligned(self, starts):
        """Series whose stamps are on one line of steps: pairs of their numbers, and of the step of each first stamp."""
        if self.step is None:
            return [(np.arange(len(starts)), np.searchsorted(self.ticks, starts))]
        places, phases = np.divmod(starts, self.step)
        groups = (np.flatnonzero(phases == phase) for phase in np.unique(phases))
        return [(group, places[group]) for group in groups]

    def longer(self, count):
        """The grid, `count` steps longer."""
        return (
            self
            if self.step is not None
            else Grid(
                self.freq, ticks=np.append(self.ticks, self.stamps(self.ticks[-1], count + 1).asi8[1:]), tz=self.tz
            )
        )

    def stamps(self, start, count):
        """`count` stamps from the tick `start` on, as an index."""
        if self.step is not None:
            return as_index(start + self.step * np.arange(count), self.dated, self.tz)
        return pd.date_range(as_index([start], True, self.tz)[0], periods=count, freq=self.freq, unit="us")


def as_index(ticks, dated, tz):
    """Ticks as a `DatetimeIndex` or an `Index` of integers."""
    ticks = np.asarray(ticks, "int64")
    if not dated:
        return pd.Index(ticks)
    index = pd.DatetimeIndex(ticks.view("datetime64[us]"))
    return index if tz is None else index.tz_localize("UTC").tz_convert(tz)


def ticks_of(values, name):
    """The ticks of a column or index of stamps: `(ticks (N,), dated, tz)`.

    Args:
        values: `pandas.Series` or `Index` of time stamps, periods, strings that pandas reads as stamps, or integers.
        name: what to call them in a message.
    """
    values = pd.Series(values).reset_index(drop=True).infer_objects()
    missing = np.flatnonzero(values.isna())
    if len(missing):
        raise InputError(f"{name} has no time stamp in row {missing[0]} ({len(missing)} such row(s)): drop them.")
    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.to_numpy("int64"), False, None
    try:
        if pd.api.types.is_numeric_dtype(values.dtype):
            raise ValueError("numbers with a fraction are no stamps")
        index = pd.DatetimeIndex(pd.to_datetime(values))
        return index.as_unit("us").asi8, True, index.tz
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} must hold time stamps that pandas can read, or integers, got {values.iloc[0]!r} in row 0: "
            f"{' '.join(str(error).split())}. Convert it with pandas.to_datetime(…, format=…)."
        ) from error


def grid_of(stamps, freq=None):
    """The grid that the stamps lie on, of the given or the usual frequency; off it there may be none.

    Returns:
        `(grid, rows)`: `Grid`, and the row of each stamp in its series `(N,)`; a row that is left out is a gap.

    Raises:
        InputError: for stamps off the grid, series of different frequencies, and where the frequency cannot be told.
    """
    grid = _usual_grid(stamps) if freq is None else _given_grid(stamps, freq)
    rows, off = grid.rows(stamps)
    if len(off):
        row = off[0]
        raise InputError(
            f"{stamps.series(row)}: stamp {stamps.show(row)} is off the regular steps of freq={grid.freq!r} "
            f"({len(off)} of {len(rows)} stamps are). "
            + ("Its time stamps are irregular: round" if freq is None else "Round")
            + f" them or resample the frame, or say the frequency with `freq=`{' anew' if freq is not None else ''}."
        )
    last = rows[stamps.bounds[1:] - 1]
    if (last + 1).sum() > _MOST * len(rows) + 1000:
        s = last.argmax()
        raise InputError(
            f"{stamps.who(s)} would have {last[s] + 1} rows at freq={grid.freq!r}, "
            f"got {np.diff(stamps.bounds)[s]}: the rest would be missing. Mend its stamps or say another `freq`."
        )
    return grid, rows


def _usual_grid(stamps):
    usual = stamps.usual_steps()
    kinds = usual[usual > 0]
    if not len(kinds):
        if not stamps.dated:
            return Grid(1, step=1, dated=False)
        raise InputError("The frequency cannot be told from a single stamp: say it, for example with freq='h'.")
    step = _most_frequent(kinds)
    grid = _unequal_grid(stamps, step) if stamps.dated else None
    if grid is None:
        grid = Grid(_name(step) if stamps.dated else int(step), step, dated=stamps.dated, tz=stamps.tz)
        odd = np.flatnonzero((usual != step) & (usual > 0))
    else:
        rows, _ = grid.rows(stamps)
        odd = [
            s
            for s in np.flatnonzero(usual)
            if _most_frequent(np.diff(rows[stamps.bounds[s] : stamps.bounds[s + 1]])) != 1
        ]
    if len(odd):
        given = f"steps of {pd.Timedelta(int(usual[odd[0]]), 'us')}" if stamps.dated else f"steps of {usual[odd[0]]}"
        raise InputError(
            f"The series have mixed frequencies: most have freq={grid.freq!r}, {len(odd)} other(s), such as "
            f"{stamps.who(odd[0])} with {given}. Read them apart, resample them, or say the finest with `freq=`: "
            "what is not there is missing."
        )
    return grid


def _unequal_grid(stamps, step):
    """A grid of unequal steps where there is one that holds all stamps and seems meant, or None."""
    index = stamps.index(np.unique(stamps.ticks))
    names = []
    if step >= 28 * _DAY:
        names = _LONG
    elif step == _DAY and stamps.steps.max() > _DAY and (index.day_of_week < 5).all():
        names = ["B"]
    elif stamps.tz is not None and step % _DAY == 0:
        names = _LOCAL
    for name in names:
        ticks = _ticks(index, name)
        if len(ticks) and np.isin(index.asi8, ticks).all():
            grid = Grid(name, ticks=ticks, tz=stamps.tz)
            every = np.gcd.reduce(np.diff(grid.rows(stamps)[0])[stamps.later - 1])
            return grid if every == 1 else _given_grid(stamps, f"{every}{name}")
    return None


def _given_grid(stamps, freq):
    if not stamps.dated:
        if isinstance(freq, bool) or not hasattr(freq, "__index__") or freq < 1:
            raise InputError(
                f"Argument `freq` must be a positive integer where time is an integer, got {freq!r}. (Are the stamps "
                "dates? Convert them with pandas.to_datetime.)"
            )
        return Grid(int(freq), int(freq), dated=False)
    try:
        offset = pd.tseries.frequencies.to_offset(freq)
        if offset is None or offset.n < 1:
            raise ValueError("it must be positive")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"Argument `freq` must be a frequency of pandas such as 'h', got {freq!r}: {error}."
        ) from error
    if isinstance(offset, pd.offsets.Tick) and (stamps.tz is None or not isinstance(offset, pd.offsets.Day)):
        return Grid(freq, int(pd.Timedelta(offset) // pd.Timedelta(1, "us")), tz=stamps.tz)
    if isinstance(offset, pd.offsets.Day) and stamps.tz is None:
        return Grid(freq, offset.n * _DAY)
    return Grid(freq, ticks=_ticks(stamps.index(np.unique(stamps.ticks)), freq), tz=stamps.tz)


def _ticks(index, freq):
    """The ticks from the first to the last stamp of an index."""
    ticks = pd.date_range(index[0], index[-1], freq=freq).as_unit("us").asi8
    return ticks if len(ticks) else np.array([index.asi8[0] - 1])


def _most_frequent(values):
    if (values == values[0]).all():
        return values[0]
    kinds, counts = np.unique(values, return_counts=True)
    return kinds[counts.argmax()]


def _name(step):
    """A fixed step as pandas writes it."""
    if step % _DAY == 0:
        return "D" if step == _DAY else f"{step // _DAY}D"
    return pd.tseries.frequencies.to_offset(pd.Timedelta(int(step), "us")).freqstr

"""Frames as series on a regular grid of time.

A `Panel` lays all series end to end, without copies: series `i` has the rows `bounds[i] .. bounds[i + 1]` of

    targets (N, C)    what is to be forecast
    past    (N, P)    covariates that are known up to now only
    known   (N, K)    covariates that are known in advance

Gaps in time are rows of missing values (NaN), so the stamps need no storing: a first one and the grid say them all.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from keras_seq.data.calendar import ENCODINGS, calendar_features
from keras_seq.data.frames import column
from keras_seq.data.stamps import Stamps, grid_of, ticks_of
from keras_seq.errors import InputError


@dataclass
class Series:
    """One series: its `id`, `stamps` (an index), and arrays `targets` `(T, C)`, `past` `(T, P)`, `known` `(T, K)`."""

    id: object
    stamps: pd.Index
    targets: np.ndarray
    past: np.ndarray
    known: np.ndarray


@dataclass
class Panel:
    """Series of any lengths on one grid of time, laid end to end; `panel[i]` is one of them, a `Series` of views.

    Attributes:
        targets, past, known: float32 `(N, C)`, `(N, P)`, `(N, K)`; what is missing is NaN.
        bounds: where each series begins, and the end: int64 `(S + 1,)`.
        starts: the first stamp of each series in ticks, as `stamps.py` counts them: int64 `(S,)`.
        grid: the `Grid` of the stamps; `grid.freq` is the frequency.
        ids: a list of the ids, or None for a frame without a column of them, which is one series.
        columns: the names of the frame's columns: a dict of `time`, `id` (None where there is none: the index, one
            series) and lists `targets`, `past`, `known`.
        calendar: `"cyclic"`, `"linear"` or None: which calendar features are known in advance besides.
        gaps: how many rows of each series the frame left out: int64 `(S,)`.
    """

    targets: np.ndarray
    past: np.ndarray
    known: np.ndarray
    bounds: np.ndarray
    starts: np.ndarray
    grid: object
    ids: list
    columns: dict
    calendar: str
    gaps: np.ndarray

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, i):
        i = range(len(self))[i]
        rows = slice(self.bounds[i], self.bounds[i + 1])
        return Series(self.ids and self.ids[i], self.stamps(i), self.targets[rows], self.past[rows], self.known[rows])

    @property
    def lengths(self):
        """Rows of each series, `(S,)`."""
        return np.diff(self.bounds)

    def stamps(self, i, extra=0):
        """The stamps of series `i`, and `extra` ones that follow."""
        return self.grid.stamps(self.starts[i], self.bounds[i + 1] - self.bounds[i] + extra)

    def extended(self, horizon):
        """The panel with `horizon` more rows at the end of each series: all is missing there but the calendar."""
        lengths = self.lengths + horizon
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(self.bounds[-1]) + np.repeat(bounds[:-1] - self.bounds[:-1], self.lengths)
        values = (_laid(x, rows, bounds[-1]) for x in (self.targets, self.past, self.known))
        rest = (self.starts, self.grid.longer(horizon), self.ids, self.columns, self.calendar, self.gaps)
        return Panel(*values, bounds, *rest)

    def calendar_table(self):
        """The calendar features of all stamps that occur, `(G, K)`, and the row of each series' first one, `(S,)`.

        Series with the same stamps share rows.
        """
        table, rows, begin = [], np.zeros(len(self), "int64"), 0
        for series, places in self.grid.aligned(self.starts):
            first = places.min()
            count = (places + self.lengths[series]).max() - first
            index = self.grid.stamps(self.starts[series[places.argmin()]], count)
            table.append(calendar_features(index, self.grid.freq, self.calendar).to_numpy())
            rows[series], begin = begin + places - first, begin + count
        return np.concatenate(table), rows


def read_series(frame, target=None, time=None, id=None, past=(), known=(), freq=None, calendar=None):
    """The series of a frame, checked and laid on a regular grid of time.

    A *wide* frame has a row for each time and a column for each channel: it is one series. A *long* one has a column
    of ids besides and holds many series, of any lengths; rows of different series may alternate, those of one are in
    the order of time.

    Args:
        frame: a `pandas.DataFrame`.
        target: the column or columns to forecast. By default `"y"`, or where there is no such column all others.
        time: the column of time stamps (dates, strings that pandas reads as dates, or integers). By default `"ds"`,
            or where there is no such column the index.
        id: the column that says which series a row belongs to. By default `"unique_id"`, if there is such a column.
        past: columns of covariates that are known up to now only.
        known: columns of covariates that are known in advance, such as a forecast of the weather or a holiday.
        freq: frequency of the stamps, as pandas writes it (`"h"`, `"15min"`, `"D"`, `"MS"`), or an integer for
            integers. By default the one that most stamps have. Stamps that are left out are missing values: without
            `freq`, a warning says how many.
        calendar: `"cyclic"` or `"linear"` to have `ks.data.calendar_features` known in advance besides; `"auto"` for
            cyclic ones where time stamps are dates.

    Returns:
        A `Panel`.

    Raises:
        InputError: for columns that are missing or hold no numbers, infinite values, series without any value,
            duplicate, unsorted or irregular stamps, and mixed frequencies.

    Example:

    >>> frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=5, freq="D"), "y": range(5)})
    >>> panel = ks.data.read_series(frame)
    >>> panel.grid.freq, panel.targets.shape
    ('D', (5, 1))
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"Argument `frame` must be a pandas frame, got {type(frame).__name__}.")
    if not len(frame):
        raise InputError("Argument `frame` has no rows: give at least one.")
    if calendar not in (None, "auto", *ENCODINGS):
        raise InputError(f"Argument `calendar` must be None, 'auto', 'cyclic' or 'linear', got {calendar!r}.")
    columns = _columns(frame, target, time, id, past, known)
    order, bounds, ids = _grouped(frame, columns["id"])

    def who(s):
        return "The series" if ids is None else f"Series {ids[s]!r}"

    name = "The index" if columns["time"] is None else f"Column {columns['time']!r}"
    ticks, dated, tz = ticks_of(frame.index if columns["time"] is None else frame[columns["time"]], name)
    if calendar == "auto":
        calendar = "cyclic" if dated else None
    if calendar and not dated:
        raise InputError(f"Argument `calendar` needs dates, got integers as time: leave it out. ({name})")
    stamps = Stamps(ticks if order is None else ticks[order], bounds, dated, tz, who)
    values = [_numbers(frame, columns[kind], order, stamps) for kind in ("targets", "past", "known")]
    _check_some_value(values[0], bounds, who, columns["targets"])
    grid, rows = grid_of(stamps, freq)
    lengths = rows[bounds[1:] - 1] + 1
    gaps = lengths - np.diff(bounds)
    starts = stamps.ticks[bounds[:-1]]
    if gaps.any():
        if freq is None:
            _warn_of_gaps(gaps, rows, stamps, grid)
        laid = np.concatenate([[0], np.cumsum(lengths)])
        rows += np.repeat(laid[:-1], np.diff(bounds))
        values, bounds = [_laid(x, rows, laid[-1]) for x in values], laid
    return Panel(*values, bounds, starts, grid, ids, columns, calendar, gaps)


def _columns(frame, target, time, id, past, known):
    """Which column is what."""
    time = time if time is not None or "ds" not in frame.columns else "ds"
    id = id if id is not None or "unique_id" not in frame.columns else "unique_id"
    past, known = _names("past", past), _names("known", known)
    others = [time, id, *past, *known]
    if target is None:
        targets = ["y"] if "y" in frame.columns else [name for name in frame.columns if name not in others]
    else:
        targets = _names("target", target)
    names = [name for name in [time, id] if name is not None] + [*targets, *past, *known]
    for name in names:
        column(frame, name)
        if (frame.columns == name).sum() > 1:
            raise InputError(f"Column {name!r} occurs twice: rename one.")
        if names.count(name) > 1:
            raise InputError(
                f"Column {name!r} is given more than one part: it can be one of time, id, target, "
                "past and known covariate only."
            )
    if not targets:
        raise InputError("The frame has no column to forecast: name it with `target=`.")
    return {"time": time, "id": id, "targets": targets, "past": past, "known": known}


def _names(argument, names):
    """One name or several, as a list."""
    if isinstance(names, (list, tuple, pd.Index)):
        return list(names)
    if names is None or isinstance(names, (set, dict)):
        raise InputError(f"Argument `{argument}` must be a column or a list of columns, got {names!r}.")
    return [names]


def _grouped(frame, id):
    """The order that brings the rows of each series together (None: as they are), the bounds, and the ids."""
    if id is None:
        return None, np.array([0, len(frame)]), None
    codes, ids = pd.factorize(frame[id])
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        raise InputError(f"Column {id!r} has no id in row {missing[0]} ({len(missing)} such row(s)): drop them.")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    together = (np.diff(codes) >= 0).all()
    return None if together else np.argsort(codes, kind="stable"), bounds, list(ids)


def _numbers(frame, names, order, stamps):
    """Columns as float32 `(N, …)`."""
    values = np.empty((len(frame), len(names)), "float32")
    for i, name in enumerate(names):
        given = frame[name]
        if not pd.api.types.is_numeric_dtype(given.dtype):
            raise InputError(
                f"Column {name!r} must hold numbers, got {given.dtype} such as {given.iloc[0]!r}: convert it with "
                "pandas.to_numeric, or say with `target=`, `past=` and `known=` which columns are meant."
            )
        with np.errstate(over="ignore"):
            one = given.to_numpy("float64", na_value=np.nan).astype("float32")
        values[:, i] = one if order is None else one[order]
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, i = infinite[0]
        raise InputError(
            f"{stamps.series(row)}, column {names[i]!r}: the value at {stamps.show(row)} is infinite, or too large "
            f"for float32 ({len(infinite)} such value(s)): mend it, or replace it by NaN, which is a missing value."
        )
    return values


def _check_some_value(targets, bounds, who, names):
    there = np.logical_or.reduceat(~np.isnan(targets).all(axis=1), bounds[:-1])
    empty = np.flatnonzero(~there)
    if len(empty):
        raise InputError(
            f"{who(empty[0])} has no value of {', '.join(map(repr, names))} at all ({len(empty)} such series): "
            "drop it, or check which column holds the target."
        )


def _warn_of_gaps(gaps, rows, stamps, grid):
    """Which series have gaps, how many, and where the first is."""
    holes = stamps.later[np.diff(rows)[stamps.later - 1] > 1]
    warnings.warn(
        f"Time stamps have {len(holes)} gap(s), {gaps.sum()} rows at freq={grid.freq!r}, in {np.count_nonzero(gaps)} "
        f"of {len(gaps)} series; the first: {stamps.series(holes[0])} after {stamps.show(holes[0] - 1)}. "
        f"They are taken as missing values. Say freq={grid.freq!r} if that is right.",
        stacklevel=3,
    )


def _laid(values, rows, count):
    """Values put into `rows` of `count` rows; the others are missing."""
    laid = np.full((count, values.shape[1]), np.nan, "float32")
    laid[rows] = values
    return laid

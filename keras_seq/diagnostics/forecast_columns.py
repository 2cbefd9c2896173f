"""Frames of forecasts, and of what came before, as pictures read them: which columns and rows are what."""

import re
import warnings

import numpy as np

from keras_seq.errors import InputError


class Forecasts:
    """A frame of forecasts, checked, and which of its columns are what.

    Attributes:
        time, id: names of columns, None where there is none.
        targets: a list of names.
        levels: for each target those of its intervals, as columns have them, the widest first.
        ticks, cutoffs: int64 `(N,)`, as `keras_seq.data.stamps` counts them; no cutoffs where there is no such column.
        order, begins: the rows, forecast by forecast, and where in them each forecast begins.
    """

    def __init__(self, argument, frame, time, id):
        from keras_seq.data.stamps import ticks_of

        check_frame(argument, frame, [name for name in (time, id) if name is not None])
        self.argument, self.frame = argument, frame
        columns = list(frame.columns)
        self.time = "ds" if time is None and "ds" in columns else time
        self.id = "unique_id" if id is None and "unique_id" in columns else id
        free = [name for name in columns if name not in (self.time, self.id, "cutoff")]
        self.targets = [name for name in free if f"{name}-true" in columns or levels_of(columns, name)]
        self.targets = self.targets or list(frame[free].select_dtypes("number").columns)
        if not self.targets:
            raise InputError(
                f"Argument `{argument}` must have columns of forecasts, such as 'y', 'y-lo-80' and 'y-hi-80', got "
                f"{', '.join(map(repr, columns))}: give the frame that a `Forecaster` returned."
            )
        self.levels = {target: levels_of(columns, target) for target in self.targets}
        self._name_the_rest(free)
        self.ticks, self.dated, self.tz = ticks_of(self._times(), f"The time of `{argument}`")
        self.cutoffs = ticks_of(frame["cutoff"], "Column 'cutoff'")[0] if "cutoff" in columns else None
        self._part()

    def rows(self, one):
        """Those of the series with this id."""
        return np.arange(len(self.frame)) if self.id is None else np.flatnonzero(self.frame[self.id] == one)

    def values(self, name):
        return self.frame[name].to_numpy("float64", na_value=np.nan)

    def x(self, ticks):
        """Ticks as matplotlib takes them."""
        return ticks.view("datetime64[us]") if self.dated else ticks

    def check_backtest(self):
        wanted = ["cutoff", *(f"{target}-true" for target in self.targets)]
        missing = [name for name in wanted if name not in self.frame.columns]
        if missing:
            raise InputError(
                f"Argument `{self.argument}` has no column {missing[0]!r}: give the frame that `Forecaster.backtest` "
                "returned. (`plot_forecast` draws what `predict` returned.)"
            )

    def by_step(self, target, error):
        """The mean error of a target over all forecasts, at each step: `(F,)`."""
        lengths = np.diff(self.begins, append=len(self.order))
        if (lengths != lengths[0]).any():
            raise InputError(
                f"Argument `{self.argument}` must hold forecasts of one length, got {lengths.min()} to {lengths.max()} "
                "rows: drop none of them; missing truths do no harm."
            )
        errors = error(self.values(target) - self.values(f"{target}-true"))[self.order].reshape(-1, lengths[0])
        there = ~np.isnan(errors)
        if not there.any():
            raise InputError(f"Argument `{self.argument}` has no truth of {target!r}: drop the columns of that target.")
        return np.where(there, errors, 0).sum(0) / np.where(there.any(0), there.sum(0), np.nan)

    def _name_the_rest(self, free):
        """Time and id, of the columns that are nothing else."""
        ours = [*self.targets, *(f"{target}-true" for target in self.targets)]
        ours += [f"{y}-{end}-{level}" for y in self.targets for level in self.levels[y] for end in ("lo", "hi")]
        free = [name for name in free if name not in ours]
        dates = list(self.frame[free].select_dtypes(["datetime", "datetimetz"]).columns)
        if self.time is None and len(dates) == 1:
            self.time = dates[0]
            free.remove(self.time)
        if self.id is not None or not free:
            return
        if len(free) > 1 or (self.time is None and self.frame.index.dtype.kind != "M"):
            raise InputError(
                f"Argument `{self.argument}` has columns that could be time or id: {', '.join(map(repr, free))}. Say "
                "which they are with `time=` and `id=`, and drop the others."
            )
        self.id = free[0]

    def _times(self):
        return self.frame.index if self.time is None else self.frame[self.time]

    def _part(self):
        """Bring the rows of each forecast together; they must be in the order of time."""
        keys = ([] if self.id is None else [self.id]) + ([] if self.cutoffs is None else ["cutoff"])
        number = self.frame.groupby(keys, sort=False).ngroup().to_numpy() if keys else np.zeros(len(self.frame), int)
        self.order = np.argsort(number, kind="stable")
        new = np.diff(number[self.order], prepend=-1) != 0
        self.begins = np.flatnonzero(new)
        back = np.flatnonzero((np.diff(self.ticks[self.order], prepend=0) <= 0) & ~new)
        if len(back):
            stamp = np.asarray(self._times())[self.order[back[0]]]
            raise InputError(
                f"Argument `{self.argument}`: stamp {stamp} does not come after the one before ({len(back)} such "
                "row(s)). Sort the frame by time, and name the column of ids, if it has one: `id=`."
            )


class History:
    """The series of a history that a frame of forecasts has."""

    def __init__(self, history, told, freq):
        from keras_seq.data import read_series

        columns = [name for name in (told.time, told.id) if name is not None]
        check_frame("history", history, [*columns, *told.targets])
        if told.id is not None:
            lost = set(told.frame[told.id]) - set(history[told.id])
            if lost:
                raise InputError(
                    f"Argument `history` has no series {min(lost, key=str)!r} ({len(lost)} such series of `forecast`): "
                    f"give the frame that was forecast, with the same ids in column {told.id!r}."
                )
            history = history[history[told.id].isin(told.frame[told.id])]
        with warnings.catch_warnings():  # that rows are left out is seen in the picture
            warnings.filterwarnings("ignore", "Time stamps have")
            self.panel = read_series(history, told.targets, told.time, told.id, freq=freq)
        if self.panel.grid.dated != told.dated:
            raise InputError("Arguments `history` and `forecast` must both have dates as time, or both integers.")
        if told.id is None and len(self.panel) > 1:
            raise InputError(
                f"Argument `history` has {len(self.panel)} series and `forecast` no column "
                f"{self.panel.columns['id']!r} that tells whose it is: add it, or give the history of one series."
            )

    def line(self, one, target):
        """Ticks and values of a series, `(T,)` each."""
        from keras_seq.data.stamps import ticks_of

        panel = self.panel
        s = 0 if one is None else panel.ids.index(one)
        values = panel.targets[panel.bounds[s] : panel.bounds[s + 1], panel.columns["targets"].index(target)]
        return ticks_of(panel.stamps(s), "history")[0], values


def check_frame(argument, frame, columns):
    if not hasattr(frame, "iloc") or not hasattr(frame, "columns"):
        raise InputError(f"Argument `{argument}` must be a pandas frame, got {type(frame).__name__}.")
    if not len(frame):
        raise InputError(f"Argument `{argument}` has no rows: give at least one.")
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        there = ", ".join(map(repr, frame.columns))
        raise InputError(f"Argument `{argument}` has no column {missing[0]!r}: the columns are {there}.")


def levels_of(columns, target):
    """The levels of a target's intervals, as columns have them, the widest first."""
    ends = [re.fullmatch(re.escape(f"{target}-lo-") + r"(\d+(?:\.\d+)?)", str(name)) for name in columns]
    found = [end[1] for end in ends if end and f"{target}-hi-{end[1]}" in columns]
    return sorted(found, key=float, reverse=True)

"""Between frames and the windows that a model forecasts: where forecasts begin, and frames of what it said."""

import numbers

import numpy as np
import pandas as pd

from keras_seq.data.frames import column
from keras_seq.data.stamps import ticks_of
from keras_seq.data.windows import WindowBatches
from keras_seq.errors import InputError


def called(panel, s):
    """What a message calls series `s` of a panel."""
    return "The series" if panel.ids is None else f"Series {panel.ids[s]!r}"


def ends_of(panel):
    """The row after the last one with a known target, of each series: `(S,)`."""
    known = ~np.isnan(panel.targets).all(axis=1)
    return np.array([known[a:b].nonzero()[0][-1] + 1 for a, b in zip(panel.bounds[:-1], panel.bounds[1:], strict=True)])


def checked_to_train(frame, panel, read):
    """The panel of a frame, without what follows the last known target of each series, or an error.

    Args:
        read: from a frame to its panel.

    Raises:
        InputError: for covariates to be known in advance that are missing, and ids that no graph could look up.
    """
    kinds = {type(id) for id in panel.ids or []}
    if len(kinds) > 1 or not kinds <= {int, str}:
        raise InputError(
            f"Column {panel.columns['id']!r} must hold ids that are all strings or all integers, got "
            f"{panel.ids[0]!r} and others of {', '.join(sorted(kind.__name__ for kind in kinds))}: convert them."
        )
    ends = ends_of(panel)
    if (ends < panel.lengths).any():
        panel = read(rows_before(frame, panel, ends))
    holes = np.argwhere(np.isnan(panel.known))
    if len(holes):
        row, k = holes[0]
        s = np.searchsorted(panel.bounds, row, side="right") - 1
        raise InputError(
            f"{called(panel, s)}: the covariate {panel.columns['known'][k]!r} is missing at "
            f"{panel.stamps(s)[row - panel.bounds[s]]} ({len(holes)} such value(s)). It is to be known in advance: "
            "fill it in, also where rows are left out, or name it with `past=`."
        )
    return panel


def border_of(validation):
    """Where the part of the time for validation begins, as `ks.data.window_dataset` wants it."""
    whole = isinstance(validation, numbers.Integral) and not isinstance(validation, bool)
    if whole and validation >= 0:
        raise InputError(
            "Argument `validation` must be a share of the time, a time stamp or a negative number of rows, got "
            f"{validation!r}: say -{validation} for the last {validation} rows."
        )
    return 1 - float(validation) if isinstance(validation, numbers.Real) and not whole else validation


def with_future(frame, future, reading):
    """A frame with the rows of the steps to come behind its own; of those no targets are read.

    Args:
        reading: arguments of `ks.data.read_series`.
    """
    for name, given in (("frame", frame), ("future", future)):
        if not isinstance(given, pd.DataFrame):
            raise InputError(f"Argument `{name}` must be a pandas frame, got {type(given).__name__}.")
    keys = [name for name in (reading["time"], reading["id"]) if name is not None]
    ahead = [column(future, name) for name in [*keys, *reading["known"]]]
    ahead = pd.concat(ahead, axis=1) if ahead else future[[]]
    # Whole numbers and truth values have nothing that stands for a missing one.
    others = [name for name in [*reading["target"], *reading["past"]] if name in frame.columns]
    frame = frame.astype({name: "float64" for name in others if pd.api.types.is_numeric_dtype(frame[name].dtype)})
    return pd.concat([frame, ahead], ignore_index=reading["time"] is not None)


def rows_before(frame, panel, rows):
    """The rows of a frame whose time is before that of a row of each series' own, `(S,)`."""
    id, time = panel.columns["id"], panel.columns["time"]
    ticks, _, _ = ticks_of(frame.index if time is None else frame[time], "The time of the frame")
    limits = [ticks_of(panel.stamps(s, 1)[[row]], "")[0][0] for s, row in enumerate(rows)]
    if id is None:
        return frame[ticks < limits[0]]
    return frame[ticks < frame[id].map(dict(zip(panel.ids, limits, strict=True))).to_numpy()]


def joined(frames, panel):
    """Frames of forecasts that were made one after the other, as one: series by series."""
    frame = pd.concat(frames, ignore_index=panel.columns["time"] is not None)
    if panel.ids is None:
        return frame
    order = pd.Categorical(frame[panel.columns["id"]], panel.ids, ordered=True).codes
    frame = frame.iloc[np.argsort(order, kind="stable")]
    return frame.reset_index(drop=True) if panel.columns["time"] is not None else frame


class Origins:
    """Windows of a panel at chosen places, for a model that was trained on windows of these `sizes`.

    Args:
        panel: a `Panel`; it is made longer where a horizon reaches beyond its end.
        sizes: of the windows, as `WindowBatches.sizes` has them.
        scaler: that of the training part, or None.
        series, rows: where each window's horizon begins: `(N,)` each.

    Raises:
        InputError: for a series that is too short, that the scaler does not know, with missing values where the
            training had none, or with covariates that are to be known in advance and are missing.
    """

    def __init__(self, panel, sizes, scaler, series, rows):
        self.lookback, self.horizon = sizes["lookback"], sizes["horizon"]
        self.series, self.rows = np.asarray(series), np.asarray(rows)
        self._check_lookback(panel)
        beyond = (self.rows + self.horizon - panel.lengths[self.series]).max(initial=0)
        self.panel = panel.extended(int(beyond)) if beyond > 0 else panel
        self._check_known()
        part = (np.zeros(len(self.panel), int), self.panel.lengths)
        self.batches = WindowBatches(
            self.panel, self.lookback, self.horizon, part, 1, scaler, 1, shuffle=False, seed=0, mask=True
        )
        self.inputs, self.targets, there = self.batches.cut(self.series, self.rows)
        self.targets = np.where(there > 0, self.targets, np.nan)  # scaled
        if not sizes["missing"]:
            self._check_mask(self.inputs.pop("past_mask"))

    def inverse(self, values):
        """Scaled values `(N, F, C)` in the unit of the frame."""
        scaler = self.batches.scaler
        return values if scaler is None else scaler.inverse(values, self.inputs)

    def frame(self, columns, index_name=None, cutoff=False):
        """The columns `{name: values (N, F)}` with ids and time stamps, a row for each step, in the frame's own form.

        Args:
            index_name: name of the index, where it is the time.
            cutoff: whether to say before which steps each forecast was made, by the last stamp that it knew.
        """
        names, steps = self.panel.columns, next(iter(columns.values())).shape[1]
        stamps = [self.panel.stamps(s) for s in range(len(self.panel))]
        pairs = list(zip(self.series, self.rows, strict=True))
        found = {}
        if self.panel.ids is not None:
            found[names["id"]] = np.repeat([self.panel.ids[s] for s in self.series], steps)
        time = stamps[0][:0].append([stamps[s][row : row + steps] for s, row in pairs])
        if names["time"] is not None:
            found[names["time"]] = time
        if cutoff:
            found["cutoff"] = stamps[0][:0].append([stamps[s][[row - 1] * steps] for s, row in pairs])
        found |= {name: values.reshape(-1) for name, values in columns.items()}
        return pd.DataFrame(found, index=None if names["time"] is not None else time.rename(index_name))

    def _check_lookback(self, panel):
        short = np.flatnonzero(self.rows < self.lookback)
        if len(short):
            s, row = self.series[short[0]], self.rows[short[0]]
            raise InputError(
                f"{called(panel, s)} has {row} steps before {panel.stamps(s, 1)[row]}, where a forecast is to begin, "
                f"and the look-back needs {self.lookback} ({len(short)} such forecast(s)): give more of its past."
            )

    def _check_known(self):
        names = self.panel.columns["known"]
        if not names:
            return
        begin = self.panel.bounds[self.series] + self.rows - self.lookback
        wanted = self.panel.known[begin[:, None] + np.arange(self.lookback + self.horizon)]  # (N, T + F, K)
        holes = np.argwhere(np.isnan(wanted))
        if len(holes):
            i, step, k = holes[0]
            s, row = self.series[i], self.rows[i] - self.lookback + step
            ahead = step - self.lookback
            where = f"step {ahead + 1} of the horizon" if ahead >= 0 else f"{-ahead} step(s) before the horizon"
            raise InputError(
                f"{called(self.panel, s)}: the covariate {names[k]!r} is missing at {self.panel.stamps(s)[row]}, "
                f"{where} ({len(holes)} such value(s)). It is to be known in advance: give rows for all "
                f"{self.horizon} steps after the last known target, in the frame or as `future`."
            )

    def _check_mask(self, mask):
        holes = np.argwhere(mask == 0)
        if len(holes):
            i, step, c = holes[0]
            s, row = self.series[i], self.rows[i] - self.lookback + step
            raise InputError(
                f"{called(self.panel, s)}: {self.panel.columns['targets'][c]!r} is missing at "
                f"{self.panel.stamps(s)[row]} ({len(holes)} such value(s)), and the model was trained on data without "
                "missing values: fill them in, for example with frame.interpolate(), or train with `missing=True`."
            )

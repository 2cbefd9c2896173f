"""Windows of series: what was seen, `T` steps, and what is to be forecast, the `F` steps after.

A window is the number of its series and of its first target row. Nothing else is stored: its values are cut from the
panel when a batch asks for it.

    series     . . . [ look-back T ][ targets F ] . . .
    part                  start ≤ targets < end            the look-back may begin before `start`
"""

import warnings

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view

from keras_seq.checks import natural_number, positive_integer
from keras_seq.data.batches import Batches
from keras_seq.data.borders import rows_before
from keras_seq.data.scaling import Scaler, window_moments
from keras_seq.data.series import Panel, read_series
from keras_seq.errors import InputError


def window_dataset(
    frame,
    lookback,
    horizon,
    start=None,
    end=None,
    stride=1,
    scale=None,
    batch_size=32,
    shuffle=True,
    seed=0,
    mask=None,
    **columns,
):
    """A `tf.data` pipeline of windows of look-back and horizon over one series or many, for a part of the time.

    All targets of a window lie in the part from `start` to before `end`. Its look-back ends before them and may begin
    before `start`. So with the same border as `end` of the training and `start` of the validation part, no window of
    the training part holds a time of the validation part.

    A border is one of

    - a time stamp, or a string that pandas reads as one: the same time for all series;
    - a float between 0 and 1: that share of the time from the first stamp of all series to the last one; again one
      time for all series;
    - an integer: that many rows from the beginning of each series, or, where negative, from its end. Where series
      begin or end at different times, so do their parts.

    Windows are cut from the series when a batch is made: in memory there are the series, and 4 bytes a window for the
    order of an epoch. A series too short for a window is left out, with a warning.

    Args:
        frame: a `pandas.DataFrame`, wide or long, or a `Panel` from `ks.data.read_series`.
        lookback, horizon: steps `T` and `F`.
        start, end: the part, as above; None for the first and after the last row.
        stride: rows from one window of a series to the next.
        scale: None; `"series"` to bring each series to mean 0 and deviation 1 (of its rows before `end`: for the
            training part); `"window"` for that of each look-back; or the scaler of the training part,
            `train.batches.scaler`, for the other parts. Covariates are scaled too; calendar features are not.
        batch_size: windows in a batch; the last one of an epoch may have fewer.
        shuffle: whether windows come in another order each epoch. Otherwise they come series by series, in time.
        seed: the order of epoch `e` depends on the seed and `e` alone.
        mask: whether to say which values are there. None: if any target of the panel is missing.
        columns: arguments of `ks.data.read_series` (`target`, `time`, `id`, `past`, `known`, `freq`, `calendar`).

    Returns:
        A `tf.data.Dataset` of `(inputs, targets (B, F, C))`, with a mask `(inputs, targets, weights (B, F, C))`:
        weights are 1 for targets that are there, else 0. `inputs` is a dict, with what there is of:

        - `past` `(B, T, C)`: the targets up to now; `past_mask` `(B, T, C)`: 1 for what is there, else 0;
        - `past_covariates` `(B, T, P)`; `known` `(B, T + F, K)`: covariates known in advance, then calendar features;
        - `series` `(B,)`: int32, the number of the series in `batches.ids`, for frames with ids;
        - `mean`, `scale` `(B, C)`: of the look-back, with `scale="window"`.

        All but `series` is float32. Missing values are 0, after scaling; of covariates nothing else says so: fill them
        in where 0 (with `scale`, their mean) will not do. The attribute `batches` is the `WindowBatches` behind it:
        with the `scaler`, whose `inverse` leads back, `sizes`, which `ks.models.forecasting_model` takes, `left_out`,
        the ids of series that are too short, and `epoch`, which may be set to resume a training
        (`ks.callbacks.EpochSeed` does).

    Raises:
        InputError: where no series has a window, for borders that cannot be understood, a scaler that does not know a
            series, and all that `ks.data.read_series` finds.

    Example:

    >>> panel = ks.data.read_series(ks.data.load(hours=2000), known="temperature", calendar="cyclic")
    >>> train = ks.data.window_dataset(panel, 48, 24, end=0.8, scale="series")
    >>> test = ks.data.window_dataset(panel, 48, 24, start=0.8, scale=train.batches.scaler, shuffle=False)
    >>> inputs, targets, weights = next(iter(train))
    >>> {name: tuple(x.shape) for name, x in inputs.items()}
    {'past': (32, 48, 1), 'past_mask': (32, 48, 1), 'known': (32, 72, 9)}
    >>> test.batches.scaler.inverse(targets, inputs).shape
    (32, 24, 1)
    """
    if isinstance(frame, Panel) and columns:
        raise InputError(f"Argument `{next(iter(columns))}` is for read_series: give it there, `frame` is a panel.")
    panel = frame if isinstance(frame, Panel) else read_series(frame, **columns)
    low, high = rows_before(panel, start, "start", 0), rows_before(panel, end, "end", panel.lengths)
    scaler = _scaler(panel, scale, high, start)
    return WindowBatches(
        panel,
        positive_integer("lookback", lookback),
        positive_integer("horizon", horizon),
        (low, high),
        positive_integer("stride", stride),
        scaler,
        positive_integer("batch_size", batch_size),
        shuffle,
        natural_number("seed", seed),
        mask,
    ).dataset()


class WindowBatches(Batches):
    """Windows of a panel, by number; order and epochs as in `Batches`.

    Args:
        panel: a `Panel`.
        lookback, horizon, stride, batch_size, shuffle, seed, mask: as in `window_dataset`.
        part: `(low, high)`, each `(S,)`: targets are rows `low .. high` of each series.
        scaler: a `Scaler`, or None.
    """

    def __init__(self, panel, lookback, horizon, part, stride, scaler, batch_size, shuffle, seed, mask):
        self.panel, self.lookback, self.horizon, self.stride = panel, lookback, horizon, stride
        self.scaler, self.batch_size, self.shuffle, self.seed, self.epoch = scaler, batch_size, shuffle, seed, 0
        self.ids = panel.ids if scaler is None else scaler.ids
        self.codes = np.arange(len(panel), dtype="int32") if scaler is None else scaler.codes(panel)
        missing = bool(np.isnan(panel.targets).any())
        if mask is False and missing:
            raise InputError("Argument `mask` must not be False: values of the frame are missing. Fill them in.")
        self.mask = missing if mask is None else bool(mask)
        self.first = np.maximum(part[0], lookback)  # row of the first target of each series' first window
        counts = np.maximum((part[1] - self.first - horizon) // stride + 1, 0)
        self.ends = np.cumsum(counts)
        self.windows = int(self.ends[-1])
        self._check_lengths(counts, part)
        self._count = -(-self.windows // batch_size)
        self._targets, self._past, self._known = (_Cut(x) for x in (panel.targets, panel.past, panel.known))
        self._calendar = None
        if panel.calendar:
            table, self._calendar_rows = panel.calendar_table()
            self._calendar = _Cut(table) if table.shape[1] else None

    @property
    def sizes(self):
        """What `ks.models.forecasting_model` needs to know of the windows, a dict of its arguments."""
        known = self._known.width + (self._calendar.width if self._calendar else 0)
        return {
            "lookback": self.lookback,
            "horizon": self.horizon,
            "channels": self._targets.width,
            "past_covariates": self._past.width,
            "known": known,
            "missing": self.mask,
        }

    def origins(self, windows):
        """The series of windows, and the row of their first target in it: two arrays `(B,)`."""
        series = np.searchsorted(self.ends, windows, side="right")
        before = np.concatenate([[0], self.ends])[series]
        return series, self.first[series] + (np.asarray(windows, "int64") - before) * self.stride

    def cut(self, series, rows):
        """Inputs, targets and weights of the windows whose first targets are `rows` of `series`: `(B,)`, `(B,)`."""
        origin = self.panel.bounds[series] + rows  # a row of the panel
        begin, around = origin - self.lookback, self.lookback + self.horizon
        past, targets, covariates = (
            self._targets(begin, self.lookback),
            self._targets(origin, self.horizon),
            self._past(begin, self.lookback),
        )
        known = [self._known(begin, around)] if self._known.width else []
        of_targets, of_covariates, of_known = self._moments(series, past, covariates)
        inputs = {"past": past}
        there, weights = _standardize(past, of_targets), _standardize(targets, of_targets)
        if self.mask:
            inputs["past_mask"] = there.astype("float32")
        if self._past.width:
            _standardize(covariates, of_covariates)
            inputs["past_covariates"] = covariates
        if known:
            _standardize(known[0], of_known)
        if self._calendar:
            known.append(self._calendar(self._calendar_rows[series] + rows - self.lookback, around))
        if known:
            inputs["known"] = np.concatenate(known, axis=-1)
        if self.ids is not None:
            inputs["series"] = self.codes[series]
        if self.scaler is not None and self.scaler.per == "window":
            inputs["mean"], inputs["scale"] = of_targets
        return inputs, targets, weights.astype("float32")

    def _moments(self, series, past, covariates):
        """Mean and scale `(B, …)` of targets, past and known covariates; None without scaling."""
        if self.scaler is None:
            return None, None, None
        moments = self.scaler.moments(self.codes[series], self._past.width)
        if self.scaler.per == "window":
            return window_moments(past, *moments[0]), window_moments(covariates, *moments[1]), moments[2]
        return moments

    def _plan(self, epoch):
        order = np.arange(self.windows, dtype="int32" if self.windows < 2**31 else "int64")
        if self.shuffle:
            np.random.default_rng((self.seed, epoch)).shuffle(order)
        for begin in range(0, self.windows, self.batch_size):
            yield order[begin : begin + self.batch_size], None

    def _batch(self, windows, _):
        inputs, targets, weights = self.cut(*self.origins(windows))
        return (inputs, targets, weights) if self.mask else (inputs, targets)

    def _signature(self):
        example = self._batch(np.zeros(1, int), None)
        return tf.nest.map_structure(lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), example)

    def _check_lengths(self, counts, part):
        """Series without a window are left out; without any there is an error."""
        out = np.flatnonzero(counts == 0)
        self.left_out = [] if self.ids is None else [self.panel.ids[s] for s in out]
        if not self.windows:
            longest = (part[1] - part[0]).argmax()
            raise InputError(
                f"No series has a window: look-back {self.lookback} and horizon {self.horizon} need "
                f"{self.lookback + self.horizon} rows, the last {self.horizon} in the part from `start` to `end`; the "
                f"longest has {part[1][longest]} rows before `end`, {(part[1] - part[0])[longest]} of them in it. "
                "Give longer series, a shorter look-back or horizon, or other borders."
            )
        if len(out):
            warnings.warn(
                f"{len(out)} of {len(self.panel)} series are too short for a window of {self.lookback} + "
                f"{self.horizon} rows and left out, such as {self.left_out[0]!r}: `batches.left_out` has them all.",
                stacklevel=4,
            )


class _Cut:
    """Windows of an array `(N, W)`: `cut(first, length)` copies the rows from each `first` on, `(B, length, W)`."""

    def __init__(self, values):
        self.width, self.flat = values.shape[1], np.ascontiguousarray(values).reshape(-1)

    def __call__(self, first, length):
        if not self.width:
            return np.empty((len(first), length, 0), "float32")
        runs = sliding_window_view(self.flat, length * self.width)  # a view; indexing copies whole runs
        return runs[first * self.width].reshape(len(first), length, self.width)


def _standardize(x, moments):
    """Scales windows `(B, T, C)` in place by mean and scale `(B, C)`, puts 0 where one is missing, says where not."""
    if moments is not None:
        mean, scale = moments
        x -= mean[:, None]
        x /= scale[:, None]
    there = ~np.isnan(x)
    if not there.all():
        x[~there] = 0
    return there


def _scaler(panel, scale, ends, start):
    """The scaler that `scale` means."""
    if scale is None or isinstance(scale, Scaler):
        return scale
    if scale not in ("series", "window"):
        raise InputError(f"Argument `scale` must be None, 'series', 'window' or a scaler, got {scale!r}.")
    if start is not None:
        raise InputError(
            f"Argument `scale={scale!r}` would scale the part from `start` on by itself: give the scaler of the "
            "training part, scale=train.batches.scaler."
        )
    return Scaler.fit(panel, ends, per=scale)

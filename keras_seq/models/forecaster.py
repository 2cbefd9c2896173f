"""`Forecaster`: frames in, frames with forecasts and intervals out."""

import copy
import inspect

import keras
import numpy as np

from keras_seq.checks import positive_integer
from keras_seq.errors import InputError
from keras_seq.models.forecaster_state import parts_of, state_of
from keras_seq.models.forecasting import forecasting_model
from keras_seq.models.intervals import checked_levels, columns_of, constants_of, parted, quantiles_of

_SIZES = ("lookback", "horizon", "channels", "past_covariates", "known", "missing")
_OPTIONS = [name for name in inspect.signature(forecasting_model).parameters if name not in _SIZES]


class Forecaster:
    """Forecasts series in data frames: trains a `ForecastModel`, and keeps what belongs to it.

    A frame is wide (one series, a column for each channel) or long (many series, told apart by a column of ids); see
    `ks.data.read_series`, which tells what its time stamps, covariates and missing values may be. Forecasts begin after
    the last step at which a target is known.

    Args:
        lookback, horizon: steps that the model sees, and that it forecasts.
        target, time, id, past, known, freq: which columns of frames are what, as of `ks.data.read_series`.
        calendar: `"cyclic"`, `"linear"` or None: calendar features (`ks.data.calendar_features`); `"auto"` for cyclic
            ones where time stamps are dates.
        scale: `"series"`, `"window"` or None, as of `ks.data.window_dataset`.
        missing: whether values may be missing before a forecast. None for whether some of the frame that is trained on
            are; then a model that was trained on whole series refuses others.
        level: of the intervals, in percent: a number or a list; an empty one for none.
        outputs: as of `forecasting_model`; or `"quantiles"`, for the median and the ends of the intervals.
        model: other arguments of `ks.models.forecasting_model`.

    Attributes:
        model: the `ForecastModel`, once there is one.

    Raises:
        ValueError: for levels or arguments of the model that cannot be.

    Example:

    >>> frame = ks.data.load(hours=600)
    >>> forecaster = ks.models.Forecaster(48, 24, known="temperature", units=8)
    >>> forecaster = forecaster.fit(frame[:560], epochs=2, verbose=0)
    >>> forecast = forecaster.predict(frame[:560], future=frame[560:][["ds", "temperature"]])
    >>> list(forecast.columns), len(forecast)
    (['ds', 'y', 'y-lo-80', 'y-hi-80', 'y-lo-90', 'y-hi-90'], 24)
    """

    def __init__(
        self,
        lookback,
        horizon,
        target=None,
        time=None,
        id=None,
        past=(),
        known=(),
        freq=None,
        calendar="auto",
        scale="series",
        missing=None,
        level=(80, 90),
        outputs="mse",
        **model,
    ):
        self.lookback, self.horizon = positive_integer("lookback", lookback), positive_integer("horizon", horizon)
        self.columns = {"target": target, "time": time, "id": id, "past": past, "known": known}
        self.freq, self.calendar, self.scale, self.missing = freq, calendar, scale, missing
        self.level = checked_levels(level)
        self.outputs = quantiles_of(self.level) if isinstance(outputs, str) and outputs == "quantiles" else outputs
        unknown = sorted(set(model) - set(_OPTIONS))
        if unknown:
            raise ValueError(f"Unknown argument `{unknown[0]}`: `Forecaster` takes its own and {', '.join(_OPTIONS)}.")
        self.options = model
        self.model = self._scaler = self._constants = self._reading = None

    def fit(
        self,
        frame,
        validation=0.15,
        epochs=50,
        patience=5,
        batch_size=64,
        stride=1,
        seed=0,
        callbacks=(),
        verbose="auto",
    ):
        """Train a model on a frame, and calibrate its intervals.

        The end of the time is kept for validation: on its windows it is judged when to stop (the weights of the best
        epoch are kept), and how wide the intervals are. The rest alone is trained on.

        Args:
            frame: a `pandas.DataFrame`.
            validation: the part at the end, after which nothing is known: a share of the time, the time stamp that it
                begins with, or a negative number of rows from the end of each series, such as -48.
            epochs: at most.
            patience: epochs without progress before it stops.
            batch_size, stride: of the windows to train on.
            seed: of their order. What else is random follows `keras.utils.set_random_seed`.
            callbacks: more of them.
            verbose: as of `keras.Model.fit`.

        Returns:
            The forecaster itself.

        Raises:
            InputError: for covariates that are to be known in advance and are missing, ids that are not all integers
                or all strings, and all that `ks.data.read_series` and `ks.data.window_dataset` find.
        """
        train, held_out = self.prepare(frame, validation, batch_size, stride, seed)
        stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
        how = {"epochs": epochs, "callbacks": [stop, *callbacks], "verbose": verbose, "shuffle": False}
        self.model.fit(train, validation_data=held_out, **how)
        return self.calibrate(held_out)

    def prepare(self, frame, validation=0.15, batch_size=64, stride=1, seed=0):
        """A new `model` for a frame, and the datasets `(train, validation)`, as `fit` makes them.

        For those who call `forecaster.model.fit` themselves; `calibrate(validation)` comes after it.
        """
        from keras_seq import data
        from keras_seq.data.origins import border_of, checked_to_train

        self.model = self._scaler = self._constants = self._reading = None
        panel = checked_to_train(frame, self._read(frame), self._read)
        columns = {"target" if kind == "targets" else kind: names for kind, names in panel.columns.items()}
        freq = getattr(panel.grid.freq, "freqstr", panel.grid.freq)
        border = border_of(validation)
        how = {"lookback": self.lookback, "horizon": self.horizon, "batch_size": batch_size, "mask": self.missing}
        train = data.window_dataset(panel, **how, end=border, stride=stride, scale=self.scale, seed=seed)
        scaler = train.batches.scaler
        held_out = data.window_dataset(panel, **how, start=border, scale=scaler, shuffle=False)
        model = forecasting_model(**train.batches.sizes, outputs=self.outputs, **self.options)
        for one in self.level:  # whether the outputs have it, before a training that would be lost
            parted(model.output_kind, np.zeros((1, 1, 1, model.output_kind.size)), one)
        self.model, self._scaler = model, scaler
        self._reading = {**columns, "freq": freq, "calendar": panel.calendar}
        return train, held_out

    def calibrate(self, validation):
        """Make the intervals as wide as windows that the training never saw want it (`keras_seq.models.intervals`).

        Args:
            validation: a dataset of windows, as `prepare` returns it.

        Returns:
            The forecaster itself.
        """
        self._check_fitted(calibrated=False)
        truth = []
        for _, y, *weights in validation.as_numpy_iterator():
            truth.append(np.where(weights[0] > 0, y, np.nan) if weights else y)
        said = np.asarray(self.model.predict(validation, verbose=0))
        kind, truth = self.model.output_kind, np.concatenate(truth)
        self._constants = constants_of(kind, said, truth, self.level, self._reading["target"])
        self.model.carry(state_of(self, self._reading, self._scaler, self._constants))
        return self

    def predict(self, frame, horizon=None, future=None):
        """Forecasts of the steps after the last known target of each series.

        Args:
            frame: what came before, in the form of the frame that was trained on; `lookback` steps at least. It may
                hold series that the training did not, unless they are scaled by series.
            horizon: how many steps, at most and by default those that the model was trained for.
            future: a frame with time stamps, ids and the covariates known in advance, of all steps that the model was
                trained for; nothing else of it is read. They may also stand at the end of `frame`, with empty targets.

        Returns:
            A frame with ids and time stamps, the forecasts under the names of the targets, and for each level of, say,
            80 %, the columns `y-lo-80` and `y-hi-80`: ids and steps in the order of the frame, time stamps as dates (or
            integers). Of a normal distribution the forecast is the mean, of quantiles the median.

        Raises:
            InputError: for a longer horizon, series that are too short, unknown or all missing, missing covariates,
                and all that `ks.data.read_series` finds.
        """
        self._check_fitted()
        if positive_integer("horizon", self.horizon if horizon is None else horizon) > self.horizon:
            raise InputError(
                f"Argument `horizon` must be at most {self.horizon}, which the model was trained for, got {horizon!r}: "
                "train one for a longer horizon."
            )
        from keras_seq.data.origins import ends_of, with_future

        panel = self._read(frame if future is None else with_future(frame, future, self._reading))
        origins = self._origins(panel, np.arange(len(panel)), ends_of(panel))
        columns = {name: values[:, :horizon] for name, values in self._forecasts(origins).items()}
        return origins.frame(columns, frame.index.name)

    def backtest(self, frame, windows=5, step=None, refit=False, **fit):
        """Forecasts as they would have been made at some times of the past, beside what came.

        Args:
            frame: series with at least `lookback + horizon + (windows - 1) * step` steps.
            windows: how many forecasts are made of each series. The last one ends with the last known target.
            step: steps from one to the next; None for the horizon, so that they do not overlap.
            refit: whether to train anew before each, on what came before it; then the other arguments are those of
                `fit`. Else this model makes them all: choose times that it was not trained on.

        Returns:
            A frame as of `predict`, with two more columns: `cutoff`, the last stamp that a forecast knew, and what
            came, such as `y-true`, missing where nothing is known.

        Raises:
            InputError: as `predict`.
        """
        from keras_seq.data.origins import ends_of, joined, rows_before

        self._check_fitted()
        windows = positive_integer("windows", windows)
        step = positive_integer("step", self.horizon if step is None else step)
        if fit and not refit:
            raise InputError(f"Argument `{next(iter(fit))}` is for `refit=True`, which trains anew.")
        panel = self._read(frame)
        backs = self.horizon + step * np.arange(windows)[::-1]
        series = np.repeat(np.arange(len(panel)), windows)
        rows = np.repeat(ends_of(panel), windows) - np.tile(backs, len(panel))
        if not refit:
            return self._told(self._origins(panel, series, rows), frame)
        frames, settled = [], copy.copy(self)  # a shorter frame is to be read as this one was
        settled.columns = {name: self._reading[name] for name in self.columns}
        settled.freq, settled.calendar = self._reading["freq"], self._reading["calendar"]
        for back in backs:
            rows = ends_of(panel) - back
            again = copy.copy(settled).fit(rows_before(frame, panel, rows), **fit)
            frames.append(again._told(again._origins(panel, np.arange(len(panel)), rows), frame))
        return joined(frames, panel)

    def save(self, path, card=None, overwrite=False):
        """Write the artefact: `ks.saving.save` of the model, which carries all that is needed to forecast frames.

        Raises:
            InputError: as `ks.saving.save`, and before `fit`.
        """
        from keras_seq import saving

        self._check_fitted()
        saving.save(self.model, path, card, overwrite)

    @classmethod
    def load(cls, path):
        """The forecaster of an artefact that `save` or the command line wrote.

        Raises:
            InputError: where `path` is none, or that of another model.
        """
        from keras_seq import saving

        model = saving.load(path)
        if getattr(model, "forecaster", None) is None:
            raise InputError(f"Folder {str(path)!r} holds a model that is no forecaster: load it by ks.saving.load.")
        return cls.of(model)

    @classmethod
    def of(cls, model):
        """The forecaster that a `ForecastModel` carries, once it was calibrated."""
        arguments, reading, scaler, constants = parts_of(model, _OPTIONS)
        self = cls(model.lookback, model.horizon, **reading, **arguments)
        self.model, self._reading, self._scaler, self._constants = model, reading, scaler, constants
        return self

    def export(self, path, **kwargs):
        """Write a SavedModel that takes values as they are in frames: see `ForecastModel.export`."""
        self._check_fitted()
        self.model.export(path, **kwargs)

    def _read(self, frame):
        """The `Panel` of a frame: read as the frame that was trained on was."""
        from keras_seq.data import read_series

        return read_series(frame, **(self._reading or {**self.columns, "freq": self.freq, "calendar": self.calendar}))

    def _origins(self, panel, series, rows):
        from keras_seq.data.origins import Origins

        return Origins(panel, self.model.sizes, self._scaler, series, rows)

    def _forecasts(self, origins):
        """Forecasts and the ends of intervals, in the unit of the frame: `{column: (N, F)}`."""
        inputs = {name: origins.inputs[name] for name in self.model.input_shapes}
        said, kind = np.asarray(self.model.predict(inputs, verbose=0)), self.model.output_kind
        return columns_of(kind, said, self._constants, self._reading["target"], origins.inverse)

    def _told(self, origins, frame):
        """A frame, in the form of the one given, of forecasts beside what came."""
        truth = origins.inverse(origins.targets)
        columns = {f"{name}-true": truth[..., c] for c, name in enumerate(self._reading["target"])}
        return origins.frame(self._forecasts(origins) | columns, frame.index.name, cutoff=True)

    def _check_fitted(self, calibrated=True):
        if self.model is None or (calibrated and self._constants is None):
            raise InputError("The forecaster has no model yet: call `fit(frame)` first, or `prepare`, and `calibrate`.")

"""`keras-seq train forecast`: from a table of series to an artefact, with a report on a time that it never saw."""

import math
import shutil
from dataclasses import dataclass, field, replace

import keras
import pandas as pd

from keras_seq import callbacks, data, models, saving
from keras_seq.cli.forecast_report import print_report, reported
from keras_seq.cli.held_out import HeldOut
from keras_seq.cli.training import alone_in, check_backend, digest, go_on, refuse, work_folder
from keras_seq.data.borders import rows_before
from keras_seq.data.frames import column
from keras_seq.errors import InputError

VALIDATION_SIZE = 0.15  # of the time before the test part

# What is taken for an option that is not given; for the generated load what did best on its validation part.
DEFAULTS = {
    "time": "ds",
    "horizon": 24,
    "strategy": "segment",
    "encoder": "gru",
    "units": 64,
    "depth": 1,
    "dropout": 0.1,
    "scale": "series",
    "outputs": "quantiles",
    "level": [80, 90],
    "epochs": 20,
    "learning_rate": 3e-3,
}
LOAD = {"target": ["y"], "known": ["temperature"], "units": 48, "segment": 12, "dropout": 0.05, "epochs": 15}
COLUMNS = "time id target past known freq".split()
FORECASTER = "strategy encoder units depth segment dropout scale outputs level".split()
MOST = 672  # steps of a look-back that is not given: a week of quarter hours
SEASONS = {"D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}
DAY = pd.Timedelta(days=1)


@dataclass
class Settings:
    """All that a training depends on. `data` None is the generated load; None besides is chosen by the frequency."""

    data: str | None = None
    columns: dict = field(default_factory=dict)  # arguments of read_series
    lookback: int | None = None
    horizon: int = 24
    season: int | None = None
    forecaster: dict = field(default_factory=dict)  # other arguments of Forecaster
    stride: int = 1
    epochs: int = 20
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 3e-3
    decay: str = "cosine"
    test_size: float = 0.1
    seed: int = 0


def settings_of(options):
    """`Settings` from the options of the command line, None or empty where an option was not given."""
    given = {name: value for name, value in options.items() if value not in (None, [])}
    defaults = dict(DEFAULTS)
    if "data" not in given:
        refuse(given, {*COLUMNS}, "needs --data FILE: the generated load has its own.")
        defaults.update(LOAD)
    if given.get("strategy", "segment") != "segment":
        refuse(given, {"segment"}, "is of --strategy segment: leave it out.")
        defaults.pop("segment", None)
    chosen = {**defaults, **given}
    groups = {
        group: {name: chosen.pop(name) for name in names if name in chosen}
        for group, names in (("columns", COLUMNS), ("forecaster", FORECASTER))
    }
    if groups["forecaster"]["scale"] == "none":
        groups["forecaster"]["scale"] = None
    if "data" in chosen:
        chosen["data"] = str(chosen["data"])
    return Settings(**chosen, **groups)


def train_to_artefact(settings, out, force=False):
    """Train, write the artefact to the folder `out`, and print the report.

    While it trains, all that is needed to go on lies in the folder `out` + `.training`.
    """
    check_backend()
    saving.check_free(out, force)
    settings, held_out = load(settings)
    forecaster, datasets = compose(settings, held_out)
    work = work_folder(out, settings, digest([held_out.frame]))
    with alone_in(work):
        seconds = fit(settings, forecaster.model, datasets, work)
    forecaster.calibrate(datasets["validation"])
    report = reported(forecaster, held_out, settings.season)
    card = {
        "kind": "forecast",
        "data": settings.data or "generated load",
        "split": sizes(held_out, datasets["train"].batches.panel),
        "seed": settings.seed,
        "train_seconds": round(seconds, 1),
        "metrics": report["model"],
        "baselines": {"seasonal_naive": report["seasonal_naive"]},
    }
    forecaster.save(out, card, overwrite=force)
    shutil.rmtree(work)
    print_report(report, held_out, settings.season)
    print(f"Wrote {out} ({seconds:.0f} s of training). Try: keras-seq predict {out} --data recent.csv --plot out.png")


def load(settings):
    """The series, with their last part held out, and the settings that suit them: `(settings, held_out)`."""
    columns = dict(settings.columns)
    if settings.data is None:
        frame = data.load()
    else:
        frame = data.read_frame(settings.data)
        column(frame, columns["time"])
        if columns.get("freq", "").isdecimal():
            columns["freq"] = int(columns["freq"])
    held_out = HeldOut(frame, settings.test_size, **columns)
    panel = held_out.panel
    freq = getattr(panel.grid.freq, "freqstr", panel.grid.freq)
    found = {"target" if kind == "targets" else kind: names for kind, names in panel.columns.items()}
    season = season_of(freq) if settings.season is None else settings.season
    lookback = settings.lookback
    if lookback is None:
        lookback = max(2 * settings.horizon, min(7 * season, MOST) if _within_a_day(freq) else season)
    held_out.cut(settings.horizon, max(lookback, season))
    return replace(settings, columns={**found, "freq": freq}, lookback=lookback, season=season), held_out


def season_of(freq):
    """How many steps the usual season of a frequency has: a day where steps are shorter, a week of days, else a year.

    1 where there is none.
    """
    if not isinstance(freq, str):
        return 1
    if _within_a_day(freq):
        steps = DAY / pd.Timedelta(pd.tseries.frequencies.to_offset(freq))
        return int(steps) if steps.is_integer() else 1
    return SEASONS.get(freq.split("-")[0], 1)


def _within_a_day(freq):
    """Whether steps of this frequency are shorter than a day."""
    offset = pd.tseries.frequencies.to_offset(freq) if isinstance(freq, str) else None
    return isinstance(offset, pd.offsets.Tick) and pd.Timedelta(offset) < DAY


def compose(settings, held_out):
    """The forecaster to train, and its data: `(forecaster, {"train": dataset, "validation": dataset})`."""
    keras.utils.set_random_seed(settings.seed)
    try:
        arguments = {**settings.columns, **settings.forecaster, "learning_rate": settings.learning_rate}
        forecaster = models.Forecaster(settings.lookback, settings.horizon, **arguments)
        how = (settings.batch_size, settings.stride, settings.seed)
        train, validation = forecaster.prepare(held_out.before(), VALIDATION_SIZE, *how)
    except ValueError as error:  # options that do not go together
        raise InputError(str(error)) from error
    held_out.check(train.batches)
    return forecaster, {"train": train, "validation": validation}


def sizes(held_out, panel):
    """Steps of all series in each part; `panel` is what comes before the test part."""
    train = int(rows_before(panel, 1 - VALIDATION_SIZE, "validation", 0).sum())
    before, all_steps = int(panel.lengths.sum()), int(held_out.panel.lengths.sum())
    return {"train": train, "validation": before - train, "test": all_steps - before}


def fit(settings, model, datasets, work):
    """Train a model, or go on with the training in the folder `work`. Returns the seconds that all of it took."""
    ending = callbacks.ResumableEarlyStopping(
        work / "best", monitor="val_loss", patience=settings.patience, restore_best_weights=True
    )
    rates = [] if settings.decay == "none" else [keras.callbacks.LearningRateScheduler(lambda e: rate(settings, e))]
    return go_on(model, datasets, settings, work, ending, *rates, shuffle=False)


def rate(settings, epoch):
    """The learning rate of an epoch, counted from 0, of the cosine that reaches zero after the last."""
    return settings.learning_rate * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2

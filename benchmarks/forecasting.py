"""Forecasting: ETT, M4 Hourly, AirPassengers.

    python benchmarks/forecasting.py ETTh1_96_segments --seeds 3
    python benchmarks/forecasting.py ETTh1_96_nlinear ETTh1_96_dlinear ETTh1_720_nlinear ETTh1_720_dlinear
    python benchmarks/forecasting.py m4_hourly airpassengers --validate   # judged before the test part

Protocols (TARGETS). ETT: rows 0 - 8640 - 11520 - 14400 are train, validation and test (times 4 for ETTm1), z-scores of
the training part, windows of the test part may look back over its border, stride 1, MSE and MAE of scaled values over
all 7 channels: of all windows, and (`whole_batches`) without the last partial batch, as published tables had them. As
there, NLinear and DLinear are trained on whole batches alone: at horizon 720 the last one would be a single window, at
full rate.
M4 Hourly: one global model of the 414 series, sMAPE, MASE (season 24) and OWA on the 48 published steps. AirPassengers:
the last 12 months. Weights of the epoch with the least validation loss are judged; validation is the published part of
ETT, else the last horizon before the test part; `--validate` judges on it. Settings were chosen there, by seed 0.
Intervals of 80 % (M4, AirPassengers) are calibrated on that part as well. `baselines` are recomputed here.

Results are merged into benchmarks/results/forecasting.json, one entry a task and seed; what is there is not run again.
"""

import argparse
import gzip
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import results_file
from forecasting_settings import BORDERS, TASKS, settings_of
from reviews import DATA

import keras_seq as ks

KEYS = ("task", "seed", "judged_on")
baselines = ks.models.baselines


def ett_windows(settings, seed):
    """Datasets of the windows of all parts."""
    train, validation, test = BORDERS[settings["data"]]
    frame = pd.read_csv(DATA / "ett" / f"{settings['data']}.csv.gz", parse_dates=["date"])[:test]
    panel = ks.data.read_series(frame, time="date")
    how = {name: settings[name] for name in ("lookback", "horizon", "batch_size")}
    fitted = ks.data.window_dataset(panel, **how, end=train, scale="series", seed=seed)
    rest = {"scale": fitted.batches.scaler, "shuffle": False, **how}
    return {
        "train": fitted,
        "validation": ks.data.window_dataset(panel, start=train, end=validation, **rest),
        "test": ks.data.window_dataset(panel, start=validation, end=test, **rest),
    }


def ett_model(settings, sizes, steps):
    """The model, whose learning rate falls from epoch to epoch, after some in which it stays."""
    epochs, constant = range(settings["epochs"]), settings.get("constant_epochs", 1)
    rates = [settings["learning_rate"] * settings["decay"] ** max(0, epoch + 1 - constant) for epoch in epochs]
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([steps * epoch for epoch in epochs[1:]], rates)
    if "model" in settings:
        return ks.models.forecasting_model(**sizes, **settings["model"], learning_rate=rate)
    past = keras.Input((sizes["lookback"], sizes["channels"]), name="past")
    # As published: biases start like the kernel.
    bias = keras.initializers.RandomUniform(-(sizes["lookback"] ** -0.5), sizes["lookback"] ** -0.5)
    layer = getattr(ks.layers, settings["layer"])(sizes["horizon"], bias_initializer=bias)
    model = keras.Model([past], layer(past))
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def errors(y_true, y_pred, batch):
    """MSE and MAE of all windows `(N, F, C)`, and of whole batches alone."""

    def both(e):
        return {"mse": float(np.square(e).mean()), "mae": float(np.abs(e).mean())}

    e = y_pred - y_true
    return {**both(e), "whole_batches": both(e[: len(e) // batch * batch]), "windows": len(e)}


def run_ett(settings, seed, part):
    parts = ett_windows(settings, seed)
    batches = parts["train"].batches
    whole = batches.windows // batches.batch_size if settings.get("whole_batches") else len(batches)
    model = ett_model(settings, batches.sizes, whole)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=settings["patience"], restore_best_weights=True)
    started = time.perf_counter()
    how = {"epochs": settings["epochs"], "callbacks": [stop], "verbose": 2, "shuffle": False}
    history = model.fit(parts["train"].take(whole), validation_data=parts["validation"], **how).history
    seconds = time.perf_counter() - started
    batches = list(parts[part].as_numpy_iterator())
    y = np.concatenate([y for _, y in batches])
    last = np.concatenate([inputs["past"][:, -1:] for inputs, _ in batches])
    batch = settings["published_batch"]
    return model, {
        "metrics": errors(y, model.predict(parts[part], verbose=0), batch),
        "baselines": {"repeat_last": errors(y, np.broadcast_to(last, y.shape), batch)},
        "epochs": len(history["loss"]),
        "validation_loss": min(history["val_loss"]),
        "train_seconds": round(seconds, 1),
    }


def m4_frame(part):
    """A long frame of the 414 series; time is counted from the beginning of each."""
    with gzip.open(DATA / "m4" / f"Hourly-{part}.csv.gz", "rt") as file:
        table = pd.read_csv(file, index_col=0)
    frame = table.stack().dropna().rename_axis(["unique_id", "ds"]).rename("y").reset_index()
    return frame.assign(ds=frame["ds"].str[1:].astype(int))  # columns are V2, V3, …


def frames_of(task, horizon, part):
    """What is known, and what came, `(N, F)`."""
    if task == "m4_hourly":
        known, test = m4_frame("train"), m4_frame("test")
        y = test["y"].to_numpy().reshape(-1, horizon)
        if part == "validation":
            ends = known.groupby("unique_id", sort=False).cumcount(ascending=False)
            y, known = known[ends < horizon]["y"].to_numpy().reshape(-1, horizon), known[ends >= horizon]
        return known, y
    frame = pd.read_csv(DATA / "airpassengers" / "AirPassengers.csv")
    frame = pd.DataFrame({"ds": pd.to_datetime(frame["Month"]), "y": frame["#Passengers"]})
    frame = frame if part == "test" else frame[:-horizon]
    return frame[:-horizon], frame["y"].to_numpy()[None, -horizon:]


def scores(y, forecast, history, season):
    naive2 = np.array([baselines.naive2(x, y.shape[1], season) for x in history])
    return {
        "smape": ks.metrics.smape(y, forecast),
        "mase": ks.metrics.mase(y, forecast, history, season),
        "owa": ks.metrics.owa(y, forecast, naive2, history, season),
    }


def run_frames(task, settings, part):
    horizon, season = settings["forecaster"]["horizon"], settings["season"]
    frame, y = frames_of(task, horizon, part)
    forecaster = ks.models.Forecaster(**settings["forecaster"])
    started = time.perf_counter()
    rate = settings["forecaster"]["learning_rate"]
    decay = keras.callbacks.LearningRateScheduler(lambda epoch: rate * settings["decay"] ** epoch)
    forecaster.fit(frame, **settings["fit"], callbacks=[decay], verbose=2)
    seconds = time.perf_counter() - started
    found = forecaster.predict(frame)

    def of(column):
        return found[column].to_numpy().reshape(-1, horizon)

    groups = frame.groupby("unique_id", sort=False) if "unique_id" in frame else [(None, frame)]
    history = [one["y"].to_numpy() for _, one in groups]
    simple = {
        "naive": [baselines.naive(x, horizon) for x in history],
        "seasonal_naive": [baselines.seasonal_naive(x, horizon, season) for x in history],
        "drift": [baselines.drift(x, horizon) for x in history],
    }
    covered = {f"coverage_{one}": ks.metrics.coverage(y, of(f"y-lo-{one}"), of(f"y-hi-{one}")) for one in (80, 90)}
    return forecaster.model, {
        "metrics": {**scores(y, of("y"), history, season), **covered},
        "baselines": {name: scores(y, np.array(one), history, season) for name, one in simple.items()},
        "epochs": len(forecaster.model.history.history["loss"]),
        "validation_loss": min(forecaster.model.history.history["val_loss"]),
        "train_seconds": round(seconds, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--validate", action="store_true", help="judge on the validation part, not on the test part")
    arguments = parser.parse_args()
    part = "validation" if arguments.validate else "test"
    for task in arguments.tasks:
        settings = settings_of(task)
        for seed in range(arguments.seeds):
            entry = {"task": task, "seed": seed, "judged_on": part, "settings": settings}
            if any(entry.items() <= done.items() for done in results_file.read("forecasting")):
                continue
            keras.utils.set_random_seed(seed)
            run = run_ett(settings, seed, part) if "data" in settings else run_frames(task, settings, part)
            model, result = run
            told = {"parameters": model.count_params(), "versions": ks.saving.versions()}
            results_file.merge("forecasting", {**entry, **result, **told}, KEYS, __doc__)
            print(json.dumps({**entry, **result}))


if __name__ == "__main__":
    main()

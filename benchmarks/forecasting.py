"""Forecasting: ETT, M4 Hourly and AirPassengers.

python benchmarks/forecasting.py ETTh1_96_segments --seeds 3
python benchmarks/forecasting.py ETTh1_96_nlinear ETTh1_96_dlinear
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import results_file
from forecasting_settings import BORDERS, settings_of
from reviews import DATA

import keras_seq as ks

KEYS = ("task", "seed", "judged_on")


def windows(settings):
    """Datasets of the windows of all parts."""
    train, validation, test = BORDERS[settings["data"]]
    frame = pd.read_csv(DATA / "ett" / f"{settings['data']}.csv.gz", parse_dates=["date"])[:test]
    panel = ks.data.read_series(frame, time="date")
    how = (settings["lookback"], settings["horizon"])
    of = {"batch_size": settings["batch_size"]}
    fitted = ks.data.window_dataset(panel, *how, end=train, scale="series", seed=settings["seed"], **of)
    rest = {"scale": fitted.batches.scaler, "shuffle": False, **of}
    return {
        "train": fitted,
        "validation": ks.data.window_dataset(panel, *how, start=train, end=validation, **rest),
        "test": ks.data.window_dataset(panel, *how, start=validation, end=test, **rest),
    }


def model_of(settings, sizes, steps):
    decay = keras.optimizers.schedules.ExponentialDecay(settings["learning_rate"], steps, settings["decay"], True)
    if "model" in settings:
        return ks.models.forecasting_model(**sizes, **settings["model"], learning_rate=decay)
    past = keras.Input((sizes["lookback"], sizes["channels"]), name="past")
    layer = getattr(ks.layers, settings["layer"])
    model = keras.Model([past], layer(sizes["horizon"])(past))
    model.compile(keras.optimizers.Adam(decay), "mse")
    return model


def errors(model, dataset, batch):
    """MSE and MAE over all windows, and over whole batches alone, as published tables had them."""
    y = np.concatenate([y for _, y in dataset.as_numpy_iterator()])
    e = model.predict(dataset, verbose=0) - y
    whole = e[: len(e) // batch * batch]
    return {
        "mse": float(np.square(e).mean()),
        "mae": float(np.abs(e).mean()),
        "whole_batches": {"mse": float(np.square(whole).mean()), "mae": float(np.abs(whole).mean())},
        "windows": len(e),
    }


def run(settings, part):
    keras.utils.set_random_seed(settings["seed"])
    parts = windows(settings)
    model = model_of(settings, parts["train"].batches.sizes, len(parts["train"]))
    stop = keras.callbacks.EarlyStopping("val_loss", patience=settings["patience"], restore_best_weights=True)
    started = time.perf_counter()
    how = {"epochs": settings["epochs"], "callbacks": [stop], "verbose": 2}
    history = model.fit(parts["train"], validation_data=parts["validation"], **how).history
    seconds = time.perf_counter() - started
    return {
        "metrics": errors(model, parts[part], settings["published_batch"]),
        "epochs": len(history["loss"]),
        "best_validation_loss": min(history["val_loss"]),
        "parameters": model.count_params(),
        "train_seconds": round(seconds, 1),
        "settings": settings,
        "versions": ks.saving.versions(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--validate", action="store_true")
    arguments = parser.parse_args()
    part = "validation" if arguments.validate else "test"
    for task in arguments.tasks:
        for seed in range(arguments.seeds):
            entry = {"task": task, "seed": seed, "judged_on": part}
            result = {**entry, **run({**settings_of(task), "seed": seed}, part)}
            results_file.merge("forecasting", result, KEYS, __doc__)
            print(json.dumps({**entry, **{k: result[k] for k in ("metrics", "train_seconds", "epochs")}}))


if __name__ == "__main__":
    main()

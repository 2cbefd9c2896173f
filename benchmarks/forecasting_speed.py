"""How fast a segment model trains, and how fast windows come.

    python benchmarks/forecasting_speed.py      # writes benchmarks/results/forecasting_speed.json

In turns, medians: a training step (`train_on_batch`) of the model of `ETTh1_96_segments` and of the same network in
stock `keras.layers`, on the same batch with the same weights (first, whether both say the same); and a batch of windows
from `ks.data.window_dataset` on that data. Then 10,000 series of 1,000 steps: windows in a second, and how far memory
rises above the series themselves, in an epoch's first 500 batches.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import results_file
from forecasting import ett_windows
from forecasting_settings import settings_of
from keras import ops
from stopwatch import added_megabytes, in_turns

import keras_seq as ks

SERIES, STEPS = 10_000, 1_000


class Stock(keras.Model):
    """SegRNN, as one would write it in Keras."""

    def __init__(self, lookback, horizon, channels, units, segment, dropout):
        super().__init__()
        self.shape = lookback, horizon, channels, units, segment
        self.entry, self.head = keras.layers.Dense(units, "relu"), keras.layers.Dense(segment)
        self.gru, self.drop = keras.layers.GRU(units, return_state=True), keras.layers.Dropout(dropout)
        self.places = self.add_weight((horizon // segment, units - units // 2), name="places")
        self.channels = self.add_weight((channels, units // 2), name="channels")

    def call(self, x, training=False):
        lookback, horizon, channels, units, segment = self.shape
        count = horizon // segment
        last = x[:, -1:]
        z = ops.reshape(ops.transpose(x - last, (0, 2, 1)), (-1, lookback // segment, segment))
        state = self.gru(self.entry(z), training=training)[1]
        places = ops.broadcast_to(self.places, (channels, count, units - units // 2))
        of_channels = ops.broadcast_to(self.channels[:, None], (channels, count, units // 2))
        queries = ops.reshape(ops.concatenate([places, of_channels], -1), (-1, 1, units))
        queries = ops.tile(queries, (ops.shape(x)[0], 1, 1))
        h = self.gru(queries, initial_state=ops.repeat(state, count, axis=0), training=training)[0]
        y = ops.reshape(self.head(self.drop(h, training=training)), (-1, channels, horizon))
        return ops.transpose(y, (0, 2, 1)) + last


def both(settings, sizes):
    """Our model and the stock one, compiled alike, with the same weights."""
    ours = ks.models.forecasting_model(**sizes, **settings["model"])
    names = ("units", "segment", "dropout")
    stock = Stock(sizes["lookback"], sizes["horizon"], sizes["channels"], *(settings["model"][name] for name in names))
    stock(np.zeros((1, sizes["lookback"], sizes["channels"]), "float32"))
    rest = list(ours.weights)
    for weight in stock.weights:  # those of one shape, the kernels of the GRU, come in the same order
        weight.assign(rest.pop(next(i for i, one in enumerate(rest) if one.shape == weight.shape)))
    if rest:
        raise SystemExit(f"The stock network lacks {[one.path for one in rest]}.")
    stock.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "mae", weighted_metrics=["mse", "mae"])
    return ours, stock


def many_series():
    """Windows in a second, and megabytes, of 10,000 series."""
    values = np.random.default_rng(0).normal(size=SERIES * STEPS).astype("float32")
    ids, steps = np.repeat(np.arange(SERIES), STEPS), np.tile(np.arange(STEPS), SERIES)
    panel = ks.data.read_series(pd.DataFrame({"unique_id": ids, "ds": steps, "y": values}))
    found = {}

    def read():
        dataset = ks.data.window_dataset(panel, 96, 24, scale="window", batch_size=256)
        iterator, started = iter(dataset), time.perf_counter()
        for _ in range(500):
            next(iterator)
        found["windows_per_second"] = round(500 * 256 / (time.perf_counter() - started))
        found["windows"] = dataset.batches.windows

    megabytes = added_megabytes(read, calls=1)
    return {**found, "series_megabytes": round(panel.targets.nbytes / 2**20, 1), "added_megabytes": megabytes}


def main():
    settings = settings_of("ETTh1_96_segments")
    train = ett_windows(settings, 0)["train"]
    sizes = train.batches.sizes
    keras.utils.set_random_seed(0)
    ours, stock = both(settings, sizes)
    inputs, y = next(iter(train))
    difference = float(np.abs(ours.predict_on_batch(inputs) - stock.predict_on_batch(inputs["past"])).max())
    if difference > 1e-4:
        raise SystemExit(f"The networks differ by {difference}.")
    batches = iter(train.repeat())
    turns = {
        "keras_seq": lambda: ours.train_on_batch(inputs, y),
        "keras.layers": lambda: stock.train_on_batch(inputs["past"], y),
        "windows": lambda: next(batches),
    }
    for turn in turns.values():
        turn()
    milliseconds = in_turns(turns, 20)
    entry = {
        "task": "ETTh1_96_segments",
        "batch_size": settings["batch_size"],
        "milliseconds": milliseconds,
        "difference": difference,
        "many_series": many_series(),
        "versions": ks.saving.versions(),
    }
    results_file.merge("forecasting_speed", entry, ["task"], __doc__)
    print(entry)


if __name__ == "__main__":
    main()

"""Which layer? Ten of them on three tasks, with as many weights and as many steps of training.

    python benchmarks/choose.py                                  # all trainings that are missing, seeds 0 and 1
    python benchmarks/choose.py --costs                          # time and memory; on a machine that does nothing else
    python benchmarks/choose.py --tasks adding --layers GRU LSTM --seeds 2
    python benchmarks/choose.py --smoke                          # a few steps, printed and not written

Tasks. `sentiment`: the sentences of MR, nine in ten to learn from, the rest is the test (the same for all seeds); words
that occur three times or more, 32 numbers a word; accuracy. `forecasting`: the oil temperature of ETTh1, 96 hours to
the next 24, months 1 to 12 to learn from and 17 to 20 to test, scaled by the first; what is read, and said, are
differences to the last value; mean absolute error, beside that of the same hours of the day before. `adding`: 100
steps, the sum of the two numbers that are marked, four passes over 32,000 rows, the same for all seeds; mean squared
error of 5,000 others, beside that of always saying 1.

Layers read 32 numbers a step (words, or a dense layer over what is given) and give their last output (the transformer
the mean of all); a dense layer answers. `units` is chosen so that a layer has as near as may be 25,000 weights. All are
trained by Adam, rate 0.002 falling along a cosine to zero, clipnorm 1, without dropout, and judged at the end: nothing
was tuned for any of them. NTM and DNC are compiled whole (`jit_compile=True`), as is advised for them. Each training is
made by a process of its own; `train_seconds` include tracing and compilation.

Costs (layer by layer, on rows of the adding task): `train_milliseconds` and `predict_milliseconds` of a batch of 64,
wall and CPU, all layers in one process, in turns; `kilobytes_a_row`: by how much the memory of a process that trains on
1,024 rows at a time peaks above that of one that trains on 128, per row, so that what does not grow with them drops
out.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import results_file

WEIGHTS, FEATURES, RATE = 25_000, 32, 0.002
KEYS = ("task", "layer", "seed")
LAYERS = """SimpleRNN ClockworkRNN GRU LayerNormGRU LSTM PeepholeLSTM LayerNormLSTM NTM DNC Transformer""".split()
TASKS = {
    "sentiment": {"batch": 64, "updates": 900},
    "forecasting": {"batch": 64, "updates": 1_200},
    "adding": {"batch": 64, "updates": 2_000},
}
BORDERS = 12 * 30 * 24, 16 * 30 * 24, 20 * 30 * 24  # rows of ETTh1: training, validation (not used), test
LOOKBACK, HORIZON = 96, 24


def layer_of(name, units):
    """A layer from `(B, T, 32)` to `(B, H)`."""
    import keras

    import keras_seq as ks

    if name == "Transformer":
        inputs = keras.Input((None, FEATURES))
        x = ks.layers.SinusoidalPositions()(keras.layers.Dense(units)(inputs))
        x = ks.layers.TransformerBlock(units, num_heads=4, norm_first=True)(x)
        return keras.Model(inputs, ks.layers.SequencePooling("mean")(x))
    if name in ("NTM", "DNC"):
        return getattr(ks.layers, name)(units, slots=32, slot_width=16, controller_units=units)
    if name == "ClockworkRNN":
        return ks.layers.ClockworkRNN(units, periods=[1, 2, 4, 8])
    return getattr(ks.layers, name)(units)


def sized(name):
    """The layer whose weights are nearest to their number, and that number."""

    def weights(units):
        layer = layer_of(name, units)
        layer.build((None, None, FEATURES))
        return sum(math.prod(w.shape) for w in layer.trainable_weights)

    by = 4 if name in ("Transformer", "ClockworkRNN") else 1
    low, high = by, 256
    while high - low > by:  # they grow with the units
        middle = (low + high) // 2 // by * by
        low, high = (middle, high) if weights(middle) <= WEIGHTS else (low, middle)
    units = min((low, high), key=lambda one: abs(weights(one) - WEIGHTS))
    return layer_of(name, units), units, weights(units)


def sentiment():
    """`(train x, y, test x, y)` of ids `(N, T)`, padded by 0, and how to make a model."""
    import keras
    from reviews import mr_frame

    import keras_seq as ks

    train, test = ks.data.split(mr_frame(), 0.1, stratify="label", seed=0)
    vectorizer = ks.data.text_vectorizer(train["text"], min_count=3, max_length=64)
    words = len(vectorizer.get_vocabulary())

    def arrays(frame):
        ids = keras.ops.convert_to_numpy(vectorizer(frame["text"].tolist()))
        return ids, (frame["label"] == "positive").to_numpy("float32")[:, None]

    def model_of(layer):
        inputs = keras.Input((None,), dtype="int32")
        x = layer(keras.layers.Embedding(words, FEATURES, mask_zero=True)(inputs))
        return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))

    return arrays(train), arrays(test), model_of, "binary_crossentropy"


def forecasting():
    import keras
    import numpy as np
    import pandas as pd
    from reviews import DATA

    y = pd.read_csv(DATA / "ett" / "ETTh1.csv.gz")["OT"].to_numpy("float32")
    y = (y - y[: BORDERS[0]].mean()) / y[: BORDERS[0]].std()

    def arrays(first, last):
        windows = np.lib.stride_tricks.sliding_window_view(y[first:last], LOOKBACK + HORIZON)
        return windows[:, :LOOKBACK, None].copy(), windows[:, LOOKBACK:].copy()

    def model_of(layer):
        inputs = keras.Input((None, 1))
        last = inputs[:, -1]  # forecasts are differences to the last value
        x = keras.layers.Dense(HORIZON)(layer(keras.layers.Dense(FEATURES)(inputs - last[:, None])))
        return keras.Model(inputs, x + last)

    return arrays(0, BORDERS[0]), arrays(BORDERS[1] - LOOKBACK, BORDERS[2]), model_of, "mae"


def adding():
    import keras

    import keras_seq as ks

    def model_of(layer):
        inputs = keras.Input((None, 2))
        return keras.Model(inputs, keras.layers.Dense(1)(layer(keras.layers.Dense(FEATURES)(inputs))))

    rows = TASKS["adding"]["batch"] * 500
    return ks.data.tasks.adding(rows, 100), ks.data.tasks.adding(5_000, 100, seed=1), model_of, "mse"


LOADERS = {load.__name__: load for load in (sentiment, forecasting, adding)}


def quality(task, said, x, y):
    """What a model reaches on the test rows, and the simplest answer."""
    import numpy as np

    if task == "sentiment":
        return {"accuracy": float(((said > 0.5) == y).mean())}, {"majority": float(max(y.mean(), 1 - y.mean()))}
    if task == "forecasting":
        return {"mae": float(np.abs(said - y).mean())}, {"day_before": float(np.abs(x[:, -HORIZON:, 0] - y).mean())}
    return {"mse": float(np.square(said - y).mean())}, {"always_1": float(np.square(y - 1).mean())}


def compiled(task, name, seed, updates):
    """A model, what it learns from, what it is judged by, and the layer's units and number of weights."""
    import keras

    keras.utils.set_random_seed(seed)
    train, test, model_of, loss = LOADERS[task]()
    layer, units, weights = sized(name)
    model = model_of(layer)
    adam = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, updates), clipnorm=1.0)
    model.compile(adam, loss, jit_compile=True if name in ("NTM", "DNC") else "auto")
    return model, train, test, units, weights


def trained(task, name, seed, updates):
    """The entry of one training, in this process."""
    import numpy as np

    import keras_seq as ks

    batch = TASKS[task]["batch"]
    model, (x, y), (test_x, test_y), units, weights = compiled(task, name, seed, updates)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(len(x)) for _ in range(-(-updates * batch // len(x)))])[: updates * batch]
    started, spent = time.perf_counter(), time.process_time()
    model.fit(x[rows], y[rows], batch_size=batch, epochs=1, shuffle=False, verbose=0)
    seconds = {"wall": round(time.perf_counter() - started, 1), "cpu": round(time.process_time() - spent, 1)}
    metrics, baselines = quality(task, model.predict(test_x, batch_size=256, verbose=0), test_x, test_y)
    return {
        "task": task,
        "layer": name,
        "seed": seed,
        "settings": {**TASKS[task], "updates": updates, "units": units},
        "layer_weights": weights,
        "metrics": metrics,
        "baselines": baselines,
        "train_seconds": seconds,
        "cores": os.cpu_count(),
        "versions": ks.saving.versions(),
    }


def times(names):
    """Milliseconds of a batch of the adding task, of all layers in turns, in this process."""
    from stopwatch import in_turns

    calls = {}
    for name in names:
        model, (x, y), *_ = compiled("adding", name, 0, updates=1_000)
        x, y = x[: TASKS["adding"]["batch"]], y[: TASKS["adding"]["batch"]]
        calls["train", name] = lambda model=model, x=x, y=y: model.train_on_batch(x, y)
        calls["predict", name] = lambda model=model, x=x: model.predict_on_batch(x)
    for _ in range(2):  # the first call traces, and compiles
        for call in calls.values():
            call()
    measured = in_turns(calls, seconds=4)
    return {name: {f"{kind}_milliseconds": measured[kind, name] for kind in ("train", "predict")} for name in names}


def peak(name, batch):
    """Megabytes that this process holds at most in a step of training, once all is traced and compiled."""
    from stopwatch import give_back_free_memory, peak_megabytes

    model, (x, y), *_ = compiled("adding", name, 0, updates=1_000)
    x, y = x[:batch].copy(), y[:batch].copy()
    for _ in range(3):
        model.train_on_batch(x, y)
    give_back_free_memory()
    return peak_megabytes(lambda: model.train_on_batch(x, y), calls=5)


STEPS = {step.__name__: step for step in (trained, times, peak)}


def in_a_process(step, *arguments):
    """What a step gives, in a fresh process."""
    command = [sys.executable, Path(__file__), "--one", step.__name__, json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def train_all(arguments):
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for name in arguments.layers:
                updates = 5 if arguments.smoke else TASKS[task]["updates"]
                entry = {"task": task, "layer": name, "seed": seed}
                if not arguments.smoke and any(entry.items() <= done.items() for done in results_file.read("choose")):
                    continue
                entry = in_a_process(trained, task, name, seed, updates)
                if not arguments.smoke:
                    results_file.merge("choose", entry, KEYS, __doc__)
                print(json.dumps(entry), flush=True)


def weigh_all(arguments):
    import keras_seq as ks

    costs = in_a_process(times, arguments.layers)
    for name in arguments.layers:
        few, many = 128, 1_024
        added = (in_a_process(peak, name, many) - in_a_process(peak, name, few)) / (many - few)
        entry = {"task": "costs", "layer": name, "seed": 0, **costs[name], "kilobytes_a_row": round(1024 * added)}
        entry |= {"cores": os.cpu_count(), "versions": ks.saving.versions()}
        if not arguments.smoke:
            results_file.merge("choose", entry, KEYS, __doc__)
        print(json.dumps(entry), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("STEP", "ARGUMENTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(STEPS[arguments.one[0]](*json.loads(arguments.one[1]))))
    elif arguments.costs:
        weigh_all(arguments)
    else:
        train_all(arguments)


if __name__ == "__main__":
    main()

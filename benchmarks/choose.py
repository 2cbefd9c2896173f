"""Which layer? Ten of them on three tasks, with as many weights and as many steps of training.

    python benchmarks/choose.py                                  # all that is missing, seeds 0 and 1
    python benchmarks/choose.py --tasks adding --layers GRU LSTM --seeds 2
    python benchmarks/choose.py --smoke                          # a few steps, printed and not written

Tasks. `sentiment`: the sentences of MR, nine in ten to learn from, the rest is the test (the same for all seeds); words
of which three sentences have one, 32 numbers a word; accuracy. `forecasting`: the oil temperature of ETTh1, 96 hours to
the next 24, months 1 to 12 to learn from and 17 to 20 to test, scaled by the first; mean absolute error, beside that of
the same hours of the day before. `adding`: 100 steps, the sum of the two numbers that are marked; mean squared error,
beside that of always saying 1.

Layers read 32 numbers a step (words, or a dense layer over what is given) and give their last output (the transformer
the mean of all); a dense layer answers. `units` is chosen so that a layer has as near as may be 25,000 weights. All are
trained by Adam, rate 0.002 falling along a cosine to zero, clipnorm 1, without dropout, and judged at the end: nothing
was tuned for any of them. `step_milliseconds`: a step of training after it, median over turns, wall and CPU;
`peak_megabytes`: what steps add to the resident memory of a process that gave back what was free. Each entry is made by
a process of its own.
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
LAYERS = """SimpleRNN LSTM PeepholeLSTM LayerNormLSTM GRU LayerNormGRU ClockworkRNN NTM DNC Transformer""".split()
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


def quality(task, said, x, y):
    """What a model reaches on the test rows, and the simplest answer."""
    import numpy as np

    if task == "sentiment":
        return {"accuracy": float(((said > 0.5) == y).mean())}, {"majority": float(max(y.mean(), 1 - y.mean()))}
    if task == "forecasting":
        return {"mae": float(np.abs(said - y).mean())}, {"day_before": float(np.abs(x[:, -HORIZON:, 0] - y).mean())}
    return {"mse": float(np.square(said - y).mean())}, {"always_1": float(np.square(y - 1).mean())}


def trained(task, name, seed, updates=None):
    """The entry of one training, in this process."""
    import keras
    import numpy as np
    from stopwatch import added_megabytes, give_back_free_memory, in_turns

    import keras_seq as ks

    keras.utils.set_random_seed(seed)
    batch, updates = TASKS[task]["batch"], updates or TASKS[task]["updates"]
    (x, y), (test_x, test_y), model_of, loss = globals()[task]()
    layer, units, weights = sized(name)
    model = model_of(layer)
    rate = keras.optimizers.schedules.CosineDecay(RATE, updates)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss)
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(len(x)) for _ in range(-(-updates * batch // len(x)))])[: updates * batch]
    started = time.perf_counter()
    model.fit(x[rows], y[rows], batch_size=batch, epochs=1, shuffle=False, verbose=0)
    seconds = time.perf_counter() - started
    metrics, baselines = quality(task, model.predict(test_x, batch_size=256, verbose=0), test_x, test_y)
    step = {"step": lambda: model.train_on_batch(x[:batch], y[:batch])}
    step["step"]()
    milliseconds = in_turns(step, seconds=3)["step"]
    give_back_free_memory()
    return {
        "task": task,
        "layer": name,
        "seed": seed,
        "settings": {**TASKS[task], "updates": updates, "units": units},
        "layer_weights": weights,
        "metrics": metrics,
        "baselines": baselines,
        "train_seconds": round(seconds, 1),
        "step_milliseconds": milliseconds,
        "peak_megabytes": added_megabytes(step["step"], calls=10),
        "cores": os.cpu_count(),
        "versions": ks.saving.versions(),
    }


def in_a_process(task, name, seed, smoke):
    command = [sys.executable, Path(__file__), "--one", task, name, str(seed), *(["--smoke"] if smoke else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("TASK", "LAYER", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        task, name, seed = arguments.one
        print(json.dumps(trained(task, name, int(seed), updates=5 if arguments.smoke else None)))
        return
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for name in arguments.layers:
                entry = {"task": task, "layer": name, "seed": seed}
                if not arguments.smoke and any(entry.items() <= done.items() for done in results_file.read("choose")):
                    continue
                entry = in_a_process(task, name, seed, arguments.smoke)
                if not arguments.smoke:
                    results_file.merge("choose", entry, KEYS, __doc__)
                print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    main()

"""What `ks.diagnostics.gradient_flow` costs, in training steps of the same model on the same batch.

    python benchmarks/gradient_flow.py             # writes benchmarks/results/gradient_flow.json
    python benchmarks/gradient_flow.py --quick     # one small model, printed and not written
    KERAS_BACKEND=jax python benchmarks/gradient_flow.py

Models: recurrent layers of H units and a Dense layer, inputs (B, T, D), float32, trained by `train_on_batch` with Adam
as `fit` would run it (kernels where the chooser takes them). A measurement is the loss and its gradient with respect to
all states at all steps, brought to NumPy as norms. Both take turns in one process; medians over the turns. What is
traced and compiled once is given apart, in seconds: a call of `gradient_flow` does that each time.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
from stopwatch import first_call, in_turns

import keras_seq as ks
from keras_seq.diagnostics.flow import curves_of
from keras_seq.diagnostics.state_gradients import StateGradients

L = ks.layers
MODELS = {
    "SimpleRNN": lambda units: [L.SimpleRNN(units)],
    "LSTM": lambda units: [L.LSTM(units)],
    "GRU": lambda units: [L.GRU(units)],
    "bidirectional LSTM, then GRU": lambda units: [
        L.Bidirectional(L.LSTM(units, return_sequences=True)),
        L.GRU(units),
    ],
    "LSTM of keras.layers": lambda units: [keras.layers.LSTM(units)],
}
SHAPES = [(32, 100, 32, 64), (64, 200, 64, 128), (16, 500, 32, 64)]
QUICK = [(8, 30, 8, 16)]


def measure(name, shape, seconds):
    rows, steps, features, units = shape
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((steps, features)), *MODELS[name](units), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, steps, features)).astype("float32"), rng.normal(size=(rows, 1)).astype("float32")
    measured = StateGradients(model, (x, y, None))

    def flow():
        return [curves_of(call, call.layer.name) for call in measured((x, y, None))[1]]

    ways = {"training": lambda: model.train_on_batch(x, y), "gradient_flow": flow}
    firsts = {way: first_call(function) for way, function in ways.items()}
    return {
        "model": name,
        "shape": list(shape),
        "backend": keras.backend.backend(),
        "seed": 0,
        "milliseconds": in_turns(ways, seconds),
        "first_call_seconds": firsts,
        "versions": ks.saving.versions(),
        "cores": os.cpu_count(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small shape, printed and not written")
    quick = parser.parse_args().quick
    for shape in QUICK if quick else SHAPES:
        for name in MODELS:
            entry = measure(name, shape, 0.3 if quick else 3.0)
            spent = {way: one["wall"] for way, one in entry["milliseconds"].items()}
            print(
                json.dumps({"model": name, "shape": shape, **spent, "first": entry["first_call_seconds"]}), flush=True
            )
            if not quick:
                results_file.merge("gradient_flow", entry, ("model", "shape", "backend"), __doc__)
            keras.backend.clear_session()


if __name__ == "__main__":
    main()

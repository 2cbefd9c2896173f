"""Does the gradient before training say what can be learnt? Copy memory over 100 steps, by six configurations.

    python benchmarks/copy_memory.py                     # all that is missing, into benchmarks/results/copy_memory.json
    python benchmarks/copy_memory.py --only "GRU" --seed 1
    python benchmarks/copy_memory.py --smoke             # a few steps of a short task, printed and not written

The configurations were named before any of them was run. Task: `ks.data.tasks.copy_memory`, 10 of 8 symbols, a lag of
100, so that a symbol is said 110 steps after it was read, in rows of 120. Model: one-hot inputs, one layer of 128
units, a softmax at each step. Prediction, before training, on 64 rows: `ks.diagnostics.gradient_flow` of the loss
through the last step alone (`from_last`); of the layer's states the longest memory counts, and "learns" is predicted
where it is at least those 110 steps. Outcome: Adam, rate 0.001, clipnorm 1, 5,000 batches of 64 new rows; it is learnt
where the loss on 1,000 held-out rows, looked at every 250 batches, falls below a tenth of that of a model that
remembers nothing. The training ends there.
"""

import argparse
import json
import math
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file

import keras_seq as ks

L = ks.layers
LAG, LENGTH, SYMBOLS, UNITS, ROWS = 100, 10, 8, 128, 64
BATCHES, AT_A_TIME, HELD_OUT = 5_000, 250, 1_000
SMOKE = {"lag": 10, "batches": 20, "at_a_time": 10}


def lstm(lag, **arguments):
    return L.LSTM(UNITS, return_sequences=True, **arguments)


def simple_rnn(lag, start):
    return L.SimpleRNN(UNITS, recurrent_initializer=start, return_sequences=True)


CONFIGURATIONS = {
    "SimpleRNN, Glorot": lambda lag: simple_rnn(lag, "glorot_uniform"),
    "SimpleRNN, orthogonal": lambda lag: simple_rnn(lag, "orthogonal"),
    "LSTM, forget bias 0": lambda lag: lstm(lag, unit_forget_bias=False),
    "LSTM, forget bias 1": lambda lag: lstm(lag),
    "LSTM, chrono": lambda lag: lstm(
        lag, unit_forget_bias=False, bias_initializer=ks.initializers.Chrono(lag + LENGTH, cell="lstm")
    ),
    "GRU": lambda lag: L.GRU(UNITS, return_sequences=True),
}


def rows(count, lag, seed):
    """One-hot inputs `(count, T, 10)` and targets `(count, T)`."""
    x, y = ks.data.tasks.copy_memory(count, lag, symbols=SYMBOLS, length=LENGTH, seed=seed)
    return np.eye(SYMBOLS + 2, dtype="float32")[x], y


def predicted(model, lag, seed):
    """What the gradient says before training."""
    summary = ks.diagnostics.gradient_flow(model, *rows(ROWS, lag, seed), from_last=True).summary
    longest = summary.loc[summary["memory"].idxmax()]
    return {
        "state": longest["state"],
        "verdict": longest["verdict"],
        "memory": int(longest["memory"]),
        "at_least": bool(longest["at_least"]),
        "gamma": float(longest["gamma"]) if math.isfinite(longest["gamma"]) else None,
        "learns": int(longest["memory"]) >= lag + LENGTH,
    }


def run(name, seed, lag=LAG, batches=BATCHES, at_a_time=AT_A_TIME):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((lag + 2 * LENGTH, SYMBOLS + 2))
    model = keras.Model(inputs, keras.layers.Dense(SYMBOLS + 1)(CONFIGURATIONS[name](lag)(inputs)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), loss)
    baseline = LENGTH * math.log(SYMBOLS) / (lag + 2 * LENGTH)
    prediction, held_out = predicted(model, lag, 10**6 * seed), rows(HELD_OUT, lag, 10**6 * seed + 1)
    started, losses = time.perf_counter(), []
    for done in range(0, batches, at_a_time):
        model.fit(*rows(ROWS * at_a_time, lag, 10**6 * seed + 2 + done), batch_size=ROWS, verbose=0)
        losses.append(float(model.evaluate(*held_out, batch_size=250, verbose=0)))
        print(
            f"{name}, seed {seed}, {done + at_a_time} batches: {losses[-1] / baseline:.3f} of the baseline", flush=True
        )
        if losses[-1] < 0.1 * baseline or math.isnan(losses[-1]):
            break
    return {
        "configuration": name,
        "seed": seed,
        "lag": lag,
        "prediction": prediction,
        "baseline": baseline,
        "losses": [value if math.isfinite(value) else None for value in losses],
        "batches": len(losses) * at_a_time,
        "learnt": losses[-1] < 0.1 * baseline,
        "parameters": model.count_params(),
        "train_seconds": round(time.perf_counter() - started, 1),
        "versions": ks.saving.versions(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CONFIGURATIONS, help="one configuration; by default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="a few steps of a short task, printed and not written")
    arguments = parser.parse_args()
    there = {(entry["configuration"], entry["seed"]) for entry in results_file.read("copy_memory")}
    for name in [arguments.only] if arguments.only else CONFIGURATIONS:
        if arguments.smoke:
            print(json.dumps(run(name, arguments.seed, **SMOKE)), flush=True)
        elif (name, arguments.seed) not in there:
            results_file.merge("copy_memory", run(name, arguments.seed), ("configuration", "seed"), __doc__)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()

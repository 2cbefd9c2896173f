"""How the recurrent kernel of a SimpleRNN should start: powers of it, the gradient's way back, and what is learnt.

    python benchmarks/starts.py                          # all that is missing, into benchmarks/results/starts.json
    python benchmarks/starts.py --only "orthogonal" --seed 1
    python benchmarks/starts.py --smoke                  # a few steps of a short task, printed and not written

Task: `ks.data.tasks.adding`, T = 100; whoever always says 1 has a mean squared error of 1/6. Model: SimpleRNN, 128
units, tanh, and one linear unit that reads its last output; the kernel of the inputs starts as Keras has it. The starts
of the recurrent kernel U were named before any was run: Glorot uniform, orthogonal, and gain 0.9 and 1.1 times
orthogonal, and gain 0.9, 1.0 and 1.1 times the identity. `orthogonal` alone is the one with gain 1.0.

Before training and after it: `radius`, the largest absolute eigenvalue of U; `powers`, the largest singular value of
U^1, U^10 and U^100, what a linear network would do to a gradient at most; `ks.diagnostics.gradient_flow` on 64 rows,
whose gamma is the decay per step, and memory the steps back for which the gradient is above 1 % of its largest.
Training: Adam, rate 0.001, clipnorm 1, 1,200 batches of 64 new rows, whatever comes of it; then the MSE of 1,000 rows
that no training has seen, beside that of always saying 1 there. Gradients that are zero, or no numbers, stand as null.
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

STEPS, UNITS, ROWS, BATCHES, HELD_OUT, SEEDS = 100, 128, 64, 1_200, 1_000, 3
POWERS = (1, 10, 100)
SMOKE = {"steps": 11, "batches": 5}


def orthogonal(gain, seed):
    return keras.initializers.Orthogonal(gain=gain, seed=seed)


def identity(gain, seed):
    return keras.initializers.Identity(gain=gain)


STARTS = {
    "Glorot uniform": lambda seed: keras.initializers.GlorotUniform(seed=seed),
    "orthogonal": lambda seed: orthogonal(1.0, seed),
    "orthogonal, gain 0.9": lambda seed: orthogonal(0.9, seed),
    "orthogonal, gain 1.1": lambda seed: orthogonal(1.1, seed),
    "identity": lambda seed: identity(1.0, seed),
    "identity, gain 0.9": lambda seed: identity(0.9, seed),
    "identity, gain 1.1": lambda seed: identity(1.1, seed),
}


def finite(value):
    return float(value) if math.isfinite(value) else None


def looked_at(model, x, y):
    """What the recurrent kernel does, and how far the gradient comes, on one batch."""
    layer = model.layers[0]
    kernel = np.asarray(layer.get_weights()[1], "float64")
    found = {
        "radius": ks.diagnostics.spectral_radius(layer)["h"],
        "powers": {n: finite(np.linalg.norm(np.linalg.matrix_power(kernel, n), ord=2)) for n in POWERS},
    }
    (curve,) = ks.diagnostics.gradient_flow(model, x, y).curves
    decay = curve.decay
    return found | {
        "gamma": finite(decay.gamma),
        "memory": decay.memory,
        "at_least": decay.at_least,
        "verdict": decay.verdict,
    }


def run(name, seed, steps=STEPS, batches=BATCHES):
    keras.utils.set_random_seed(seed)
    layer = ks.layers.SimpleRNN(UNITS, recurrent_initializer=STARTS[name](seed))
    model = keras.Sequential([keras.Input((steps, 2)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "mse")
    counts = (ROWS, HELD_OUT, ROWS * batches)
    batch, unseen, seen = (ks.data.tasks.adding(n, steps, seed=10**6 * seed + i) for i, n in enumerate(counts))
    before = looked_at(model, *batch)
    started = time.perf_counter()
    model.fit(*seen, batch_size=ROWS, verbose=0)
    seconds = time.perf_counter() - started
    mse = float(model.evaluate(*unseen, batch_size=250, verbose=0))
    learnt = math.isfinite(mse)
    print(f"{name}, seed {seed}: MSE {mse:.4f} after {seconds:.0f} s", flush=True)
    return {
        "start": name,
        "seed": seed,
        "steps": steps,
        "batches": batches,
        "before": before,
        "after": looked_at(model, *batch) if learnt else None,
        "mse": finite(mse),
        "always_1": float(np.square(unseen[1] - 1).mean()),
        "parameters": model.count_params(),
        "train_seconds": round(seconds, 1),
        "versions": ks.saving.versions(),
        "cores": os.cpu_count(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=STARTS, help="one start; by default all")
    parser.add_argument("--seed", type=int, help=f"one seed; by default 0 to {SEEDS - 1}")
    parser.add_argument("--smoke", action="store_true", help="a few steps of a short task, printed and not written")
    arguments = parser.parse_args()
    there = {(entry["start"], entry["seed"]) for entry in results_file.read("starts")}
    seeds = range(1 if arguments.smoke else SEEDS) if arguments.seed is None else [arguments.seed]
    for seed in seeds:  # all starts by one seed first: what there is after a break can be compared
        for name in [arguments.only] if arguments.only else STARTS:
            if arguments.smoke:
                print(json.dumps(run(name, seed, **SMOKE)), flush=True)
            elif (name, seed) not in there:
                results_file.merge("starts", run(name, seed), ("start", "seed"), __doc__)
            keras.backend.clear_session()


if __name__ == "__main__":
    main()

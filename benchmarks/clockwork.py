"""Clockwork RNN: the wave of its paper, the adding problem, and the speed of a training step.

    python benchmarks/clockwork.py wave adding speed --seeds 3
    python benchmarks/clockwork.py wave --models clockwork --seeds 1 --updates 500 --try    # printed and not written
    KERAS_BACKEND=jax python benchmarks/clockwork.py speed

wave: `ks.data.tasks.wave()`, 320 steps, is generated from nothing: inputs are zeros, `(1, 320, 1)`, states start at
zero. About 500 parameters each, the weights of those inputs among them; of the clockwork RNN without the blocks from
fast to slow, which do not count. One wave; seeds are those of the weights. Adam with a rate that falls to zero along a
cosine, gradients clipped to norm 1 each, the same first rate and number of updates for all, neither tuned; judged after
the last update, on the wave itself, as in the paper. NMSE is MSE over the variance of the wave.
adding: `ks.data.tasks.adding`, T = 200, new rows for each update; MSE of 10,000 rows that no training has seen. 3,200
to 3,500 parameters each, the same optimizer, first rate and updates for all. Whoever always says 1 has 0.167.
speed: a training step (gradients with respect to weights and inputs of the sum of squares of all outputs) at B = 16,
T = 1024, D = H = 128, float32, 8 modules with periods 1 to 128; contestants take turns in one process, medians.
`kernel` is `ks.layers.ClockworkRNN`, `cell` its cell in `keras.layers.RNN`, `stock` is `keras.layers.SimpleRNN`,
`simple_rnn_kernel` is ours.

Results are merged into benchmarks/results/clockwork.json, one entry a task, model and seed (of speed: a backend); what
is there is not run again.
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
from contestants import keras_passes
from stopwatch import in_turns

import keras_seq as ks

NAME, KEYS = "clockwork", ("task", "model", "seed", "backend")
L = ks.layers
SETTINGS = {
    "wave": {
        "clockwork": {"units": 27, "periods": [2**i for i in range(9)], "learning_rate": 0.01},
        "lstm": {"units": 10, "learning_rate": 0.01},
        "updates": 4_000,
        "updates_an_epoch": 250,
        "batch": 1,
    },
    "adding": {
        "clockwork": {"units": 72, "periods": [2**i for i in range(8)], "learning_rate": 0.002},
        "gru": {"units": 32, "learning_rate": 0.002},
        "lstm": {"units": 28, "learning_rate": 0.002},
        "simple_rnn": {"units": 57, "learning_rate": 0.002},
        "updates": 8_000,
        "updates_an_epoch": 100,
        "batch": 64,
        "steps": 200,
    },
}
MODELS = {task: [name for name, one in of.items() if isinstance(one, dict)] for task, of in SETTINGS.items()}
LAYERS = {"clockwork": L.ClockworkRNN, "gru": L.GRU, "lstm": L.LSTM, "simple_rnn": L.SimpleRNN}
SPEED = {"batch": 16, "steps": 1024, "features": 128, "units": 128, "periods": [2**i for i in range(8)]}


def model_of(name, settings, features, updates, every_step):
    """A recurrent layer and a dense one."""
    settings = dict(settings)
    rate = keras.optimizers.schedules.CosineDecay(settings.pop("learning_rate"), updates)
    how = {"implementation": "kernel", "return_sequences": every_step}
    layer = LAYERS[name](**settings, **how)
    model = keras.Sequential([keras.Input((None, features)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), "mse", jit_compile=keras.backend.backend() == "jax")
    return model


def in_use(model):
    """How many parameters count: all but the blocks of a clockwork RNN that lead from fast to slow."""
    layer = model.layers[0]
    if not isinstance(layer, L.ClockworkRNN):
        return model.count_params()
    size, count = layer.units // len(layer.periods), len(layer.periods)
    return model.count_params() - size * size * count * (count - 1) // 2


def wave(name, settings, seed, updates):
    """The model, trained to generate the wave of seed 0; its own seed sets the weights that it starts from."""
    y = ks.data.tasks.wave()[None]
    x, epoch = np.zeros_like(y), min(updates, settings["updates_an_epoch"])
    model = model_of(name, settings[name], 1, updates, every_step=True)
    rows = np.repeat(x, epoch, 0), np.repeat(y, epoch, 0)
    model.fit(*rows, batch_size=1, epochs=updates // epoch, verbose=2)
    generated = model.predict(x, verbose=0)
    mse = float(np.square(generated - y).mean())
    found = {"metrics": {"mse": mse, "nmse": mse / float(y.var())}}
    return model, found if seed else {**found, "generated": [round(float(v), 3) for v in generated[0, :, 0]]}


def adding(name, settings, seed, updates):
    batch, epoch = settings["batch"], min(updates, settings["updates_an_epoch"])
    model = model_of(name, settings[name], 2, updates, every_step=False)
    for number in range(updates // epoch):
        x, y = ks.data.tasks.adding(batch * epoch, settings["steps"], seed=1000 * (seed + 1) + number)
        model.fit(x, y, batch_size=batch, epochs=number + 1, initial_epoch=number, shuffle=False, verbose=2)
    x, y = ks.data.tasks.adding(10_000, settings["steps"], seed=seed)
    mse = float(np.square(model.predict(x, batch_size=500, verbose=0) - y).mean())
    return model, {"metrics": {"mse": mse}, "baselines": {"always_1": float(np.square(y - 1).mean())}}


def trained(task, name, seed, updates=None):
    """The entry of one training."""
    keras.utils.set_random_seed(seed)
    settings = SETTINGS[task]
    updates = updates or settings["updates"]
    started = time.perf_counter()
    model, found = {"wave": wave, "adding": adding}[task](name, settings, seed, updates)
    of_all = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    return {
        "task": task,
        "model": name,
        "seed": seed,
        "settings": {**of_all, **settings[name], "updates": updates},
        "parameters": in_use(model),
        **found,
        "train_seconds": round(time.perf_counter() - started, 1),
        **machine(),
    }


def speed():
    """The entry of all contestants."""
    batch, steps, features, units, periods = SPEED.values()
    x = np.random.default_rng(0).normal(size=(batch, steps, features)).astype("float32")
    layers = {
        "kernel": L.ClockworkRNN(units, periods, return_sequences=True, implementation="kernel"),
        "cell": keras.layers.RNN(L.ClockworkRNNCell(units, periods), return_sequences=True),
        "stock": keras.layers.SimpleRNN(units, return_sequences=True),
        "simple_rnn_kernel": L.SimpleRNN(units, return_sequences=True, implementation="kernel"),
    }
    passes = {name: keras_passes([layer], x, None)[0] for name, layer in layers.items()}
    for train in passes.values():
        train()  # traced and compiled
    return {
        "task": "speed",
        "model": "all",
        "seed": 0,
        "settings": SPEED,
        "training_milliseconds": in_turns(passes, seconds=5),
        **machine(),
    }


def machine():
    return {"backend": keras.backend.backend(), "versions": ks.saving.versions(), "cores": os.cpu_count()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=[*SETTINGS, "speed"])
    parser.add_argument("--models", nargs="*", default=sorted(LAYERS), choices=sorted(LAYERS))
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--updates", type=int, help="in place of what the settings say; only with --try")
    parser.add_argument("--try", action="store_true", dest="tries", help="print, and write nothing")
    arguments = parser.parse_args()
    if arguments.updates and not arguments.tries:
        parser.error("--updates changes the protocol: give --try, too")
    runs = [(task, name) for task in arguments.tasks for name in MODELS.get(task, []) if name in arguments.models]
    runs = [(task, name, seed) for task, name in runs for seed in range(arguments.seeds)]
    for run in [*runs, *([("speed", "all", 0)] if "speed" in arguments.tasks else [])]:
        identity = dict(zip(KEYS, (*run, keras.backend.backend()), strict=True))
        there = any(all(one[key] == value for key, value in identity.items()) for one in results_file.read(NAME))
        if there and not arguments.tries:
            continue
        entry = speed() if run[0] == "speed" else trained(*run, arguments.updates)
        print(json.dumps({key: value for key, value in entry.items() if key != "generated"}), flush=True)
        if not all(math.isfinite(value) for value in entry.get("metrics", {}).values()):
            raise SystemExit(f"{identity}: the training has diverged")
        if not arguments.tries:
            results_file.merge(NAME, entry, KEYS, __doc__)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()

"""What `ks.callbacks.GradientMonitor` adds to a training step.

    python benchmarks/gradient_monitor.py                     # into benchmarks/results/gradient_monitor.json
    KERAS_BACKEND=jax python benchmarks/gradient_monitor.py

Steps (`train_on_batch`) of one model with the callback and without it take turns; the figures are medians over the
turns, with process CPU time beside wall time, after a first step that compiles. The machine was shared with other
trainings, which wall time shows and CPU time hardly does. Two models of texts as long as reviews:
two layers of GRU with an embedding of 20,000 words, and an LSTM with one of 5,000; Adam, `clipnorm=1.0`, float32.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
from stopwatch import in_turns

import keras_seq as ks

BATCH, SECONDS, TURNS = 32, 30, 41
MODELS = {
    "two GRUs": {
        "words": 20_000,
        "length": 200,
        "layers": [ks.layers.GRU(64, return_sequences=True), ks.layers.GRU(64)],
    },
    "LSTM": {"words": 5_000, "length": 100, "layers": [ks.layers.LSTM(128)]},
}


def model_of(words, length, layers):
    """A model and a batch."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    stack = [keras.layers.Embedding(words, 64), *layers, keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((length,), dtype="int32"), *stack])
    model.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), "sparse_categorical_crossentropy")
    return model, rng.integers(1, words, size=(BATCH, length)), rng.integers(0, 2, size=BATCH)


def steps_of(model, *batch):
    """A step with the callback and one without, by name; each has a compiled function of its own."""
    model.make_train_function()
    plain = model.train_function
    monitor = ks.callbacks.GradientMonitor()
    monitor.set_model(model)
    monitor.on_train_begin()
    watched = model.train_function

    def without():
        model.train_function = plain
        model.train_on_batch(*batch)

    def with_it():
        model.train_function = watched
        monitor.on_train_batch_begin(0)
        model.train_on_batch(*batch)

    return {"with": with_it, "without": without}


def main():
    for name, parts in MODELS.items():
        model, *batch = model_of(**parts)
        steps = steps_of(model, *batch)
        for step in steps.values():
            step()
        spent = in_turns(steps, SECONDS, TURNS)
        entry = {
            "model": name,
            "backend": keras.backend.backend(),
            "step_milliseconds": spent,
            "ratio": {clock: round(spent["with"][clock] / spent["without"][clock], 4) for clock in ("wall", "cpu")},
            "parameters": model.count_params(),
            "cores": os.cpu_count(),
            "versions": ks.saving.versions(),
        }
        print(entry, flush=True)
        results_file.merge("gradient_monitor", entry, ["model", "backend"], __doc__)


if __name__ == "__main__":
    main()

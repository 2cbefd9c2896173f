"""Decoding against KerasHub's samplers and a loop in Python, all on the same step functions.

    python benchmarks/decoding.py                        # into benchmarks/results/decoding.json
    python benchmarks/decoding.py --quick                # one small case, printed and not written
    python benchmarks/decoding.py --tasks attending      # some of it, once more

Contestants: `ks.decoding.greedy` and `beam_search`; `GreedySampler` and `BeamSampler` of KerasHub; a loop in Python
over the compiled step; and, to show what no decoder can save, a loop that calls the step and chooses nothing. All but
the loop in Python in a plain `tf.function` and with `jit_compile=True`. The steps: "recurrent", an embedding, a GRU
cell and a dense layer; and "attending", the same with attention to all steps so far, whose keys and values `(B, L, D)`
are part of the state. Random weights. Without an end token all run `length` steps. With one, whose logit rises from
step to step, `beam_search` stops when nothing better can come, KerasHub when all its beams have ended. The contestants
take turns in one process; the figures are medians over the turns. Entries are merged into the file one by one.
"""

import argparse
import itertools
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_hub
import numpy as np
import results_file
import tensorflow as tf
from keras import ops
from stopwatch import first_call, in_turns

import keras_seq as ks

SEED = 0
WIDTH = 4
LENGTH = 64
VOCABULARY = 8000
UNITS = 256
BATCHES = (1, 16)
END = 1
KEYS = ("task", "how", "batch", "end")
SECONDS = 3.0  # for each contestant, at least; seven calls where they take longer


class Recurrent:
    """Embedding, GRU cell, dense layer: the state is small."""

    def __init__(self, vocabulary, units, length, end):
        self.embedding = keras.layers.Embedding(vocabulary, units)
        self.cell = ks.layers.GRUCell(units)
        self.dense = keras.layers.Dense(vocabulary)
        self.length, self.units, self.end = length, units, end
        self.step(np.zeros(1, "int32"), self.state(1))
        rng = np.random.default_rng(SEED)
        for layer in (self.embedding, self.cell, self.dense):
            layer.set_weights([rng.normal(size=w.shape).astype("float32") * 0.1 for w in layer.get_weights()])

    def state(self, rows):
        return [ops.zeros((rows, self.units)), ops.zeros((rows, 1), "int32")]

    def step(self, tokens, state):
        h, count = state
        x, (h,) = self.cell(self.embedding(tokens), [h])
        return self.scores(x, count), [h, count + 1]

    def scores(self, x, count):
        """Logits; those of the end token rise with time, if there is one."""
        logits = self.dense(x)
        if self.end is None:
            return logits
        rise = ops.cast(count, "float32") - 12.0
        return logits + rise * ops.one_hot(self.end, logits.shape[-1])


class Attending(Recurrent):
    """The same, with attention to all steps so far: the state is large."""

    def state(self, rows):
        memory = ops.zeros((rows, self.length, self.units))
        return [*super().state(rows), memory, memory]

    def step(self, tokens, state):
        h, count, keys, values = state
        x, (h,) = self.cell(self.embedding(tokens), [h])
        here = ops.arange(self.length, dtype="int32") == count
        keys, values = (ops.where(here[:, :, None], new[:, None], old) for new, old in ((h, keys), (x, values)))
        weights = ops.einsum("bd,btd->bt", h, keys)
        weights = ops.softmax(ops.where(ops.arange(self.length, dtype="int32") <= count, weights, -1e9))
        return self.scores(x + ops.einsum("bt,btd->bd", weights, values), count), [h, count + 1, keys, values]


TASKS = {"recurrent": Recurrent, "attending": Attending}


def contestants(task, how, batch, length, vocabulary, end):
    """`{name: function}` that decode a batch once, by one way (`greedy` or `beam`) of decoding."""
    model = TASKS[task](vocabulary, UNITS, length, end)
    start = tf.constant(np.random.default_rng(SEED).integers(2, vocabulary, batch), tf.int32)

    def ours(start):
        options = {"end": end, "max_length": length}
        if how == "greedy":
            return ks.decoding.greedy(model.step, start, model.state(batch), **options).tokens
        return ks.decoding.beam_search(model.step, start, model.state(batch), width=WIDTH, **options).tokens[:, 0]

    samplers = {"greedy": keras_hub.samplers.GreedySampler(), "beam": keras_hub.samplers.BeamSampler(num_beams=WIDTH)}

    def hub(start):
        def following(prompt, cache, index):
            logits, cache = model.step(ops.take(prompt, index - 1, axis=1), cache)
            return logits, None, cache

        prompt = ops.concatenate([start[:, None], ops.zeros((batch, length), "int32")], axis=1)
        stops = None if end is None else [end]
        sampler = samplers[how]
        return sampler(following, prompt, cache=model.state(batch), index=1, stop_token_ids=stops)[:, 1:]

    def steps(start):
        tokens, *state = (tf.repeat(x, WIDTH if how == "beam" else 1, axis=0) for x in (start, *model.state(batch)))

        def body(t, tokens, state):
            logits, state = model.step(tokens, state)
            # Something of all logits must be used, or they would not be computed.
            return t + 1, tokens + ops.cast(0.0 * ops.max(logits, axis=1), "int32"), state

        return ops.while_loop(lambda t, *_: t < length, body, (ops.zeros((), "int32"), tokens, state))[1]

    step = tf.function(model.step, autograph=False)
    loop = {"greedy": greedy_in_python, "beam": beams_in_python}[how]
    functions = {"python": lambda start: loop(step, start, model.state(batch), length, end)}
    for name, function in (("ours", ours), ("keras_hub", hub), ("steps", steps)):
        if name != "steps" or end is None:  # with an end token there is no telling how many
            functions[name] = tf.function(function, autograph=False)
            functions[f"{name}_jit"] = tf.function(function, autograph=False, jit_compile=True)
    return {name: lambda f=f: f(start).numpy() for name, f in functions.items()}


def greedy_in_python(step, tokens, state, length, end):
    columns, ended = [], tf.zeros(tokens.shape, tf.bool)
    while len(columns) < length and not tf.reduce_all(ended):
        logits, state = step(tokens, state)
        tokens = tf.argmax(logits, axis=1, output_type=tf.int32)
        columns.append(tokens)
        ended |= tokens == (-1 if end is None else end)
    return tf.stack(columns, axis=1)


def beams_in_python(step, tokens, state, length, end):
    """As KerasHub does it: all beams go on until each has its end token."""
    batch = len(tokens)
    tokens, *state = (tf.repeat(x, WIDTH, axis=0) for x in (tokens, *state))
    totals = tf.constant([[0.0] + [-1e9] * (WIDTH - 1)] * batch)
    written = tf.zeros((batch * WIDTH, 0), tf.int32)
    while written.shape[1] < length and not tf.reduce_all(tf.reduce_any(written == (-1 if end is None else end), 1)):
        logits, state = step(tokens, state)
        gains = tf.reshape(tf.nn.log_softmax(logits), (batch, WIDTH, -1))
        totals, places = tf.math.top_k(tf.reshape(gains + totals[:, :, None], (batch, -1)), WIDTH)
        rows = tf.reshape(places // logits.shape[1] + WIDTH * tf.range(batch)[:, None], [-1])
        tokens = tf.reshape(places % logits.shape[1], [-1])
        state = [tf.gather(x, rows) for x in state]
        written = tf.concat([tf.gather(written, rows), tokens[:, None]], axis=1)
    return tf.reshape(written, (batch, WIDTH, -1))[:, 0]


def measure(task, how, batch, end, seconds, length=LENGTH, vocabulary=VOCABULARY):
    started = time.perf_counter()
    functions = contestants(task, how, batch, length, vocabulary, end)
    return {
        "task": task,
        "how": how,
        "batch": batch,
        "end": end is not None,
        "length": length,
        "vocabulary": vocabulary,
        "units": UNITS,
        "width": WIDTH if how == "beam" else 1,
        "seed": SEED,
        "first_call_seconds": {name: first_call(function) for name, function in functions.items()},
        "milliseconds": in_turns(functions, seconds),
        "versions": {**ks.saving.versions(), "keras_hub": keras_hub.__version__},
        "cores": os.cpu_count(),
        "wall_seconds": round(time.perf_counter() - started),
    }


def ratios(entry):
    """How many times longer than ours each contestant takes: compiled ones than ours compiled."""
    spent = {name: one["wall"] for name, one in entry["milliseconds"].items()}
    return {name: round(ms / spent["ours_jit" if "jit" in name else "ours"], 2) for name, ms in spent.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small case, printed and not written")
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    arguments = parser.parse_args()
    if arguments.quick:
        for how in ("greedy", "beam"):
            entry = measure("recurrent", how, 4, None, 0.5, length=16, vocabulary=500)
            print(json.dumps({**entry, "ratios": ratios(entry)}))
        return
    for task, how, batch, end in itertools.product(arguments.tasks, ("greedy", "beam"), BATCHES, (None, END)):
        entry = measure(task, how, batch, end, SECONDS)
        results_file.merge("decoding", entry, KEYS, __doc__)
        print(json.dumps({**{key: entry[key] for key in KEYS}, **ratios(entry)}), flush=True)


if __name__ == "__main__":
    main()

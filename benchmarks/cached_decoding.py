"""Greedy decoding of a small transformer step by step from its cache, against a full pass for each token.

    python benchmarks/cached_decoding.py            # into benchmarks/results/cached_decoding.json
    python benchmarks/cached_decoding.py --quick    # one short length, printed and not written

Two causal blocks (128 units, 4 heads, rotary positions), a vocabulary of 100, random weights, 4 rows. Cached:
`ks.layers.TransformerCell` on each block, with a cache of as many steps as are decoded. Full: the blocks over all
tokens so far, in rows of the final length, at each step. Both by `ks.decoding.greedy` in a plain `tf.function`, in
turns; medians. The tokens of both are compared.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
import tensorflow as tf
from keras import ops
from stopwatch import in_turns

import keras_seq as ks

ROWS, UNITS, VOCABULARY, SEED = 4, 128, 100, 0
LENGTHS = (32, 64, 128, 256)
SECONDS = 2.0


def contestants(length):
    """`{name: function}` that decode `length` tokens, all of the same network."""
    keras.utils.set_random_seed(SEED)
    embedding, dense = keras.layers.Embedding(VOCABULARY, UNITS), keras.layers.Dense(VOCABULARY)
    blocks = [ks.layers.TransformerBlock(UNITS, 4, causal=True, rotary=True) for _ in range(2)]
    for layer, shape in (
        (embedding, (None,)),
        (dense, (None, UNITS)),
        *((block, (None, None, UNITS)) for block in blocks),
    ):
        layer.build(shape)
    cells = ks.layers.StackedRNNCells([ks.layers.TransformerCell(block, length) for block in blocks])
    cells.build((None, UNITS))

    def cached_step(tokens, states):
        output, states = cells(embedding(tokens), states)
        return dense(output), states

    def full_step(tokens, state):
        history, count = state  # (B, L), (B, 1)
        here = ops.arange(length, dtype="int32") == count
        history = ops.where(here, tokens[:, None], history)
        hidden = embedding(history)
        for block in blocks:
            hidden = block(hidden)
        last = ops.sum(hidden * ops.cast(here, hidden.dtype)[:, :, None], axis=1)
        return dense(last), [history, count + 1]

    start = np.zeros(ROWS, "int32")
    states = {
        "cached": (cached_step, cells.get_initial_state(ROWS)),
        "full": (full_step, [ops.zeros((ROWS, length), "int32"), ops.zeros((ROWS, 1), "int32")]),
    }

    def decoder(step, state):
        return tf.function(lambda: ks.decoding.greedy(step, start, state, end=None, max_length=length))

    return {name: decoder(*pair) for name, pair in states.items()}


def measure(length, seconds):
    functions = contestants(length)
    tokens = {name: function().tokens.numpy() for name, function in functions.items()}
    spent = in_turns({name: lambda f=f: f().tokens.numpy() for name, f in functions.items()}, seconds)
    return {
        "length": length,
        "milliseconds": {name: one["wall"] for name, one in spent.items()},
        "same_tokens": float((tokens["cached"] == tokens["full"]).mean()),
        "versions": ks.saving.versions(),
        "cores": os.cpu_count(),
        "seed": SEED,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short length, printed and not written")
    arguments = parser.parse_args()
    for length in LENGTHS[:1] if arguments.quick else LENGTHS:
        entry = measure(length, 0.3 if arguments.quick else SECONDS)
        print(json.dumps(entry), flush=True)
        if not arguments.quick:
            results_file.merge("cached_decoding", entry, ("length",), __doc__)


if __name__ == "__main__":
    main()

"""For which batch sizes a kernel, or a projection before the loop, is worth it: keras_seq/kernels/thresholds.json.

    python benchmarks/thresholds.py                         # all cells, about 20 minutes on two cores
    KERAS_BACKEND=jax python benchmarks/thresholds.py
    python benchmarks/thresholds.py --layers LSTM GRU       # some of them; the others stay as they are

Each way to run a cell (`keras_seq.kernels.resolve` names them) takes a training step, and an inference, in turns with
the others, at T = 64, D = H, for each width H and batch size B. The limit of a way is the largest B up to which it is
faster than the loop, by at least 3 %, at all B measured; 0 if it never is. What was measured is written beside it.
"""

import argparse
import json
import os
import pathlib
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from contestants import contestants
from stopwatch import in_turns

import keras_seq as ks
from keras_seq import kernels

FILE = pathlib.Path(kernels.__file__).parent / "thresholds.json"
LAYERS = ("SimpleRNN", "LSTM", "GRU", "PeepholeLSTM", "LayerNormLSTM", "LayerNormGRU", "LayerNormSimpleRNN")
BATCHES = (1, 8, 32, 64, 128)
WIDTHS = (32, 128, 512)
STEPS = 64
WORK = 64 * 512 * 512  # B H H above which nothing is measured: there products are all that counts
SECONDS = 0.3
BY_HAND = "kernel" if keras.backend.backend() == "jax" else "compiled kernel"


def measure(layer, batch, width):
    """Milliseconds of each way, in training and in inference."""
    by_hand = not kernels.why_no_kernel(getattr(ks.layers, f"{layer}Cell")(width))
    ways = ["loop", "hoisted loop", *([BY_HAND] if by_hand else [])]
    passes = {}
    for way in ways:
        with mock.patch.object(kernels, "resolve", lambda *_, way=way: way):
            passes[way] = contestants(layer, (batch, STEPS, width, width), False, only="ours")["ours"]
            for one in passes[way]:
                one()  # traced and compiled while the choice is forced
    found = {}
    for index, name in enumerate(("training", "inference")):
        functions = {way: both[index] for way, both in passes.items() if not (index and way == BY_HAND)}
        found[name] = {way: spent["wall"] for way, spent in in_turns(functions, SECONDS).items()}
    keras.backend.clear_session()
    return found


def limit(measured, way):
    """The largest batch size up to which a way beats the loop; `measured` is `{B: {way: milliseconds}}`."""
    best = 0
    for batch in sorted(measured):
        others = min(spent for name, spent in measured[batch].items() if name != way and name != BY_HAND)
        if way not in measured[batch] or measured[batch][way] > 0.97 * others:
            break
        best = batch
    # Nothing is known above the largest batch that was measured: products are all that counts there.
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="*", choices=LAYERS, default=LAYERS)
    arguments = parser.parse_args()
    table = json.loads(FILE.read_text())
    for layer in arguments.layers:
        by_pass = {"training": {}, "inference": {}}
        for width in WIDTHS:
            by_batch = {batch: measure(layer, batch, width) for batch in BATCHES if batch * width * width <= WORK}
            for name, found in by_pass.items():
                measured = {batch: spent[name] for batch, spent in by_batch.items()}
                ways = {"hoisted": "hoisted loop", **({"kernel": BY_HAND} if name == "training" else {})}
                found[width] = {key: limit(measured, way) for key, way in ways.items()}
                found[width]["milliseconds"] = measured
                print(layer, name, width, json.dumps(found[width]), flush=True)
        backend = table["limits"].setdefault(keras.backend.backend(), {})
        backend[layer] = json.loads(json.dumps(by_pass))
        table["protocol"] = " ".join(__doc__.split("\n\n")[2].split())
        table["versions"] = {**table.get("versions", {}), **ks.saving.versions()}
        temporary = FILE.with_suffix(".part")
        temporary.write_text(json.dumps(table, indent=1) + "\n")
        temporary.replace(FILE)


if __name__ == "__main__":
    main()

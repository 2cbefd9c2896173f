"""For which batch sizes a kernel, or a projection before the loop, is worth it: keras_seq/kernels/thresholds.json.

    python benchmarks/thresholds.py                         # all cells, about 25 minutes on two cores
    KERAS_BACKEND=jax python benchmarks/thresholds.py
    python benchmarks/thresholds.py --layers LSTM GRU       # some of them; the others stay as they are

Each way to run a cell (`keras_seq.kernels.resolve` names them) takes a training step, and an inference, in turns with
the others, at T = 192, D = H, for each width H and batch size B. The limit of a way is the B up to which it is taken,
so that the geometric mean over all B is least; 0 if it never is. What was measured goes to
results/thresholds_BACKEND.json.
"""

import argparse
import json
import math
import os
import pathlib
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import results_file
from contestants import contestants
from stopwatch import in_turns

import keras_seq as ks
from keras_seq import kernels

FILE = pathlib.Path(kernels.__file__).parent / "thresholds.json"
LAYERS = (
    "SimpleRNN",
    "LSTM",
    "GRU",
    "PeepholeLSTM",
    "LayerNormLSTM",
    "LayerNormGRU",
    "LayerNormSimpleRNN",
    "ClockworkRNN",
)
BATCHES = (1, 8, 32, 64, 128)
WIDTHS = (32, 128, 512)
STEPS = 192
WORK = 64 * 512 * 512  # B H H above which nothing is measured: there products are all that counts
SECONDS = 0.3
MARGIN = 1.05  # a hoisted projection must win by as much, for what it wins is little
BY_HAND = {"jax": "kernel", "tensorflow": "compiled kernel"}  # what "kernel" means in training


def measure(layer, batch, width):
    """Milliseconds of each way, in training and in inference."""
    by_hand = not kernels.why_no_kernel(getattr(ks.layers, f"{layer}Cell")(width))
    ways = ["loop", "hoisted loop", *([BY_HAND[keras.backend.backend()]] if by_hand else [])]
    passes = {}
    for way in ways:
        with mock.patch.object(kernels, "resolve", lambda *_, way=way, **__: way):
            passes[way] = contestants(layer, (batch, STEPS, width, width), False, only="ours")["ours"]
            for one in passes[way]:
                one()  # traced and compiled while the choice is forced
    found = {}
    for index, name in enumerate(("training", "inference")):
        functions = {way: both[index] for way, both in passes.items() if not index or way not in BY_HAND.values()}
        found[name] = {way: spent["wall"] for way, spent in in_turns(functions, SECONDS).items()}
    keras.backend.clear_session()
    return found


def limits(measured):
    """`{"hoisted": B, "kernel": B, "largest": B}` from `{B: {way: milliseconds}}`: up to which batch size each way is
    taken, and the largest that was measured."""
    loops = {batch: spent["loop"] for batch, spent in measured.items()}
    hoisted = limit({batch: MARGIN * spent["hoisted loop"] for batch, spent in measured.items()}, loops)
    by_hand = {batch: spent[way] for batch, spent in measured.items() for way in BY_HAND.values() if way in spent}
    if not by_hand:
        return {"hoisted": hoisted, "largest": max(measured)}
    otherwise = {batch: spent["hoisted loop" if batch <= hoisted else "loop"] for batch, spent in measured.items()}
    return {"hoisted": hoisted, "kernel": limit(by_hand, otherwise), "largest": max(measured)}


def limit(way, otherwise):
    """The batch size up to which a way is taken so that the geometric mean over all of them is least; 0 for never."""

    def cost(largest):
        return sum(math.log((way if batch <= largest else otherwise)[batch]) for batch in otherwise)

    return min((0, *sorted(otherwise)), key=cost)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="*", choices=LAYERS, default=LAYERS)
    arguments = parser.parse_args()
    name = f"thresholds_{keras.backend.backend()}"
    path = results_file.RESULTS / f"{name}.json"
    layers = json.loads(path.read_text())["layers"] if path.exists() else {}
    for layer in arguments.layers:
        layers[layer] = {"training": {}, "inference": {}}
        for width in WIDTHS:
            by_batch = {batch: measure(layer, batch, width) for batch in BATCHES if batch * width * width <= WORK}
            for what, of_widths in layers[layer].items():
                of_widths[str(width)] = {str(batch): spent[what] for batch, spent in by_batch.items()}
                print(layer, what, width, json.dumps(of_widths[str(width)]), flush=True)
        protocol = " ".join(__doc__.split("\n\n")[2].split())
        results_file.write(name, {"protocol": protocol, "versions": ks.saving.versions(), "layers": layers})
    write_limits()


def write_limits():
    """The table that the package ships, from what was measured on all backends."""
    table = {}
    for path in sorted(results_file.RESULTS.glob("thresholds_*.json")):
        layers = json.loads(path.read_text())["layers"]
        table[f"{path.stem.removeprefix('thresholds_')} cpu"] = {
            layer: {
                what: {
                    width: limits({int(b): spent for b, spent in found.items()}) for width, found in of_widths.items()
                }
                for what, of_widths in by_pass.items()
            }
            for layer, by_pass in layers.items()
        }
    temporary = FILE.with_suffix(".part")
    temporary.write_text(json.dumps({"limits": table}, indent=1) + "\n")
    temporary.replace(FILE)


if __name__ == "__main__":
    main()

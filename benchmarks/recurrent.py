"""Recurrent layers, step by step against the stock ones: training step, inference, first call, peak memory.

    python benchmarks/recurrent.py                          # the grid, into benchmarks/results/recurrent_BACKEND.json
    python benchmarks/recurrent.py --quick                  # three small shapes, printed and not written
    KERAS_BACKEND=jax python benchmarks/recurrent.py
    python benchmarks/recurrent.py --layers LSTM GRU --anew # some of it, once more

Contestants: this package; `keras.layers`, in a plain graph and with `jit_compile=True`; the same cell of this package
in `keras.layers.RNN`; `torch.nn`. Float32, random inputs (B, T, D), H units, all outputs returned; masked: rows of
T/2 to T kept steps, padded at their ends. A training step is a forward and a backward pass, with the gradients of the
sum of squares of all outputs with respect to weights and inputs. The contestants take turns in one process; the
figures are medians over the turns, with process CPU time beside wall time. Peak memory, at T = 500 on TensorFlow: what
a training step adds to the resident memory, in a process of its own for each contestant.

Results are merged entry by entry; what is there is not measured again unless `--anew`.
"""

import argparse
import json
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import results_file
from contestants import contestants
from stopwatch import added_megabytes, first_call, in_turns

import keras_seq as ks

SHAPES = [
    (1, 200, 128, 128),
    (128, 20, 64, 64),
    (128, 50, 32, 32),
    (32, 200, 64, 64),
    (64, 100, 128, 128),
    (64, 400, 128, 128),
    (16, 1000, 64, 64),
    (32, 500, 128, 256),
    (8, 100, 256, 512),
]
SMALL = (2, 16, 8, 8)
QUICK = [(1, 50, 32, 32), (32, 20, 16, 32), (16, 50, 32, 64)]
LAYERS = ("SimpleRNN", "LSTM", "GRU", "LayerNormLSTM", "PeepholeLSTM", "BidirectionalLSTM", "StackedGRU")
MASKED = ("LSTM", "GRU", "BidirectionalLSTM")  # the others with whole rows only
LENGTH_FOR_MEMORY = 500  # peak memory is measured at this T alone, in a process for each contestant
KEYS = ("layer", "shape", "masked")
SECONDS = 0.5  # for each contestant and pass, at least; seven calls where they take longer


def measure(layer, shape, masked, seconds, memory):
    """All contestants on one layer and shape."""
    of_all = contestants(layer, shape, masked)
    firsts = {name: {"training": first_call(t), "inference": first_call(i)} for name, (t, i) in of_all.items()}
    entry = {
        "layer": layer,
        "shape": list(shape),
        "masked": masked,
        "first_call_seconds": firsts,
        "training_milliseconds": in_turns({name: train for name, (train, _) in of_all.items()}, seconds),
        "inference_milliseconds": in_turns({name: infer for name, (_, infer) in of_all.items()}, seconds),
        "versions": versions(),
        "cores": os.cpu_count(),
    }
    if memory:
        entry["training_peak_megabytes"] = {name: peak_of(name, layer, shape, masked) for name in of_all}
    return entry


def peak_of(name, *case):
    """Megabytes that training steps of one contestant add, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, json.dumps(case)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def versions():
    found = dict(ks.saving.versions(), backend=keras.backend.backend())
    if found["backend"] == "jax":
        import jax

        return {**found, "jax": jax.__version__}
    import torch

    return {**found, "torch": torch.__version__}


def ratios(entry):
    """How many times longer than ours each contestant takes."""
    return {
        what: {name: round(one["wall"] / entry[what]["ours"]["wall"], 2) for name, one in entry[what].items()}
        for what in ("training_milliseconds", "inference_milliseconds")
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three small shapes, printed and not written")
    parser.add_argument("--layers", nargs="*", choices=LAYERS, default=LAYERS)
    parser.add_argument("--anew", action="store_true", help="also what has been measured")
    parser.add_argument("--memory-of", nargs=2, metavar=("CONTESTANT", "CASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        name, (layer, shape, masked) = arguments.memory_of[0], json.loads(arguments.memory_of[1])
        contestants(layer, SMALL, masked, only=name)[name][0]()  # what is loaded and compiled once does not count
        print(added_megabytes(contestants(layer, shape, masked, only=name)[name][0]))
        return
    name = f"recurrent_{keras.backend.backend()}"
    for shape in QUICK if arguments.quick else SHAPES:
        for layer in arguments.layers:
            for masked in (False, True) if layer in MASKED else (False,):
                case = {"layer": layer, "shape": list(shape), "masked": masked}
                if any(all(d[k] == case[k] for k in KEYS) for d in results_file.read(name)) and not arguments.anew:
                    continue
                memory = not arguments.quick and shape[1] == LENGTH_FOR_MEMORY and name.endswith("tensorflow")
                entry = measure(layer, shape, masked, 0.3 if arguments.quick else SECONDS, memory)
                print(json.dumps({**case, **ratios(entry)}), flush=True)
                if not arguments.quick:
                    results_file.merge(name, entry, KEYS, __doc__)
                keras.backend.clear_session()


if __name__ == "__main__":
    main()

"""Training steps of an NTM and a DNC: ours, the same cell in `keras.layers.RNN`, and a public package for PyTorch.

    python benchmarks/memory_speed.py --torch PYTHON    # a Python that has torch and dnc (pip install torch dnc)

Contestants, each in a process of its own: `ours`, the cell in `ks.layers.RNN`, in a step that XLA compiles for its
shape, as `ks.models.memory_model(jit_compile=True)` trains; `ours_graph`, the same in a plain graph; `graph`, the same
cell in `keras.layers.RNN` in a plain graph; `public`, the DNC of the package dnc 1.1.0 of PyPI (there is no installable
NTM). A step is a forward and a backward pass over random inputs (B, T, D), with the gradients of the sum of squares of
all outputs with respect to weights and inputs; float32; an LSTM controller. All heads, sizes and widths agree; the
public DNC puts its output through one more layer of its controller's size.

The processes take turns of some steps, while the others wait; figures are medians over the turns. Results are merged
into benchmarks/results/memory_speed.json; what is there is not measured again unless `--anew`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import results_file

KEYS = ("cell", "shape")
SIZES = {  # as many outputs as features
    "ntm": {"features": 10, "slot_width": 20, "read_heads": 1, "units": 100},
    "dnc": {"features": 10, "slot_width": 16, "read_heads": 4, "units": 64},
}
CASES = [  # cell and (B, T, N)
    ("ntm", (1, 41, 128)),
    ("ntm", (16, 41, 128)),
    ("ntm", (16, 41, 512)),
    ("dnc", (1, 41, 32)),
    ("dnc", (16, 41, 32)),
    ("dnc", (16, 41, 128)),
    ("dnc", (4, 41, 512)),
]
CONTESTANTS = ("ours", "ours_graph", "graph", "public")


class Contestant:
    """A process that waits for its turns."""

    def __init__(self, python, name, cell, shape):
        script = Path(__file__).with_name("memory_worker.py")
        command = [python, script, json.dumps({"name": name, "cell": cell, "shape": shape, **SIZES[cell]})]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.begun = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"A contestant ended with status {self.process.wait()}.")
        return json.loads(line)

    def ask(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def measure(cell, shape, torch_python, seconds=2.0, turns=7):
    """One case, all contestants."""
    pythons = {name: torch_python if name == "public" else sys.executable for name in CONTESTANTS}
    if cell == "ntm" or not torch_python:
        del pythons["public"]
    running = {name: Contestant(python, name, cell, shape) for name, python in pythons.items()}
    counts = {name: max(1, int(seconds / turns / one.ask(1)["wall"])) for name, one in running.items()}
    spent = {name: [] for name in running}
    for turn in range(turns):
        names = list(running)[turn % len(running) :] + list(running)[: turn % len(running)]
        for name in names:
            time.sleep(0.05)  # threads of the one before may spin for a while
            spent[name].append(running[name].ask(counts[name]))
    entry = {
        "cell": cell,
        "shape": list(shape),
        **SIZES[cell],
        "training_milliseconds": {
            name: {what: round(1e3 * statistics.median(one[what] for one in of), 3) for what in ("wall", "cpu")}
            for name, of in spent.items()
        },
        "first_call_seconds": {name: one.begun["first"] for name, one in running.items()},
        "parameters": {name: one.begun["parameters"] for name, one in running.items()},
        "versions": {name: one.begun["versions"] for name, one in running.items()},
        "cores": os.cpu_count(),
    }
    for one in running.values():
        one.end()
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="PYTHON", help="a Python that has torch and dnc; without it, no such rows")
    parser.add_argument("--anew", action="store_true", help="also what has been measured")
    arguments = parser.parse_args()
    for cell, shape in CASES:
        case = {"cell": cell, "shape": list(shape)}
        if any(case.items() <= done.items() for done in results_file.read("memory_speed")) and not arguments.anew:
            continue
        entry = measure(cell, shape, arguments.torch)
        results_file.merge("memory_speed", entry, KEYS, __doc__)
        print(json.dumps({**case, **entry["training_milliseconds"]}), flush=True)


if __name__ == "__main__":
    main()

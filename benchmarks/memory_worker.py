"""A contestant of memory_speed.py: builds itself, then reads from its input how many steps to train."""

import json
import sys
import time

import numpy as np


def of_keras(case, x):
    """Ours, or the cell in `keras.layers.RNN`: a training step, the number of parameters, versions."""
    import keras
    from contestants import keras_passes

    import keras_seq as ks

    cell = {"ntm": ks.layers.NTMCell, "dnc": ks.layers.DNCCell}[case["cell"]]
    names = ("slot_width", "read_heads")
    slots = case["shape"][2]
    cell = cell(case["features"], slots=slots, controller_units=case["units"], **{name: case[name] for name in names})
    wrapper = keras.layers.RNN if case["name"] == "graph" else ks.layers.RNN
    layer = wrapper(cell, return_sequences=True)
    train, _ = keras_passes([layer], x, None, jit_compile=case["name"] == "ours")
    return train, layer.count_params(), ks.saving.versions()


def of_torch(case, x):
    from importlib.metadata import version

    import dnc
    import torch

    sizes = {"nr_cells": case["shape"][2], "cell_size": case["slot_width"], "read_heads": case["read_heads"]}
    layers = {"num_layers": 1, "num_hidden_layers": 1, "batch_first": True}
    module = dnc.DNC(case["features"], case["units"], rnn_type="lstm", **layers, **sizes, gpu_id=-1)
    inputs = torch.from_numpy(x).requires_grad_()

    def train():
        module.zero_grad()
        inputs.grad = None
        outputs, _ = module(inputs, (None, None, None), reset_experience=True)
        outputs.square().sum().backward()

    parameters = sum(p.numel() for p in module.parameters())
    return train, parameters, {"torch": torch.__version__, "dnc": version("dnc")}


def main():
    case = json.loads(sys.argv[1])
    batch, steps, _ = case["shape"]
    x = np.random.default_rng(0).normal(size=(batch, steps, case["features"])).astype("float32")
    train, parameters, versions = (of_torch if case["name"] == "public" else of_keras)(case, x)
    started = time.perf_counter()
    train()
    first = round(time.perf_counter() - started, 2)
    print(json.dumps({"first": first, "parameters": parameters, "versions": versions}), flush=True)
    for line in sys.stdin:
        count, wall, cpu = int(line), time.perf_counter(), time.process_time()
        for _ in range(count):
            train()
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps({name: value / count for name, value in spent.items()}), flush=True)


if __name__ == "__main__":
    main()

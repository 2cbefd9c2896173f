"""Multi-head attention and the transformer block, step by step against `keras.layers` and `torch.nn`.

    python benchmarks/attention.py                          # about ten minutes on two cores
    python benchmarks/attention.py --quick                  # one small shape, printed and not written
    KERAS_BACKEND=jax python benchmarks/attention.py

Contestants: this package; `keras.layers`, in a plain graph and with `jit_compile=True` (the block: its figure, put
together from `keras.layers`); `torch.nn` (the block: `TransformerEncoderLayer`). Float32, random inputs (B, T, D), N
heads of D / N, four D hidden units, norms first, no dropout; masked: rows of T/2 to T kept steps, padded at their ends
(not for PyTorch). A training step is a forward and a backward pass, with the gradients of the sum of squares of all
outputs with respect to weights and inputs. The contestants take turns in one process; the figures are medians over the
turns, with process CPU time beside wall time.

Results are merged entry by entry; what is there is not measured again unless `--anew`.
"""

import argparse
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
from contestants import BACKEND, keras_passes, torch_passes
from recurrent import ratios, versions
from stopwatch import in_turns

import keras_seq as ks

SHAPES = [(1, 128, 128, 4), (64, 32, 64, 2), (32, 64, 128, 4), (8, 256, 256, 8), (4, 512, 128, 4), (128, 20, 64, 4)]
QUICK = [(8, 32, 32, 2)]
LAYERS = ("attention", "causal attention", "block", "causal block")
KEYS = ("layer", "shape", "masked")
SECONDS = 0.5  # for each contestant and pass, at least


class OnItself(keras.layers.Layer):
    """A multi-head attention layer, of a sequence to itself."""

    def __init__(self, attention, causal):
        super().__init__()
        self.attention, self.causal, self.supports_masking = attention, causal, True

    def call(self, x, mask=None, training=False):
        masks = {} if mask is None else {"query_mask": mask, "value_mask": mask}
        if mask is not None and type(self.attention) is keras.layers.MultiHeadAttention:
            masks = {"attention_mask": mask[:, None, :]}  # Keras reads the other names from the tensors alone
        return self.attention(x, x, **masks, use_causal_mask=self.causal, training=training)


class StockBlock(keras.layers.Layer):
    """The figure of the paper, norms first, from `keras.layers`."""

    def __init__(self, units, heads, causal):
        super().__init__()
        layers = keras.layers
        self.attention = OnItself(layers.MultiHeadAttention(heads, units // heads), causal)
        self.norms = [layers.LayerNormalization(epsilon=1e-5) for _ in range(2)]
        self.dense = [layers.Dense(4 * units, "relu"), layers.Dense(units)]

    def call(self, x, mask=None, training=False):
        x = x + self.attention(self.norms[0](x), mask=mask, training=training)
        return x + self.dense[1](self.dense[0](self.norms[1](x)))


def keras_layer(layer, units, heads, ours):
    causal = layer.startswith("causal")
    if layer.endswith("block"):
        return ks.layers.TransformerBlock(units, heads, causal=causal) if ours else StockBlock(units, heads, causal)
    kind = ks.layers.MultiHeadAttention if ours else keras.layers.MultiHeadAttention
    return OnItself(kind(heads, units // heads), causal)


def of_torch(layer, x, heads):
    import torch

    length, units = x.shape[1:]
    causal = layer.startswith("causal")
    mask = torch.nn.Transformer.generate_square_subsequent_mask(length) if causal else None
    if layer.endswith("block"):
        module = torch.nn.TransformerEncoderLayer(
            units, heads, 4 * units, dropout=0.0, batch_first=True, norm_first=True
        )
        return torch_passes(module, lambda x: module(x, src_mask=mask, is_causal=causal), x)
    module = torch.nn.MultiheadAttention(units, heads, batch_first=True)
    how = {"attn_mask": mask, "is_causal": causal, "need_weights": False}
    return torch_passes(module, lambda x: module(x, x, x, **how)[0], x)


def contestants(layer, shape, masked):
    """`{name: (training step, inference)}`, on the same inputs."""
    batch, length, units, heads = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, length, units)).astype("float32")
    kept = rng.integers(length // 2, length + 1, size=(batch, 1)) > np.arange(length) if masked else None
    found = {
        "ours": keras_passes([keras_layer(layer, units, heads, True)], x, kept),
        "stock": keras_passes([keras_layer(layer, units, heads, False)], x, kept),
    }
    if BACKEND == "tensorflow":
        found["ours_jit"] = keras_passes([keras_layer(layer, units, heads, True)], x, kept, jit_compile=True)
        found["stock_jit"] = keras_passes([keras_layer(layer, units, heads, False)], x, kept, jit_compile=True)
        if not masked:
            found["torch"] = of_torch(layer, x, heads)
    return found


def measure(layer, shape, masked, seconds):
    of_all = contestants(layer, shape, masked)
    for passes in of_all.values():
        for one in passes:
            one()
    return {
        "layer": layer,
        "shape": list(shape),
        "masked": masked,
        "training_milliseconds": in_turns({name: train for name, (train, _) in of_all.items()}, seconds),
        "inference_milliseconds": in_turns({name: infer for name, (_, infer) in of_all.items()}, seconds),
        "versions": versions(),
        "cores": os.cpu_count(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small shape, printed and not written")
    parser.add_argument("--anew", action="store_true", help="also what has been measured")
    arguments = parser.parse_args()
    name = f"attention_{BACKEND}"
    for shape in QUICK if arguments.quick else SHAPES:
        for layer in LAYERS:
            for masked in (False, True):
                case = {"layer": layer, "shape": list(shape), "masked": masked}
                if any(all(d[k] == case[k] for k in KEYS) for d in results_file.read(name)) and not arguments.anew:
                    continue
                entry = measure(layer, shape, masked, 0.2 if arguments.quick else SECONDS)
                print(json.dumps({**case, **ratios(entry)}), flush=True)
                if not arguments.quick:
                    results_file.merge(name, entry, KEYS, __doc__)
                keras.backend.clear_session()


if __name__ == "__main__":
    main()

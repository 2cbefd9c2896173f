"""The table of layers that the harness runs through: every public layer has its row (or rows) here."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops, tree

import keras_seq as ks

B, T, D, H = 2, 7, 5, 3  # all different primes: no two axes can be taken for each other
S, M = 11, 13  # steps and features of a memory

L = ks.layers
LAYERS = [name for name in L.__all__ if isinstance(getattr(L, name), type)]  # the rest are functions

# On JAX, Keras's own tanh and einsum compute float64 in float32: layers are exact to that there. Cells are not, under
# `TANH` as their activation.
ON_JAX = keras.backend.backend() == "jax"
EXACT = 5e-6 if ON_JAX else 1e-12
if ON_JAX:
    from jax.numpy import tanh as TANH
else:
    TANH = ops.tanh

# 5000 words of one to ten letters for layers that read ids, so that there are ids which half precision would round.
WORDS = ["".join(chr(97 + i * k % 23) for k in range(1, 2 + i % 10)) for i in range(5000)]


@dataclass(frozen=True)
class Case:
    """One row: a public layer in one of its forms.

    Args:
        name: its name in `ks.layers`.
        make: builds it; takes `stateful=` if `stateful` is set.
        form: what sets the row apart from others of that layer.
        recurrent: has the call arguments of `RNN`, and runs inside `Bidirectional`.
        cell: is a cell, which the harness runs in `ks.layers.RNN`.
        chains: output `(B, T, …)` can be the input of another such layer.
        stateful: can carry its states from batch to batch.
        backwards: outputs come from the end of the sequence.
        reads: "sequences" `(B, T, D)`, "windows" `(B, T, D)` of a length that is fixed, "strings" `(B,)`, "ids"
            `(B, T)`, 0 for padding, "features" `(..., D)`, or "pairs": a sequence and a memory `(B, S, M)`.
        on_pair: for those, how the layer is called: `on_pair(layer, x, memory, mask, memory_mask)`.
    """

    name: str
    make: Callable
    form: str = ""
    recurrent: bool = False
    cell: bool = False
    chains: bool = False
    stateful: bool = False
    backwards: bool = False
    reads: str = "sequences"
    on_pair: Callable | None = None

    def __str__(self):
        return "-".join(filter(None, (self.name, self.form)))

    def layer(self, **kwargs):
        """The layer that is called: itself, or a cell run over time."""
        if self.cell:
            return L.RNN(self.make(), return_sequences=True, **kwargs)
        return self.make(**kwargs)


@keras.saving.register_keras_serializable("tests")
class MatrixCell(keras.layers.Layer):
    """A cell that is none of ours, whose states no `state_size` of integers can say: a matrix, and a counter in a dict.

    It adds `x k^T` to the matrix at each step and reads row sums, divided by the integer count of kept steps.
    """

    state_size = output_size = H

    def build(self, input_shape):
        self.key = self.add_weight(shape=(H, input_shape[-1]), name="key")
        self.query = self.add_weight(shape=(input_shape[-1], H), name="query")

    def get_initial_state(self, batch_size=None):
        matrix = ops.zeros((batch_size, H, H), self.compute_dtype)
        return [matrix, {"count": ops.zeros((batch_size, 1), "int32")}]

    def call(self, inputs, states):
        matrix, count = states[0], states[1]["count"]
        k, q = ops.matmul(inputs, ops.transpose(self.key)), ops.matmul(inputs, self.query)
        matrix = matrix + ops.expand_dims(ops.tanh(k), 2) * ops.expand_dims(q, 1)
        count = count + 1
        return ops.sum(matrix, axis=1) / ops.cast(count, matrix.dtype), [matrix, {"count": count}]


def _recurrent(name, make, form="", **flags):
    return Case(name, make, form, **{"recurrent": True, "stateful": True, **flags})


def _cell(name, make, form=""):
    return Case(name, make, form, cell=True, recurrent=True, stateful=True, chains=True)


def _by_masks(layer, x, memory, mask, memory_mask):
    return layer(x, memory=memory, mask=mask, memory_mask=memory_mask)


def _query_and_value(layer, x, memory, mask, memory_mask):
    return layer(x, memory, query_mask=mask, value_mask=memory_mask)


def _with_scores(layer, x, memory, mask, memory_mask):
    """Its output, and of the weights the largest of all heads `(B, T, S)`."""
    output, a = layer(x, memory, query_mask=mask, value_mask=memory_mask, return_attention_scores=True)
    return output, ops.max(a, axis=1)


def _pair(name, make, form="", on_pair=_by_masks, **flags):
    return Case(name, make, form, reads="pairs", on_pair=on_pair, **flags)


def _ntm(**arguments):
    return L.NTM(H, 11, 2, controller_units=5, return_sequences=True, **arguments)


def _block(**arguments):
    return L.TransformerBlock(D, num_heads=D, hidden_units=H, **arguments)


def _score(name, make, form=""):
    return _pair(name, make, form, lambda layer, x, memory, mask, memory_mask: layer(x, memory))


CASES = [
    _recurrent("SimpleRNN", lambda **k: L.SimpleRNN(H, return_sequences=True, **k), chains=True),
    _recurrent("LSTM", lambda **k: L.LSTM(H, return_sequences=True, **k), "sequences", chains=True),
    _recurrent("LSTM", lambda **k: L.LSTM(H, return_state=True, **k), "state"),
    _recurrent("LSTM", lambda **k: L.LSTM(11, projection_size=H, return_sequences=True, **k), "projected", chains=True),
    _recurrent("GRU", lambda **k: L.GRU(H, return_sequences=True, **k), "after", chains=True),
    _recurrent("GRU", lambda **k: L.GRU(H, reset_after=False, **k), "before"),
    _recurrent(
        "GRU",
        lambda **k: L.GRU(H, go_backwards=True, return_sequences=True, return_state=True, **k),
        "backwards",
        backwards=True,
    ),
    _recurrent("PeepholeLSTM", lambda **k: L.PeepholeLSTM(H, return_sequences=True, **k), chains=True),
    _recurrent("ClockworkRNN", lambda **k: L.ClockworkRNN(H, (1, 2, 3), return_sequences=True, **k), chains=True),
    _recurrent("ClockworkRNN", lambda **k: L.ClockworkRNN(H, (2,), return_state=True, **k), "state"),
    _recurrent(
        "ClockworkRNN",
        lambda **k: L.ClockworkRNN(H, (1, 3), [2, 1], go_backwards=True, return_sequences=True, **k),
        "backwards",
        backwards=True,
    ),
    _recurrent("LayerNormSimpleRNN", lambda **k: L.LayerNormSimpleRNN(H, return_sequences=True, **k), chains=True),
    _recurrent("LayerNormLSTM", lambda **k: L.LayerNormLSTM(H, return_sequences=True, **k), chains=True),
    _recurrent("LayerNormGRU", lambda **k: L.LayerNormGRU(H, return_sequences=True, **k), "after", chains=True),
    _recurrent(
        "RNN",
        lambda **k: L.RNN([L.LSTMCell(H), keras.layers.GRUCell(2)], return_sequences=True, return_state=True, **k),
        "stack",
    ),
    _recurrent("RNN", lambda **k: L.RNN(keras.layers.GRUCell(H), return_sequences=True, **k), "foreign", chains=True),
    _recurrent("RNN", lambda **k: L.RNN(MatrixCell(), return_sequences=True, return_state=True, **k), "matrix"),
    _recurrent(
        "NTM", lambda **k: _ntm(read_heads=2, write_heads=3, memory_initial="learned", **k), "heads", chains=True
    ),
    _recurrent("NTM", lambda **k: _ntm(controller="feed_forward", **k), "feed-forward", chains=True),
    _recurrent("DNC", lambda **k: L.DNC(H, 11, 2, 3, L.GRUCell(5), return_sequences=True, **k), chains=True),
    Case("Bidirectional", lambda: L.Bidirectional(L.LSTM(H, return_sequences=True)), "sequences", chains=True),
    Case(
        "Bidirectional",
        lambda: L.Bidirectional(L.GRU(H, return_sequences=True, return_state=True), merge_mode=None),
        "none-state",
    ),
    Case("Bidirectional", lambda: L.Bidirectional(L.RNN([L.LSTMCell(H), L.GRUCell(2)]), merge_mode="sum"), "stack"),
    _cell("SimpleRNNCell", lambda: L.SimpleRNNCell(H)),
    _cell("LSTMCell", lambda: L.LSTMCell(H)),
    _cell("GRUCell", lambda: L.GRUCell(H)),
    _cell("ClockworkRNNCell", lambda: L.ClockworkRNNCell(H, (1, 3), [1, 2])),
    _cell("PeepholeLSTMCell", lambda: L.PeepholeLSTMCell(11, projection_size=H), "projected"),
    # Epsilons that are large: a norm of few units makes much of rounding where they are nearly alike.
    _cell(
        "LayerNormSimpleRNNCell", lambda: L.LayerNormSimpleRNNCell(H, use_bias=False, layernorm_epsilon=0.1), "no-bias"
    ),
    _cell("LayerNormLSTMCell", lambda: L.LayerNormLSTMCell(11, projection_size=H, norm_epsilon=0.1), "projected"),
    _cell("LayerNormGRUCell", lambda: L.LayerNormGRUCell(H, reset_after=False), "before"),
    _cell("NTMCell", lambda: L.NTMCell(H, 11, 2, controller=L.LayerNormGRUCell(5), shift_range=2), "layer-norm"),
    _cell("DNCCell", lambda: L.DNCCell(H, 11, 2, read_heads=1, controller_units=5)),
    _cell("StackedRNNCells", lambda: L.StackedRNNCells([L.LSTMCell(2), L.SimpleRNNCell(H)])),
    Case("SequencePooling", lambda: L.SequencePooling("last"), "last"),
    Case("SequencePooling", lambda: L.SequencePooling("mean"), "mean"),
    Case("SequencePooling", lambda: L.SequencePooling("max"), "max"),
    Case("AttentionPooling", lambda: L.AttentionPooling(H), "vector"),
    Case("AttentionPooling", lambda: L.AttentionPooling(return_weights=True), "weights"),
    Case("SinusoidalPositions", lambda: L.SinusoidalPositions(), chains=True),
    Case("LearnedPositions", lambda: L.LearnedPositions(T, "glorot_uniform"), chains=True),
    Case("TransformerBlock", lambda: _block(rotary=False), "pre-norm", chains=True),
    Case("TransformerBlock", lambda: _block(norm_first=False, causal=True, sliding_window=3), "post-norm", chains=True),
    _cell("TransformerCell", lambda: L.TransformerCell(_block(causal=True), T)),
    Case("FeedForward", lambda: L.FeedForward(H), reads="features"),
    Case("QuantileHead", lambda: L.QuantileHead([0.1, 0.5, 0.9]), "one", reads="features"),
    Case("QuantileHead", lambda: L.QuantileHead([0.1, 0.9], units=H), "units", reads="features"),
    Case("NLinear", lambda: L.NLinear(11), "shared", reads="windows"),
    Case("NLinear", lambda: L.NLinear(11, shared=False), "own", reads="windows"),
    Case("DLinear", lambda: L.DLinear(11, kernel_size=3), "shared", reads="windows"),
    Case("DLinear", lambda: L.DLinear(11, shared=False), "own", reads="windows"),
    Case("ReversibleNorm", lambda: L.ReversibleNorm(epsilon=0.1), "affine", reads="windows"),
    Case("ReversibleNorm", lambda: L.ReversibleNorm("last", scale=False, affine=False), "last", reads="windows"),
    _score("DotScore", lambda: L.DotScore(scaled=True)),
    _score("GeneralScore", lambda: L.GeneralScore()),
    _score("AdditiveScore", lambda: L.AdditiveScore(H), "plain"),
    _score("AdditiveScore", lambda: L.AdditiveScore(normalize=True), "normalised"),
    _pair("AttentionCell", lambda: L.AttentionCell(L.GRUCell(H)), "before", cell=True),
    _pair(
        "AttentionCell",
        lambda: L.AttentionCell(
            L.StackedRNNCells([L.GRUCell(2), L.LSTMCell(H)]),
            score="normalized_additive",
            attend="after",
            attention_units=17,
            input_feeding=True,
            return_weights=True,
        ),
        "after",
        cell=True,
    ),
    _pair("MultiHeadAttention", lambda: L.MultiHeadAttention(2, H), "plain", _query_and_value),
    _pair("MultiHeadAttention", lambda: L.MultiHeadAttention(2, 4, rotary=True), "scores", _with_scores),
    _pair("TransformerBlock", lambda: _block(cross_attention=True), "decoder"),
    _pair(
        "TransformerCell", lambda: L.TransformerCell(_block(causal=True, cross_attention=True), T), "decoder", cell=True
    ),
    Case("TextVectorizer", lambda: L.TextVectorizer(["a", "film", "!", "quiet"], max_length=T), reads="strings"),
    Case("Tokenizer", lambda: L.Tokenizer(["▁A", "▁film", "!", "▁quiet"], max_length=T), "words", reads="strings"),
    Case("Tokenizer", lambda: L.Tokenizer([*"a film"], "characters", True), "characters", reads="strings"),
    Case("Tokenizer", lambda: L.Tokenizer(["▁", "▁qui", "et", *"film!"], "subwords"), "subwords", reads="strings"),
    Case("WordDropout", lambda: L.WordDropout(0.4), reads="ids"),
    Case("SubwordEmbedding", lambda: L.SubwordEmbedding(WORDS, 101, H), "default", reads="ids"),
    Case(
        "SubwordEmbedding",
        lambda: L.SubwordEmbedding(WORDS, 1009, H, shortest=2, longest=5, max_runs=31),
        "many-runs",
        reads="ids",
    ),
]


def randomize(layer, rng, scale=0.7):
    """Random weights everywhere: with constant ones two swapped gates look alike."""
    layer.set_weights([(scale * rng.normal(size=w.shape)).astype(w.dtype) for w in layer.get_weights()])
    return layer


def arrays(outputs):
    """All outputs of a call, as NumPy arrays (bfloat16 as float32)."""
    return [
        ops.convert_to_numpy(ops.cast(y, "float32") if dtype_of(y) == "bfloat16" else y) for y in tree.flatten(outputs)
    ]


def op_by_op():
    """On JAX, within this, nothing is compiled: loops over time run in Python, many times faster for one small call.

    They must have at least one step then. TensorFlow's eager mode is like this already.
    """
    if not ON_JAX:
        return contextlib.nullcontext()
    import jax

    return jax.disable_jit()


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def close(actual, expected, atol=1e-6, rtol=1e-6):
    """Two nests of outputs agree."""
    actual, expected = arrays(actual), arrays(expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, atol=atol, rtol=rtol)


def padded(rng, shape=(B, T, D)):
    """Inputs and a mask with a row of each kind: whole, left-padded, right-padded, with gaps, masked in full.

    The three in the middle keep four steps each. Masked steps hold large values: what leaks from them is seen.
    """
    t = np.arange(T)
    mask = np.stack([t >= 0, t >= 3, t < 4, ~np.isin(t, (0, 3, 5)), t < 0])
    x = rng.normal(size=(len(mask), *shape[1:]))
    x[~mask] *= 30
    return x, mask

"""`MultiHeadAttention` against the oracle, against Keras's, and where it differs from that."""

import inspect

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.attention.rotary import rotary
from tests import oracle
from tests.cases import EXACT, ON_JAX, B, D, H, M, S, T, arrays, close, dtype_of, padded, randomize
from tests.layers.test_contracts import weight_gradients

L, K = ks.layers, keras.layers
INSTALLED = inspect.signature(K.MultiHeadAttention).parameters


def pair(rng, dtype="float32"):
    return rng.normal(size=(B, T, D)).astype(dtype), rng.normal(size=(B, S, M)).astype(dtype)


def kept_before(mask):
    return np.cumsum(mask, axis=1) - mask


@pytest.mark.usefixtures("steps_in_python")
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
@pytest.mark.parametrize("turned", [False, 50.0], ids=["", "rotary"])
@pytest.mark.parametrize("window", [None, 3], ids=["", "window"])
def test_attention_to_itself_against_the_oracle(causal, turned, window, rng):
    """With masks of all kinds: positions count kept steps."""
    layer = L.MultiHeadAttention(2, 6, value_dim=H, rotary=turned, sliding_window=window, dtype="float64")
    x, mask = padded(rng)
    layer(x, x)
    randomize(layer, rng, 0.5)
    how = {"use_causal_mask": causal, "return_attention_scores": True}
    outputs, scores = arrays(layer(x, x, query_mask=mask, value_mask=mask, **how))
    for row in range(len(x)):
        p = kept_before(mask)[row]
        keep = mask[row][:, None] & mask[row][None]
        if causal:
            keep &= np.tri(T, dtype=bool)
        if window:
            keep &= np.abs(p[:, None] - p[None]) < window
        positions = (p, p) if turned else None
        output, a = oracle.multi_head(x[row], x[row], layer.get_weights(), keep, positions, turned)
        np.testing.assert_allclose(outputs[row], output, atol=EXACT * 100)
        np.testing.assert_allclose(scores[row], a, atol=EXACT * 100)


@pytest.mark.usefixtures("steps_in_python")
def test_attention_to_a_memory_against_the_oracle(rng):
    """With a key of its own, masks of all three, and an attention mask for each head."""
    layer = L.MultiHeadAttention(2, 4, dtype="float64")
    (x, value), key = pair(rng, "float64"), rng.normal(size=(B, S, H))
    layer(x, value, key)
    randomize(layer, rng)
    masks = {"query_mask": (B, T), "value_mask": (B, S), "key_mask": (B, S)}
    masks = {name: rng.random(shape) < 0.8 for name, shape in masks.items()}
    of_heads = rng.random((B, 2, T, S)) < 0.6
    outputs, scores = arrays(layer(x, value, key, **masks, attention_mask=of_heads, return_attention_scores=True))
    for row in range(B):
        keep = masks["query_mask"][row][:, None] & (masks["value_mask"] & masks["key_mask"])[row][None]
        Q, bq, K_, bk, V, bv, P, bp = layer.get_weights()
        for n in range(2):  # the oracle has one mask for all heads
            of_head = [w[:, n : n + 1] for w in (Q, K_, V)]
            one = [
                of_head[0],
                bq[n : n + 1],
                of_head[1],
                bk[n : n + 1],
                of_head[2],
                bv[n : n + 1],
                P[n : n + 1],
                0 * bp,
            ]
            output, a = _with_key(x[row], value[row], key[row], one, keep & of_heads[row, n])
            np.testing.assert_allclose(scores[row, n], a, atol=EXACT)
            outputs[row] -= output
        seen = (keep & of_heads[row]).any(axis=(0, 2))
        np.testing.assert_allclose(outputs[row], seen[:, None] * bp, atol=EXACT * 10)


def _with_key(x, value, key, weights, keep):
    """The oracle reads keys and values from one memory: here side by side."""
    Q, bq, K_, bk, V, bv, P, bp = weights
    both = np.concatenate([value, key], axis=-1)
    K_ = np.concatenate([np.zeros((M, *K_.shape[1:])), K_])
    V = np.concatenate([V, np.zeros((H, *V.shape[1:]))])
    output, a = oracle.multi_head(x, both, [Q, bq, K_, bk, V, bv, P, bp], keep)
    return output, a[0]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"value_dim": H, "use_bias": False, "output_shape": 4},
        {"use_gate": True},
        {"sliding_window": 3},
        {"attention_axes": (1,)},
        {"attention_axes": (2,)},
    ],
    ids=lambda a: "-".join(a) or "plain",
)
@pytest.mark.parametrize("causal", [False, True], ids=["", "causal"])
def test_results_are_keras_s(arguments, causal, rng):
    if not set(arguments) <= set(INSTALLED):
        pytest.skip("the installed Keras has no such argument")
    if ON_JAX and "value_dim" in arguments:
        pytest.skip("Keras's fails on JAX where values are of another size")
    if causal and arguments.get("attention_axes") == (2,):
        pytest.skip("Keras's fails on a causal mask there")
    ours, stock = (cls(2, 4, **arguments) for cls in (L.MultiHeadAttention, K.MultiHeadAttention))
    shape = (B, T, 3, D) if arguments.get("attention_axes") == (2,) else (B, T, D)
    x = rng.normal(size=shape).astype("float32")
    stock(x, x)
    randomize(stock, rng)
    ours(x, x)
    ours.set_weights(stock.get_weights())
    assert [w.path.split("/", 1)[1] for w in ours.weights] == [w.path.split("/", 1)[1] for w in stock.weights]
    for scores in (False, True):
        how = {"use_causal_mask": causal, "return_attention_scores": scores}
        close(ours(x, x, **how), stock(x, x, **how), atol=2e-6)
    if len(shape) == 3:
        mask = np.arange(T) < np.array([[T], [4]])
        kept = arrays(ours(x, x, query_mask=mask, value_mask=mask))[0][mask]
        masked = K.Masking()(np.where(mask[..., None], x, 0))
        np.testing.assert_allclose(kept, arrays(stock(masked, masked))[0][mask], atol=2e-6)


def test_config_of_a_stock_layer_builds_ours(rng):
    stock = K.MultiHeadAttention(2, 4, value_dim=H, dropout=0.1, name="kept")
    ours = L.MultiHeadAttention.from_config(stock.get_config())
    config = stock.get_config()
    assert {k: v for k, v in ours.get_config().items() if k in config} == config


def test_rotary_positions_are_relative(rng):
    q, k = rng.normal(size=(1, T, 2, 6)), rng.normal(size=(1, T, 2, 6))
    positions = np.arange(T)[None]

    def scores(shift):
        turned = arrays([rotary(q, positions + shift), rotary(k, positions + shift)])
        return np.einsum("btnc,bsnc->bnts", *turned)

    np.testing.assert_allclose(scores(0), scores(123), atol=1e-6)
    assert np.abs(scores(0) - np.einsum("btnc,bsnc->bnts", q, k)).max() > 0.1


def test_nan_in_padding_reaches_no_gradient(rng):
    layer = L.MultiHeadAttention(2, 4, rotary=True)
    x, mask = padded(rng)
    x = x.astype("float32")
    dirty = np.where(mask[..., None], x, np.nan).astype("float32")

    class Itself(keras.layers.Layer):
        def call(self, x, mask=None):
            return layer(x, x, query_mask=mask, value_mask=mask, use_causal_mask=True)

    itself = Itself()
    itself.inner = layer
    itself(x)
    randomize(layer, rng)
    found, clean = (weight_gradients(itself, one, mask) for one in (dirty, x))
    assert all(np.isfinite(g).all() for g in found)
    close(found, clean, atol=1e-4)


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
def test_where_there_are_fused_implementations_they_give_the_same(masked, rng, monkeypatch):
    layer = L.MultiHeadAttention(2, 4)
    x, memory = pair(rng)
    keep = rng.random((B, S)) < 0.6 if masked else None
    layer(x, memory)
    randomize(layer, rng)
    here = layer(x, memory, value_mask=keep)
    monkeypatch.setattr("keras_seq.attention.multi_head.native.device", lambda: "gpu")
    close(layer(x, memory, value_mask=keep), here, atol=1e-5)


def test_scores_are_computed_in_single_precision(rng):
    """Products of half precision that differ by less than its steps at their size."""
    layer = L.MultiHeadAttention(1, 2, dtype="mixed_float16")
    x = (30 * rng.normal(size=(B, T, D))).astype("float16")
    exact = L.MultiHeadAttention(1, 2, dtype="float32")
    for one in (layer, exact):
        one(x, x)
    layer.set_weights(exact.get_weights())
    (_, a), (_, b) = (one(x, x, return_attention_scores=True) for one in (layer, exact))
    assert dtype_of(a) == "float16"
    assert np.abs(arrays(a)[0] - arrays(b)[0]).mean() < 0.02


def test_dropout_of_weights(rng):
    layer = L.MultiHeadAttention(2, 4, dropout=0.5, seed=3)
    x, memory = pair(rng)
    quiet = layer(x, memory)
    close(layer(x, memory, training=False), quiet, atol=0)
    dropped = np.mean([arrays(layer(x, memory, training=True))[0] for _ in range(400)], axis=0)
    assert np.abs(arrays(layer(x, memory, training=True))[0] - arrays(quiet)[0]).max() > 1e-2
    np.testing.assert_allclose(dropped, arrays(quiet)[0], atol=0.15)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.MultiHeadAttention(0, 4), "num_heads.*positive"),
        (lambda: L.MultiHeadAttention(2, 4.5), "key_dim.*positive"),
        (lambda: L.MultiHeadAttention(2, 5, rotary=True), "even, got 5"),
        (lambda: L.MultiHeadAttention(2, 4, rotary=-1.0), "rotary.*positive"),
        (lambda: L.MultiHeadAttention(2, 4, sliding_window=0), "sliding_window.*positive"),
        (lambda: L.MultiHeadAttention(2, 4, rotary=True)(*[np.ones((B, T, H, D))] * 2), "rotary.*(B, T, D)"),
        (lambda: L.MultiHeadAttention(2, 4)(*[np.ones((B, T, D))] * 2, query_mask=np.ones((B, S), bool)), "query_mask"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

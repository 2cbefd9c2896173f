"""Where `MultiHeadAttention` leaves the work to Keras, what it says of its outputs, and the masks of its tensors."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import B, D, H, M, S, T, arrays, close, randomize

L, K = ks.layers, keras.layers
INSTALLED = inspect.signature(K.MultiHeadAttention).parameters


def halved(cls):
    """A subclass that attends in its own way, as Keras invites."""

    class Halved(cls):
        def _compute_attention(self, query, key, value, *args, **kwargs):
            output, scores = super()._compute_attention(query, key, value / 2, *args, **kwargs)
            return output, scores

    return Halved


def ignoring(part):
    """Subclasses that write a smaller part anew."""

    def of(cls):
        def own(self, *args, **kwargs):
            return getattr(super(Own, self), part)(*args, **kwargs) if part == "_masked_softmax" else None

        Own = type("Own", (cls,), {part: own})
        return Own

    return of


@pytest.mark.parametrize(
    "subclass",
    [halved, ignoring("_compute_attention_mask"), ignoring("_masked_softmax")],
    ids=["attention", "mask", "softmax"],
)
def test_a_subclass_that_attends_in_its_own_way_is_keras_s(subclass, rng):
    """With the masks that it is given."""
    ours, stock = (subclass(cls)(2, 4) for cls in (L.MultiHeadAttention, K.MultiHeadAttention))
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    masks = {"query_mask": rng.random((B, T)) < 0.7, "value_mask": rng.random((B, S)) < 0.7}
    stock(x, memory)
    randomize(stock, rng)
    ours(x, memory)
    ours.set_weights(stock.get_weights())
    close(ours(x, memory, **masks), stock(x, memory, **masks), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_subclass_gets_the_masks_of_its_tensors(dtype, rng):
    ours = halved(L.MultiHeadAttention)(2, 4, dtype=dtype)
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    x[0, 4:], memory[1, :3] = 0, 0
    masked = [K.Masking(dtype="float32")(one) for one in (x, memory)]
    _, a = ours(*masked, return_attention_scores=True)
    assert not arrays(a)[0][1, :, :, :3].astype("float32").any()
    _, whole = ours(x, memory, return_attention_scores=True)
    assert arrays(whole)[0][1, :, :, :3].astype("float32").any()


@pytest.mark.parametrize("how", [{}, {"return_attention_scores": True}], ids=["", "scores"])
def test_the_masks_of_its_tensors(how, rng):
    """As a mask layer before it leaves them, in each precision."""
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    x[0, 4:], memory[1, :3] = 0, 0
    mask, memory_mask = x.any(-1), memory.any(-1)
    for dtype in ("float32", "mixed_bfloat16"):
        layer = L.MultiHeadAttention(2, 4, rotary=True, dtype=dtype)
        masked = K.Masking(dtype="float32")(x), K.Masking(dtype="float32")(memory)
        found = layer(*masked, **how)
        close(found, layer(x, memory, query_mask=mask, value_mask=memory_mask, **how), atol=0, rtol=0)
        first = arrays(found)[0].astype("float32")
        assert not first[0, 4:].any()
        assert np.abs(first - arrays(layer(x, memory, **how))[0].astype("float32")).max() > 1e-3
    inputs = keras.Input((None, D)), keras.Input((None, M))
    layer = L.MultiHeadAttention(2, 4)
    model = keras.Model(inputs, layer(*(K.Masking()(one) for one in inputs), **how))
    close(model([x, memory]), layer(x, memory, query_mask=mask, value_mask=memory_mask, **how))


def test_outputs_are_said_truly_without_running():
    layer = L.MultiHeadAttention(2, 4, output_shape=(3, H))
    x, memory = keras.Input((T, D)), keras.Input((S, M))
    output, scores = layer(x, memory, return_attention_scores=True)
    assert output.shape == (None, T, 3, H)
    assert scores.shape == (None, 2, T, S)
    spec = L.MultiHeadAttention(2, 4, rotary=True).compute_output_spec(x, memory, return_attention_scores=True)
    assert spec[1].shape == (None, 2, T, S)
    with pytest.raises(ValueError, match=r"rotary.*sequences"):
        L.MultiHeadAttention(2, 4, rotary=True)(keras.Input((T, 3, D)), keras.Input((T, 3, D)))


@pytest.mark.skipif("sliding_window" in INSTALLED, reason="the installed Keras has windows")
def test_a_window_that_keras_does_not_have_is_for_sequences():
    x = np.ones((B, T, 3, D))
    with pytest.raises(ValueError, match=r"sliding_window.*sequences"):
        L.MultiHeadAttention(2, 4, sliding_window=2)(x, x)


def test_one_row_with_values_of_another_size(rng):
    """Where Keras's fused product would serve, if sizes were equal."""
    layer = L.MultiHeadAttention(2, 4, value_dim=H)
    x = rng.normal(size=(3, T, D)).astype("float32")
    whole = arrays(layer(x, x))[0]
    close(layer(x[:1], x[:1]), whole[:1], atol=1e-6)


def test_returned_weights_are_those_before_dropout(rng):
    layer = L.MultiHeadAttention(2, 4, dropout=0.5, seed=3)
    x = rng.normal(size=(B, T, D)).astype("float32")
    _, a = layer(x, x, return_attention_scores=True, training=True)
    np.testing.assert_allclose(arrays(a)[0].sum(-1), 1, atol=1e-5)


def test_products_that_leave_the_range_of_half_precision(rng):
    layer = L.MultiHeadAttention(1, 2, dtype="mixed_float16")
    x = rng.normal(size=(B, T, 2)).astype("float16")
    layer(x, x)
    layer.set_weights([300 * np.ones_like(w) for w in layer.get_weights()])
    _, a = layer(x, x, return_attention_scores=True, attention_mask=np.tri(T, dtype=bool))
    assert np.isfinite(arrays(a)[0]).all()
    np.testing.assert_allclose(arrays(a)[0].astype("float32").sum(-1), 1, atol=1e-2)
    layer.output_dense.set_weights([np.ones_like(w) for w in layer.output_dense.get_weights()])
    for rows in (x, x[:1]):  # for one row Keras's own product would serve
        assert np.isfinite(arrays(layer(rows, rows))[0]).all()


def test_sizes_of_numpy_go_into_files():
    import json

    layer = L.MultiHeadAttention(np.int64(2), np.int32(4), sliding_window=np.int64(3))
    assert json.loads(json.dumps(layer.get_config()))["num_heads"] == 2
    block = L.TransformerBlock(np.int64(4), np.int64(2), rotary=np.float32(50), sliding_window=np.int64(3))
    assert json.loads(json.dumps(block.get_config()))["sliding_window"] == 3


@pytest.mark.usefixtures("steps_in_python")
class TestNothingToAttendTo:
    """Defined as zeros, of queries and of heads, whatever the reason."""

    def made(self, rng, **arguments):
        layer = L.MultiHeadAttention(2, 4, **arguments)
        layer(np.ones((B, T, D)), np.ones((B, S, M)))
        return randomize(layer, rng)

    def test_a_window_that_ends_before_the_query(self, rng):
        layer = self.made(rng, sliding_window=2)
        x, memory = rng.normal(size=(B, T, D)), rng.normal(size=(B, 3, M))
        y, a = arrays(layer(x, memory, return_attention_scores=True))
        near = np.abs(np.arange(T)[:, None] - np.arange(3)) < 2
        assert not y[:, ~near.any(1)].any()
        assert np.abs(y[:, near.any(1)]).min() > 0
        np.testing.assert_allclose(a.sum(-1), np.broadcast_to(near.any(1), (B, 2, T)), atol=1e-6)

    def test_no_keys_at_all(self, rng):
        layer = self.made(rng)
        x, memory = rng.normal(size=(B, T, D)).astype("float32"), np.zeros((B, 0, M), "float32")
        y, a = arrays(layer(x, memory, return_attention_scores=True))
        assert not y.any()
        assert a.shape == (B, 2, T, 0)
        inputs = keras.Input((None, D)), keras.Input((None, M))
        model = keras.Model(inputs, layer(*inputs))
        assert not arrays(model([x, memory]))[0].any()

    def test_one_head_that_may_attend_to_nothing(self, rng):
        layer = self.made(rng)
        x, memory = rng.normal(size=(B, T, D)), rng.normal(size=(B, S, M))
        keep = rng.random((B, 2, T, S)) < 0.6
        keep[:, 1, 2] = False
        y, a = arrays(layer(x, memory, attention_mask=keep, return_attention_scores=True))
        assert not a[:, 1, 2].any()
        np.testing.assert_allclose(a[:, 0].sum(-1), 1, atol=1e-6)
        kernel, bias = layer.output_dense.get_weights()
        v = arrays(layer.value_dense(memory))[0]
        alone = np.einsum("bs,bsc,cd->bd", a[:, 0, 2], v[:, :, 0], kernel[0]) + bias
        np.testing.assert_allclose(y[:, 2], alone, atol=1e-5)


def test_no_memory_at_all_in_block_cell_and_attention(rng):
    """A memory of no steps is as one that is hidden in full."""
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    block = L.TransformerBlock(D, num_heads=D, hidden_units=H, causal=True, cross_attention=True)
    block(x, memory)
    randomize(block, rng)
    attending = L.RNN(L.AttentionCell(L.GRUCell(H)), return_sequences=True)
    attending(x, memory=memory)
    hidden, none = np.zeros((B, S), bool), memory[:, :0]
    steps = L.RNN(L.TransformerCell(block, T), return_sequences=True)
    close(block(x, none), block(x, memory, memory_mask=hidden), atol=1e-5)
    close(steps(x, memory=none), block(x, none), atol=1e-5)
    close(attending(x, memory=none), attending(x, memory=memory, memory_mask=hidden), atol=1e-6)
    assert all(np.isfinite(one).all() for one in arrays([block(x, none), attending(x, memory=none)]))
    assert ops.shape(steps(x, memory=none)) == (B, T, D)

"""What `AttentionCell` makes of its weights, and where it stands: in layers, directions, stacks, files and graphs."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import B, D, H, M, S, T, arrays, close, randomize

L = ks.layers


def attending(**arguments):
    return L.AttentionCell(L.GRUCell(H), **arguments)


def batch(rng):
    return rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")


@pytest.mark.parametrize("merge_mode", ["concat", "sum", None])
def test_both_directions_return_their_weights(merge_mode, rng):
    layer = L.Bidirectional(L.RNN(attending(return_weights=True), return_sequences=True), merge_mode=merge_mode)
    x, memory = batch(rng)
    flat = keras.tree.flatten(layer(x, memory=memory))
    if merge_mode == "concat":
        y, a = arrays(flat)
        (_, forward), (_, backward) = (one(x, memory=memory) for one in (layer.forward_layer, layer.backward_layer))
        np.testing.assert_allclose(a, np.concatenate([forward, arrays(backward)[0][:, ::-1]], axis=-1), atol=1e-6)
        assert y.shape == (B, T, 2 * H)
    symbolic = keras.tree.flatten(layer(keras.Input((None, D)), memory=keras.Input((None, M))))
    for s, r in zip(symbolic, flat, strict=True):
        assert all(a in (None, b) for a, b in zip(s.shape, r.shape, strict=True))


def test_the_upper_cell_of_a_stack_returns_its_weights(rng):
    x, memory = batch(rng)
    y, a = L.RNN([L.GRUCell(H), attending(return_weights=True)], return_sequences=True)(x, memory=memory)
    assert y.shape == (B, T, H)
    np.testing.assert_allclose(arrays(a)[0].sum(-1), 1, atol=1e-6)


def test_over_a_stack_of_stacks_the_query_is_the_state_of_the_top(rng):
    stack = L.StackedRNNCells([L.GRUCell(2), L.StackedRNNCells([L.GRUCell(4), L.LSTMCell(H)])])
    layer = L.RNN(L.AttentionCell(stack, return_weights=True), return_sequences=True)
    x, memory = batch(rng)
    layer(x, memory=memory)
    randomize(layer, rng)
    start = layer.get_initial_state(B)
    other = [start[0], [start[1][0], [start[1][1][0] + 1, start[1][1][1]]]]
    a, b = (arrays(layer(x, memory=memory, initial_state=s))[1] for s in (start, other))
    assert np.abs(a - b)[:, 0].max() > 1e-3


def test_no_steps_of_a_memory_of_any_length(rng):
    """In a graph that knows neither."""
    inputs = keras.Input((None, D)), keras.Input((None, M))
    layer = L.RNN(attending(return_weights=True), return_sequences=True)
    model = keras.Model(inputs, layer(inputs[0], memory=inputs[1]))
    x, memory = batch(rng)
    y, a = model.predict_on_batch([x[:, :0], memory])
    assert y.shape == (B, 0, H)
    assert a.shape[:2] == (B, 0)
    y, a = model.predict_on_batch([x, memory])
    assert a.shape == (B, T, S)


def test_weights_do_not_stream():
    inputs = keras.Input((None, D)), keras.Input((S, M), name="memory")
    layer = L.RNN(attending(return_weights=True), return_sequences=True)
    model = keras.Model(inputs, layer(inputs[0], memory=inputs[1]))
    with pytest.raises(ValueError, match="return_weights=False"):
        L.streaming(model, whole="memory")


def test_the_mask_of_a_memory_also_by_hand(rng):
    """As a decoder calls a cell: the mask that came with the memory counts there, too."""
    cell, (x, memory) = attending(), batch(rng)
    L.RNN(cell)(x, memory=memory)
    memory[1, 4:] = 0
    masked = keras.layers.Masking()(memory)
    start = cell.get_initial_state(B)
    for given in ({"memory": masked}, {"memory": memory, "memory_mask": memory.any(-1)}):
        keep = cell.prepare(start, **given)[5]
        assert arrays(keep)[0].tolist() == memory.any(-1).tolist()


# Both additive scores do so in tests/layers/test_pairs.py.
@pytest.mark.parametrize("kind", ["general", "scaled_dot"])
def test_it_trains_compiled_on_batches_of_other_lengths(kind, rng):
    inputs = keras.Input((None, D)), keras.Input((None, H))
    layer = L.RNN(L.AttentionCell(L.GRUCell(H), kind, attend="after"), return_sequences=True)
    model = keras.Model(inputs, layer(inputs[0], memory=inputs[1]))
    model.compile("sgd", lambda _, y: ops.mean(ops.square(y)), jit_compile=True)
    for rows, steps, length in ((2, 3, 5), (3, 4, 2)):
        data = [rng.normal(size=(rows, n, size)).astype("float32") for n, size in ((steps, D), (length, H))]
        assert np.isfinite(model.train_on_batch(data, np.zeros((rows, 1))))


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_weights_in_half_precision_are_those_of_single_precision(dtype, rng):
    """Up to the rounding of each: over a long memory sums of half precision would drift."""
    layer = L.RNN(attending(return_weights=True, dtype=dtype), return_sequences=True, dtype=dtype)
    x, memory = rng.normal(size=(B, T, D)), rng.normal(size=(B, 1009, M))
    _, a = layer(x, memory=memory)
    step = {"mixed_float16": 2**-11, "mixed_bfloat16": 2**-8}[dtype]
    np.testing.assert_allclose(arrays(ops.cast(a, "float32"))[0].sum(-1), 1, atol=step)
    close(ops.any(ops.isnan(a)), np.array(False))

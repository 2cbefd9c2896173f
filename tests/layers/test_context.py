"""What `RNN` and `Bidirectional` take beside a sequence: memory, resets, perturbations; and the trace they give."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import ON_JAX, B, D, H, T, arrays, close, randomize
from tests.layers.exotic import ReadingCell, S, W, gradient, normal, reading_layer

L = ks.layers


# ---- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["rnn", "stack", "bidirectional"])
def test_memory_is_read_at_each_step_and_masked(wrap, rng):
    cells = {"stack": lambda: [L.GRUCell(5), ReadingCell()]}.get(wrap, ReadingCell)()
    layer = L.RNN(cells, return_sequences=True)
    layer = L.Bidirectional(layer) if wrap == "bidirectional" else layer
    x, memory = normal(rng, B, T, D), normal(rng, B, S, W)
    layer(x, memory=memory)
    randomize(layer, rng)
    keep = rng.random((B, S)) < 0.6
    keep[0], keep[1, 0] = True, True
    masked = layer(x, memory=memory, memory_mask=keep)
    for row in range(B):
        alone = layer(x[row : row + 1], memory=memory[row : row + 1, keep[row]])
        close(masked[row : row + 1], alone)
    assert not np.allclose(arrays(masked)[0], arrays(layer(x, memory=memory))[0])


def test_memory_mask_comes_with_the_memory_in_a_functional_model(rng, tmp_path):
    x, ids = keras.Input((None, D)), keras.Input((None,), dtype="int32")
    memory = keras.layers.Embedding(17, W, mask_zero=True)(ids)
    model = keras.Model([x, ids], L.RNN(ReadingCell())(x, memory=memory))
    randomize(model, rng)
    data = [normal(rng, B, T, D), rng.integers(1, 17, (B, S))]
    short = [data[0], np.pad(data[1], ((0, 0), (0, 3)))]
    close(model.predict(short, verbose=0), model.predict(data, verbose=0))
    model.save(tmp_path / "m.keras")
    close(keras.saving.load_model(tmp_path / "m.keras").predict(short, verbose=0), model.predict(data, verbose=0))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_memory_of_another_dtype_is_read_in_that_of_the_layer(dtype, rng):
    layer = L.RNN(ReadingCell(dtype=dtype), dtype=dtype)
    x, memory = rng.normal(size=(B, T, D)), rng.normal(size=(B, S, W))
    layer(x, memory=memory)
    randomize(layer, rng)
    close(layer(x, memory=memory), layer(x.astype("float32"), memory=memory.astype("float32")))


@pytest.mark.tensorflow
def test_memory_is_exported_with_all_sizes_open(rng, tmp_path):
    import tensorflow as tf

    x, memory = keras.Input((None, D)), keras.Input((None, W))
    model = keras.Model([x, memory], L.Bidirectional(L.RNN(ReadingCell()))(x, memory=memory))
    randomize(model, rng)
    model.export(str(tmp_path / "m"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "m"))
    for b, t, s in ((2, 7, 11), (3, 5, 2)):
        data = [normal(rng, b, t, D), normal(rng, b, s, W)]
        close(served.serve(data), model(data))


# ---- resets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrap", "backwards"),
    [("gru", False), ("gru", True), ("nested states", False), ("nested states", True), ("bidirectional", False)],
)
def test_a_reset_is_another_sequence(wrap, backwards, rng):
    inner = ReadingCell() if wrap == "nested states" else L.GRUCell(H)
    layer = L.RNN(inner, return_sequences=True, go_backwards=backwards)
    layer = L.Bidirectional(layer) if wrap == "bidirectional" else layer
    x = normal(rng, B, T, D)
    layer(x)
    randomize(layer, rng)
    begins = np.array([[0, 0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 0, 1, 1]], bool)
    keep = np.array([[1, 0, 1, 1, 1, 0, 1], [1, 1, 1, 0, 1, 0, 1]], bool)  # row 1: a reset at a masked step
    out = arrays(layer(x, reset_mask=begins, mask=keep))[0]
    for row in range(B):
        ours = out[row][::-1] if backwards else out[row]
        edges = [0, *np.flatnonzero(begins[row] & keep[row]), T]
        for a, b in itertools.pairwise(edges):
            kept = np.flatnonzero(keep[row, a:b]) + a
            alone = arrays(layer(x[row : row + 1, kept]))[0][0]
            close(ours[kept], alone[::-1] if backwards else alone)


def test_states_after_a_reset_are_those_of_the_last_segment(rng):
    layer = L.LSTM(H, return_state=True)
    x = normal(rng, B, T, D)
    layer(x)
    randomize(layer, rng)
    begins = np.zeros((B, T), bool)
    begins[:, 4] = True
    close(layer(x, reset_mask=begins), layer(x[:, 4:]))


def test_a_stateful_layer_returns_the_states_that_a_stateless_one_does(rng):
    """Read backwards, the step that begins a sequence is read last: its state is returned, the next batch starts anew.

    In row 1 that step is masked, and the first kept one begins none.
    """
    kept, plain = (L.GRU(H, go_backwards=True, return_state=True, stateful=s) for s in (True, False))
    x, again = normal(rng, B, T, D), normal(rng, B, T, D)
    kept(x)
    plain(x)
    randomize(plain, rng)
    kept.set_weights(plain.get_weights())
    kept.reset_state()
    begins, mask = np.zeros((B, T), bool), np.ones((B, T), bool)
    begins[:, 0], mask[1, 0] = True, False
    _, state = kept(x, reset_mask=begins, mask=mask)
    close(state, plain(x, mask=mask)[1])
    start = np.where(np.array([[True], [False]]), 0, np.asarray(state)).astype("float32")
    close(kept(again), plain(again, initial_state=[start]))


# ---- trace and perturbation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
def test_the_trace_is_the_state_after_each_step(backwards, rng):
    layer = reading_layer(rng, memory=False, go_backwards=backwards)
    x = normal(rng, B, T, D)
    mask = np.ones((B, T), bool)
    mask[0, 3] = False
    out, *states, trace = layer(x, mask=mask, return_trace=True)
    for t in range(T):
        part = slice(T - 1 - t, None) if backwards else slice(0, t + 1)
        after = layer(x[:, part], mask=mask[:, part])[1:]
        close(tree.map_structure(lambda s, t=t: s[:, t], trace), list(after))
    close(tree.map_structure(lambda s: s[:, -1], trace), list(states))
    assert arrays(out)[0].shape == (B, T, H)


@pytest.mark.parametrize("make", [L.SimpleRNNCell, L.LSTMCell, L.GRUCell, ReadingCell])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_perturbation_has_the_gradient_of_its_state(make, backwards, rng):
    cell = make(dtype="float64") if make is ReadingCell else make(H, dtype="float64")
    layer = L.RNN(cell, return_sequences=True, go_backwards=backwards, dtype="float64")
    x, weights = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, H))
    layer.build((None, None, D))
    randomize(layer, rng)
    zeros = tree.map_structure(
        lambda s: np.zeros((B, T, *s.shape[1:]), keras.backend.standardize_dtype(s.dtype)), layer.get_initial_state(1)
    )
    flat = tree.flatten(zeros)
    for i, zero in enumerate(flat):
        if not np.issubdtype(zero.dtype, np.floating):
            continue

        def loss(p, i=i):
            added = tree.pack_sequence_as(zeros, [p if j == i else z for j, z in enumerate(flat)])
            return ops.sum(layer(x, perturbation=added) * weights)

        found = gradient(loss, zero)
        where = (0, 2, *([1] * (zero.ndim - 2)))
        size, tolerance = (1e-2, 1e-3) if ON_JAX else (1e-5, 1e-7)  # Keras's tanh is one of float32 on JAX
        step = np.zeros_like(zero)
        step[where] = size
        finite = (float(loss(zero + step)) - float(loss(zero - step))) / (2 * size)
        np.testing.assert_allclose(found[where], finite, rtol=tolerance, atol=tolerance)
        assert np.abs(found).max() > 1e-3


def test_a_perturbation_reaches_the_cells_above(rng):
    """The lower cell's h at the last step counts through the upper cell at that very step."""
    layer = L.RNN([L.GRUCell(5), L.GRUCell(H)])
    x = normal(rng, B, T, D)
    layer.build((None, None, D))
    randomize(layer, rng)
    zeros = [[np.zeros((B, T, 5), "float32")], [np.zeros((B, T, H), "float32")]]
    found = gradient(lambda p: ops.sum(layer(x, perturbation=[[p], zeros[1]])), zeros[0][0])
    assert np.abs(found[:, -1]).max() > 1e-3


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"memory": np.ones((B, S, W), "float32")}, "memory.*LSTMCell, reads none"),
        ({"reset_mask": np.ones((B, T + 1), bool)}, "reset_mask.*got"),
        ({"perturbation": [np.ones((B, T, H))]}, "perturbation.*2 tensor"),
        ({"perturbation": [np.ones((B, T, H)), np.ones((B, T, H + 1))]}, "perturbation.*shapes"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, words, rng):
    with pytest.raises(ValueError, match=words):
        L.LSTM(H)(normal(rng, B, T, D), **arguments)


def test_a_memory_mask_that_does_not_fit_is_refused(rng):
    with pytest.raises(ValueError, match=r"memory_mask.*\(2, 11\).*\(2, 10\)"):
        reading_layer(rng)(normal(rng, B, T, D), memory=normal(rng, B, S, W), memory_mask=np.ones((B, S - 1), bool))

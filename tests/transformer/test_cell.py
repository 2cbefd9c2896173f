"""`TransformerCell`: step by step what its block gives for the whole, whatever the cache must hold."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import B, M, S, T, arrays, close, padded, randomize

L = ks.layers
D, N, F = 6, 3, 17


def made(rng, **arguments):
    block = L.TransformerBlock(D, N, F, causal=True, **arguments)
    block.build((None, None, D), (None, None, M) if block.cross_attention else None)
    return randomize(block, rng, 0.5)


@pytest.mark.usefixtures("steps_in_python")
@pytest.mark.parametrize(
    ("norm_first", "rotary", "cross"),
    [(True, True, True), (False, False, False), (True, False, False), (False, True, True)],
    ids=["pre-rotary-decoder", "post", "pre", "post-rotary-decoder"],
)
def test_step_by_step_it_is_the_causal_pass(norm_first, rotary, cross, rng):
    """With masks of all kinds, and a cache that is longer than the sequence."""
    block = made(rng, norm_first=norm_first, rotary=rotary, cross_attention=cross)
    x, mask = padded(rng, (B, T, D))
    memory, memory_mask = rng.normal(size=(len(x), S, M)), rng.random((len(x), S)) < 0.6
    memory_mask[1] = False
    given = {"memory": memory, "memory_mask": memory_mask} if cross else {}
    steps = L.RNN(L.TransformerCell(block, T + 4), return_sequences=True, zero_output_for_mask=True)
    close(steps(x, mask=mask, **given), block(x, mask=mask, **given), atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("steps_in_python")
@pytest.mark.parametrize("rotary", [True, False], ids=["rotary", ""])
def test_a_full_cache_forgets_its_oldest_step(rotary, rng):
    """As a window of that many steps would, masked steps not counted."""
    block = made(rng, rotary=rotary)
    windowed = L.TransformerBlock.from_config({**block.get_config(), "sliding_window": 3})
    windowed.build((None, None, D))
    windowed.set_weights(block.get_weights())
    x, mask = padded(rng, (B, T, D))
    found = L.RNN(L.TransformerCell(block, 3), return_sequences=True, zero_output_for_mask=True)(x, mask=mask)
    close(found, windowed(x, mask=mask), atol=1e-5, rtol=1e-5)
    assert np.abs(arrays(found)[0] - arrays(block(x, mask=mask))[0]).max() > 1e-2
    held = L.TransformerCell(windowed, 100).get_initial_state(1)
    assert held[0].shape[2] == 3  # no more than its window looks back to
    close(L.RNN(L.TransformerCell(windowed, 100), return_sequences=True)(x), windowed(x), atol=1e-5, rtol=1e-5)


def test_a_stack_is_one_cell(rng):
    blocks = [made(rng, rotary=True) for _ in range(2)]
    x = rng.normal(size=(B, T, D)).astype("float32")
    stack = L.RNN([L.TransformerCell(block, T) for block in blocks], return_sequences=True)
    close(stack(x), blocks[1](blocks[0](x)), atol=1e-5, rtol=1e-5)


def test_half_a_sequence_and_then_the_other(rng):
    block = made(rng, rotary=True)
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer = L.RNN(L.TransformerCell(block, T), return_sequences=True, return_state=True)
    first, *states = layer(x[:, :3])
    second, *states = layer(x[:, 3:], initial_state=states)
    whole = arrays(block(x))[0]
    close((first, second), (whole[:, :3], whole[:, 3:]), atol=1e-5, rtol=1e-5)
    assert arrays(states[2])[0].tolist() == [[T]] * B


def test_a_model_with_its_cell_streams(rng):
    block = made(rng, rotary=True)
    layer = L.RNN(L.TransformerCell(block, T), return_sequences=True)
    model = keras.Sequential([keras.Input((None, D)), layer, L.FeedForward(F)])
    x = rng.normal(size=(B, T, D)).astype("float32")
    stream = L.streaming(model)
    states, outputs = stream.get_initial_state(batch_size=B), []
    for chunk in np.split(x, [1, 4], axis=1):
        states = stream({"inputs": chunk, **states})
        outputs.append(arrays(states.pop("outputs"))[0])
    close(np.concatenate(outputs, axis=1), model(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.TransformerBlock(D, N, causal=True), "TransformerCell"),
        (lambda: L.SinusoidalPositions(), "rotary"),
        (lambda: L.LearnedPositions(T), "rotary"),
    ],
)
def test_what_cannot_stream_says_what_can(make, words):
    with pytest.raises(ValueError, match=words):
        L.streaming(keras.Sequential([keras.Input((None, D)), make()]))


def test_keras_s_own_layer_runs_it_too(rng):
    """It keeps the count of steps as a float."""
    block = made(rng, rotary=True)
    x = rng.normal(size=(B, T, D)).astype("float32")
    layer = keras.layers.RNN(L.TransformerCell(block, 3), return_sequences=True)
    close(layer(x), L.RNN(L.TransformerCell(block, 3), return_sequences=True)(x), atol=1e-6)


def test_keys_of_the_memory_are_computed_once_per_call(rng):
    block = made(rng, cross_attention=True)
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    calls, dense = [], block.memory_attention.key_dense
    counted = dense.call
    dense.call = lambda *args, **kwargs: calls.append(1) or counted(*args, **kwargs)
    L.RNN(L.TransformerCell(block, T), return_sequences=True)(x, memory=memory)
    assert len(calls) == 1


def test_cells_that_read_a_memory_and_cells_that_read_none_in_one_stack(rng):
    reading, alone = made(rng, cross_attention=True), made(rng)
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    stack = L.RNN([L.TransformerCell(block, T) for block in (alone, reading)], return_sequences=True)
    close(stack(x, memory=memory), reading(alone(x), memory), atol=1e-5, rtol=1e-5)


def test_the_mask_of_a_memory_also_by_hand(rng):
    block = made(rng, cross_attention=True)
    cell, x = L.TransformerCell(block, T), rng.normal(size=(B, D)).astype("float32")
    memory = rng.normal(size=(B, S, M)).astype("float32")
    memory[1, 4:] = 0
    start = cell.get_initial_state(B)
    y, _ = cell.step(cell.project(x), start, cell.prepare(start, memory=keras.layers.Masking()(memory)))
    close(y, block(x[:, None], memory, memory_mask=memory.any(-1))[:, 0], atol=1e-5, rtol=1e-5)


def test_products_that_leave_the_range_of_half_precision(rng):
    block = L.TransformerBlock(D, N, F, causal=True, dtype="mixed_float16")
    x = rng.normal(size=(B, T, D)).astype("float16")
    block(x)
    for dense in (block.attention.query_dense, block.attention.key_dense):
        dense.set_weights([300 * np.ones_like(w) for w in dense.get_weights()])
    steps = L.RNN(L.TransformerCell(block, T), return_sequences=True, dtype="mixed_float16")(x)
    assert np.isfinite(arrays(steps)[0]).all()
    close(steps, block(x), atol=0.02, rtol=0.02)


def test_one_step_by_hand(rng):
    """As a decoder calls it."""
    block = made(rng)
    cell, x = L.TransformerCell(block, T), rng.normal(size=(B, T, D)).astype("float32")
    states, outputs = cell.get_initial_state(B), []
    for t in range(3):
        y, states = cell(x[:, t], states)
        outputs.append(arrays(y)[0])
    close(np.stack(outputs, 1), block(x[:, :3]), atol=1e-5, rtol=1e-5)


@pytest.mark.tensorflow
def test_it_is_exported_with_all_sizes_open(rng, tmp_path):
    import tensorflow as tf

    block = made(rng, rotary=True, cross_attention=True)
    x, memory = keras.Input((None, D)), keras.Input((None, M))
    model = keras.Model([x, memory], L.RNN(L.TransformerCell(block, T), return_sequences=True)(x, memory=memory))
    model.export(tmp_path / "saved", verbose=False)
    data = [rng.normal(size=(3, T, D)).astype("float32"), rng.normal(size=(3, S, M)).astype("float32")]
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    close(loaded.serve(data), block(*data), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.TransformerCell(L.TransformerBlock(D, N), T), "block.*causal=True"),
        (lambda: L.TransformerCell(keras.layers.Dense(D), T), "block.*TransformerBlock"),
        (lambda: L.TransformerCell(L.TransformerBlock(D, N, causal=True), 0), "max_length.*positive"),
        (
            lambda: L.TransformerCell(L.TransformerBlock(D, N, causal=True), T, dtype="mixed_bfloat16"),
            "dtype.*that of the block, 'float32', got 'mixed_bfloat16'",
        ),
        (
            lambda: L.RNN(L.TransformerCell(L.TransformerBlock(D, N, causal=True), T))(np.ones((B, T, D + 1))),
            f"size `units`, {D}, got",
        ),
        (
            lambda: L.RNN(L.TransformerCell(L.TransformerBlock(D, N, causal=True), T))(
                np.ones((B, T, D)), memory=np.ones((B, S, M))
            ),
            "reads none",
        ),
        (
            lambda: L.TransformerCell(L.TransformerBlock(D, N, causal=True), T).prepare([], memory=np.ones((B, S, M))),
            "no `cross_attention`",
        ),
        (
            lambda: L.RNN(L.TransformerCell(L.TransformerBlock(D, N, causal=True, dropout=0.1), T))(
                np.ones((B, T, D)), training=True
            ),
            "train the block itself",
        ),
        (
            lambda: L.RNN(L.TransformerCell(L.TransformerBlock(D, N, causal=True, cross_attention=True), T))(
                np.ones((B, T, D))
            ),
            "memory",
        ),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

"""Layers that read ids of words: files, the exported graph, mixed precision and compiled steps of each."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from tests.cases import CASES, WORDS, B, T, arrays, close, dtype_of, op_by_op, randomize

ROWS = [c for c in CASES if c.reads == "ids"]
every_row = pytest.mark.parametrize("case", ROWS, ids=str)
row_with_weights = pytest.mark.parametrize("case", [c for c in ROWS if c.name != "WordDropout"], ids=str)


@pytest.fixture
def policy():
    """Sets the global dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture
def ids(rng):
    """Rows that are whole, padded at the end, at the start, with gaps, and empty; no id fits into half precision."""
    ids = 2 * rng.integers(1500, len(WORDS) // 2, (5, T)) + 1
    ids[1, 4:] = ids[2, :3] = ids[3, [0, 3, 5]] = ids[4] = 0
    return ids


def model_of(layer, rng):
    inputs = keras.Input((None,), dtype="int32")
    return randomize(keras.Model(inputs, layer(inputs)), rng)


@every_row
def test_keras_file(case, rng, ids, tmp_path):
    model = model_of(case.layer(), rng)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is type(model.layers[-1])
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    close(again(ids), model(ids), atol=0, rtol=0)


@pytest.mark.tensorflow
@every_row
def test_export(case, rng, ids, tmp_path):
    import tensorflow as tf

    model = model_of(case.layer(), rng)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for rows in (ids, ids[:2, :3]):
        close(loaded.serve(tf.constant(rows, tf.int32)), model(rows), atol=0)


@every_row
@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_rounds_no_ids(case, name, rng, ids, policy):
    exact = case.layer()
    exact(ids)
    randomize(exact, rng)
    policy(name)
    layer = case.layer()
    symbolic = layer(keras.Input((None,), dtype="int32"))
    layer.set_weights(exact.get_weights())
    real = layer(ops.convert_to_tensor(ids, dtype="int32"))
    assert symbolic.shape == (None, None, *real.shape[2:])
    assert layer.compute_output_shape((B, None)) == (B, None, *real.shape[2:])
    assert dtype_of(symbolic) == dtype_of(real) == (name.removeprefix("mixed_") if layer.weights else "int32")
    assert all(dtype_of(w) == "float32" for w in layer.weights)
    expected = arrays(exact(ids))[0]
    # What is added up are numbers of this size: their rounding remains where they cancel.
    close(ops.cast(real, "float32"), expected, atol=0.02 if layer.weights else 0, rtol=0.01)
    assert np.abs(expected[:, 1:] - expected[:, :-1]).max() > 0.1


def check_kind(case, kind, ids):
    layer = case.layer()
    close(layer(ops.convert_to_tensor(ids, dtype=kind)), layer(ids), atol=0)


@every_row
@pytest.mark.parametrize("kind", ["int16", "int64"])
def test_ids_of_other_kinds(case, kind, ids):
    check_kind(case, kind, ids)


@every_row
@pytest.mark.parametrize("kind", ["uint16", "uint32"])
def test_ids_of_unsigned_kinds(case, kind, ids):
    check_kind(case, kind, ids)


@every_row
def test_symbolic_dtypes_are_the_real_ones(case):
    symbolic, real = keras.Input((None,), dtype="uint16"), ops.ones((B, T), "uint16")
    layer = case.layer()
    assert dtype_of(layer(symbolic)) == dtype_of(layer(real))


@every_row
@pytest.mark.parametrize("shape", [(0, T), (B, 0), (B, 1)], ids=str)
def test_few_or_no_words(case, shape):
    ids = np.full(shape, 7)
    for training in (False, True):
        given = {"training": training} if case.name == "WordDropout" else {}
        assert case.layer()(ids, **given).shape[:2] == shape


@row_with_weights
def test_a_training_step_compiled_and_eager(case, rng, ids):
    """Both move the weights, to the same place."""
    weights, results = None, []
    for how in ({"jit_compile": True}, {"run_eagerly": True, "jit_compile": False}):
        model = model_of(case.layer(), rng)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.1), lambda _, y: ops.mean(ops.square(y)), **how)
        with op_by_op() if "run_eagerly" in how else contextlib.nullcontext():
            model.train_on_batch(ids, np.zeros((len(ids), 1)))
        results.append(model.get_weights())
    for compiled, eager, before in zip(*results, weights, strict=True):
        np.testing.assert_allclose(compiled, eager, atol=1e-6)
        assert np.abs(compiled - before).max() > 1e-4

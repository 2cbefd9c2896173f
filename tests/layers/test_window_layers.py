"""Layers that read windows of a fixed length, or features: files, exports, shapes, mixed precision, compiled steps."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops, tree

from tests.cases import CASES, ON_JAX, B, D, T, arrays, close, dtype_of, op_by_op, randomize

every_row = pytest.mark.parametrize("case", [c for c in CASES if c.reads in ("windows", "features")], ids=str)


@pytest.fixture
def policy():
    """Sets the global dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def model_of(layer, rng):
    """A Functional model with weights below the layer too."""
    inputs = keras.Input((T, D))
    hidden = keras.layers.Dense(D, use_bias=False)(inputs)
    return randomize(keras.Model(inputs, tree.flatten(layer(hidden))), rng)


@pytest.fixture
def windows(rng):
    return rng.normal(size=(B, T, D)).astype("float32")


@every_row
def test_files(case, rng, windows, tmp_path):
    model, other = model_of(case.layer(), rng), model_of(case.layer(), rng)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(arrays(model(windows)), arrays(other(windows)), strict=True))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is type(model.layers[-1])
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for copy in (again, other):
        close(copy(windows), model(windows), atol=0, rtol=0)


@pytest.mark.tensorflow
@every_row
def test_export(case, rng, tmp_path):
    import tensorflow as tf

    model = model_of(case.layer(), rng)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for rows in (B, 5, 1, 0):
        x = rng.normal(size=(rows, T, D)).astype("float32")
        close(loaded.serve(x), model(x), atol=2e-5, rtol=1e-4)


@every_row
@pytest.mark.parametrize("name", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_symbolic_outputs_are_the_real_ones(case, name, windows, policy):
    policy(name)
    layer = case.layer()
    symbolic, real = layer(keras.Input((T, D))), layer(windows)
    tree.assert_same_structure(symbolic, real)
    for s, r in zip(tree.flatten(symbolic), tree.flatten(real), strict=True):
        assert (s.shape[0], *r.shape[1:]) == (None, *s.shape[1:])
        assert dtype_of(s) == dtype_of(r)
    assert dtype_of(tree.flatten(real)[0]) == name.removeprefix("mixed_")
    assert all(dtype_of(w) == "float32" for w in layer.weights)
    shapes = tree.map_structure(lambda s: s.shape, symbolic)
    assert tree.flatten(layer.compute_output_shape((None, T, D))) == tree.flatten(shapes)


@every_row
def test_mixed_precision(case, rng, windows, policy):
    exact = case.layer()
    exact(windows)
    randomize(exact, rng)
    policy("mixed_bfloat16")
    layer = case.layer()
    layer(windows)
    layer.set_weights(exact.get_weights())
    found = [ops.cast(y, "float32") for y in tree.flatten(layer(windows))]
    close(found, tree.flatten(exact(windows)), atol=0.1, rtol=0.05)


@every_row
def test_training_step_compiled_and_eager(case, rng, windows):
    """Both move all weights, to the same place, downhill."""
    weights, results = None, []
    for how in ({"jit_compile": True}, {"run_eagerly": True, "jit_compile": False}):
        model = model_of(case.layer(), rng)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        loss = [lambda _, y: ops.mean(ops.square(y))] * len(model.outputs)
        model.compile(keras.optimizers.SGD(0.02), loss, **how)
        targets = [np.zeros((B, 1))] * len(model.outputs)
        with op_by_op() if ON_JAX and "run_eagerly" in how else contextlib.nullcontext():
            losses = [np.ravel(model.train_on_batch(windows, targets))[0] for _ in range(2)]
        assert losses[1] < losses[0]
        results.append(model.get_weights())
    for weight, compiled, eager, before in zip(model.weights, *results, weights, strict=True):
        np.testing.assert_allclose(compiled, eager, atol=2e-6, rtol=1e-4)
        assert np.abs(compiled - before).max() > 1e-6, weight.path


@every_row
def test_no_rows(case, windows):
    layer = case.layer()
    for some, none in zip(tree.flatten(layer(windows)), tree.flatten(layer(windows[:0])), strict=True):
        assert tuple(none.shape) == (0, *some.shape[1:])

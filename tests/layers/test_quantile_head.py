"""Quantiles that cannot cross: for random and extreme numbers, their gradients, and what they learn."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import EXACT, ON_JAX, B, D, T, arrays, close, randomize
from tests.layers.exotic import gradient

L = ks.layers
LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]
Q = len(LEVELS)


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def oracle(z):
    q = np.array(z, "float64")
    for i in range(1, q.shape[-1]):
        q[..., i] = q[..., i - 1] + softplus(z[..., i])
    return q


@pytest.mark.parametrize("units", [None, 3])
def test_against_the_oracle(units, rng):
    x = rng.normal(size=(B, T, D))
    layer = L.QuantileHead(LEVELS, units=units, dtype="float64")
    layer(x)
    randomize(layer, rng)
    kernel, bias = layer.get_weights()
    z = (x @ kernel + bias).reshape((B, T, Q) if units is None else (B, T, units, Q))
    close(layer(x), oracle(z), atol=EXACT)
    close(layer(x[0, 0][None]), oracle(z[:1, 0]), atol=EXACT)


def extremes(dtype, rng):
    """Numbers of all sizes that the dtype has, in every order."""
    largest = {"float16": 6e4, "bfloat16": 3e38, "float32": 3e38, "float64": 1e308}[dtype]
    special = np.array([0, 1e-3, 1, 30, 1000, largest])
    return rng.choice(np.concatenate([special, -special]), (4000, Q))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "compiled"])
def test_they_never_cross(dtype, jit, rng):
    function = L.monotone_quantiles
    if jit and ON_JAX:
        import jax

        function = jax.jit(function)
    elif jit:
        import tensorflow as tf

        function = tf.function(function, jit_compile=True)
    for z in (extremes(dtype, rng), 100 * rng.normal(size=(4000, Q)), 1e6 + rng.normal(size=(4000, Q))):
        q = arrays(function(ops.cast(z, dtype)))[0].astype("float64")
        assert not np.isnan(q).any()
        assert (q[:, 1:] >= q[:, :-1]).all()


def test_gradients_are_finite(rng):
    for z in (extremes("float32", rng), 100 * rng.normal(size=(500, Q))):
        found = gradient(lambda z: ops.sum(L.monotone_quantiles(z)), z.astype("float32"))
        assert np.isfinite(found).all()
        # Each moves all quantiles from its own on: the first by 1, the others by the slope of softplus.
        slopes = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
        slopes[:, 0] = 1
        np.testing.assert_allclose(found, slopes * np.arange(Q, 0, -1), atol=1e-5)


def test_they_learn_the_quantiles_of_noise(rng):
    """Of noise whose size depends on the input."""
    x = rng.choice([1.0, 3.0], (4000, 1))
    y = x * rng.normal(size=(4000, 1))
    model = keras.Sequential([keras.Input((1,)), L.QuantileHead(LEVELS, units=1)])
    metrics = [ks.metrics.Coverage(LEVELS, 0.8), ks.metrics.Coverage(LEVELS, 0.5), ks.metrics.Pinball(LEVELS)]
    model.compile(keras.optimizers.Adam(0.1), ks.losses.QuantileLoss(LEVELS), metrics=metrics)
    model.fit(x, y, batch_size=1000, epochs=60, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scores["pinball"] == pytest.approx(scores["loss"], rel=1e-4)
    assert scores["coverage_80"] == pytest.approx(0.8, abs=0.04)
    assert scores["coverage_50"] == pytest.approx(0.5, abs=0.05)
    normal = np.array([-1.2816, -0.6745, 0, 0.6745, 1.2816])
    np.testing.assert_allclose(model.predict(np.array([[3.0]]), verbose=0)[0, 0], 3 * normal, atol=0.6)


def test_the_mask_goes_on(rng):
    x = rng.normal(size=(B, T, D))
    x[0, 4:] = 0
    y = L.QuantileHead(LEVELS)(keras.layers.Masking()(x))
    np.testing.assert_array_equal(arrays(y._keras_mask)[0], (x != 0).any(-1))


@pytest.mark.parametrize(
    "levels", [[], [0.5, 0.5], [0.9, 0.1], [0.0, 0.5], [0.5, 1.0], 0.5, "0.5", [True], [None], [float("nan")]], ids=str
)
def test_bad_levels_are_named(levels):
    for make in (L.QuantileHead, ks.losses.QuantileLoss, ks.metrics.Pinball, ks.metrics.Coverage):
        with pytest.raises(ValueError, match="`quantiles` must be a list of increasing numbers between 0 and 1, got"):
            make(levels)

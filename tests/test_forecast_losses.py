"""Losses of forecasts: against NumPy in float64, with weights, missing values, gradients, scales that collapse."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import arrays
from tests.layers.exotic import gradient

B, F, C, LEVELS = 5, 3, 2, [0.1, 0.5, 0.7, 0.9]
WEIGHTS = {"number": (), "windows": (B,), "column": (B, 1), "steps": (B, F), "points": (B, F, C)}


def pinball(y, q):
    """Level by level, with the two sides of the equation apart."""
    each = [
        np.where(y >= q[..., i], tau * (y - q[..., i]), (1 - tau) * (q[..., i] - y)) for i, tau in enumerate(LEVELS)
    ]
    return sum(each) / len(LEVELS)


def gaussian(y, p):
    density = np.exp(-(((y - p[..., 0]) / p[..., 1]) ** 2) / 2) / (p[..., 1] * np.sqrt(2 * np.pi))
    return -np.log(density)


def quantiles_of(rng, shape):
    return rng.normal(size=(*shape, len(LEVELS)))


def gaussians_of(rng, shape):
    return np.stack([rng.normal(size=shape), rng.uniform(0.3, 2, shape)], -1)


def normals_of(rng, shape):
    return rng.normal(size=shape)


def huber(y, p):
    e = np.abs(y - p)
    return np.where(e > 1, e - 0.5, e**2 / 2)


LOSSES = {
    "mse": (lambda **k: ks.losses.PointLoss(**k), normals_of, lambda y, p: (y - p) ** 2),
    "mae": (lambda **k: ks.losses.PointLoss("mae", **k), normals_of, lambda y, p: abs(y - p)),
    "huber": (lambda **k: ks.losses.PointLoss("huber", **k), normals_of, huber),
    "quantiles": (lambda **k: ks.losses.QuantileLoss(LEVELS, **k), quantiles_of, pinball),
    "gaussian": (lambda **k: ks.losses.GaussianNLL(**k), gaussians_of, gaussian),
}
every_loss = pytest.mark.parametrize(("make", "predict", "oracle"), LOSSES.values(), ids=LOSSES)


@every_loss
@pytest.mark.parametrize("shape", [(B,), (B, F), (B, F, C)], ids=str)
def test_it_is_the_formula(make, predict, oracle, shape, rng):
    y, p = rng.normal(size=shape), predict(rng, shape)
    expected = oracle(y, p)
    assert float(make()(y, p)) == pytest.approx(expected.mean(), rel=1e-5)
    assert float(make(reduction="sum")(y, p)) == pytest.approx(expected.sum(), rel=1e-5)
    for form in (y, y[..., None]):
        np.testing.assert_allclose(arrays(make(reduction="none")(form, p))[0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(float(make(dtype="float64")(y, p)), expected.mean(), rtol=1e-12)
    assert float(make()(np.zeros(shape, int), p)) == pytest.approx(oracle(0, p).mean(), rel=1e-5)


@every_loss
@pytest.mark.parametrize("form", WEIGHTS)
def test_weights(make, predict, oracle, form, rng):
    """Their axes are the first of the values; the mean is divided by the number of points."""
    y, p = rng.normal(size=(B, F, C)), predict(rng, (B, F, C))
    weight = rng.uniform(0, 2, WEIGHTS[form]) * (rng.random(WEIGHTS[form]) < 0.7)
    spread = np.broadcast_to(weight.reshape(weight.shape + (1,) * (3 - weight.ndim)), y.shape)
    each = oracle(y, p) * spread
    assert float(make()(y, p, weight)) == pytest.approx(each.mean(), rel=1e-4)
    divided = make(reduction="mean_with_sample_weight")
    if spread.any():
        assert float(divided(y, p, weight)) == pytest.approx(each.sum() / spread.sum(), rel=1e-4)


@every_loss
def test_missing_values_are_points_of_weight_zero(make, predict, oracle, rng):
    y, p = rng.normal(size=(B, F)).astype("float32"), predict(rng, (B, F)).astype("float32")
    known = rng.random((B, F)) < 0.6
    holes = np.where(known, y, np.nan).astype("float32")
    assert float(make()(holes, p)) == pytest.approx((oracle(y, p) * known).mean(), rel=1e-4)
    divided = make(reduction="mean_with_sample_weight")
    assert float(divided(holes, p)) == pytest.approx(oracle(y, p)[known].mean(), rel=1e-4)
    found = gradient(lambda p: make()(holes, p), p)
    np.testing.assert_allclose(found, gradient(lambda p: make()(y, p, known), p), atol=1e-6)
    assert not found[~known].any()
    assert found[known].any()
    assert float(make()(np.full((B, F), np.nan), p)) == 0
    assert float(divided(np.full((B, F), np.nan), p)) == 0


def test_gradients_of_quantiles(rng):
    """`-tau` below the value, `1 - tau` above it, over levels and points."""
    y, q = rng.normal(size=(B, F)).astype("float32"), quantiles_of(rng, (B, F)).astype("float32")
    found = gradient(lambda q: ks.losses.QuantileLoss(LEVELS)(y, q), q)
    expected = np.where(q < y[..., None], -np.array(LEVELS), 1 - np.array(LEVELS)) / q.size
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_gradients_of_a_gaussian(rng):
    y, p = rng.normal(size=(B, F)).astype("float32"), gaussians_of(rng, (B, F)).astype("float32")
    e, s = y - p[..., 0], p[..., 1]
    expected = np.stack([-e / s**2, 1 / s - e**2 / s**3], -1) / y.size
    np.testing.assert_allclose(gradient(lambda p: ks.losses.GaussianNLL()(y, p), p), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, -1e6, 1e-30, 1e-3])
def test_a_scale_that_collapsed(scale):
    """Has a loss and gradients that are finite, and is pushed up again where the mean is wrong."""
    p = np.array([[[3.0, scale]]], "float32")
    loss = ks.losses.GaussianNLL(min_scale=0.01)
    least = np.array([[[3.0, 0.01]]])
    for y in (3.0, 3.02, 1e4):
        y = np.array([[y]], "float32")
        assert float(loss(y, p)) == pytest.approx(gaussian(y, least).item() if y < 10 else 5e11, rel=1e-2)
        found = gradient(lambda p, y=y: loss(y, p), p)
        assert np.isfinite(found).all()
        assert (found[0, 0, 1] < 0) == (abs(y.item() - 3) > 0.01)


def test_a_median_is_half_the_absolute_error(rng):
    y, q = rng.normal(size=(2, B, F))
    loss = ks.losses.QuantileLoss([0.5])
    assert float(loss(y, q[..., None])) == pytest.approx(np.abs(y - q).mean() / 2, rel=1e-5)


@every_loss
def test_in_a_compiled_model(make, predict, oracle, rng, tmp_path):
    shape = predict(rng, (1, F)).shape[1:]
    dense = keras.layers.Dense(int(np.prod(shape)), activation="softplus")
    model = keras.Sequential([keras.Input((2,)), dense, keras.layers.Reshape(shape)])
    model.compile(keras.optimizers.SGD(0.0), make())
    x, y, weight = rng.normal(size=(B, 2)), rng.normal(size=(B, F)), rng.uniform(0, 2, (B, F))
    y[0, 1] = y[2, 2] = np.nan
    p = model.predict(x, verbose=0).astype("float64")
    expected = np.where(np.isnan(y), 0, oracle(y, p) * weight).mean()
    history = model.fit(x, y, sample_weight=weight, batch_size=B, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.loss.get_config() == model.loss.get_config()
    assert copy.evaluate(x, y, sample_weight=weight, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        ks.losses.PointLoss("huber", reduction="sum"),
        ks.losses.QuantileLoss((0.2, 0.8), name="other", reduction="sum"),
        ks.losses.GaussianNLL(min_scale=0.02, name="other", reduction="sum"),
    ],
    ids=["point", "quantiles", "gaussian"],
)
def test_configuration(loss):
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(loss))))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()


@every_loss
def test_arrays_of_other_shapes_are_refused(make, predict, oracle, rng):
    p = predict(rng, (B, F))
    if p.ndim == 3:
        with pytest.raises(ValueError, match=r"needs predictions \(\.\.\., \d\).*got shape \(5, 3, 1\)"):
            make()(np.ones((B, F)), p[..., :1])
    for wrong in ((B,), (B, F + 1), (B, 1), (F, B), (B, F, C)):
        with pytest.raises(ValueError, match=r"true values of shape \(5, 3\)"):
            make()(np.ones(wrong), p)
    for wrong in ((F,), (B, 2), (B, F, 1), (B + 1,)):
        with pytest.raises(ValueError, match=r"`sample_weight`.*\(5, 3\), got shape"):
            make()(np.ones((B, F)), p, np.ones(wrong))


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match=r"`kind` must be one of mse, mae, huber, got 'rmse'"):
        ks.losses.PointLoss("rmse")


@pytest.mark.parametrize("value", [0, -1.0, None, float("inf")])
def test_bad_arguments_are_named(value):
    with pytest.raises(ValueError, match=f"`min_scale` must be a positive number, got {value}"):
        ks.losses.GaussianNLL(value)


def test_half_precision_is_computed_in_float32(rng):
    y, p = rng.normal(size=(B, F)), gaussians_of(rng, (B, F))
    half = ops.cast(p, "bfloat16")
    rounded = arrays(half)[0].astype("float64")
    found = ks.losses.GaussianNLL()(y, half)
    assert float(found) == pytest.approx(gaussian(y, rounded).mean(), rel=1e-5)

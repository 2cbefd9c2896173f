"""Reversible normalisation: against NumPy, back again, masked, at sizes that float32 finds hard."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import EXACT, B, D, T, arrays, close, dtype_of, padded, randomize
from tests.layers.exotic import gradient

Norm = ks.layers.ReversibleNorm
F, Q = 11, 3
FORMS = [
    {"center": center, "scale": scale, "affine": affine}
    for center in ("mean", "last")
    for scale in (True, False)
    for affine in (True, False)
]
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda f: "-".join(str(v) for v in f.values()))


def oracle(x, form, weights, keep=None, epsilon=1e-5):
    """`z` and the two statistics, window by window, channel by channel."""
    keep = np.ones(x.shape, bool) if keep is None else np.broadcast_to(keep, x.shape)
    gamma, beta = weights if form["affine"] else (np.ones(x.shape[2]), np.zeros(x.shape[2]))
    z, statistics = np.zeros(x.shape), np.zeros((len(x), 2, x.shape[2]))
    for b, c in np.ndindex(len(x), x.shape[2]):
        kept = x[b, keep[b, :, c], c].astype("float64")
        a, s = 0.0, 1.0
        if len(kept):
            a = kept.mean() if form["center"] == "mean" else kept[-1]
            s = np.sqrt(kept.var() + epsilon) if form["scale"] else 1.0
        z[b, keep[b, :, c], c] = max(abs(gamma[c]), epsilon) * (kept - a) / s + beta[c]
        statistics[b, :, c] = a, s
    return z, statistics


def random(form, rng, **arguments):
    layer = Norm(**form, **arguments)
    layer.build((None, T, D))
    return randomize(layer, rng)


@every_form
def test_against_the_oracle(form, rng):
    x = 3 + 2 * rng.normal(size=(B, T, D))
    layer = random(form, rng, dtype="float64")
    close(layer(x), oracle(x, form, layer.get_weights()), atol=EXACT)
    assert bool(layer.weights) == form["affine"]


@every_form
@pytest.mark.parametrize("of", ["steps", "values"])
def test_what_is_masked_does_not_count(form, of, rng):
    x, mask = padded(rng)
    keep = mask[:, :, None] if of == "steps" else rng.random(x.shape) < 0.6
    keep = np.broadcast_to(keep, x.shape)
    layer = random(form, rng, dtype="float64")
    expected = oracle(x, form, layer.get_weights(), keep)
    dirty = np.where(keep, x, np.nan)
    z, statistics = layer(dirty, mask=mask if of == "steps" else keep)
    close((z, statistics), expected, atol=EXACT)
    assert not arrays(z)[0][~keep].any()
    found = gradient(lambda x: ops.sum(ops.square(layer(x, mask=keep)[0])), dirty)
    assert np.isfinite(found).all()
    assert not found[~keep].any()


@every_form
def test_the_inverse(form, rng):
    """Takes windows back to themselves, forecasts into their unit, and keeps the order of quantiles."""
    x = 3 + 2 * rng.normal(size=(B, T, D))
    layer = random(form, rng, dtype="float64")
    z, statistics = layer(x)
    close(layer.inverse(z, statistics), x, atol=10 * EXACT)
    y, expected = rng.normal(size=(B, F, D)), np.empty((B, F, D))
    gamma, beta = layer.get_weights() if form["affine"] else (np.ones(D), np.zeros(D))
    for b, c in np.ndindex(B, D):
        a, s = arrays(statistics)[0][b, :, c]
        expected[b, :, c] = s * (y[b, :, c] - beta[c]) / max(abs(gamma[c]), 1e-5) + a
    close(layer.inverse(y, statistics), expected, atol=10 * EXACT)
    quantiles = np.sort(rng.normal(size=(B, F, D, Q)))
    found = arrays(layer.inverse(quantiles, statistics))[0]
    close(found[..., 1], layer.inverse(quantiles[..., 1], statistics), atol=10 * EXACT)
    assert (np.diff(found) > 0).all()


@every_form
def test_constant_windows_of_any_level(form):
    """Give exact zeros, where the usual formula gives rounding errors divided by nearly nothing."""
    x = np.array([0, 1e6, -123456.789, 16777216], "float32")[:, None, None] * np.ones((4, T, D), "float32")
    layer = Norm(**form)
    z, statistics = layer(x)
    assert not arrays(z)[0].any()
    close(layer.inverse(z, statistics), x, atol=0, rtol=1e-7)


def test_small_changes_of_a_large_level(rng):
    """In float32, with changes of one unit at a level of a million."""
    x = (1e6 + rng.integers(-3, 4, (B, T, D))).astype("float32")
    close(Norm()(x)[0], oracle(x, FORMS[0], (np.ones(D), np.zeros(D)))[0], atol=1e-4)


def test_a_gamma_of_zero_can_be_inverted(rng):
    layer = Norm()
    x = rng.normal(size=(B, T, D))
    layer(x)
    layer.gamma.assign(np.zeros(D))
    z, statistics = layer(x)
    assert np.isfinite(arrays(layer.inverse(rng.normal(size=(B, F, D)), statistics))[0]).all()
    assert np.abs(arrays(z)[0]).max() < 1e-3


def test_both_ways_in_a_functional_model(rng, tmp_path):
    """One layer, called twice: its file, its weights, and a mask that comes with the windows."""
    windows = keras.Input((T, D))
    norm = Norm(name="norm")
    z, statistics = norm(keras.layers.Masking(-7.0)(windows))
    linear = ks.layers.NLinear(F)
    forecast = norm.inverse(linear(z), statistics)
    model = randomize(keras.Model(windows, forecast), rng)
    assert len(model.weights) == 4
    x = rng.normal(size=(B, T, D)).astype("float32")
    x[0, :3] = -7
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    close(again.predict(x, verbose=0), model(x))
    assert len(again.weights) == 4
    z, statistics = norm(x, mask=(x != -7).any(-1))
    close(model(x), norm.inverse(linear(z), statistics))
    scaled = model.predict(x[1:] * 1000 + 50_000, verbose=0)  # what comes out has the unit of what goes in
    np.testing.assert_allclose(scaled, 1000 * arrays(model(x[1:]))[0] + 50_000, rtol=1e-4, atol=2)


def test_forecasts_keep_their_precision_in_mixed_models(rng):
    x = 50_000 + rng.normal(size=(B, T, D)).astype("float32")
    norm = Norm(dtype="mixed_bfloat16")
    z, statistics = norm(x)
    assert [dtype_of(v) for v in (z, statistics)] == ["bfloat16", "float32"]
    found = norm.inverse(z, statistics)
    assert dtype_of(found) == "float32"
    np.testing.assert_allclose(arrays(found)[0], x, atol=0.05)
    symbolic = norm.inverse(keras.Input((F, D), dtype="bfloat16"), keras.Input((2, D)))
    assert (symbolic.shape, dtype_of(symbolic)) == ((None, F, D), "float32")


def test_bad_input_is_named(rng):
    x = rng.normal(size=(B, T, D))
    with pytest.raises(ValueError, match=r"`center` must be one of.*'median'"):
        Norm("median")
    with pytest.raises(ValueError, match=r"`epsilon` must be a positive number, got 0"):
        Norm(epsilon=0)
    with pytest.raises(ValueError, match=r"\(B, T, D\)"):
        Norm()(x[0])
    with pytest.raises(ValueError, match=r"`mask`.*\(B, T\) = \(2, 7\) or \(B, T, C\) = \(2, 7, 5\), got \(2, 5\)"):
        Norm()(x, mask=np.ones((B, D), bool))
    layer = Norm()
    layer(x)
    with pytest.raises(ValueError, match=r"`statistics`.*\(2, 2, 5\), got shape \(2, 5\)"):
        layer.inverse(x, np.ones((B, D)))

"""NLinear and DLinear: against the equations in NumPy, one channel and one step at a time."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import EXACT, B, D, T, arrays, close, randomize

L = ks.layers
F = 11


def of_channel(weight, c, shared, rank):
    """What a channel has of a weight: all of it, or its own part. `rank` is that of a part."""
    assert weight.ndim == rank + (not shared)
    return weight if shared else weight[c]


def nlinear(x, weights, shared):
    y = np.empty((len(x), F, x.shape[2]))
    for b, f, c in np.ndindex(*y.shape):
        W, bias = (of_channel(w, c, shared, rank) for w, rank in zip(weights, (2, 1), strict=True))
        last = x[b, -1, c]
        y[b, f, c] = sum((x[b, t, c] - last) * W[t, f] for t in range(x.shape[1])) + bias[f] + last
    return y


def trend(x, k):
    """The mean of k values around each step; beyond the ends the first and the last value."""
    m, length = np.empty_like(x), x.shape[1]
    for t in range(length):
        m[:, t] = np.mean([x[:, min(max(t + i, 0), length - 1)] for i in range(-(k // 2), k // 2 + 1)], axis=0)
    return m


def dlinear(x, weights, shared, k):
    m = trend(x, k)
    y = np.empty((len(x), F, x.shape[2]))
    for b, f, c in np.ndindex(*y.shape):
        Ws, bs, Wt, bt = (of_channel(w, c, shared, rank) for w, rank in zip(weights, (2, 1, 2, 1), strict=True))
        y[b, f, c] = (x[b, :, c] - m[b, :, c]) @ Ws[:, f] + bs[f] + m[b, :, c] @ Wt[:, f] + bt[f]
    return y


def random(layer, x, rng):
    layer(x)
    return randomize(layer, rng)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_nlinear_against_the_oracle(shared, rng):
    x = rng.normal(size=(B, T, D))
    layer = random(L.NLinear(F, shared=shared, dtype="float64"), x, rng)
    assert [w.name for w in layer.weights] == ["kernel", "bias"]
    close(layer(x), nlinear(x, layer.get_weights(), shared), atol=EXACT)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("size", [1, 3, 5, 25])
def test_dlinear_against_the_oracle(shared, size, rng):
    x = rng.normal(size=(B, T, D))
    layer = random(L.DLinear(F, size, shared, dtype="float64"), x, rng)
    assert [w.name for w in layer.weights] == ["seasonal_kernel", "seasonal_bias", "trend_kernel", "trend_bias"]
    close(layer(x), dlinear(x, layer.get_weights(), shared, size), atol=EXACT)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_nlinear_follows_a_shift(shared, rng):
    x = rng.normal(size=(B, T, D))
    layer = random(L.NLinear(F, shared, dtype="float64"), x, rng)
    shift = rng.normal(size=(B, 1, D))
    close(layer(x + shift), arrays(layer(x))[0] + shift, atol=EXACT)


@pytest.mark.parametrize("make", [L.NLinear, L.DLinear])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_channels_do_not_mix(make, shared, rng):
    x = rng.normal(size=(B, T, D))
    layer = random(make(F, shared=shared, dtype="float64"), x, rng)
    other = x.copy()
    other[:, :, 2] = rng.normal(size=(B, T))
    change = np.abs(arrays(layer(other))[0] - arrays(layer(x))[0]).max(axis=(0, 1))
    assert (change > 1e-3).tolist() == [c == 2 for c in range(D)]
    if shared:  # channels are all alike
        close(layer(x[:, :, ::-1]), arrays(layer(x))[0][:, :, ::-1], atol=EXACT)


@pytest.mark.parametrize("make", [L.NLinear, L.DLinear])
def test_how_weights_start(make):
    """As in the published code: within `1 / sqrt(T)`; of each channel its own."""
    shared, own = make(F), make(F, shared=False)
    shared.build((None, 100, D))
    own.build((None, 100, D))
    for layer in (shared, own):
        for weight in layer.get_weights()[::2]:
            assert 0.09 < np.abs(weight).max() <= 0.1
            assert abs(weight.std() - 0.1 / np.sqrt(3)) < 0.005
    for kernel in own.get_weights()[::2]:
        assert all(np.abs(kernel[c] - kernel[0]).max() > 0.05 for c in range(1, D))
    if make is L.DLinear:
        seasonal, _, of_trend, _ = shared.get_weights()
        assert np.abs(seasonal - of_trend).max() > 0.05
    assert not any(bias.any() for bias in own.get_weights()[1::2])
    repeating = make(F, kernel_initializer="zeros", bias_initializer="ones")
    x = np.full((B, T, D), 5.0)
    assert np.unique(arrays(repeating(x))[0]).tolist() == [6.0 if make is L.NLinear else 2.0]


@pytest.mark.parametrize("make", [L.NLinear, L.DLinear])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
def test_they_learn_what_is_linear(make, shared, rng):
    """A ramp and a season, of any level, are continued."""
    level, slope = rng.normal(size=(2, 64, 1, 1))
    t = np.arange(24 + F)[:, None]
    series = level + slope * t / 24 + np.sin(2 * np.pi * (t + rng.integers(12, size=(64, 1, 1))) / 12)
    model = keras.Sequential([keras.Input((24, 1)), make(F, shared=shared)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    many = series[:48].repeat(300, axis=0)  # 300 steps in one epoch: each epoch costs as much as ten steps
    model.fit(many[:, :24], many[:, 24:], batch_size=48, verbose=0)
    assert model.evaluate(series[48:, :24], series[48:, 24:], verbose=0) < 0.05 * series.var()


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
@pytest.mark.parametrize("argument", ["horizon", "kernel_size"])
def test_bad_sizes_are_named(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`.*{value}"):
        L.DLinear(**{"horizon": F, argument: value})


def test_other_bad_input_is_named():
    with pytest.raises(ValueError, match=r"`kernel_size` must be odd.*24"):
        L.DLinear(F, kernel_size=24)
    for make in (L.NLinear, L.DLinear):
        with pytest.raises(ValueError, match=r"length of the window"):
            make(F)(keras.Input((None, D)))
        with pytest.raises(ValueError, match=r"channel.*shape \(None, 7, None\)"):
            make(F, shared=False)(keras.Input((T, None)))
        with pytest.raises(ValueError, match=r"\(B, T, D\).*x\[:, :, None\]"):
            make(F)(np.ones((B, T)))
        assert make(F)(keras.Input((T, None))).shape == (None, F, None)

"""Positions that are added, against the paper's formula."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq import compat
from tests.cases import B, D, T, arrays, close, padded, randomize

L = ks.layers


def sinusoid(position, size, base):
    return np.array([(np.sin, np.cos)[j % 2](position / base ** (j // 2 * 2 / size)) for j in range(size)])


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
@pytest.mark.parametrize("kind", ["sinusoidal", "learned"])
def test_positions_count_kept_steps(kind, masked, rng):
    layer = (
        L.SinusoidalPositions(100.0, dtype="float64")
        if kind == "sinusoidal"
        else L.LearnedPositions(T, dtype="float64")
    )
    x, mask = padded(rng)
    layer(x)
    randomize(layer, rng)
    found = arrays(layer(x, mask=mask if masked else None))[0]
    mask = mask if masked else np.ones_like(mask)
    for row, kept in zip(range(len(x)), mask, strict=True):
        for position, t in enumerate(np.flatnonzero(kept)):
            vector = sinusoid(position, D, 100.0) if kind == "sinusoidal" else layer.get_weights()[0][position]
            np.testing.assert_allclose(found[row, t], x[row, t] + vector, atol=1e-12 if kind == "learned" else 1e-6)
        assert not found[row][~kept].any()


@pytest.mark.parametrize("make", [lambda: L.SinusoidalPositions(), lambda: L.LearnedPositions(T)])
def test_one_step_at_positions_of_its_own(make, rng):
    layer = make()
    whole = layer(rng.normal(size=(B, T, D)) * 0)
    step = layer(np.zeros((B, D)), positions=np.array([2, 5]))
    close(step, np.stack([arrays(whole)[0][0, 2], arrays(whole)[0][1, 5]]))


def test_learned_positions_end(rng):
    layer = L.LearnedPositions(3)
    with pytest.raises(ValueError, match="3 positions, got sequences of 7 steps"):
        layer(np.zeros((B, T, D)))
    found = arrays(layer(np.zeros((B, T, D)), positions=np.arange(T)[None]))[0]
    close(found[:, 3:], np.repeat(found[:, 2:3], T - 3, axis=1))
    mask = np.arange(T) < 3  # what counts is how many steps are kept
    close(layer(np.zeros((B, T, D)), mask=np.stack([mask] * B))[:, :3], found[:, :3])


@pytest.mark.parametrize("make", [L.SinusoidalPositions, lambda **k: L.LearnedPositions(T, **k)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_mask_stays_beside_positions_and_under_casts(make, dtype, rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    x[0, 4:] = 0
    masked = keras.layers.Masking(dtype="float32")(x)
    for given in ({}, {"positions": np.stack([np.arange(T)] * B)}):
        found = make(dtype=dtype)(masked, **given)
        assert not arrays(found)[0][0, 4:].astype("float32").any()
        np.testing.assert_array_equal(arrays(compat.mask_of(found))[0], x.any(-1))


@pytest.mark.parametrize("make", [L.SinusoidalPositions, lambda: L.LearnedPositions(2)])
def test_one_step_without_its_position_is_refused(make):
    with pytest.raises(ValueError, match=r"one step \(B, D\) with its `positions`, got"):
        make()(np.zeros((B, D)))

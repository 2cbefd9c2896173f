"""Score functions against the oracle, and what they refuse."""

import numpy as np
import pytest

import keras_seq as ks
from keras_seq.attention.scores import masked_softmax, score_layer
from tests import oracle
from tests.cases import EXACT, B, D, H, S, T, arrays, close, randomize

L = ks.layers
KINDS = ("dot", "scaled_dot", "general", "additive", "normalized_additive")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [True, False], ids=["steps", "one step"])
def test_scores_against_the_oracle(kind, steps, rng):
    layer = score_layer(kind, dtype="float64")
    query = rng.normal(size=(B, T, D) if steps else (B, D))
    memory = rng.normal(size=(B, S, D if "dot" in kind else H))
    layer(query, memory)
    randomize(layer, rng)
    found, weights = arrays(layer(query, memory))[0], layer.get_weights()
    rows = [
        [oracle.score(kind, q, m, weights) for q in (qs if steps else [qs])]
        for qs, m in zip(query, memory, strict=True)
    ]
    close(found, np.array(rows) if steps else np.array(rows)[:, 0], atol=EXACT)


def test_a_normalised_score_does_not_depend_on_the_length_of_v(rng):
    layer, query, memory = L.AdditiveScore(17, normalize=True), rng.normal(size=(B, D)), rng.normal(size=(B, S, H))
    before = layer(query, memory)
    layer.v.assign(layer.v * 5)
    close(layer(query, memory), before)


def test_the_length_of_v_starts_at_one_over_the_root_of_its_size(rng):
    layer = L.AdditiveScore(25, normalize=True)
    layer(rng.normal(size=(B, D)), rng.normal(size=(B, S, H)))
    np.testing.assert_allclose(arrays(layer.g)[0], 0.2, rtol=1e-6)


def test_a_normalised_score_that_starts_at_zero_is_defined(rng):
    layer = L.AdditiveScore(17, normalize=True, kernel_initializer="zeros")
    found = arrays(layer(rng.normal(size=(B, D)), rng.normal(size=(B, S, H))))[0]
    np.testing.assert_array_equal(found, np.zeros((B, S)))


def test_weights_of_one_shape_start_apart():
    layer = L.AdditiveScore(D)
    layer.build((B, D), (B, S, D))
    assert np.abs(arrays(layer.query_kernel)[0] - arrays(layer.memory_kernel)[0]).max() > 0.01


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_masked_softmax(dtype, rng):
    from keras import ops

    scores = 100 * rng.normal(size=(4, S))
    keep = rng.random((4, S)) < 0.5
    keep[0], keep[1] = False, True
    found = masked_softmax(ops.cast(scores, dtype), keep)
    given = arrays(ops.cast(scores, dtype))[0].astype("float64")
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-6, "float64": EXACT}[dtype]
    close(
        found,
        np.stack([oracle.softmax(s, k) for s, k in zip(given, keep, strict=True)]),
        atol=tolerance,
        rtol=tolerance,
    )
    assert not arrays(found)[0][~keep].any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.DotScore()(np.ones((B, D)), np.ones((B, S, H))), "of one size, got 5 and 3"),
        (lambda: L.AdditiveScore(0), "units.*positive integer"),
        (lambda: L.AttentionCell(L.GRUCell(H), score="cosine"), "score.*'additive'.*cosine"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

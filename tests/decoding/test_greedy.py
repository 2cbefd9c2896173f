"""Greedy decoding, and what it shares with sampling: ends, limits, padding, scores."""

import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.decoding.logits import largest
from tests.cases import dtype_of
from tests.decoding import alphabet as abc

decoding = ks.decoding


def fixed(logits):
    """A step without a state whose logits `(B, V)` are always the same."""
    return lambda tokens, state: (ops.convert_to_tensor(logits), state)


@pytest.mark.parametrize("end", [3, None])
@pytest.mark.parametrize("forbidden", [0.0, 0.4])
@pytest.mark.parametrize("limits", ["none", "one", "rows"])
def test_takes_the_likeliest_token(rng, end, forbidden, limits):
    alphabet = abc.Alphabet(rng, 37, 5, forbidden)
    table, start = alphabet.tensors()
    given = {"none": None, "one": 5, "rows": rng.integers(-1, 9, 37)}[limits]
    decode = abc.compiled(
        lambda table, start: decoding.greedy(
            abc.step_of(table), start, abc.first_state(37), end=end, max_length=7, limits=given, pad=abc.PAD
        )
    )
    decoded = decode(table, start)
    tokens, lengths, scores = map(np.asarray, decoded)
    for row, limit in enumerate(np.broadcast_to(7 if given is None else given, 37)):
        expected = abc.greedy(alphabet, row, end, max(0, min(7, limit)))
        assert tokens[row].tolist() == [*expected, *[abc.PAD] * (7 - len(expected))]
        assert lengths[row] == len(expected)
        np.testing.assert_allclose(scores[row], alphabet.score(row, expected), rtol=1e-5, atol=1e-5)
    assert [dtype_of(x) for x in decoded] == ["int32", "int32", "float32"]


@pytest.mark.parametrize(("batch", "size"), [(5, 3), (1, 263), (5, 263), (3, 1031)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_largest_are_found_in_rows_of_any_length(rng, batch, size, count):
    """Also where there are not so many above -inf; the places of others mean nothing, but none is beyond the end."""
    x = rng.normal(size=(batch, size)).astype("float32")
    x[0] = -np.inf
    x[0, [1, size - 1]] = 3.0, 2.0
    values, places = map(np.asarray, largest(ops.convert_to_tensor(x), min(count, size)))
    np.testing.assert_array_equal(values, np.sort(x, axis=1)[:, ::-1][:, :count])
    assert places.max() < size
    for row in range(batch):
        known = places[row][values[row] > -np.inf]
        np.testing.assert_array_equal(x[row, known], values[row, : len(known)])
        assert len(set(known.tolist())) == len(known)


@pytest.mark.parametrize("size", [5, 300])
def test_of_equals_the_first_is_taken(size):
    logits = np.zeros((2, size), "float32")
    logits[1, [3, size - 1]] = 2.0
    decoded = decoding.greedy(fixed(logits), np.zeros(2, int), [], end=None, max_length=1)
    assert np.asarray(decoded.tokens).tolist() == [[0], [3]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_scores_are_float32_whatever_the_logits_are(dtype):
    """Of logits so large that their sum, or the exponential of one, does not fit into half precision."""
    logits = ops.cast(np.array([[30000.0, 30000.0, 1.0]]).repeat(2, axis=0), dtype)
    for decode, beams in ((decoding.greedy, 1), (decoding.sample, 1), (decoding.beam_search, 2)):
        options = {"width": 2} if beams == 2 else {}
        decoded = decode(fixed(logits[:beams]), np.zeros(1, int), [], end=None, max_length=3, **options)
        assert dtype_of(decoded.scores) == "float32"
        np.testing.assert_allclose(np.asarray(decoded.scores).ravel(), [3 * np.log(0.5)], rtol=1e-6)


def test_a_row_without_any_token_left_has_no_probability():
    logits = np.array([[-np.inf] * 3, [0.0, 0.0, -np.inf]], "float32")
    for decode in (decoding.greedy, decoding.sample):
        tokens, _, scores = map(np.asarray, decode(fixed(logits), np.zeros(2, int), [], end=None, max_length=2))
        assert tokens[0].tolist() == [0, 0]
        np.testing.assert_allclose(scores, [-np.inf, 2 * np.log(0.5)], rtol=1e-6)


@pytest.mark.parametrize("decode", [decoding.greedy, decoding.sample])
@pytest.mark.parametrize(("batch", "max_length"), [(0, 7), (3, 0), (0, 0)])
def test_no_rows_and_no_steps(decode, batch, max_length):
    decoded = decode(
        lambda tokens, state: (ops.zeros((batch, 5)), state), np.zeros(batch, int), [], end=1, max_length=max_length
    )
    assert tuple(decoded.tokens.shape) == (batch, max_length)
    assert np.asarray(decoded.lengths).tolist() == [0] * batch
    assert np.asarray(decoded.scores).tolist() == [0.0] * batch

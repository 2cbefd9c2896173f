"""Sampling: frequencies, which tokens can come, seeds."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.decoding import alphabet as abc

sample = ks.decoding.sample
LOGITS = np.log([0.05, 0.3, 0.02, 0.33, 0.1, 0.2])  # places by rank: 3 1 5 4 0 2


def draw(logits, rows=10_007, length=1, **options):
    """Tokens `(rows, length)` drawn from the same logits at each step."""
    logits = np.asarray(logits, "float32")

    def step(tokens, state):
        return ops.broadcast_to(logits, (rows, len(logits))), state

    return np.asarray(sample(step, np.zeros(rows, int), [], end=None, max_length=length, **options).tokens)


def check_frequencies(tokens, probabilities):
    """Within five standard deviations of a binomial; what has probability 0 never comes."""
    count = np.bincount(tokens.ravel(), minlength=len(probabilities))
    p = np.asarray(probabilities)
    assert np.all(np.abs(count - tokens.size * p) <= 5 * np.sqrt(tokens.size * p * (1 - p)))


@pytest.mark.parametrize(
    ("options", "probabilities"),
    [
        ({}, [0.05, 0.3, 0.02, 0.33, 0.1, 0.2]),
        ({"temperature": 2.0}, np.sqrt([0.05, 0.3, 0.02, 0.33, 0.1, 0.2])),
        ({"top_k": 3}, [0, 0.3, 0, 0.33, 0, 0.2]),
        ({"top_k": 6}, [0.05, 0.3, 0.02, 0.33, 0.1, 0.2]),
        ({"top_k": 99}, [0.05, 0.3, 0.02, 0.33, 0.1, 0.2]),
        ({"top_k": 1}, [0, 0, 0, 1, 0, 0]),
        ({"top_p": 0.01}, [0, 0, 0, 1, 0, 0]),
        ({"top_p": 0.62}, [0, 0.3, 0, 0.33, 0, 0]),
        ({"top_p": 0.64}, [0, 0.3, 0, 0.33, 0, 0.2]),
        ({"top_p": 1.0}, [0.05, 0.3, 0.02, 0.33, 0.1, 0.2]),
        # Of the three that `top_k` leaves the first two have .759 of the probability; before, they had .63.
        ({"top_k": 3, "top_p": 0.7}, [0, 0.3, 0, 0.33, 0, 0]),
        # At this temperature the first two have .785.
        ({"temperature": 0.5, "top_p": 0.75}, [0, 0.09, 0, 0.1089, 0, 0]),
        ({"temperature": 1e-3}, [0, 0, 0, 1, 0, 0]),
        ({"temperature": 1e-300}, [0, 0, 0, 1, 0, 0]),
        ({"temperature": 1e300}, [1, 1, 1, 1, 1, 1]),
    ],
    ids=str,
)
def test_tokens_come_as_often_as_they_are_probable(options, probabilities):
    p = np.asarray(probabilities) / np.sum(probabilities)
    check_frequencies(draw(LOGITS, length=2, seed=3, **options), p)


def test_in_a_long_vocabulary():
    """Of 5003 tokens every second has no probability; sums over so many round."""
    p = np.random.default_rng(2).random(5003) * (np.arange(5003) % 2)
    with np.errstate(divide="ignore"):
        logits = np.log(p / p.sum())
    for options in ({}, {"top_k": 4001}, {"top_p": 0.9999}):
        tokens = draw(logits, rows=199, length=11, seed=5, **options)
        assert np.all(tokens % 2 == 1)
        check_frequencies(tokens // 100, np.add.reduceat(p / p.sum(), np.arange(0, 5003, 100)))


@pytest.mark.parametrize("u", [0.0, np.nextafter(np.float32(1), np.float32(0))], ids=["least", "most"])
@pytest.mark.parametrize("options", [{}, {"top_k": 700}, {"top_p": 0.999}], ids=str)
def test_what_is_impossible_never_comes_at_either_end(monkeypatch, u, options):
    """At the least and at the largest number that can be drawn, for probabilities whose sums round in every way."""
    monkeypatch.setattr(keras.random, "uniform", lambda shape, **_: ops.full(shape, u, "float32"))
    logits = 3 * np.random.default_rng(4).normal(size=(89, 701))
    logits[:, :13], logits[:, -17:] = -np.inf, -np.inf
    logits[:, 350:360] = -400.0  # a probability below the least float32
    logits = logits.astype("float32")
    tokens = np.asarray(
        sample(
            lambda *_: (ops.convert_to_tensor(logits), []), np.zeros(89, int), [], end=None, max_length=1, **options
        )[0]
    )
    assert np.all(np.take_along_axis(logits, tokens, axis=1) > -300)


def test_scores_are_those_of_the_untouched_distribution(rng):
    alphabet = abc.Alphabet(rng, 37, 5)
    table, start = alphabet.tensors()
    options = {"temperature": 1.7, "top_k": 4, "top_p": 0.8, "seed": 1}
    decoded = sample(abc.step_of(table), start, abc.first_state(37), end=3, max_length=7, pad=abc.PAD, **options)
    drawn = abc.found(beams_of(decoded))
    for row, ((score, tokens),) in enumerate(drawn):
        np.testing.assert_allclose(score, alphabet.score(row, tokens), rtol=1e-5, atol=1e-5)
        assert 3 not in tokens[:-1]
        assert len(tokens) == 7 or tokens[-1] == 3
    assert [tokens for ((_, tokens),) in drawn] != [abc.greedy(alphabet, row, 3, 7) for row in range(37)]


def beams_of(decoded):
    """As if from a search with one result."""
    return [np.asarray(x)[:, None] for x in decoded]


def test_seeds():
    same = [draw(LOGITS, rows=53, length=3, seed=11) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert np.any(draw(LOGITS, rows=53, length=3, seed=12) != same[0])
    generator = keras.random.SeedGenerator(11)
    first, second = (draw(LOGITS, rows=53, length=3, seed=generator) for _ in range(2))
    assert np.any(first != second)
    again = keras.random.SeedGenerator(11)
    np.testing.assert_array_equal(draw(LOGITS, rows=53, length=3, seed=again), first)
    keras.utils.set_random_seed(5)
    first, second = (draw(LOGITS, rows=53, length=3) for _ in range(2))
    assert np.any(first != second)
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(draw(LOGITS, rows=53, length=3), first)


def test_steps_and_rows_are_drawn_apart():
    tokens = draw(np.zeros(2), rows=2003, length=5, seed=4)
    correlation = np.corrcoef(tokens.T) - np.eye(5)
    assert np.abs(correlation).max() < 5 / np.sqrt(2003)
    assert abs(np.corrcoef(tokens[:-1, 0], tokens[1:, 0])[0, 1]) < 5 / np.sqrt(2003)

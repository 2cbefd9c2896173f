"""Generated tasks: what is asked for can be read off the inputs; the baselines are those of the docstrings."""

import numpy as np
import pytest

from keras_seq.data import tasks


def test_adding_marks_one_number_in_each_half():
    x, y = tasks.adding(500, 11, seed=3)
    numbers, marks = x[..., 0], x[..., 1].astype(bool)
    assert x.dtype == y.dtype == np.float32
    assert (numbers >= 0).all()
    assert (numbers < 1).all()
    assert (marks[:, :5].sum(axis=1) == 1).all()
    assert (marks[:, 5:].sum(axis=1) == 1).all()
    assert marks.any(axis=0).all()
    np.testing.assert_allclose(y[:, 0], [n[m].sum() for n, m in zip(numbers, marks, strict=True)], rtol=1e-6)
    assert np.mean((tasks.adding(20_000, 2)[1] - 1) ** 2) == pytest.approx(1 / 6, rel=0.03)


def test_copy_memory_says_the_symbols_again_after_the_delimiter():
    lag, length, symbols = 5, 3, 4
    x, y = tasks.copy_memory(200, lag, symbols, length, seed=3)
    assert x.shape == y.shape == (200, lag + 2 * length)
    assert x.dtype == y.dtype == np.int32
    assert set(np.unique(x[:, :length])) == {1, 2, 3, 4}
    np.testing.assert_array_equal(x[:, :length], y[:, -length:])
    assert not y[:, :-length].any()
    assert (x[:, -length - 1] == symbols + 1).all()
    assert not np.delete(x, [*range(length), lag + length - 1], axis=1).any()


def test_the_wave_has_eight_tones_over_three_octaves():
    y = tasks.wave(seed=3)[:, 0]
    assert y.shape == (320,)
    assert y.dtype == np.float32
    assert (y.min(), y.max()) == (-1, 1)
    t = np.arange(320)[:, None] / 320 * 2 * np.pi * 2.0 ** (1 + 3 * np.arange(8) / 7)
    tones = np.concatenate([np.sin(t), np.cos(t), np.ones((320, 1))], axis=1)
    _, (left,), *_ = np.linalg.lstsq(tones, y, rcond=None)
    assert left < 1e-9


@pytest.mark.parametrize(
    "make", [lambda seed: tasks.adding(3, 7, seed), lambda seed: tasks.copy_memory(3, 7, seed=seed)[:1]]
)
def test_seeds(make):
    first, again, other = make(0)[0], make(0)[0], make(1)[0]
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (tasks.wave(seed=0) != tasks.wave(seed=1)).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: tasks.adding(0, 5), "`count` must be a positive integer"),
        (lambda: tasks.adding(3, 1), "`steps` must be at least 2"),
        (lambda: tasks.copy_memory(3, 0), "`lag` must be a positive integer"),
        (lambda: tasks.copy_memory(3, 4, seed=-1), "`seed` must be an integer, 0 or more"),
        (lambda: tasks.wave(sinusoids=7), "`sinusoids` must be at least 8"),
        (lambda: tasks.wave(1), "`steps` must be at least 2"),
    ],
)
def test_arguments_that_cannot_be(make, words):
    with pytest.raises(ValueError, match=words):
        make()

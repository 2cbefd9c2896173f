"""Beam search: against every hypothesis there is, against a search in plain loops, and its promises one by one."""

import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests import cases
from tests.decoding import alphabet as abc

decoding = ks.decoding


def searched(alphabet, limits, max_length, **options):
    table, start = alphabet.tensors()
    return abc.found(abc.compiled_beam_search(max_length, **options)(table, start, np.asarray(limits, "int32")))


@pytest.mark.parametrize(
    ("end", "length_penalty", "width"), [(0, 0.0, 24), (2, 0.6, 24), (1, 1.0, 24), (2, -0.5, 24), (None, 0.6, 81)]
)
def test_a_beam_wide_enough_finds_the_best_of_all(rng, end, length_penalty, width):
    """Of three tokens, at most four: 24 candidates at the most where one ends, 81 where none does."""
    alphabet = abc.Alphabet(rng, 23, 3)
    limits = np.arange(23) % 5
    got = searched(alphabet, limits, 4, end=end, width=width, length_penalty=length_penalty, n_best=7)
    for row, limit in enumerate(limits):
        abc.check_same(got[row], abc.every_hypothesis(alphabet, row, end, limit, length_penalty)[:7])


@pytest.mark.parametrize("forbidden", [0.0, 0.4])
@pytest.mark.parametrize(
    ("width", "size", "end", "length_penalty", "n_best"),
    [
        (1, 5, 3, 0.6, 1),
        (2, 2, 1, 0.0, 2),
        (2, 5, 0, 1.0, 1),
        (3, 7, 6, -0.5, 3),
        (4, 3, 2, 0.6, 2),
        (5, 5, 4, 0.0, 1),
        (5, 3, None, 0.6, 5),
        (5, 1, 0, 0.0, 2),
        (3, 1, None, 1.0, 1),
    ],
)
def test_is_the_search_in_plain_loops(rng, width, size, end, length_penalty, n_best, forbidden):
    alphabet = abc.Alphabet(rng, 37, size, forbidden)
    limits = rng.integers(0, 9, 37)
    options = {"end": end, "width": width, "length_penalty": length_penalty, "n_best": n_best}
    got = searched(alphabet, limits, 7, **options)
    for row, limit in enumerate(limits):
        expected, _ = abc.beam_search(alphabet, row, end, min(limit, 7), width, length_penalty, n_best)
        abc.check_same(got[row], expected)


@pytest.mark.parametrize(("width", "length_penalty"), [(2, 0.0), (3, 0.6), (4, 1.0), (5, -0.5), (6, 0.0), (7, 2.0)])
def test_is_never_worse_than_greedy(rng, width, length_penalty):
    alphabet = abc.Alphabet(rng, 211, 5)
    limits = np.full(211, 7)
    got = searched(alphabet, limits, 7, end=4, width=width, length_penalty=length_penalty, n_best=1)
    lost = 0
    for row in range(211):
        tokens = abc.greedy(alphabet, row, 4, 7)
        of_greedy = alphabet.score(row, tokens) / abc.penalty(len(tokens), length_penalty)
        assert got[row][0][0] >= of_greedy - 1e-5
        usual, _ = abc.beam_search(alphabet, row, 4, 7, width, length_penalty, 1, keeps_greedy=False)
        lost += usual[0][0] < of_greedy - 1e-3
    assert lost or width > 2  # without the promise two beams are worse here


def test_one_beam_is_greedy(rng):
    alphabet = abc.Alphabet(rng, 37, 5)
    table, start = alphabet.tensors()
    wide = abc.compiled_beam_search(7, end=3, width=1)(table, start, np.full(37, 7, "int32"))
    one = decoding.greedy(abc.step_of(table), start, abc.first_state(37), end=3, max_length=7, pad=abc.PAD)
    for beams, single in zip(wide, one, strict=True):
        np.testing.assert_allclose(np.asarray(beams)[:, 0], np.asarray(single), rtol=1e-6)


@pytest.mark.parametrize(("length_penalty", "n_best"), [(0.0, 1), (0.6, 2), (2.0, 1), (-1.0, 3)])
def test_stops_as_soon_as_nothing_better_can_come(rng, length_penalty, n_best):
    """And not a step before: what it returns is what a search returns that never stops (the step is counted)."""
    alphabet = abc.Alphabet(rng, 5, 3)
    saved = 0
    for row in range(5):
        one = (alphabet.table[row : row + 1].astype("float32"), alphabet.start[row : row + 1])
        inner, calls = abc.step_of(ops.convert_to_tensor(np.repeat(one[0], 3, axis=0))), []

        def step(tokens, state, inner=inner, calls=calls):
            calls.append(None)
            return inner(tokens, state)

        with cases.op_by_op():
            decoded = decoding.beam_search(
                step,
                one[1],
                abc.first_state(1),
                end=2,
                max_length=13,
                pad=abc.PAD,
                width=3,
                length_penalty=length_penalty,
                n_best=n_best,
            )
        expected, steps = abc.beam_search(alphabet, row, 2, 13, 3, length_penalty, n_best)
        unstopped, most = abc.beam_search(alphabet, row, 2, 13, 3, length_penalty, n_best, stops=False)
        assert expected == unstopped
        assert len(calls) == steps
        abc.check_same(abc.found(decoded)[0], expected)
        saved += most - steps
    assert saved > 5


def test_a_row_is_not_touched_by_those_that_go_on(rng):
    """Rows of one batch, which stop at different steps, are what each is alone."""
    alphabet = abc.Alphabet(rng, 29, 5)
    limits = np.arange(29) % 14
    options = {"end": 1, "width": 3, "length_penalty": 0.6, "n_best": 2}
    together = searched(alphabet, limits, 13, **options)
    table, start = alphabet.tensors()
    alone = abc.compiled_beam_search(13, **options)
    for row in range(29):
        own = slice(row, row + 1)
        abc.check_same(abc.found(alone(table[own], start[own], limits[own].astype("int32")))[0], together[row])
    steps = {abc.beam_search(alphabet, row, 1, limits[row], 3, 0.6, 2)[1] for row in range(29)}
    assert len(steps) > 5


def test_states_of_any_form_follow_their_hypotheses(rng):
    """A step that finds the number of `Alphabet` in its tokens so far, which lie in its state, beside other things."""
    alphabet = abc.Alphabet(rng, 19, 5)
    options = {"end": 2, "width": 3, "length_penalty": 0.6, "n_best": 3}
    expected = searched(alphabet, np.full(19, 7), 7, **options)
    table, start = alphabet.tensors()
    flat = np.repeat(table, 3, axis=0).reshape(-1, 5)

    def step(tokens, state):
        (seen, none), more = state
        seen = ops.concatenate([seen[:, 1:], tokens[:, None]], axis=1)
        count = more["count"] + 1
        h = ops.zeros_like(tokens)
        for i in range(8):
            h = ops.where(i + count[:, 0, 0] >= 8, abc.next_hash(h, seen[:, i]), h)
        tall = ops.where(count > 3, more["tall"], more["tall"])
        return ops.take(flat, h + abc.P * ops.arange(57), axis=0), ((seen, none), {"count": count, "tall": tall})

    count = np.zeros((19, 1, 1), "int32")
    state = ((np.zeros((19, 8), "int32"), ()), {"count": count, "tall": np.zeros((19, 2, 0), "float16")})
    decoded = decoding.beam_search(step, start, state, max_length=7, pad=abc.PAD, **options)
    for row, hypotheses in enumerate(abc.found(decoded)):
        abc.check_same(hypotheses, expected[row])


def test_where_nothing_is_allowed_nothing_is_found(rng):
    """Two rows: in the second all tokens are forbidden."""
    logits = np.array([[0.3, -np.inf, 0.1], [-np.inf] * 3], "float32").repeat(2, axis=0)
    decoded = decoding.beam_search(
        lambda tokens, state: (ops.convert_to_tensor(logits), state),
        np.zeros(2, "int32"),
        [],
        end=1,
        max_length=3,
        pad=abc.PAD,
        width=2,
        n_best=2,
    )
    first, second = abc.found(decoded)
    assert [len(tokens) for _, tokens in first] == [3, 3]
    assert second == []


def test_rows_of_the_batch_may_be_none():
    decoded = decoding.beam_search(
        lambda tokens, state: (ops.zeros((ops.shape(tokens)[0], 5)), state),
        np.zeros(0, "int32"),
        np.zeros((0, 3)),
        end=1,
        max_length=7,
        width=3,
        n_best=2,
    )
    assert [tuple(x.shape) for x in decoded] == [(0, 2, 7), (0, 2), (0, 2)]


def test_length_none_has_the_empty_hypothesis():
    decoded = decoding.beam_search(
        lambda tokens, state: (ops.zeros((6, 5)), state),
        np.zeros(3, "int32"),
        [],
        end=1,
        max_length=0,
        width=2,
        n_best=2,
    )
    assert tuple(decoded.tokens.shape) == (3, 2, 0)
    assert abc.found(decoded) == [[(0.0, ())]] * 3


def test_tiles_stand_side_by_side(rng):
    nest = {"a": rng.normal(size=(2, 3, 5)), "b": [np.array([True, False])]}
    tiled = decoding.tile_beams(nest, 3)
    np.testing.assert_array_equal(np.asarray(tiled["a"]), np.repeat(nest["a"], 3, axis=0))
    np.testing.assert_array_equal(np.asarray(tiled["b"][0]), [True] * 3 + [False] * 3)

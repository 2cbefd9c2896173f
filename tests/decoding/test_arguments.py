"""Each wrong argument, and each step that returns something else: an error that names it and says what was expected."""

import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import dtype_of

B, V, H = 2, 5, 3
DECODERS = [ks.decoding.greedy, ks.decoding.sample, ks.decoding.beam_search]
STATE = [np.zeros((B, H), "float32")]


def step(tokens, state):
    return ops.zeros((ops.shape(tokens)[0], V)), state


def decode(decoder, **changes):
    arguments = {"step": step, "start": np.zeros(B, int), "state": STATE, "end": 1, "max_length": 3, **changes}
    return decoder(arguments.pop("step"), arguments.pop("start"), arguments.pop("state"), **arguments)


def returning(make_logits=None, make_state=None):
    """A step that returns one thing otherwise; `rows` is the number of tokens that it is given."""

    def other(tokens, state):
        rows = ops.shape(tokens)[0]
        logits = ops.zeros((rows, V)) if make_logits is None else make_logits(rows)
        return logits, state if make_state is None else make_state(state)

    return other


OF_ALL = {
    "step is none": ({"step": "argmax"}, "`step` must be a function.*'argmax'"),
    "negative length": ({"max_length": -1}, "`max_length` must be an integer, 0 or more, got -1"),
    "half a length": ({"max_length": 2.5}, "`max_length`.*2.5"),
    "length as a flag": ({"max_length": True}, "`max_length`.*True"),
    "length as a tensor": ({"max_length": ops.ones((), "int32")}, "`max_length` must be an integer"),
    "end below 0": ({"end": -1}, "`end`.*-1"),
    "end as text": ({"end": "[END]"}, r"`end`.*'\[END\]'"),
    "end beyond the vocabulary": ({"end": V}, r"`end` must be below .* 5, got 5.*None"),
    "pad as a float": ({"pad": 0.0}, "`pad` must be an integer, got 0.0"),
    "start of floats": ({"start": np.zeros(B)}, r"`start`.*integer.*\(B,\).*shape \(2,\) and dtype float"),
    "start of rank 2": ({"start": np.zeros((B, 1), int)}, r"`start`.*shape \(2, 1\)"),
    "start of rank 0": ({"start": 1}, r"`start`.*shape \(\)"),
    "state of another batch": ({"state": {"h": np.zeros((B + 1, H))}}, r"`state`.*2 tokens.*h: float.*\(3, 3\)"),
    "state without a batch": ({"state": [np.float32(0)]}, r"`state` must hold tensors \(B, ...\).*float32\(\)"),
    "state with None": ({"state": [None, *STATE]}, "`state` must hold tensors only.*None"),
    "limits of another batch": ({"limits": np.ones(B + 1, int)}, r"`limits`.*\(2,\), got shape \(3,\)"),
    "limits of rank 2": ({"limits": np.ones((B, 1), int)}, r"`limits`.*got shape \(2, 1\)"),
    "limits of floats": ({"limits": np.ones(B)}, r"`limits` must be an integer.*dtype float"),
    "limit below 0": ({"limits": -1}, "`limits`.*0 or more, got -1"),
    "no pair": ({"step": lambda tokens, state: ops.zeros((B, V))}, r"`step` must return a pair \(logits, state\)"),
    "logits of rank 3": ({"step": returning(lambda n: ops.zeros((n, 1, V)))}, r"`step`.*logits \(B, V\).*1, 5\)"),
    "logits of other rows": ({"step": returning(lambda n: ops.zeros((n + 1, V)))}, r"`step`.*logits \(B, V\), a row"),
    "logits of integers": ({"step": returning(lambda n: ops.zeros((n, V), "int32"))}, "`step`.*of floats, got int32"),
    "states more": ({"step": returning(None, lambda s: [*s, s[0]])}, r"`step`.*structure.*\[float32\(\d, 3\)\] and"),
    "states in a dict": ({"step": returning(None, lambda s: {"h": s[0]})}, "`step`.*structure.*returned {h: float32"),
    "state of another shape": ({"step": returning(None, lambda s: [s[0][:, 1:]])}, r"`step`.*shapes.*, 2\)\]"),
    "state of another dtype": (
        {"step": returning(None, lambda s: [ops.cast(s[0], "float16")])},
        "`step`.*dtypes.*given .float32.*returned .float16",
    ),
    "state that is none": ({"step": returning(None, lambda s: [None])}, "`step`.*returned .None"),
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("case", OF_ALL)
def test_what_all_decoders_refuse(decoder, case):
    changes, message = OF_ALL[case]
    with pytest.raises(ValueError, match=message):
        decode(decoder, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *[({"width": width}, f"`width`.*positive integer, got {width}") for width in (0, -2, 1.5, True)],
        ({"n_best": 0}, "`n_best`.*positive integer, got 0"),
        ({"width": 3, "n_best": 4}, "`n_best` must be at most `width`, 3, got 4"),
        *[({"length_penalty": penalty}, "`length_penalty`") for penalty in ("0.6", None, True)],
        *[
            ({"length_penalty": float(penalty)}, f"`length_penalty`.*got {penalty}")
            for penalty in ("nan", "inf", "-inf")
        ],
        ({"length_penalty": 900.0, "max_length": 2}, "`length_penalty`.*float32, got 900.0"),
        ({"length_penalty": -900.0, "max_length": 2}, "`length_penalty`.*float32, got -900.0"),
    ],
    ids=str,
)
def test_what_beam_search_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        decode(ks.decoding.beam_search, **changes)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("temperature", (0, -1.0, float("inf"), float("nan"), "hot", True)),
        ("top_k", (0, -1, 2.5, True)),
        ("top_p", (0, -0.5, 1.01, "all", float("nan"))),
        ("seed", ("seed", 1.5)),
    ],
)
def test_what_sample_refuses(argument, values):
    for value in values:
        with pytest.raises(ValueError, match=f"`{argument}`.*{value}"):
            decode(ks.decoding.sample, **{argument: value})


def test_tiles_need_rows():
    with pytest.raises(ValueError, match=r"`nest`.*\(B, ...\)"):
        ks.decoding.tile_beams([np.float32(1.0)], 2)
    with pytest.raises(ValueError, match=r"`width`.*got 0"):
        ks.decoding.tile_beams(STATE, 0)


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_is_right_in_an_unusual_form(decoder):
    """NumPy's integers, lists, a tuple from the step, dtypes of all widths, a state without tensors."""
    decoded = decode(
        decoder,
        step=lambda tokens, state: [9.0 * ops.one_hot(tokens * 0 + 3, V), state],
        start=[0, 1],
        state={"none": []},
        end=np.int64(1),
        max_length=np.int64(3),
        limits=np.array([2, 2**40], "int64"),
        pad=np.int64(9),
    )
    assert dtype_of(decoded.tokens) == "int32"
    assert np.asarray(decoded.lengths).ravel().tolist() == [2, 3]
    assert np.asarray(decoded.tokens).reshape(B, 3)[0, 2] == 9


@pytest.mark.parametrize("limits", [2**40, np.array([200, 250], "uint8")])
def test_limits_beyond_the_length(limits):
    decoded = decode(ks.decoding.greedy, end=None, max_length=300, limits=limits)
    assert np.asarray(decoded.lengths).tolist() == ([300, 300] if isinstance(limits, int) else [200, 250])

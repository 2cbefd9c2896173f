"""Drawings of structures: what they say of layers and models, what is drawn, that no texts overlap, errors."""

from itertools import combinations, pairwise

import keras
import pytest

import keras_seq as ks
from keras_seq.diagnostics.structure import structure_of
from tests.cases import CASES, D, H, T

L, K = ks.layers, keras.layers
plot = ks.diagnostics.plot_structure


def built(layer):
    layer.build((None, None, D))
    return layer


@pytest.mark.parametrize("M", [L, K], ids=["ours", "stock"])
def test_an_lstm(M):
    (stage,) = structure_of(built(M.LSTM(H, name="reader")))
    assert (stage.name, stage.layer, stage.reads, stage.sequences) == ("reader", "LSTM", ["inputs"], False)
    assert stage.output == (None, H)
    (row,) = stage.rows
    assert (row.cell, row.backward) == ("LSTMCell", False)
    assert row.states == {"h": ("(H,)", (H,)), "c": ("(H,)", (H,))}
    assert row.weights == {
        "kernel": ("(D, 4H)", (D, 4 * H)),
        "recurrent_kernel": ("(H, 4H)", (H, 4 * H)),
        "bias": ("(4H,)", (4 * H,)),
    }


@pytest.mark.parametrize("M", [L, K], ids=["ours", "stock"])
def test_stacks_and_directions(M):
    layer = built(M.Bidirectional(M.RNN([M.GRUCell(2), M.SimpleRNNCell(H)], return_sequences=True), merge_mode="sum"))
    (stage,) = structure_of(layer)
    assert (stage.merge, stage.sequences, stage.output) == ("sum", True, (None, None, H))
    assert [(row.cell, row.backward) for row in stage.rows] == [
        ("GRUCell", False),
        ("SimpleRNNCell", False),
        ("GRUCell", True),
        ("SimpleRNNCell", True),
    ]
    assert stage.rows[0].weights["bias"] == ("(2, 3H)", (2, 6))
    assert stage.rows[1].weights["kernel"] == ("(D, H)", (2, H))


def test_letters_of_a_projection_and_of_a_memory():
    (row,) = structure_of(built(L.PeepholeLSTM(11, projection_size=H)))[0].rows
    assert row.states == {"h": ("(P,)", (H,)), "c": ("(H,)", (11,))}
    assert row.weights["recurrent_kernel"] == ("(P, 4H)", (H, 44))
    assert row.weights["projection_kernel"] == ("(H, P)", (11, H))
    assert row.weights["input_gate_peephole_weights"] == ("(H,)", (11,))
    (row,) = structure_of(built(L.NTM(H, 13, 2, read_heads=3, write_heads=5)))[0].rows
    assert row.states["memory"] == ("(N, W)", (13, 2))
    assert row.states["read_weights"] == ("(R, N)", (3, 13))
    assert row.states["write_weights"] == ("(J, N)", (5, 13))
    assert row.weights["interface_kernel"] == ("", (100, row.weights["interface_bias"][1][0]))
    assert [shape for name, (_, shape) in row.weights.items() if name.endswith("recurrent_kernel")] == [(100, 400)]


def test_letters_of_a_dnc():
    (row,) = structure_of(built(L.DNC(H, 13, 2, read_heads=3)))[0].rows
    found = {name: row.states[name] for name in ("write_weights", "reads", "usage", "precedence", "links")}
    assert found == {
        "write_weights": ("(J, N)", (1, 13)),
        "reads": ("(R, W)", (3, 2)),
        "usage": ("(N,)", (13,)),
        "precedence": ("(N,)", (13,)),
        "links": ("(N, N)", (13, 13)),
    }


def test_a_graph_with_branches_and_a_model_inside():
    """Who reads whom, in the order of calls."""
    x, a = keras.Input((T, D), name="past"), keras.Input((T, H))
    inner = keras.Model(a, L.GRU(H, return_sequences=True, name="inside")(a), name="inner")
    shared = L.LSTM(H, return_sequences=True, name="shared")
    y = inner(shared(x))
    z = K.Add(name="sum")([y, K.Dense(H, name="skip")(x)])
    joined = K.Concatenate(name="join")([z, x])
    model = keras.Model(x, K.Dense(2, name="head")(K.LSTM(2, go_backwards=True, name="last")(joined)))
    found = {stage.name: stage.reads for stage in structure_of(model)}
    assert found == {
        "shared": ["inputs"],
        "inside": ["shared"],
        "skip": ["inputs"],
        "sum": ["inside", "skip"],
        "join": ["sum", "inputs"],
        "last": ["join"],
        "head": ["last"],
    }
    assert [s.name for s in structure_of(model) if s.rows] == ["shared", "inside", "last"]
    assert structure_of(model)[-1].output == (None, 2)


def test_calls_of_one_layer_are_told_apart():
    one, other = keras.Input((T, D), name="one"), keras.Input((T, D), name="other")
    shared = L.GRU(H, return_sequences=True, name="shared")
    inside = keras.Input((T, D))
    twice = keras.Model(inside, L.GRU(2, name="inner")(inside))
    first = shared(one)
    second = shared(other)
    outputs = [first, second, L.LSTM(2, name="up")(first), twice(one), twice(other)]
    model = keras.Model([one, other], outputs)
    assert [(stage.name, stage.reads) for stage in structure_of(model)] == [
        ("shared", ["one"]),
        ("shared (call 2)", ["other"]),
        ("up", ["shared"]),
        ("inner", ["one"]),
        ("inner (call 2)", ["other"]),
    ]
    pytest.importorskip("matplotlib")
    assert "x: shared" in texts(plot(model))  # above the second call, which it does not read


def test_a_model_with_a_call_of_its_own():
    vectorizer = ks.data.text_vectorizer(["a quiet film", "a loud film"])
    model = ks.models.sentiment_model(vectorizer, ["bad", "good"], bidirectional=True, depth=2, units=H)
    stages = structure_of(model)
    assert [s.name for s in stages] == [
        "embedding",
        "embedding_dropout",
        "encoder_1",
        "encoder_2",
        "dropout",
        "probabilities",
    ]
    assert all(above.reads == [below.name] for below, above in pairwise(stages))
    assert [s.sequences for s in stages] == [True, True, True, False, False, False]


DRAWN = {
    "lstm": lambda: built(L.LSTM(64)),
    "stack": lambda: keras.Sequential(
        [keras.Input((None, D)), L.LSTM(64, return_sequences=True), K.GRU(32, return_sequences=True), K.Dense(3)]
    ),
    "bidirectional": lambda: built(L.Bidirectional(L.GRU(16, return_sequences=True))),
    "stock": lambda: built(K.Bidirectional(K.LSTM(16))),
    "ntm": lambda: built(L.NTM(H, 11, 4)),
    "dnc": lambda: built(L.DNC(H, 11, 4)),
    "cells": lambda: built(L.RNN([L.LayerNormLSTMCell(8), L.ClockworkRNNCell(8)], go_backwards=True)),
    "sentiment": lambda: ks.models.sentiment_model(
        ks.data.text_vectorizer(["a quiet film", "a loud film"]), ["a", "b"], bidirectional=True
    ),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_no_texts_overlap_and_none_is_cut(kind):
    pytest.importorskip("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    ax = plot(DRAWN[kind]())
    FigureCanvasAgg(ax.figure).draw()
    boxes = {text: text.get_window_extent() for text in ax.texts if text.get_text()}
    assert len(boxes) > 10
    for (one, a), (other, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), f"{one.get_text()!r} on {other.get_text()!r}"
    frame = ax.figure.bbox
    assert all(frame.contains(*corner) for box in boxes.values() for corner in (box.min, box.max))


def texts(ax):
    return [text.get_text() for text in ax.texts]


def arrows(ax, dashed=(False, True)):
    """Pairs of start and end."""
    found = [text for text in ax.texts if not text.get_text()]
    return [(text.xyann, text.xy) for text in found if (text.arrow_patch.get_linestyle() != "-") in dashed]


def columns(ax):
    """Where the steps stand, from the first to the last."""
    return [text.get_position()[0] for text in ax.texts if text.get_text()[:1] == "x" and ":" not in text.get_text()]


def each_output_has_its_arrow(ax):
    """One that ends just below the text."""
    places = [text.get_position() for text in ax.texts if text.get_text()[:1] == "y" and ":" not in text.get_text()]
    ends = [end for start, end in arrows(ax) if start[0] == end[0]]
    return all(sum(x == at and y - 0.1 < end < y for at, end in ends) == 1 for x, y in places)


@pytest.mark.parametrize(
    ("flags", "outputs", "to_the_right"),
    [
        ({}, ["y_T"], True),
        ({"go_backwards": True}, ["y₁"], False),
        ({"return_sequences": True}, ["y₁", "y₂", "y₃", "y_T"], True),
        (
            {"return_sequences": True, "go_backwards": True},
            ["y₁", "y₂", "y₃", "y_T", "y: last step first"],
            False,
        ),
    ],
)
def test_what_leaves_and_which_way_states_go(flags, outputs, to_the_right):
    pytest.importorskip("matplotlib")
    ax = plot(built(L.LSTM(H, **flags)), steps=4)
    assert [text for text in texts(ax) if text.startswith("y")] == outputs
    assert [text for text in texts(ax) if text.startswith("x")] == ["x₁", "x₂", "x₃", "x_T", "x: inputs"]
    sideways = [end[0] - start[0] for start, end in arrows(ax) if start[1] == end[1]]
    assert len(sideways) == 4  # into each cell, the first from what a sequence starts from
    assert all((step > 0) == to_the_right for step in sideways)
    ((start, end),) = arrows(ax, dashed=[True])
    left, right = (start[0], end[0]) if to_the_right else (end[0], start[0])
    assert columns(ax)[-2] < left < right < columns(ax)[-1]
    assert each_output_has_its_arrow(ax)
    assert "  kernel (D, 4H) = (5, 12)" in texts(ax)
    assert sum(text == "h₀, c₀" for text in texts(ax)) == 1


def test_what_reads_a_sequence_that_was_read_backwards_starts_anew():
    """Its first step is the last of what is below."""
    pytest.importorskip("matplotlib")
    lower = L.GRU(H, go_backwards=True, return_sequences=True, name="lower")
    both = L.Bidirectional(L.SimpleRNN(2, return_sequences=True), name="both")  # which turns that of its own
    ax = plot(keras.Sequential([keras.Input((T, D)), lower, both, L.LSTM(H)]))
    beside = [text for text in texts(ax) if text.startswith(("x:", "y:"))]
    assert beside == ["x: inputs", "x: lower (last step first)"]
    assert sum(text == "x_T" for text in texts(ax)) == 2


def test_both_directions_have_opposite_arrows_and_a_join():
    pytest.importorskip("matplotlib")
    ax = plot(built(L.Bidirectional(L.SimpleRNN(H), name="both")))
    sideways = [end[0] - start[0] for start, end in arrows(ax) if start[1] == end[1]]
    assert [step > 0 for step in sideways] == [True] * 3 + [False] * 3
    (forward, backward), (_, before, last) = arrows(ax, dashed=[True]), columns(ax)
    assert before - 0.3 < forward[0][0] < forward[1][0] < last
    assert last + 0.3 > backward[0][0] > backward[1][0] > before
    assert each_output_has_its_arrow(ax)
    assert "both: concat → (B, 6)" in texts(ax)


def test_it_draws_into_given_axes_smaller_where_they_are():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    ax = Figure(figsize=(3, 2)).subplots()
    assert plot(built(L.GRU(H)), ax=ax) is ax
    assert max(text.get_fontsize() for text in ax.texts if text.get_text()) < 5


@pytest.mark.parametrize("case", [c for c in CASES if c.recurrent], ids=str)
def test_every_recurrent_layer_of_the_table_is_described(case):
    layer = built(case.layer())
    (stage,) = structure_of(layer)
    assert stage.rows
    assert sum(len(row.weights) for row in stage.rows) == len(layer.weights)
    assert all(row.states for row in stage.rows)


@pytest.mark.parametrize(
    ("make", "steps", "words"),
    [
        (lambda: keras.Sequential([keras.Input((T, D)), K.Dense(2)]), 3, "no recurrent layers"),
        (lambda: L.LSTM(H), 3, "not built: call it"),
        (lambda: keras.Sequential([L.LSTM(H)]), 3, "not built: call it"),
        (lambda: "lstm", 3, "keras.Model or a layer, got str"),
        (lambda: built(L.LSTM(H)), 1, "steps.*at least 2.*got 1"),
    ],
)
def test_what_is_refused(make, steps, words):
    with pytest.raises(ks.errors.InputError, match=words):
        plot(make(), steps)

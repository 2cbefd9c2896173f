"""The unrolled drawing: all recurrent layers of the table, stacks, directions, whole models; what is drawn where."""

import itertools

import keras
import numpy as np
import pytest
from keras import tree

import keras_seq as ks
from keras_seq.cells.base import takes_memory
from keras_seq.diagnostics.structure import parts_of
from keras_seq.errors import InputError
from tests.cases import CASES, D, H, M, S, T

L = ks.layers
ROWS = [case for case in CASES if case.recurrent or case.cell]


def built(case):
    layer = L.RNN(case.make()) if case.cell else case.make()
    one = getattr(layer, "forward_layer", layer)
    layer.build((None, None, D), **({"memory_shape": (None, S, M)} if takes_memory(one.cell) else {}))
    return layer


def of_floats(cell):
    return [w for w in cell.weights if keras.backend.is_float_dtype(keras.backend.standardize_dtype(w.dtype))]


@pytest.mark.parametrize("case", ROWS, ids=lambda case: f"{case.name}-{case.form}")
def test_states_and_weights_of_every_recurrent_layer(case):
    layer = built(case)
    (part,) = parts_of(layer)
    directions = (
        [layer.forward_layer, layer.backward_layer] if isinstance(layer, keras.layers.Bidirectional) else [layer]
    )
    assert [row.backward for row in part.rows[:: max(1, len(part.rows) // len(directions))]] == [
        one.go_backwards for one in directions
    ]
    states = [tuple(s.shape[1:]) for one in directions for s in tree.flatten(one.cell.get_initial_state(batch_size=1))]
    assert [shape for row in part.rows for _, shape in row.states] == states
    weights = [tuple(w.shape) for one in directions for w in of_floats(one.cell)]
    told = [shape.split("= ")[-1] for row in part.rows for _, shape in row.weights]
    assert sorted(told) == sorted(f"({', '.join(map(str, shape))})" for shape in weights)


def test_letters_of_kernels():
    layer = L.LSTM(H)
    layer.build((None, None, D))
    (row,) = parts_of(layer)[0].rows
    assert row.weights == [("kernel", "(D, 4H) = (5, 12)"), ("recurrent_kernel", "(H, 4H) = (3, 12)"), ("bias", "(12)")]
    assert row.states == [("h", (H,)), ("c", (H,))]
    stock = keras.layers.GRU(H, go_backwards=True)
    stock.build((None, None, D))
    (row,) = parts_of(stock)[0].rows
    assert (row.cell, row.backward, row.output) == ("GRUCell", True, (H,))
    assert row.weights[0] == ("kernel", "(D, 3H) = (5, 9)")


def model_of_many():
    return keras.Sequential(
        [
            keras.Input((T, D)),
            keras.layers.Dense(6, name="first"),
            L.Bidirectional(L.GRU(H, return_sequences=True)),
            keras.Sequential([keras.layers.Dropout(0.1, name="between"), L.RNN([L.LSTMCell(4), L.GRUCell(7)])]),
            keras.layers.Dense(1, name="last"),
        ]
    )


def test_a_model_in_its_order():
    parts = parts_of(model_of_many())
    assert [part.name.split(" ")[0] for part in parts if not part.rows] == ["first", "between", "last"]
    assert [[row.cell for row in part.rows] for part in parts] == [
        [],
        ["GRUCell", "GRUCell"],
        [],
        ["LSTMCell", "GRUCell"],
        [],
    ]
    assert [part.every_step for part in parts if part.rows] == [True, False]
    assert [(part.merge, part.output) for part in parts if part.rows] == [("concat", (2 * H,)), (None, (7,))]


@pytest.mark.parametrize(("merge", "output"), [("sum", H), ("concat", 2 * H), (None, H)])
def test_how_directions_are_joined(merge, output):
    layer = L.Bidirectional(L.LSTM(H), merge_mode=merge)
    layer.build((None, None, D))
    (part,) = parts_of(layer)
    assert (part.merge, part.output, part.every_step) == (merge or "both", (output,), False)
    assert [row.backward for row in part.rows] == [False, True]


class Own(keras.Model):
    """A subclassed model, whose calls nobody knows."""

    def __init__(self):
        super().__init__()
        self.one, self.other = L.GRU(H, return_sequences=True), L.LSTM(2)

    def call(self, x):
        return self.other(self.one(x))


def test_a_subclassed_model():
    model = Own()
    model(np.ones((2, T, D), "float32"))
    parts = parts_of(model)
    assert [(part.rows[0].cell, part.attached) for part in parts] == [("GRUCell", True), ("LSTMCell", False)]


def drawn(what, steps=3):
    pytest.importorskip("matplotlib")
    ax = ks.diagnostics.plot_structure(what, steps=steps)
    boxes = [patch for patch in ax.patches if patch.get_width() > 0]
    arrows = [(text.xyann, text.xy) for text in ax.texts if getattr(text, "arrow_patch", None)]
    words = [text for text in ax.texts if text.get_text()]
    return ax, boxes, arrows, words


def sideways(arrows):
    return [end[0] - start[0] for start, end in arrows if np.isclose(start[1], end[1])]


def upwards(arrows, x):
    """Arrows that go up in the column at `x`."""
    return [arrow for arrow in arrows if np.isclose(arrow[0][0], x) and np.isclose(arrow[1][0], x)]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("steps", [2, 5])
def test_time_flows(backwards, steps):
    layer = L.LSTM(H, go_backwards=backwards)
    layer.build((None, None, D))
    _, boxes, arrows, words = drawn(layer, steps)
    assert len(boxes) == steps
    assert len(sideways(arrows)) == steps - 1
    assert all((length < 0) == backwards for length in sideways(arrows))
    middles = sorted(box.get_x() + box.get_width() / 2 for box in boxes)
    leaving = [len(upwards(arrows, x)) - 1 for x in middles]  # one comes in, from the input
    assert leaving == ([1] + [0] * (steps - 1) if backwards else [0] * (steps - 1) + [1])
    texts = [text.get_text() for text in words]
    assert texts.count("h, c") == steps - 1
    assert {"$x_{T}$", "$y$"} <= {*texts}
    assert f"$x_{{{steps}}}$" not in texts


def test_outputs_at_every_step():
    layer = L.GRU(H, return_sequences=True)
    layer.build((None, None, D))
    texts = [text.get_text() for text in drawn(layer)[3]]
    assert [one for one in texts if one.startswith("$y")] == ["$y_{1}$", "$y_{2}$", "$y_{T}$"]


def test_directions_flow_both_ways():
    layer = L.Bidirectional(L.GRU(H, return_sequences=True))
    layer.build((None, None, D))
    _, boxes, arrows, words = drawn(layer)
    assert len(boxes) == 9  # two directions and where they meet
    between = [length for length in sideways(arrows) if abs(length) > 0.5]
    assert sorted(np.sign(between)) == [-1, -1, 1, 1]
    assert [text.get_text() for text in words].count(f"concat ({2 * H})") == 3


def ntm():
    layer = L.NTM(H, slots=11, slot_width=5)
    layer.build((None, None, D))
    return layer


@pytest.mark.parametrize("make", [model_of_many, ntm], ids=["model", "NTM"])
def test_no_text_lies_on_another(make):
    ax, boxes, _, words = drawn(make())
    ax.figure.canvas.draw()
    places = [text.get_window_extent() for text in words]
    for one, other in itertools.combinations(range(len(words)), 2):
        assert not places[one].overlaps(places[other]), (words[one].get_text(), words[other].get_text())
    page = ax.figure.bbox
    assert all(page.x0 <= place.x0 and place.x1 <= page.x1 and page.y0 <= place.y0 for place in places)
    frames = [box.get_window_extent() for box in boxes]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(frames, 2))


def test_it_draws_where_it_is_told():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert ks.diagnostics.plot_structure(ntm(), ax=ax) is ax


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.LSTMCell(3), "has no recurrent layer"),
        (lambda: "lstm", "must be a layer or a model, got str"),
        (lambda: keras.Sequential([keras.Input((T, D)), keras.layers.Dense(2)]), "has no recurrent layer"),
        (lambda: L.LSTM(3), "is not built"),
        (lambda: L.Bidirectional(L.LSTM(3)), "is not built"),
        (lambda: keras.Sequential([L.LSTM(3)]), "is not built"),
    ],
    ids=["cell", "string", "dense", "layer", "bidirectional", "model"],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        ks.diagnostics.plot_structure(make())


def test_steps():
    with pytest.raises(ValueError, match="at least 2"):
        ks.diagnostics.plot_structure(ntm(), steps=1)

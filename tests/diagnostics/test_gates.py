"""Gates over time: against NumPy in float64, gate by gate; masks, directions, whose they are, pictures, errors."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests import oracle
from tests.cases import EXACT, TANH, B, D, H, T, close, padded, randomize
from tests.diagnostics.gate_oracle import expected

L = ks.layers
gates_of = ks.diagnostics.gate_activations
KINDS = [kind for kind in oracle.RECURRENCES if "simple" not in kind]


def made(kind, rng, **kwargs):
    name, form, _ = oracle.RECURRENCES[kind]
    layer = getattr(L, name)(H, dtype="float64", activation=TANH, **form, **kwargs)
    layer.build((None, None, D))
    return randomize(layer, rng)


def masked(layer):
    """A model that hands a layer a mask that it is given."""
    x, mask = keras.Input((T, D), dtype="float64"), keras.Input((T,), dtype="bool")
    return keras.Model([x, mask], layer(x, mask=mask))


@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("kind", KINDS)
def test_gates_against_the_oracle(kind, go_backwards, rng):
    layer, (x, mask) = made(kind, rng, go_backwards=go_backwards), padded(rng)
    (part,) = gates_of(masked(layer), [x, mask]).parts
    wanted = expected(kind, layer, x, mask)
    assert list(part.values) == list(wanted)
    close(part.values, wanted, atol=10 * EXACT, rtol=0)
    assert part.direction == ("backward" if go_backwards else "forward")
    assert all(np.isnan(values[~mask]).all() for values in part.values.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_the_step_is_made_of_these_gates(kind, training, rng):
    """`c` and `h` follow from the gates, so that the two cannot drift apart; under dropout, too."""
    layer = made(kind, rng, recurrent_dropout=0.5)
    x, states = rng.normal(size=(B, D)), [rng.normal(size=(B, s.shape[1])) for s in layer.get_initial_state(1)]
    cell = layer.cell
    given = cell.project(x), states, cell.prepare(states, training)
    values = [np.asarray(value) for value in cell.gate_values(*given).values()]
    h, new = cell.step(*given)
    if "gru" in kind:
        z, _, n = values
        close(h, z * states[0] + (1 - z) * n, atol=EXACT)
    else:
        i, f, g, o = values
        c = f * states[1] + i * g
        if "layer_norm" in kind:
            c = oracle.layer_norm(c, *cell.get_weights()[-2:])
        close(new[1], c, atol=EXACT)
        if "projected" not in kind:  # where h is not the gates' alone
            close(h, o * np.tanh(c), atol=EXACT)


@pytest.mark.parametrize(
    "make",
    [
        lambda M: M.LSTM(H),
        lambda M: M.GRU(H, reset_after=False),
        lambda M: M.RNN([M.GRUCell(2), M.LSTMCell(H), M.SimpleRNNCell(2)]),
        lambda M: M.Bidirectional(M.LSTM(H, return_sequences=True)),
    ],
    ids=["lstm", "gru", "stack", "bidirectional"],
)
def test_stock_layers_have_the_gates_of_ours(make, rng):
    ours, stock = (keras.Sequential([keras.Input((T, D)), make(M)]) for M in (L, keras.layers))
    randomize(ours, rng)
    stock.set_weights(ours.get_weights())
    x = rng.normal(size=(B, T, D)).astype("float32")
    mine, theirs = gates_of(ours, x).parts, gates_of(stock, x).parts
    assert [(p.cell, p.direction, list(p.values)) for p in mine] == [
        (p.cell, p.direction, list(p.values)) for p in theirs
    ]
    for one, other in zip(mine, theirs, strict=True):
        close(one.values, other.values, atol=1e-6)


def test_a_stack_reads_what_is_below(rng):
    """Each cell of a stack as a layer on the outputs of the layer below; a foreign cell among them is ours then."""
    lower, upper = made("gru_after", rng, return_sequences=True), L.LSTM(H, dtype="float64", activation=TANH)
    upper.build((None, None, H))
    randomize(upper, rng)
    stack = L.RNN([lower.cell, upper.cell], dtype="float64")
    stack.build((None, None, D))
    x = rng.normal(size=(B, T, D))
    first, second = gates_of(stack, x).parts
    assert (first.cell, second.cell) == ("0", "1")
    close(first.values, gates_of(lower, x).parts[0].values, atol=EXACT)
    close(second.values, gates_of(upper, lower(x)).parts[0].values, atol=EXACT)


def test_in_a_model_of_ids_layers_are_found_and_padding_is_blank(rng):
    """As the layers alone, on the embeddings; at any depth, each call by itself."""
    shared = L.GRU(4, return_sequences=True, name="shared")
    a = keras.Input((None, 4))
    inner = keras.Model(a, L.Bidirectional(L.LSTM(H, name="reader"), name="both")(a), name="inner")
    ids = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(11, 4, mask_zero=True)
    model = keras.Model(ids, keras.layers.Dense(2)(inner(shared(shared(embedding(ids))))))
    randomize(model, rng)
    x = rng.integers(1, 11, size=(B, T))
    x[0, 4:] = 0
    result = gates_of(model, x)
    assert [(p.layer, p.call, p.direction) for p in result.parts] == [
        ("shared", 0, "forward"),
        ("shared", 1, "forward"),
        ("forward_reader", 0, "forward"),
        ("backward_reader", 0, "backward"),
    ]
    for part in result.parts:
        for values in part.values.values():
            assert np.array_equal(np.isnan(values).any(axis=2), x == 0)
    row = x[:1, :4]  # the row without its padding
    for part, alone in zip(result.parts, gates_of(model, row).parts, strict=True):
        close({k: v[:1, :4] for k, v in part.values.items()}, alone.values, atol=1e-5)
    only = gates_of(model, x, layer="both").parts
    assert [p.direction for p in only] == ["forward", "backward"]
    assert len(gates_of(model, x, layer=shared).parts) == 2
    frame = result.frame
    assert len(frame) == T * (3 + 3 + 4 + 4)
    some = frame.query("layer == 'shared' and call == 1 and gate == 'z' and step == 5").iloc[0]
    values = result.parts[1].values["z"][1, 5]
    assert [*some[["low", "median", "high"]]] == pytest.approx(np.quantile(values, [0.1, 0.5, 0.9]))
    assert (some["near_0"], some["near_1"]) == ((values < 0.1).mean(), (values > 0.9).mean())


def test_controllers_of_memories_and_cells_that_attend_have_gates(rng):
    x, memory = keras.Input((T, D)), keras.Input((11, 4))
    attending = L.RNN(L.AttentionCell(L.StackedRNNCells([L.SimpleRNNCell(2), L.GRUCell(H)])), return_sequences=True)
    model = keras.Model([x, memory], L.NTM(2, 7, 3)(attending(x, memory=memory)))
    given = [rng.normal(size=(B, *t.shape[1:])) for t in (x, memory)]
    result = gates_of(model, given)
    assert [(p.cell, list(p.values)) for p in result.parts] == [("cell_1", list("zrn")), ("controller", list("ifgo"))]


def test_all_is_left_as_it_was(rng):
    """Attributes, states and forced kernels; after a failure too."""
    layer = L.LSTM(H, stateful=True, implementation="kernel", use_cudnn=False, dropout=0.5)
    model = keras.Sequential([keras.Input((T, D), batch_size=B), layer])
    x = rng.normal(size=(B, T, D)).astype("float32")
    model(x)
    before = [np.array(v) for v in model.variables]
    first = gates_of(model, x)
    with pytest.raises(ValueError, match=r"shape|incompatible"):
        gates_of(model, x[..., 1:])
    close(first.parts[0].values, gates_of(model, x).parts[0].values, atol=0)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, np.array(variable))
    assert (layer.cell.implementation, layer.unroll) == ("kernel", False)
    assert not {"inner_loop", "step"} & ({*vars(layer), *vars(layer.cell)})


def test_of_saturated_gates_the_frame_and_the_picture_say_so():
    """A bias of 50 opens f, one of -50 shuts i, and turns the candidate g to -1, which is as far as it goes."""
    pytest.importorskip("matplotlib")
    layer = L.LSTM(H)
    layer.build((None, None, D))
    bias = np.repeat([-50.0, 50.0, -50.0, 0.0], H)
    layer.set_weights([np.zeros((D, 4 * H)), np.zeros((H, 4 * H)), bias])
    result = gates_of(layer, np.ones((B, T, D)))
    shares = result.frame.groupby("gate")[["near_0", "near_1"]].mean()
    assert shares.loc[["i", "f", "g", "o"]].values.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]
    ax = result.plot(row=1)
    np.testing.assert_allclose(
        ax.images[0].get_array(), np.repeat([[0.0], [1.0], [0.5]], H, axis=0).repeat(T, 1), atol=1e-6
    )
    assert [label.get_text().split("\n")[0] for label in ax.get_yticklabels()] == ["i", "f", "o"]
    assert "100% above 0.9" in ax.get_yticklabels()[1].get_text()


def test_the_picture_blanks_what_is_masked(rng):
    from matplotlib.figure import Figure

    x, mask = padded(rng)
    result = gates_of(masked(made("gru_after", rng)), [x, mask])
    ax = Figure().subplots()
    assert result.plot(row=3, ax=ax) is ax
    picture = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert picture.shape == (2 * H, np.flatnonzero(mask[3])[-1] + 1)
    assert np.array_equal(np.isnan(picture).all(axis=0), ~mask[3, : picture.shape[1]])
    for gate, band in zip("zr", np.split(picture, 2), strict=True):
        units = result.parts[0].values[gate][3, : picture.shape[1]].T
        order = np.argsort(-np.nanmean(units, axis=1))
        assert order.tolist() != list(range(H))  # so that it is seen
        np.testing.assert_array_equal(band, units[order])  # the most open unit above
    with pytest.raises(ks.errors.InputError, match="masked whole, got 4"):
        result.plot(row=4)
    with pytest.raises(ks.errors.InputError, match="one of 5 sequences, got 5"):
        result.plot(row=5)
    with pytest.raises(ks.errors.InputError, match=r"one of 1, .*got 1"):
        result.plot(part=1)


@pytest.mark.tensorflow
def test_models_of_texts_take_strings_and_name_their_words():
    vectorizer = ks.data.text_vectorizer(["a quiet film", "a loud film"])
    model = ks.models.sentiment_model(vectorizer, ["bad", "good"], encoder="gru", units=H)
    result = gates_of(model, ["a quiet, funny film", "film"])
    assert result.tokens == [["a", "quiet", "<unknown>", "<unknown>", "film"], ["film"]]
    values = result.parts[0].values["z"]
    assert np.isfinite(values).all(axis=2).sum(axis=1).tolist() == [5, 1]
    ax = result.plot(row=0)
    assert [label.get_text() for label in ax.get_xticklabels()] == result.tokens[0]


@pytest.mark.tensorflow
def test_words_stand_under_their_own_steps_alone():
    """A layer that reads two words at each step has no word for one."""
    vectorizer = ks.data.text_vectorizer(["a quiet film", "a loud film"])
    strided = keras.layers.Conv1D(4, 2, strides=2)
    encoder = keras.Sequential([L.GRU(2, return_sequences=True), strided, L.GRU(H)])
    model = ks.models.sentiment_model(vectorizer, ["bad", "good"], encoder=encoder)
    words = ["a", "quiet", "film"] * 2 + ["film", "film"]
    result = gates_of(model, [" ".join(words)])
    assert [next(iter(part.values.values())).shape[1] for part in result.parts] == [8, 4]
    of_words, of_pairs = (result.plot(part=part) for part in (0, 1))
    assert [label.get_text() for label in of_words.get_xticklabels()] == words
    assert not set(words) & {label.get_text() for label in of_pairs.get_xticklabels()}
    assert of_pairs.get_xlim() == (-0.5, 3.5)


class OtherStep(L.GRUCell):
    def step(self, projected, states, constants):
        return states[0], states


def model_of(layer):
    return keras.Sequential([keras.Input((T, D)), layer])


@pytest.mark.parametrize(
    ("model", "x", "layer", "words"),
    [
        (lambda: L.SimpleRNN(H), None, None, "not built"),
        (lambda: model_of(L.SimpleRNN(H, name="plain")), None, None, r"has no gates.*\['SimpleRNNCell'\]"),
        (lambda: model_of(L.RNN(OtherStep(H))), None, None, "has no gates"),
        (lambda: model_of(L.LSTM(H, name="reader")), None, "other", r"layer.*'other'.*\['reader'\]"),
        (lambda: keras.Sequential([keras.Input((T, D)), keras.layers.Dense(2, name="head")]), None, "head", "no gates"),
        (lambda: model_of(L.LSTM(H)), np.full((B, T, D), np.nan), None, "finite.*row 0"),
        (lambda: model_of(L.LSTM(H)), ["a film"], None, "strings"),
        (lambda: 3, None, None, "keras.Model or a layer, got int"),
    ],
)
def test_what_is_refused(model, x, layer, words):
    x = np.ones((B, T, D)) if x is None else x
    with pytest.raises(ks.errors.InputError, match=words):
        gates_of(model(), x, layer)


@pytest.mark.parametrize("shape", [(B, T), (B, T, D + 1), (B, 0, D)])
def test_wrong_shapes_are_named(shape, rng):
    with pytest.raises(ValueError, match=r"got (inputs of )?shape|no steps|ndim"):
        gates_of(made("lstm", rng), np.ones(shape))

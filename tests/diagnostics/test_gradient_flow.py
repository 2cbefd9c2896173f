"""Gradient flow: decays that are known, masks, calls, what is left as it was, strings, words and pictures."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import B, D, H, randomize

L = ks.layers
flow_of = ks.diagnostics.gradient_flow


def last_of(layers, steps, mask=False, **kwargs):
    """A model that says a number from what the last of the layers gives at the end."""
    body = [keras.layers.Masking()] if mask else []
    model = keras.Sequential([keras.Input((steps, D), **kwargs), *body, *layers, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def linear(a, rng, width=D, **kwargs):
    """A linear recurrence whose kernel is `a` times an orthogonal one, of inputs of this width."""
    layer = L.SimpleRNN(H, activation="linear", **kwargs)
    layer.build((None, None, width))
    q, _ = np.linalg.qr(rng.normal(size=(H, H)))
    layer.set_weights([rng.normal(size=(width, H)), a * q, np.zeros(H)])
    return layer


def batch(rng, steps, rows=B):
    return rng.normal(size=(rows, steps, D)).astype("float32"), rng.normal(size=(rows, 1)).astype("float32")


@pytest.mark.parametrize(
    ("a", "memory", "at_least", "verdict"),
    [(0.9, 43, False, "vanishing"), (1.0, 59, True, "healthy"), (1.1, 59, True, "exploding")],
)
def test_of_a_linear_recurrence_all_is_known(a, memory, at_least, verdict, rng):
    """norm[T - 1 - d] = C a^d, and 0.9^43 > 0.01 > 0.9^44."""
    flow = flow_of(last_of([linear(a, rng)], 60), *batch(rng, 60))
    (row,) = flow.summary.to_dict("records")
    assert row["gamma"] == pytest.approx(a, rel=1e-5)
    assert (row["memory"], row["at_least"], row["verdict"]) == (memory, at_least, verdict)
    assert (row["steps"], row["enters"], row["state"]) == (60, "last step", "h")
    norms = flow.frame["norm"].to_numpy()
    np.testing.assert_allclose(norms / norms[-1], a ** np.arange(59, -1, -1), rtol=1e-4)
    np.testing.assert_allclose(flow.by_distance["norm"], norms[::-1])
    assert f"{verdict}" in str(flow)
    assert ("try:" in str(flow)) == (verdict != "healthy")


def test_a_layer_that_reads_backwards_is_reported_in_time(rng):
    layer = linear(0.9, rng, go_backwards=True)
    flow = flow_of(last_of([layer], 20), *batch(rng, 20))
    norms = flow.frame["norm"].to_numpy()
    np.testing.assert_allclose(norms / norms[0], 0.9 ** np.arange(20), rtol=1e-4)
    assert flow.summary.loc[0, ["direction", "gamma"]].tolist() == ["backward", pytest.approx(0.9)]


def test_padding_counts_from_the_last_kept_step_of_each_row(rng):
    """A row gives the same norms however it is padded; a step that no row keeps has none."""
    model, (x, y) = last_of([linear(0.8, rng)], 12, mask=True), batch(rng, 12, rows=3)
    x[0, 9:], x[1, :4], x[2, [0, 3, 10]] = 0, 0, 0
    x[:, 10] = 0
    flow = flow_of(model, x, y)
    (curve,) = flow.curves
    assert np.isnan(curve.norms).tolist() == [t == 10 for t in range(12)]
    kept = [np.delete(row, np.flatnonzero(~row.any(axis=1)), axis=0)[None] for row in x]
    squares = np.zeros(len(curve.distances))
    rows = np.zeros(len(curve.distances))
    for one, target in zip(kept, y, strict=True):
        (alone,) = flow_of(model, np.pad(one, [(0, 0), (12 - one.shape[1], 0), (0, 0)]), target[None]).curves
        assert len(alone.distances) == one.shape[1]
        squares[: one.shape[1]] += np.square(alone.distances / 3)  # the mean over three rows
        rows[: one.shape[1]] += 1
    np.testing.assert_allclose(curve.distances, np.sqrt(squares * 3 / rows), rtol=1e-4)


@pytest.mark.parametrize("layers", [L, keras.layers], ids=["ours", "stock"])
def test_all_is_left_as_it_was(layers, rng):
    """Weights, states, metrics, seeds and the layers' own methods: after a measurement, and after one that fails."""
    body = [layers.LSTM(H, stateful=True, return_sequences=True, dropout=0.5), layers.GRU(2, stateful=True)]
    model = last_of(body, 6, batch_size=B)
    x, y = batch(rng, 6)
    model.fit(x, y, batch_size=B, epochs=1, verbose=0)
    metrics = model.get_metrics_result()
    before = [np.array(v) for v in model.variables]
    flow = flow_of(model, x, y)
    with pytest.raises(ks.errors.InputError):
        flow_of(model, x * np.nan, y)
    with pytest.raises(Exception, match=r"incompatible|must have|shape"):
        flow_of(model, x[..., :-1], y)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, np.array(variable))
    assert model.get_metrics_result() == metrics
    assert [name for layer in body for name in vars(layer) if name == "inner_loop"] == []
    assert flow.loss == pytest.approx(float(model.evaluate(x, y, batch_size=B, verbose=0)), rel=1e-5)


def test_forced_kernels_stay_forced(rng):
    layer = L.LSTM(H, implementation="kernel", use_cudnn=False)
    flow_of(last_of([layer], 4), *batch(rng, 4))
    assert layer.cell.implementation == "kernel"
    assert layer.implementation_for(B, 4, training=True) != "loop"


def test_a_layer_that_is_called_twice_is_reported_per_call(rng):
    """Each call as the one call of a copy with the same weights."""
    one, other = keras.Input((5, D)), keras.Input((5, D))
    shared = linear(0.7, rng, name="read")

    def model_of(second):
        joined = keras.layers.Concatenate()([shared(one), second(other)])
        model = keras.Model([one, other], keras.layers.Dense(1, kernel_initializer="ones")(joined))
        model.compile("sgd", "mse")
        return model

    x, y = [batch(rng, 5)[0] for _ in range(2)], batch(rng, 5)[1]
    flow = flow_of(model_of(shared), x, y)
    assert flow.summary[["layer", "call"]].values.tolist() == [["read", 0], ["read", 1]]
    copy = linear(1.0, rng)
    copy.set_weights(shared.get_weights())
    apart = flow_of(model_of(copy), x, y)
    for curve, twin in zip(flow.curves, apart.curves, strict=True):
        np.testing.assert_allclose(curve.norms, twin.norms, rtol=1e-5)
    assert "read (call 2) h" in str(flow)


def test_layers_of_one_name_go_by_their_paths(rng):
    inner = [keras.Sequential([keras.Input((4, D)), L.GRU(2, name="read")], name=name) for name in ("one", "other")]
    inputs = keras.Input((4, D))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()([part(inputs) for part in inner])))
    model.compile("sgd", "mse")
    names = [curve.layer for curve in flow_of(model, *batch(rng, 4)).curves]
    assert len(set(names)) == 2
    assert all("read" in name for name in names)


def test_the_loss_of_the_last_step_alone(rng):
    """The same as that of a model that has no other output; with a mask of the last kept step of each row."""
    layer = linear(0.9, rng, return_sequences=True)
    model = keras.Sequential([keras.Input((30, D)), keras.layers.Masking(), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, _ = batch(rng, 30)
    x[0, 25:] = 0
    y = rng.normal(size=(B, 30, 1)).astype("float32")
    whole, last = flow_of(model, x, y), flow_of(model, x, y, from_last=True)
    assert whole.summary.loc[0, "enters"] == "all steps"
    assert last.summary.loc[0, ["enters", "gamma"]].tolist() == ["last step", pytest.approx(0.9, rel=1e-3)]
    assert whole.loss == last.loss
    assert "from_last=True" in str(whole)
    assert "from_last=True" not in str(last)
    assert last.curves[0].norms[-1] > 0


def test_growth_by_what_comes_in_is_no_explosion(rng):
    """Below a layer that reads the end alone, what reads backwards gets most at its beginning, and carries nothing."""
    below = linear(0.01, rng, return_sequences=True, go_backwards=True)
    flow = flow_of(last_of([below, linear(0.3, rng, H)], 20), *batch(rng, 20))
    assert flow.curves[0].distances[-1] < flow.curves[0].distances[0] / 100  # outputs come in the order of reading
    both = L.Bidirectional(linear(0.01, rng, return_sequences=True))
    flow = flow_of(last_of([both, linear(0.3, rng, 2 * H)], 20), *batch(rng, 20))
    backward = flow.curves[1]
    assert backward.direction == "backward"
    assert backward.distances[-1] > 100 * backward.distances[0]
    assert (backward.decay.verdict, backward.decay.enters) == ("healthy", "all steps")


def test_an_overflow_is_an_explosion(rng):
    flow = flow_of(last_of([linear(30.0, rng)], 60), 0 * batch(rng, 60)[0], np.ones((B, 1)))
    assert flow.summary.loc[0, "verdict"] == "exploding"
    assert np.isinf(flow.frame["norm"].iloc[0])


def test_half_precision_and_integer_states(rng):
    from tests.cases import MatrixCell

    model = last_of([L.RNN(MatrixCell(), dtype="mixed_bfloat16")], 5)
    flow = flow_of(model, *batch(rng, 5))
    assert [c.state for c in flow.curves] == ["0"]  # the count is none
    assert flow.curves[0].norms.max() > 0


@pytest.mark.parametrize("encoder", ["lstm", "gru"])
def test_text_models_take_strings(encoder):
    texts, labels = ["a quiet film", "not a film", "film"], ["good", "bad", "bad"]
    vectorizer = ks.data.text_vectorizer(texts)
    model = ks.models.sentiment_model(vectorizer, labels=["bad", "good"], encoder=encoder, bidirectional=True, units=2)
    flow = flow_of(model, texts, labels, sample_weight=[1, 1, 1])
    assert {c.direction for c in flow.curves} == {"forward", "backward"}
    assert all(len(c.distances) == 3 for c in flow.curves)  # the longest has three words
    ids, targets, _ = model.as_batch(texts, labels)
    again = flow_of(model, ids, targets)
    np.testing.assert_array_equal(flow.curves[0].norms, again.curves[0].norms)


def test_translation_models_take_strings():
    pairs = ks.data.dates(rows=4)
    tokenizer = ks.data.tokenizer([*pairs["text"], *pairs["iso"]], split="characters")
    model = ks.models.seq2seq_model(tokenizer, tokenizer, encoder="gru", units=3)
    flow = flow_of(model, list(pairs["text"]), list(pairs["iso"]))
    assert all(np.isfinite(c.distances).all() and c.distances.max() > 0 for c in flow.curves)


def test_a_picture(rng):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    flow = flow_of(last_of([L.LSTM(H, name="a")], 9), *batch(rng, 9))
    own = Figure().subplots()
    assert flow.plot(own) is own
    ax = flow.plot()
    assert ax.get_yscale() == "log"
    assert ax.xaxis_inverted()
    assert "steps" in ax.get_xlabel()
    assert "dL/ds" in ax.get_ylabel()
    for line, curve in zip(ax.lines, flow.curves, strict=True):
        positive = np.where(curve.distances > 0, curve.distances, np.nan)
        np.testing.assert_array_equal(line.get_ydata(), positive)
    assert len({line.get_linestyle() for line in ax.lines}) == len(ax.lines)  # not by colour alone
    assert [text.get_text().split(":")[0] for text in ax.get_legend().get_texts()] == ["a h", "a c"]


def test_random_weights_change_nothing_of_the_form(rng):
    """A stack of cells in one layer: names say whose state it is."""
    model = last_of([L.RNN([L.LSTMCell(2), keras.layers.GRUCell(H)])], 4)
    randomize(model, rng)
    assert [c.state for c in flow_of(model, *batch(rng, 4)).curves] == ["0_h", "0_c", "1_0"]

"""Saliency: against sums that are known, and differences in float64; masks, ids, choices, words, pictures, errors."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import TANH, B, D, H, T, close, padded, randomize

L = ks.layers
saliency = ks.diagnostics.saliency


def model_of(layers, rng, outputs=2, **kwargs):
    inputs = keras.Input((T, D), dtype="float64")
    x = inputs
    for layer in layers:
        x = layer(x)
    model = keras.Model(inputs, keras.layers.Dense(outputs, dtype="float64")(x))
    model.compile("sgd", keras.losses.MeanSquaredError(dtype="float64"))
    return randomize(model, rng)


def differences(function, x, epsilon=1e-5):
    """d function(x) / dx for a function `(rows, ...) -> (rows,)`, by central differences, all entries at once."""
    size = int(np.prod(x.shape[1:]))
    found = np.zeros((len(x), size))
    for row, one in enumerate(x):
        pushes = epsilon * np.eye(size).reshape(size, *x.shape[1:])
        found[row] = (function(one + pushes) - function(one - pushes)) / (2 * epsilon)
    return found.reshape(x.shape)


LAYERS = {
    "lstm": lambda: [L.LSTM(H, activation=TANH, dtype="float64")],
    "bidirectional": lambda: [L.Bidirectional(L.GRU(H, activation="softsign", dtype="float64"), dtype="float64")],
    "stack": lambda: [
        L.PeepholeLSTM(H, activation=TANH, return_sequences=True, dtype="float64"),
        L.SimpleRNN(2, activation=TANH, go_backwards=True, dtype="float64"),
    ],
    "stock": lambda: [keras.layers.GRU(H, activation=TANH, dtype="float64")],
}


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_against_differences(kind, rng):
    """Of an output, and of the loss; the norm, and the product with the input."""
    model, x, y = model_of(LAYERS[kind](), rng), rng.normal(size=(B, T, D)), rng.normal(size=(B, 2))

    def predicted(rows):
        return np.asarray(model(rows))

    of_output = differences(lambda rows: predicted(rows)[:, 1], x)
    found = saliency(model, x, output=1)
    close(found.values, np.linalg.norm(of_output, axis=2), atol=1e-8)
    assert (found.method, found.followed) == ("gradient", "output 1")
    close(saliency(model, x, output=-1, method="gradient_x_input").values, (of_output * x).sum(axis=2), atol=1e-8)
    of_loss = np.stack(
        [
            differences(lambda rows, b=b: np.square(predicted(rows) - y[b]).mean(axis=1) / B, x[b : b + 1])[0]
            for b in range(B)
        ]
    )
    found = saliency(model, x, y)
    close(found.values, np.linalg.norm(of_loss, axis=2), atol=1e-8)
    assert found.followed == "loss"


def test_of_a_linear_recurrence_each_share_is_known(rng):
    """h[T] = sum of x[t] W U^(T-1-t): the shares add up to the output."""
    model = model_of([L.SimpleRNN(H, activation="linear", use_bias=False, dtype="float64")], rng, outputs=1)
    W, U, v, bias = model.get_weights()
    x = rng.normal(size=(B, T, D))
    expected = np.stack([x[:, t] @ W @ np.linalg.matrix_power(U, T - 1 - t) @ v[:, 0] for t in range(T)], axis=1)
    found = saliency(model, x, method="gradient_x_input")
    close(found.values, expected, atol=1e-10)
    close(found.values.sum(axis=1), np.asarray(model(x))[:, 0] - bias, atol=1e-10)
    norms = [np.linalg.norm(W @ np.linalg.matrix_power(U, T - 1 - t) @ v[:, 0]) for t in range(T)]
    close(saliency(model, x).values, np.tile(norms, (B, 1)), atol=1e-10)


def with_mask(rng, **kwargs):
    x, mask = keras.Input((T, D), dtype="float64"), keras.Input((T,), dtype="bool")
    layer = L.GRU(H, activation=TANH, dtype="float64")
    model = keras.Model([x, mask], keras.layers.Dense(1, dtype="float64")(layer(x, mask=mask)))
    return randomize(model, rng)


def test_masked_steps_count_nothing(rng):
    """A row's values are those of the row without its masked steps."""
    model, (x, mask) = with_mask(rng), padded(rng)
    values = saliency(model, [x, mask]).values
    assert not values[~mask].any()
    assert (values[mask] > 0).all()
    alone = keras.Sequential([keras.Input((4, D), dtype="float64"), *model.layers[2:]])
    for row in (1, 2, 3):
        close(values[row][mask[row]], saliency(alone, x[row : row + 1, mask[row]]).values[0], atol=1e-10)


def of_ids(rng, **kwargs):
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(11, 4, mask_zero=True, name="words", dtype="float64")(ids)
    x = L.LSTM(H, activation=TANH, dtype="float64", name="reader")(x)
    model = keras.Model(ids, keras.layers.Dense(3, dtype="float64", name="head")(x))
    model.compile("sgd", "mse")
    return randomize(model, rng)


def test_of_ids_it_is_that_of_their_embeddings(rng):
    """Padding is zero, also where pooling would make it count without a mask."""
    model, ids = of_ids(rng), rng.integers(1, 11, size=(B, T))
    ids[0, 5:] = 0
    x = np.asarray(model.get_layer("words").get_weights()[0])[ids]
    rest = keras.Sequential(
        [keras.Input((None, 4), dtype="float64"), model.get_layer("reader"), model.get_layer("head")]
    )
    for method in ("gradient", "gradient_x_input"):
        found = saliency(model, ids, output=2, method=method)
        assert np.array_equal(found.keep, ids != 0)
        assert not found.values[ids == 0].any()
        for row, length in enumerate((5, T)):
            one = x[row : row + 1, :length]
            close(found.values[row, :length], saliency(rest, one, output=2, method=method).values[0], atol=1e-10)
    frame = found.frame
    assert len(frame) == (ids != 0).sum()
    close(frame["saliency"].to_numpy(), found.values[ids != 0], atol=0)


def test_a_mask_of_the_embedding_wins_over_what_flows_there(rng):
    """A layer that drops the mask lets padding count; it is zero all the same."""
    ids = keras.Input((T,), dtype="int32")
    x = keras.layers.Embedding(11, 4, mask_zero=True)(ids)
    model = randomize(keras.Model(ids, keras.layers.Dense(1)(keras.layers.Flatten()(x))), rng)
    values = saliency(model, np.array([[3, 4, 5, 0, 0, 0, 0]])).values
    assert (values[0] > 0).tolist() == [True] * 3 + [False] * 4


def test_a_function_chooses_among_outputs_and_at_among_inputs(rng):
    """Two inputs, two outputs: a sequence of which the last step, and a state."""
    x, other = keras.Input((T, D), name="past"), keras.Input((T, 2), name="future")
    y, h = L.GRU(H, return_sequences=True, return_state=True)(keras.layers.Concatenate(name="both")([x, other]))
    model = randomize(keras.Model({"past": x, "future": other}, {"y": y, "h": h}), rng)
    given = {"past": rng.normal(size=(B, T, D)), "future": rng.normal(size=(B, T, 2))}

    def last(outputs):
        return outputs["y"][:, 3, 0]

    past, future = (saliency(model, given, output=last, at=name).values for name in ("past", "future"))
    assert (past[:, :4] > 0).all()
    assert not past[:, 4:].any()  # a step after the one that is followed cannot count
    both = saliency(model, given, output=last, at="both").values
    close(both, np.sqrt(past**2 + future**2), atol=1e-5)
    with pytest.raises(ks.errors.InputError, match=r"several things, .*'future'.*'past'.*at"):
        saliency(model, given, output=last)
    with pytest.raises(ks.errors.InputError, match=r"shapes .*lambda outputs"):
        saliency(model, given, at="past")


def test_all_is_left_as_it_was(rng):
    model, ids = of_ids(rng), rng.integers(1, 11, size=(B, T))
    before = model.get_weights()
    saliency(model, ids, rng.normal(size=(B, 3)))
    with pytest.raises(ks.errors.InputError):
        saliency(model, ids, at="head", output=0)
    assert not any("call" in vars(layer) for layer in model.layers)
    close(model.get_weights(), before, atol=0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("buckets", [None, 101])
def test_models_of_texts_take_strings_and_labels(buckets):
    vectorizer = ks.data.text_vectorizer(["a quiet film", "a loud film"])
    model = ks.models.sentiment_model(vectorizer, ["bad", "good"], units=H, subword_buckets=buckets)
    found = saliency(model, ["a quiet, funny film", "film"], output="good")
    assert found.frame["token"].tolist() == ["a", "quiet", "<unknown>", "<unknown>", "film", "film"]
    assert (found.values[found.keep] > 0).all()
    assert not found.values[~found.keep].any()
    other = saliency(model, ["a quiet, funny film", "film"], output="bad")
    close(found.values, other.values, atol=1e-6)  # two probabilities add up to one
    assert saliency(model, ["a film", "film"], ["bad", "good"]).followed == "loss"
    pytest.importorskip("matplotlib")
    assert [label.get_text() for label in found.plot(row=1).get_xticklabels()] == ["film"]


def test_the_picture(rng):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    model, (x, mask) = with_mask(rng), padded(rng)
    found = saliency(model, [x, mask], method="gradient_x_input")
    ax = Figure().subplots()
    assert found.plot(row=2, ax=ax) is ax
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    close(np.array([heights[t] for t in range(T)]), found.values[2], atol=1e-12)
    assert all((bar.get_hatch() is not None) == (bar.get_height() < 0) for bar in ax.patches)
    with pytest.raises(ks.errors.InputError, match="one of 5 sequences"):
        found.plot(row=5)


def plain(outputs=1):
    model = keras.Sequential([keras.Input((T, D)), L.SimpleRNN(H), keras.layers.Dense(outputs)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("model", "change", "words"),
    [
        (lambda: L.SimpleRNN(H), {}, "not built"),
        (plain, {"x": np.full((B, T, D), np.nan)}, "`x` must be finite.*row 0"),
        (lambda: plain(2), {}, r"2 outputs: say by `output`.*from 0 to 1"),
        (lambda: plain(2), {"output": 2}, r"output.*2 outputs.*got 2"),
        (lambda: plain(2), {"output": "good"}, r"output.*got 'good'"),
        (plain, {"output": keras.ops.mean}, rf"output.*each row, \({B},\), got shapes \[\(\)\]"),
        (plain, {"output": lambda outputs: outputs}, rf"output.*each row.*got shapes \[\({B}, 1\)\]"),
        (plain, {"output": lambda outputs: [outputs[:, 0]] * 2}, r"output.*got shapes \[.*\), \("),
        (plain, {"method": "lime"}, r"method.*'gradient_x_input', got 'lime'"),
        (plain, {"y": np.ones((B, 1)), "output": 0}, "one of them"),
        (plain, {"at": "other"}, "called 'other'"),
        (plain, {"x": ["a film"]}, "strings"),
        (lambda: keras.Sequential([keras.Input((T, D)), L.GRU(H)]), {"y": np.ones((B, H))}, "no loss.*compile"),
    ],
)
def test_what_is_refused(model, change, words):
    with pytest.raises(ks.errors.InputError, match=words):
        saliency(model(), **{"x": np.ones((B, T, D)), **change})


def test_targets_of_no_weight_count_for_nothing(rng):
    model = keras.Sequential([keras.Input((T, D)), L.GRU(H, return_sequences=True), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, T, 1)).astype("float32")
    weight = (np.arange(T) < T - 2).astype("float32")[None].repeat(B, axis=0)
    other = np.where(weight[..., None] > 0, y, 1e3).astype("float32")
    found, same, without = (
        saliency(model, x, y, sample_weight=weight),
        saliency(model, x, other, sample_weight=weight),
        saliency(model, x, other),
    )
    close(same.values, found.values, atol=1e-6)
    assert np.abs(without.values - found.values).max() > 0.1
    with pytest.raises(ks.errors.InputError, match="weighs the loss"):
        saliency(model, x, output=lambda outputs: outputs[:, 0, 0], sample_weight=weight)


def test_weights_that_are_nan_are_named(rng):
    model = keras.Sequential([keras.Input((T, D)), L.GRU(H, name="ill"), keras.layers.Dense(1)])
    model.layers[0].set_weights([np.full(w.shape, np.nan) for w in model.layers[0].get_weights()])
    with pytest.raises(ks.errors.InputError, match=r"'.*ill.*kernel' holds NaN"):
        saliency(model, rng.normal(size=(B, T, D)))

"""Smoothed cross-entropy: against NumPy in float64, and against the loss of Keras that takes one-hot targets."""

import json

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import arrays

B, T, C = 5, 3, 7
Smoothed = ks.losses.SmoothedCrossentropy


def data(rng, shape):
    """Indices, logits, and the probabilities of these in float64."""
    logits = 3 * rng.normal(size=(*shape, C))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return rng.integers(0, C, shape), logits.astype("float32"), p


def oracle(y, p, smoothing):
    """The cross-entropy of each row against a target that is spread over all classes, spelt out."""
    target = np.full(p.shape, smoothing / C)
    for position in np.ndindex(y.shape):
        target[(*position, y[position])] += 1 - smoothing
    return -(target * np.log(p)).sum(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("shape", [(B,), (B, T)], ids=["rows", "sequences"])
@pytest.mark.parametrize("from_logits", [False, True], ids=["probabilities", "logits"])
def test_it_is_the_formula_and_what_keras_has_for_one_hot_targets(rng, smoothing, shape, from_logits):
    y, logits, p = data(rng, shape)
    given = logits if from_logits else p.astype("float32")
    expected = oracle(y, p, smoothing)
    loss = Smoothed(smoothing, from_logits=from_logits)
    np.testing.assert_allclose(float(loss(y, given)), expected.mean(), rtol=1e-5)
    of_keras = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, from_logits=from_logits)
    np.testing.assert_allclose(float(loss(y, given)), float(of_keras(np.eye(C)[y], given)), rtol=1e-5)
    each = Smoothed(smoothing, from_logits=from_logits, reduction="none")
    for form in (y, y[..., None], y.astype("int64"), y.astype("float32")):
        np.testing.assert_allclose(arrays(each(form, given))[0], expected, rtol=2e-5)


@pytest.mark.parametrize("from_logits", [False, True], ids=["probabilities", "logits"])
def test_weights_of_rows_and_of_steps(rng, from_logits):
    y, logits, p = data(rng, (B, T))
    given = logits if from_logits else p.astype("float32")
    of_steps, of_rows = rng.uniform(0, 2, (B, T)), np.array([1.0, 0.0, 2.0, 0.5, 0.0])
    expected = oracle(y, p, 0.2)
    loss = Smoothed(0.2, from_logits=from_logits)
    weighted = float(loss(y, given, sample_weight=of_steps))
    np.testing.assert_allclose(weighted, (expected * of_steps).sum() / (B * T), rtol=1e-5)
    weighted = float(loss(y[:, 0], given[:, 0], sample_weight=of_rows))
    np.testing.assert_allclose(weighted, (expected[:, 0] * of_rows).mean(), rtol=1e-5)


def test_steps_that_are_masked_do_not_count(rng):
    """The mask of a model's output, that comes from an embedding."""
    words = keras.Input((T,), dtype="int32")
    hidden = keras.layers.Embedding(11, 2, mask_zero=True, embeddings_initializer="normal")(words)
    model = keras.Model(words, keras.layers.Dense(C, activation="softmax")(hidden))
    model.compile(loss=Smoothed(0.3))
    ids, y = np.array([[4, 5, 0], [6, 0, 0]]), rng.integers(0, C, (2, T))
    expected = oracle(y, model.predict(ids, verbose=0).astype("float64"), 0.3)[ids != 0].mean()
    assert model.evaluate(ids, y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_certain_predictions_give_finite_losses():
    """Large, if they are wrong; and a certain, right prediction is not the best any more."""
    y, p = np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])
    right, wrong = arrays(Smoothed(0.1, reduction="none")(y, p))[0]
    assert 0.5 < right < wrong < 20
    assert float(Smoothed(0.1)(y[:1], np.array([[0.95, 0.05]]))) < right
    logits = np.array([[1000.0, -1000.0]], "float32")
    assert float(Smoothed(0.1, from_logits=True)(y[:1], logits)) == pytest.approx(0.1 / 2 * 2000)


def test_a_compiled_model_learns_the_smoothed_targets_and_keeps_its_loss(tmp_path):
    """With nothing to learn from, the best probabilities are the targets themselves."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.SGD(2.0), Smoothed(0.3, name="smooth"))
    x, y = np.zeros((4, 1), "float32"), np.zeros(4, "int32")
    model.fit(x, y, epochs=40, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0)[0], [0.85, 0.15], atol=1e-3)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy.loss) is Smoothed
    assert copy.loss.get_config() == model.loss.get_config()
    assert copy.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


def test_configuration():
    loss = Smoothed(0.25, from_logits=True, name="other", reduction="sum")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is Smoothed
    assert (again.smoothing, again.from_logits, again.name, again.reduction) == (0.25, True, "other", "sum")
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_bad_arguments_are_named(smoothing):
    with pytest.raises(ValueError, match=f"smoothing.*below 1.*{smoothing}"):
        Smoothed(smoothing)

"""The calibration error: against NumPy, batch by batch, at the edges of bins, and inside of a compiled model."""

import json
import re

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import randomize

Metric = ks.metrics.ExpectedCalibrationError


def oracle(y, p, bins, weight=None):
    """Bin by bin, each open below and closed above: `(k/M, (k+1)/M]`; the first has zero too."""
    confidence, right = p.max(-1), p.argmax(-1) == y
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, "float64")
    error = 0.0
    for k in range(bins):
        inside = (confidence > k / bins) & (confidence <= (k + 1) / bins)
        if k == 0:
            inside |= confidence <= 0
        n = weight[inside].sum()
        if n:
            accuracy, mean = (np.average(a[inside], weights=weight[inside]) for a in (right, confidence))
            error += n / weight.sum() * abs(accuracy - mean)
    return error


def data(rng, n=212, labels=3):
    """Probabilities of all sizes, right more often than not; none within a rounding error of an edge."""
    p = rng.dirichlet(np.full(labels, 0.6), n)
    y = np.where(rng.random(n) < 0.6, p.argmax(-1), rng.integers(0, labels, n))
    return y, p


def value(metric, *arguments, **keywords):
    metric.update_state(*arguments, **keywords)
    return float(metric.result())


@pytest.mark.parametrize(("bins", "labels"), [(15, 2), (7, 3), (1, 3)])
def test_it_is_the_formula_over_all_batches(rng, bins, labels):
    y, p = data(rng, labels=labels)
    metric = Metric(bins)
    for stop in (53, 106, 159, 212):
        found = value(metric, y[stop - 53 : stop], p[stop - 53 : stop])
        assert found == pytest.approx(oracle(y[:stop], p[:stop], bins), abs=2e-6)
    assert len({round(oracle(y, p, n), 4) for n in (1, 7, 15)}) == 3  # what a wrong number of bins would show
    metric.reset_state()
    assert float(metric.result()) == 0
    assert value(metric, y[:53], p[:53]) == pytest.approx(oracle(y[:53], p[:53], bins), abs=2e-6)


def test_weights(rng):
    y, p = data(rng)
    weight = rng.uniform(0, 3, len(y)) * (rng.random(len(y)) < 0.7)
    expected = oracle(y, p, 15, weight)
    assert abs(expected - oracle(y, p, 15)) > 1e-3
    metric = Metric()
    for rows in (slice(0, 106), slice(106, None)):
        metric.update_state(y[rows], p[rows], sample_weight=weight[rows])
    assert float(metric.result()) == pytest.approx(expected, abs=2e-6)
    doubled = Metric()
    for _ in range(2):
        doubled.update_state(y, p, sample_weight=weight)
    assert float(doubled.result()) == pytest.approx(expected, abs=2e-6)
    nothing = Metric()
    assert value(nothing, y, p, sample_weight=np.zeros(len(y))) == 0


@pytest.mark.parametrize("form", ["one number", "column"])
def test_weights_of_any_form(rng, form):
    """As the other metrics of Keras take them."""
    y, p = data(rng, 53)
    weight = rng.uniform(0.5, 2, 53)
    given, expected = (2.5, oracle(y, p, 15)) if form == "one number" else (weight[:, None], oracle(y, p, 15, weight))
    assert value(Metric(), y, p, sample_weight=given) == pytest.approx(expected, abs=2e-6)


def test_perfect_and_worst_calibration():
    """Right as often as it says, in each bin; and always certain and wrong."""
    p = np.array([[0.75, 0.25]] * 4 + [[0.4, 0.6]] * 5)
    y = np.array([0, 0, 0, 1, 1, 1, 1, 0, 0])
    assert value(Metric(), y, p) == pytest.approx(0, abs=1e-6)
    assert value(Metric(), np.ones(5, int), np.array([[1.0, 0.0]] * 5)) == 1
    assert value(Metric(), np.zeros(5, int), np.array([[1.0, 0.0]] * 5)) == 0
    # Bins that are off in opposite ways do not make up for each other.
    assert value(Metric(10), np.array([0, 1]), np.array([[0.65, 0.35], [0.85, 0.15]])) == pytest.approx(0.6)


def test_certain_and_impossible_predictions_have_a_bin():
    y, p = np.array([0, 1, 1]), np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert value(Metric(5), y, p) == pytest.approx(oracle(y, p, 5)) == pytest.approx((1 + 1) / 3)


@pytest.mark.parametrize("edge", [3, 4, 5, 6, 7])
def test_an_edge_belongs_to_the_bin_below_it(edge):
    """With eight bins edges are exact. A right and a wrong answer make up for each other in the same bin alone."""

    def of(confidence):
        return [confidence, *[(1 - confidence) / 3] * 3]

    y, at = np.array([0, 1]), edge / 8
    below, above = np.array([of(at), of(at - 0.05)]), np.array([of(at), of(at + 0.05)])
    assert value(Metric(8), y, below) == pytest.approx(abs(1 - 2 * at + 0.05) / 2, abs=1e-6)
    assert value(Metric(8), y, above) == pytest.approx((1 - at + at + 0.05) / 2, abs=1e-6)


@pytest.mark.parametrize("form", ["column", "int64", "float32", "list"])
def test_indices_of_any_form(rng, form):
    y, p = data(rng, 53)
    given = {"column": y[:, None], "list": y.tolist()}[form] if form in ("column", "list") else y.astype(form)
    assert value(Metric(), given, p) == pytest.approx(oracle(y, p, 15), abs=2e-6)


def test_inside_of_a_compiled_model(rng, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax")])
    randomize(model, rng, scale=2)
    model.compile(
        keras.optimizers.SGD(0.0),
        "sparse_categorical_crossentropy",
        metrics=[Metric(bins=11)],
        weighted_metrics=[Metric(bins=11, name="weighted")],
    )
    x, y, weight = rng.normal(size=(53, 2)), rng.integers(0, 3, 53), rng.uniform(0, 2, 53)
    p = model.predict(x, verbose=0).astype("float64")
    expected = {"expected_calibration_error": oracle(y, p, 11), "weighted": oracle(y, p, 11, weight)}
    history = model.fit(x, y, sample_weight=weight, batch_size=10, epochs=2, verbose=0).history
    for name, number in expected.items():
        assert history[name] == pytest.approx([number] * 2, abs=1e-5)  # each epoch starts anew
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    scores = copy.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_configuration():
    metric = Metric(bins=7, name="calibration", dtype="float32")
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(metric))))
    assert type(again) is Metric
    assert again.get_config() == metric.get_config()
    assert (again.bins, again.name, again.excess.shape) == (7, "calibration", (7,))
    assert Metric().bins == 15


@pytest.mark.parametrize("bins", [0, -1, 2.5, True])
def test_bad_arguments_are_named(bins):
    with pytest.raises(ValueError, match=f"bins.*{bins}"):
        Metric(bins)


@pytest.mark.parametrize(
    ("y", "p"),
    [((5,), (5, 1)), ((5,), (5,)), ((5, 3), (5, 3)), ((5, 3), (5, 3, 2))],
    ids=["one probability", "flat", "several labels", "sequences"],
)
def test_arrays_of_other_shapes(y, p):
    with pytest.raises(ValueError, match=r"\(N,\).*\(N, C\).*got shapes " + re.escape(f"{y} and {p}")):
        Metric().update_state(np.zeros(y, int), np.full(p, 0.5))

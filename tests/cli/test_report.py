"""What the report is made of: the best threshold against every threshold, the calibration error, what is printed."""

import itertools
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from keras_seq.cli.report import best_threshold, calibration_error, print_report
from keras_seq.cli.sentiment import Settings, reported
from keras_seq.layers import TextVectorizer

pytestmark = pytest.mark.tensorflow


def macro_f1(truth, probability, threshold):
    judged = (np.asarray(probability) >= threshold).astype(int)
    return f1_score(truth, judged, labels=[0, 1], average="macro", zero_division=0)


def every_threshold(probability):
    """One half, and what lies half way between two probabilities, or one and the ends."""
    levels = sorted({0.0, 1.0, *map(float, probability)})
    return [0.5, *((a + b) / 2 for a, b in itertools.pairwise(levels))]


def exact_quality(truth, probability, threshold):
    """Twice the macro F1, without rounding."""
    judged = [p >= threshold for p in probability]
    total = Fraction(0)
    for one in (0, 1):
        hits = sum(j == t == one for j, t in zip(judged, truth, strict=True))
        members = sum(j == one for j in judged) + sum(t == one for t in truth)
        total += Fraction(2 * hits, members) if members else 0
    return total


# Many rows have a probability in common, zero and one are among them, and some lists have one label alone.
ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=25)


def best_of(rows, kind):
    """The threshold that is found, and all of the highest quality."""
    truth = np.array([label for label, _ in rows])
    probability = np.array([n / 20 for _, n in rows], kind)
    candidates = every_threshold(probability)
    quality = [exact_quality(truth, probability, candidate) for candidate in candidates]
    best = [candidate for candidate, value in zip(candidates, quality, strict=True) if value == max(quality)]
    return best_threshold(truth, probability), best


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, kind=st.sampled_from(["float64", "float32"]))
def test_no_threshold_is_better(rows, kind):
    found, best = best_of(rows, kind)
    assert type(found) is float
    assert min(abs(found - one) for one in best) < 1e-12


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, kind=st.sampled_from(["float64", "float32"]))
def test_none_is_as_good_and_nearer_to_one_half(rows, kind):
    found, best = best_of(rows, kind)
    assert abs(found - 0.5) == pytest.approx(min(abs(one - 0.5) for one in best), abs=1e-12)


@pytest.mark.parametrize("rows", [2, 7, 211])
def test_against_the_f1_score_of_scikit_learn(rng, rows):
    for shift in (-0.3, 0.0, 0.3):
        truth = rng.permutation(np.arange(rows) % 2)
        probability = 1 / (1 + np.exp(-rng.normal(2 * truth - 1 + 5 * shift, 1.5)))
        best = best_threshold(truth, probability)
        found = macro_f1(truth, probability, best)
        assert found == pytest.approx(max(macro_f1(truth, probability, t) for t in every_threshold(probability)))
        assert np.abs(probability - best).min() > 0


@pytest.mark.parametrize(
    ("truth", "probability", "expected"),
    [
        ([0, 1], [0.2, 0.3], 0.25),
        ([0, 1], [0.2, 0.8], 0.5),
        ([0, 0, 1, 1], [0.1, 0.7, 0.9, 0.9], 0.8),
        ([0, 1, 0, 1], [0.4, 0.4, 0.4, 0.4], 0.5),  # all or none are as good
        ([0, 1, 1], [0.4, 0.4, 0.4], 0.2),  # more rows are 1
        ([0, 0, 1], [0.7, 0.7, 0.7], 0.85),  # more rows are 0
        ([1, 0], [0.2, 0.6], 0.8),  # the wrong way round: all 0 is as good as all 1, and nearer
        ([1, 1, 1], [0.3, 0.6, 0.9], 0.15),
        ([0, 0, 0], [0.3, 0.6, 0.9], 0.95),
        ([0, 0, 0], [0.1, 0.2, 0.3], 0.5),
        ([1], [0.7], 0.5),
        pytest.param([1, 1, 1, 0, 0, 1, 1], [0.9, 0.2, 0.1, 0.4, 0.8, 0.7, 0.3], 0.5),  # as good as 0.05
    ],
)
def test_known_thresholds(truth, probability, expected):
    assert best_threshold(truth, np.array(probability)) == pytest.approx(expected)
    assert best_threshold(np.array(truth, "int32"), np.array(probability, "float32")) == pytest.approx(expected)


def test_the_order_of_rows_does_not_count(rng):
    truth, probability = rng.integers(0, 2, 53), rng.random(53).round(1)
    order = rng.permutation(53)
    assert best_threshold(truth[order], probability[order]) == best_threshold(truth, probability)


def test_the_calibration_error_is_rounded_and_that_of_the_likeliest_label(rng):
    assert calibration_error([0, 1], np.array([[0.8, 0.2], [0.8, 0.2]])) == 0.3
    p = np.array([[0.70004, 0.29996]], "float32")
    assert calibration_error(np.array([0]), p) == 0.3  # 0.29996
    assert calibration_error(np.array([1]), p) == 0.7  # 0.70004
    truth, p = rng.integers(0, 3, 53), rng.dirichlet(np.ones(3), 53)
    confidence, right = p.max(1), p.argmax(1) == truth
    bins = np.ceil(confidence * 15)
    expected = sum(abs((right - confidence)[bins == k].sum()) for k in range(1, 16)) / 53
    found = calibration_error(truth, p)
    assert type(found) is float
    assert found == round(found, 4) == pytest.approx(expected, abs=6e-5)


REPORT = {
    "model": {"accuracy": 0.5, "macro_f1": 0.333, "ece": 0.1234},
    "bag_of_words": {"accuracy": 0.75, "macro_f1": 0.7},
    "majority": {"accuracy": 0.25, "macro_f1": 0.2},
}
THRESHOLD = {"threshold": 0.876543, "accuracy_at_threshold": 0.625, "macro_f1_at_threshold": 0.612}


@pytest.fixture
def printed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")

    def call(labels, **more):
        print_report({**REPORT, "model": {**REPORT["model"], **more}}, [0, 1], [0, 0], labels)
        return capsys.readouterr().out

    return call


def test_calibration_and_threshold_are_printed(printed):
    out = printed(["bad", "good"], **THRESHOLD)
    assert "Expected calibration error: 0.123\n" in out
    assert (
        "Judged good from a probability of 0.877 on (chosen on validation rows): accuracy 0.625, macro F1 0.612\n"
        in out
    )
    assert "of those that are" not in out  # `accuracy_at_threshold` is no source of rows
    out = printed([1, 5], **THRESHOLD, accuracy_composed=0.9)
    assert "Judged 5 from" in out
    assert "of those that are composed: 0.900\n" in out


def test_without_a_threshold(printed):
    out = printed(["bad", "good", "so so"])
    assert "Expected calibration error: 0.123\n" in out
    assert "Judged" not in out


@pytest.mark.parametrize("label", ["[/b]", "[bold]b[/bold]", ":smile:"])
def test_labels_are_printed_as_they_are(printed, label):
    assert f"Judged {label} from" in printed(["a", label], **THRESHOLD)


def report_of(labels, probabilities, truth):
    """What `reported` says of a model that gives these probabilities for the rows of each part."""
    frames = {name: pd.DataFrame({"text": "a film", "label": [labels[i] for i in truth[name]]}) for name in truth}
    model = SimpleNamespace(labels=labels, vectorizer=TextVectorizer(["a", "film"]))
    parts = {"train": pd.concat(frames.values()), **frames}
    return reported(Settings(data="x.csv"), parts, model, probabilities)["model"]


@pytest.mark.parametrize("labels", [["bad", "good"], [5, 1]], ids=str)
def test_the_threshold_is_that_of_the_validation_rows_and_its_scores_those_of_the_rows_held_out(labels):
    truth = {"validation": [0, 0, 0, 1], "test": [0, 0, 1, 1, 1]}
    ones = {"validation": [0.1, 0.6, 0.7, 0.8], "test": [0.2, 0.76, 0.6, 0.74, 0.9]}
    probabilities = {name: np.stack([1 - np.array(p), p], axis=1) for name, p in ones.items()}
    report = report_of(labels, probabilities, truth)
    assert list(report) == [
        "accuracy",
        "macro_f1",
        "ece",
        "threshold",
        "accuracy_at_threshold",
        "macro_f1_at_threshold",
    ]
    assert report["threshold"] == 0.75
    assert (report["accuracy"], report["accuracy_at_threshold"]) == (0.8, 0.4)
    f1 = f1_score(truth["test"], [0, 1, 0, 0, 1], average="macro")
    assert report["macro_f1_at_threshold"] == pytest.approx(f1, abs=6e-5)
    assert report["ece"] == calibration_error(truth["test"], probabilities["test"])


def test_more_than_two_labels_have_no_threshold(rng):
    truth = dict.fromkeys(("validation", "test"), [0, 1, 2] * 5)
    probabilities = {name: rng.dirichlet(np.ones(3), 15) for name in truth}
    report = report_of(["bad", "good", "so so"], probabilities, truth)
    assert list(report) == ["accuracy", "macro_f1", "ece"]
    assert report["ece"] == calibration_error(truth["test"], probabilities["test"])

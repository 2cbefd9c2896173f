"""Weights of labels, by name or index or balanced: in every form of data what the same weights of rows give."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError

WEIGHTS = {"bad": 0.25, "good": 3.0}
COUNTS = {"good": 4, "bad": 7}  # of 11 rows


@pytest.fixture(scope="module")
def rows(frame):
    """Eleven rows, more of them bad."""
    chosen = frame.drop(index=[0, 4, 8]).reset_index(drop=True)
    assert chosen["label"].value_counts().to_dict() == COUNTS
    return chosen


@pytest.fixture(scope="module")
def fitted(rows, vectorizer):
    """The weights after two epochs without dropout, rows in their order; each such training is done once."""
    done = {}

    def fit(form, labels=("good", "bad"), **arguments):
        keras.utils.set_random_seed(4)
        options = {"encoder": keras.layers.Dense(5), "pooling": "mean", "dropout": 0.0, "embedding_dim": 3}
        model = ks.models.sentiment_model(vectorizer, list(labels), learning_rate=0.02, **options)
        model.run_eagerly = True  # so small a training is over before a graph is made
        named = rows.assign(label=rows["label"].map({"good": labels[0], "bad": labels[1]}))
        in_order = {"batch_size": 4, "shuffle": False}
        x, y = {
            "strings": (named["text"], named["label"]),
            "indices": (named["text"], [list(labels).index(label) for label in named["label"]]),
            "ids": (np.asarray(vectorizer(named["text"])), named["label"]),
            "dataset": (ks.data.text_dataset(named, vectorizer, **in_order), None),
            "dataset of indices": (ks.data.text_dataset(named, vectorizer, labels=list(labels), **in_order), None),
        }[form]
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, **arguments)
        return model.get_weights()

    def fit_once(form, labels=("good", "bad"), **arguments):
        key = repr((form, labels, arguments))
        return done.get(key) or done.setdefault(key, fit(form, labels, **arguments))

    return fit_once


def of_rows(rows, weights):
    return np.array([weights[label] for label in rows["label"]])


def check(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


FORMS = ["strings", "indices", "ids", "dataset", "dataset of indices"]


@pytest.mark.parametrize("form", FORMS)
def test_weights_by_the_names_of_labels(fitted, rows, form):
    expected = fitted("ids", sample_weight=of_rows(rows, WEIGHTS))
    check(fitted(form, class_weight=WEIGHTS), expected)
    plain = fitted("ids")
    assert max(np.abs(a - b).max() for a, b in zip(plain, expected, strict=True)) > 1e-3


@pytest.mark.parametrize("form", ["indices", "dataset"])
def test_weights_by_the_indices_of_labels_that_are_strings(fitted, rows, form):
    check(fitted(form, class_weight={1: 0.25, 0: 3.0}), fitted("ids", sample_weight=of_rows(rows, WEIGHTS)))
    expected = fitted("ids", sample_weight=of_rows(rows, {"good": 1.0, "bad": 0.25}))
    check(fitted(form, class_weight={1: 0.25}), expected)


@pytest.mark.parametrize("labels", [(7, 3), (1, 0)], ids=str)
@pytest.mark.parametrize("form", ["strings", "dataset"])
def test_weights_by_integer_labels(fitted, rows, form, labels):
    expected = fitted("ids", labels, sample_weight=of_rows(rows, WEIGHTS))
    check(fitted(form, labels, class_weight={labels[1]: 0.25, labels[0]: 3.0}), expected)


@pytest.mark.parametrize("form", FORMS)
def test_balanced_weights(fitted, rows, form):
    balanced = {label: 11 / (2 * count) for label, count in COUNTS.items()}
    check(fitted(form, class_weight="balanced"), fitted("ids", sample_weight=of_rows(rows, balanced)))


@pytest.mark.parametrize("labels", [(7, 3), (1, 0)], ids=str)
@pytest.mark.parametrize("form", ["strings", "dataset", "dataset of indices"])
def test_balanced_weights_of_integer_labels(fitted, rows, form, labels):
    balanced = {label: 11 / (2 * count) for label, count in COUNTS.items()}
    expected = fitted("ids", labels, sample_weight=of_rows(rows, balanced))
    check(fitted(form, labels, class_weight="balanced"), expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_label_without_a_weight_weighs_one(fitted, rows, form):
    expected = fitted("ids", sample_weight=of_rows(rows, {"good": 3.0, "bad": 1.0}))
    check(fitted(form, class_weight={"good": 3.0}), expected)


@pytest.mark.parametrize("form", ["strings", "ids"])
def test_a_label_that_no_row_has(fitted, rows, form):
    labels = ("good", "bad", "so so")
    expected = fitted("ids", labels, sample_weight=of_rows(rows, {"good": 11 / 12, "bad": 11 / 21}))
    check(fitted(form, labels, class_weight="balanced"), expected)


def test_validation_is_not_weighed(model_of, rows):
    model = model_of(encoder=keras.layers.Dense(5), pooling="mean")
    data = (rows["text"], rows["label"])
    history = model.fit(*data, validation_data=data, class_weight="balanced", verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(*data, verbose=0)[0], rel=1e-5)


@pytest.mark.parametrize(
    ("form", "weights", "message"),
    [
        ("strings", "balance", "`class_weight` must be a dict or 'balanced', got 'balance'"),
        ("ids", [1.0, 2.0], "`class_weight` must be a dict or 'balanced'"),
        ("strings", {"good": 1.0, "so so": 2.0}, r"'so so'.*\['good', 'bad'\]"),
        ("ids", {0: 1.0, 2: 2.0}, r"2, which is no label.*\['good', 'bad'\]"),
        ("dataset", {"good": 1.0, 1: 2.0}, r"1, which is no label.*\['good', 'bad'\]"),
    ],
)
def test_weights_of_what_is_no_label(fitted, form, weights, message):
    with pytest.raises(InputError, match=message):
        fitted(form, class_weight=weights)


def test_integer_labels_have_no_indices(fitted):
    with pytest.raises(InputError, match=r"0, which is no label.*\[7, 3\]"):
        fitted("ids", (7, 3), class_weight={0: 1.0, 1: 2.0})


def test_a_dataset_whose_labels_are_not_at_hand(model_of, rows, vectorizer):
    dataset = ks.data.text_dataset(rows, vectorizer).map(lambda ids, label: (ids, label))
    with pytest.raises(InputError, match=r"balanced.*text_dataset.*dict"):
        model_of().fit(dataset, class_weight="balanced", verbose=0)

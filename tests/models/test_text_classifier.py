"""Training and evaluation with strings, ids and datasets: the same numbers, labels in the right place."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_seq as ks
from keras_seq.errors import InputError

INDEX = {"good": 0, "bad": 1}  # the order of the labels in `model_of`


def ways_of(frame, vectorizer):
    """The same rows in every form that fit and evaluate take: `(x, y)`."""
    texts, labels = frame["text"], frame["label"]
    ids = np.asarray(vectorizer(texts))
    indices = np.array([INDEX[label] for label in labels])
    in_order = {"batch_size": 5, "shuffle": False}
    dataset = ks.data.text_dataset(frame, vectorizer, **in_order)
    return {
        "strings, strings": (texts, labels),
        "strings, indices": (texts.tolist(), indices),
        "strings, categories": (texts, labels.astype("category")),
        "ids, indices": (ids, indices),
        "ids, strings": (ids, labels.tolist()),
        "ids, column of indices": (ids, indices[:, None]),
        "dataset of strings": (dataset, None),
        "dataset of indices": (ks.data.text_dataset(frame, vectorizer, labels=list(INDEX), **in_order), None),
        "tensors": (tf.constant(texts.tolist()), tf.constant(indices)),
        "tensors of strings": (tf.constant(texts.tolist()), tf.constant(labels.tolist())),
    }


WAYS = list(ways_of(pd.DataFrame({"text": ["a"], "label": ["bad"]}), ks.layers.TextVectorizer(["a"])))


@pytest.mark.parametrize("way", WAYS)
def test_evaluate_gives_the_same_numbers(model_of, frame, vectorizer, way):
    model = model_of(encoder="gru")
    probabilities = model.predict(frame["text"], verbose=0)
    of_truth = probabilities[np.arange(len(frame)), [INDEX[label] for label in frame["label"]]]
    x, y = ways_of(frame, vectorizer)[way]
    loss, accuracy = model.evaluate(x, y, batch_size=5, verbose=0)
    assert loss == pytest.approx(-np.log(of_truth).mean(), rel=1e-5)
    assert accuracy == pytest.approx((of_truth > 0.5).mean())


@pytest.mark.parametrize("way", WAYS)
def test_fit_gives_the_same_weights(model_of, frame, vectorizer, way):
    """Two epochs without dropout, rows in their order: only the form of the rows differs."""
    weights = []
    for name in ("ids, indices", way):
        keras.utils.set_random_seed(4)
        model = model_of(encoder="simple_rnn", dropout=0)
        x, y = ways_of(frame, vectorizer)[name]
        model.fit(x, y, batch_size=5, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_it_learns_and_the_labels_are_not_swapped(model_of, frame):
    model = model_of(encoder="lstm", bidirectional=True, pooling="mean", learning_rate=0.05, dropout=0)
    model.fit(frame["text"], frame["label"], epochs=40, batch_size=7, verbose=0)
    assert model.evaluate(frame["text"], frame["label"], verbose=0)[1] == 1
    probabilities = model.predict(["a lovely film", "a dull film"], verbose=0)
    assert [model.labels[i] for i in probabilities.argmax(axis=1)] == ["good", "bad"]


@pytest.mark.parametrize("labels", [[7, 3], [1, 0], [-1, 0, 1]], ids=str)
def test_integer_labels_mean_themselves(model_of, frame, vectorizer, labels):
    """With labels [1, 0] a 1 is the first class, also in a dataset, whether it holds labels or indices."""
    model = model_of(labels=labels)
    stars = frame.assign(label=[labels[i % len(labels)] for i in range(len(frame))])
    probabilities = model.predict(frame["text"], verbose=0)
    expected = -np.log([probabilities[i, i % len(labels)] for i in range(len(frame))]).mean()
    assert model.evaluate(stars["text"], stars["label"], verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    for given in (None, labels):
        dataset = ks.data.text_dataset(stars, vectorizer, labels=given)
        assert model.evaluate(dataset, verbose=0)[0] == pytest.approx(expected, rel=1e-5), f"labels={given}"


def test_sample_weight(model_of, frame, vectorizer):
    """Rows of weight zero do not count: the result is that of the other rows."""
    kept = frame[:6]
    weights = np.array([1.0] * 6 + [0.0] * 8)
    model = model_of()
    loss = model.evaluate(kept["text"], kept["label"], verbose=0)[0] * 6 / 14
    for x in (frame["text"], np.asarray(vectorizer(frame["text"]))):
        weighted = model.evaluate(x, frame["label"], sample_weight=weights, batch_size=14, verbose=0)[0]
        assert weighted == pytest.approx(loss, rel=1e-5)
    # In training each weight goes with its row, whatever the order: wrong labels of weight zero are not learned.
    wrong = kept["label"].map({"good": "bad", "bad": "good"})
    texts, labels = pd.concat([kept["text"], kept["text"]]), pd.concat([kept["label"], wrong])
    model = model_of(encoder="gru", learning_rate=0.05)
    model.fit(texts, labels, sample_weight=[1.0] * 6 + [0.0] * 6, epochs=40, batch_size=4, verbose=0)
    assert model.evaluate(kept["text"], kept["label"], verbose=0)[1] == 1


def test_validation_data_of_each_form(model_of, frame, vectorizer):
    held_out = frame[8:]
    ways = ways_of(held_out, vectorizer)
    model = model_of()
    for name, (x, y) in ways.items():
        data = x if y is None else (x, y)
        history = model.fit(frame["text"][:8], frame["label"][:8], validation_data=data, verbose=0).history
        expected = model.evaluate(held_out["text"], held_out["label"], verbose=0)
        assert history["val_loss"][0] == pytest.approx(expected[0], rel=1e-5), name
        assert history["val_accuracy"][0] == pytest.approx(expected[1]), name
    weighted = (held_out["text"], held_out["label"], np.array([1.0] + [0.0] * 5))
    history = model.fit(frame["text"], frame["label"], validation_data=weighted, verbose=0).history
    first = model.evaluate(held_out["text"][:1], held_out["label"][:1], verbose=0)[0]
    assert history["val_loss"][0] == pytest.approx(first / 6, rel=1e-5)


def test_strings_are_shuffled_each_epoch_unless_told_not_to(model_of, frame, monkeypatch):
    seen = []
    model = model_of()
    original = type(model)._batches

    def recorded(self, *arguments, **keywords):
        dataset = original(self, *arguments, **keywords)
        in_order = dataset.batches._in_order, dataset.batches._shuffled
        monkeypatch.setattr(dataset.batches, "_in_order", lambda: seen.append("in order") or in_order[0]())
        monkeypatch.setattr(dataset.batches, "_shuffled", lambda e: seen.append(f"epoch {e}") or in_order[1](e))
        return dataset

    monkeypatch.setattr(type(model), "_batches", recorded)
    model.fit(frame["text"], frame["label"], epochs=2, verbose=0)
    assert len({entry for entry in seen if entry.startswith("epoch")}) >= 2
    seen.clear()
    model.fit(frame["text"], frame["label"], epochs=2, shuffle=False, verbose=0)
    assert set(seen) == {"in order"}


def test_arguments_come_in_the_order_of_keras(model_of, frame):
    """A user who knows `fit(x, y, batch_size, epochs, verbose)` and `evaluate(x, y, batch_size, verbose)`."""
    model = model_of()
    assert len(model.fit(frame["text"], frame["label"], 7, 3, 0).history["loss"]) == 3
    assert len(model.evaluate(frame["text"], frame["label"], 7, 0)) == 2
    assert model.predict(frame["text"], 7, 0).shape == (14, 2)


def test_recompiled_with_another_optimizer_loss_and_metric(model_of, frame):
    model = model_of(encoder="simple_rnn")
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="either")],
    )
    history = model.fit(frame["text"], frame["label"], epochs=2, verbose=0).history
    assert set(history) == {"loss", "either"}
    assert history["either"] == [1, 1]
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize("form", ["strings", "ids", "dataset", "indices"])
def test_an_unknown_label_is_an_error(model_of, frame, vectorizer, form):
    model = model_of()
    wrong = frame.assign(label=["good", "so so"] * 7)
    arguments = {
        "strings": (wrong["text"], wrong["label"]),
        "ids": (np.asarray(vectorizer(wrong["text"])), wrong["label"]),
        "dataset": (ks.data.text_dataset(wrong, vectorizer),),
        "indices": (wrong["text"], [2, 0] * 7),
    }[form]
    with pytest.raises((InputError, tf.errors.InvalidArgumentError), match=r"(?s)label.*(so so|2).*good"):
        model.fit(*arguments, verbose=0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["good"] * 13, "13.*14"),
        (["good"] * 13 + [None], "row 13"),
        ([0.0] * 14, "integers or all strings, got float"),
        (["good", 1] * 7, "int, str"),
    ],
    ids=["too few", "missing", "floats", "mixed"],
)
def test_labels_that_cannot_be_used(model_of, frame, y, message):
    for call in (model_of().fit, model_of().evaluate):
        with pytest.raises(InputError, match=message):
            call(frame["text"], y, verbose=0)


def test_a_share_of_strings_cannot_be_cut_off_for_validation(model_of, frame):
    with pytest.raises(InputError, match="validation_data"):
        model_of().fit(frame["text"], frame["label"], validation_split=0.2, verbose=0)


def test_a_dataset_holds_its_own_labels_and_weights(model_of, frame, vectorizer):
    dataset, model = ks.data.text_dataset(frame, vectorizer), model_of()
    for given in ({"y": frame["label"]}, {"sample_weight": np.ones(14)}):
        for call in (model.fit, model.evaluate):
            with pytest.raises(InputError, match=r"dataset.*do not give `y` or `sample_weight`"):
                call(dataset, verbose=0, **given)

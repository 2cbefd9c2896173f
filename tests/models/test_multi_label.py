"""Texts that have several labels, or none: targets in every form, files, the exported graph, errors."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_seq as ks
from keras_seq.errors import InputError

LABELS = ["short", "good", "bad"]  # not in the order of the alphabet


@pytest.fixture(scope="module")
def tagged(frame):
    """The texts with their lists of labels, and a column of zeros and ones for each label."""
    tags = [
        [*(["short"] if len(text.split()) < 3 else []), *([label] if i % 5 else [])]
        for i, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True))
    ]
    assert {len(row) for row in tags} == {0, 1, 2}
    hot = {label: [int(label in row) for row in tags] for label in LABELS}
    return pd.DataFrame({"text": frame["text"], "tags": tags, **hot})


@pytest.fixture
def make(model_of):
    def build(eagerly=True, **arguments):
        """Trained and evaluated step by step, unless told: that is over before a graph is made."""
        keras.utils.set_random_seed(5)
        small = {"labels": LABELS, "multi_label": True, "encoder": "simple_rnn", "dropout": 0.0}
        model = model_of(**{**small, **arguments})
        model.run_eagerly = eagerly
        return model

    return build


def ways_of(tagged, vectorizer):
    """The same rows in every form that fit and evaluate take: `(x, y)`."""
    texts, tags, hot = tagged["text"], tagged["tags"], tagged[LABELS]
    ids = np.asarray(vectorizer(texts))
    in_order = {"batch_size": 5, "shuffle": False}
    of_tags = ks.data.text_dataset(tagged, vectorizer, label="tags", labels=LABELS, **in_order)
    strings = tf.data.Dataset.from_tensor_slices((texts.tolist(), hot.to_numpy("float32"))).batch(5)
    return {
        "strings, column of lists": (texts, tags),
        "strings, sets": (texts.tolist(), [set(row) for row in tags]),
        "strings, lists of zeros and ones": (texts, hot.to_numpy().tolist()),
        "strings, frame": (texts, hot),
        "strings, tensor": (tf.constant(texts.tolist()), tf.constant(hot.to_numpy())),
        "ids, lists": (ids, tags.tolist()),
        "ids, array of booleans": (ids, hot.to_numpy(bool)),
        "dataset of columns": (ks.data.text_dataset(tagged, vectorizer, label=LABELS, **in_order), None),
        "dataset of lists": (of_tags, None),
        "dataset of strings": (strings, None),
    }


ONE = pd.DataFrame({"text": ["a"], "tags": [["bad"]], **dict.fromkeys(LABELS, 0)})
WAYS = list(ways_of(ONE, ks.layers.TextVectorizer(["a"])))


def scores(p, hot):
    """The loss and the accuracy, by the formulas."""
    p = p.astype("float64")
    return -(hot * np.log(p) + (1 - hot) * np.log(1 - p)).mean(), ((p > 0.5) == hot).mean()


def test_probabilities_are_one_for_each_label(make, vectorizer, rng):
    model = make(encoder="gru")
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.6, size=weight.shape))
    p = model.predict(["a lovely film", "", "so bad"], verbose=0)
    assert p.shape == (3, 3)
    assert ((p > 0) & (p < 1)).all()
    assert np.abs(p.sum(axis=1) - 1).min() > 1e-3
    bias = model.network.get_layer("probabilities").bias.numpy()
    np.testing.assert_allclose(p[1], 1 / (1 + np.exp(-bias)), rtol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_evaluate_gives_the_same_numbers(make, tagged, vectorizer, way):
    model = make()
    loss, accuracy = scores(model.predict(tagged["text"], verbose=0), tagged[LABELS].to_numpy())
    x, y = ways_of(tagged, vectorizer)[way]
    assert model.evaluate(x, y, batch_size=5, verbose=0) == pytest.approx([loss, accuracy], rel=1e-5)


def test_fit_gives_the_same_weights(make, tagged, vectorizer):
    """Two epochs, rows in their order: only the form of the rows differs."""
    ways, weights = ways_of(tagged, vectorizer), []
    for name in ("ids, array of booleans", "strings, column of lists", "dataset of lists"):
        model = make()
        start = model.get_weights()
        model.fit(*ways[name], batch_size=5, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b, c, before in zip(*weights, start, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)
        assert np.abs(a - before).max() > 1e-3


def test_it_learns_validates_and_weighs_rows(make, tagged):
    model = make(eagerly=False, encoder="gru", pooling=["mean", "max"], learning_rate=0.1)
    data = (tagged["text"], tagged["tags"])
    history = model.fit(*data, epochs=20, batch_size=7, verbose=0, validation_data=data, validation_freq=20).history
    assert history["val_accuracy"][-1] == 1
    assert [history["val_loss"][-1], 1] == pytest.approx(model.evaluate(*data, verbose=0), rel=1e-5)
    p = model.predict(tagged["text"], verbose=0).astype("float64")
    assert [[label for label, q in zip(LABELS, row, strict=True) if q > 0.5] for row in p] == tagged["tags"].tolist()
    weight = np.linspace(0, 2, 14)
    each = -np.log(np.where(tagged[LABELS].to_numpy(), p, 1 - p)).mean(1)
    weighted = model.evaluate(*data, sample_weight=weight, batch_size=14, verbose=0)[0]
    assert weighted == pytest.approx((weight * each).mean(), rel=1e-4)


def test_integer_labels(make, tagged):
    model = make(labels=[7, 0, 1])
    numbers = {"short": 7, "good": 0, "bad": 1}
    y = [[numbers[tag] for tag in row] for row in tagged["tags"]]
    expected = scores(model.predict(tagged["text"], verbose=0), tagged[LABELS].to_numpy())
    assert model.evaluate(tagged["text"], y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_a_keras_file_keeps_it_all(make, tagged, tmp_path):
    model = make(eagerly=False, label_smoothing=0.1)
    model.fit(tagged["text"], tagged["tags"], verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.multi_label is True
    assert copy.labels == LABELS
    p = model.predict(tagged["text"], verbose=0)
    np.testing.assert_allclose(copy.predict(tagged["text"], verbose=0), p, rtol=1e-5)
    for one in (model, copy):
        one.fit(tagged["text"], tagged["tags"], epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    single = make(labels=["good", "bad"], multi_label=False)
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(single)).multi_label is False


@pytest.mark.tensorflow
@pytest.mark.parametrize("labels", [LABELS, [7, -1, 0]], ids=["strings", "integers"])
def test_the_exported_graph_names_all_labels(make, tmp_path, labels):
    model = make(labels=labels)
    texts = ["a lovely film", "", "unheard words", "bad " * 30]
    expected = model.predict(texts, verbose=0)
    ks.saving.save(model, tmp_path / "artefact")
    loaded = tf.saved_model.load(str(tmp_path / "artefact" / "saved_model"))
    answer = loaded.signatures["serving_default"](text=tf.constant(texts))
    assert set(answer) == {"labels", "probabilities"}
    names = [label.encode() if isinstance(label, str) else label for label in labels]
    assert answer["labels"].numpy().tolist() == names
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=1e-5)
    assert loaded.serve(tf.constant([], tf.string))["probabilities"].shape == (0, 3)
    assert ks.saving.load(tmp_path / "artefact").multi_label is True


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([["good"]] * 13, "13.*14"),
        (["good"] * 14, r"list.*'good' in row 0.*\['good'\]"),
        ([["good"]] * 13 + [["fine"]], r"'fine'.*\['short', 'good', 'bad'\]"),
        ([["good"]] * 13 + [None], "None in row 13"),
        (np.zeros((14, 2)), r"\(N, 3\).*\(14, 2\)"),
        (np.full((14, 3), 0.5), "zeros and ones.*0.5"),
    ],
)
def test_targets_that_cannot_be_used(make, tagged, y, message):
    model = make()
    for call in (model.fit, model.evaluate):
        with pytest.raises(InputError, match=message):
            call(tagged["text"], y, verbose=0)


def test_datasets_of_another_number_of_labels(make, tagged, vectorizer):
    for label, labels in ((["short", "good"], None), ("tags", [*LABELS, "more"])):
        dataset = ks.data.text_dataset(tagged, vectorizer, label=label, labels=labels)
        with pytest.raises(ValueError, match=r"(?s)[Ss]hape"):
            make().fit(dataset.map(lambda ids, hot: (ids, hot)), verbose=0)


def test_labels_in_another_order(make, tagged, vectorizer):
    """The columns of a frame are found by name; a dataset that has them otherwise than the model is refused."""
    other = ["good", "bad", "short"]
    model = make()
    expected = model.evaluate(tagged["text"], tagged["tags"], verbose=0)
    assert model.evaluate(tagged["text"], tagged[other], verbose=0) == pytest.approx(expected, rel=1e-5)
    for label, labels in ((other, None), (other, other), ("tags", other)):
        dataset = ks.data.text_dataset(tagged, vectorizer, label=label, labels=labels)
        with pytest.raises(InputError, match=r"\['good', 'bad', 'short'\].*\['short', 'good', 'bad'\]"):
            model.fit(dataset, verbose=0)


def test_datasets_of_plain_labels(make, tagged, vectorizer):
    """Integers, strings, indices, and strings in two axes: also to validate on."""
    model, of = make(), ks.data.text_dataset
    named = tagged.assign(name=[(row or ["bad"])[0] for row in tagged["tags"]])
    strings = tf.data.Dataset.from_tensor_slices((named["text"].tolist(), [["bad"] * 3] * 14)).batch(5)
    for dataset in (
        of(named, vectorizer, label="good"),
        of(named, vectorizer, label="name"),
        of(named, vectorizer, label="name", labels=LABELS),
        strings,
    ):
        with pytest.raises(InputError, match=r"multi_label.*zeros and ones \(B, C\).*text_dataset"):
            model.fit(dataset, verbose=0)
    with pytest.raises(InputError, match="multi_label"):
        model.fit(tagged["text"], tagged["tags"], validation_data=of(named, vectorizer, label="name"), verbose=0)


def test_lists_of_labels_need_a_model_that_takes_them(make, tagged):
    with pytest.raises(InputError, match="got list"):
        make(multi_label=False).fit(tagged["text"], tagged["tags"], verbose=0)


def test_labels_cannot_be_weighed_here(make, tagged):
    for weights in ("balanced", {"good": 2.0}):
        with pytest.raises(InputError, match=r"class_weight.*sample_weight"):
            make().fit(tagged["text"], tagged["tags"], class_weight=weights, verbose=0)

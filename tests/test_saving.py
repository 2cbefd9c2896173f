"""The artefact: whole or not there, never written over something else, and read back with a word on what is wrong."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_seq as ks
from keras_seq.errors import InputError

pytestmark = pytest.mark.tensorflow
TEXTS = ["a lovely film", "", "a dull unheard film", "dull " * 30]
PARTS = ["card.json", "model.keras", "saved_model"]


def small_model(labels=("good", "bad")):
    vectorizer = ks.data.text_vectorizer(["a lovely film", "a dull film"], max_length=9)
    return ks.models.sentiment_model(vectorizer, list(labels), encoder="gru", units=3, embedding_dim=2)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def contents_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    """An artefact, and the model it was made from. Tests that change it copy it first."""
    model = small_model()
    path = tmp_path_factory.mktemp("saving") / "deep" / "reviews"  # parents are made
    card = {
        "data": "reviews.csv",
        "split": {"train": 8, "test": 2},
        "seed": 3,
        "train_seconds": 1.5,
        "metrics": {"accuracy": 0.75, "macro_f1": 0.7},
        "baselines": {"majority": {"accuracy": 0.5, "macro_f1": 0.3}},
    }
    ks.saving.save(model, path, card)
    return path, model, card


@pytest.fixture
def copied(artefact, tmp_path):
    import shutil

    return shutil.copytree(artefact[0], tmp_path / "copy")


def test_it_holds_all_three_parts_and_nothing_lies_beside_it(artefact):
    path, model, card = artefact
    assert names_in(path) == PARTS
    assert names_in(path.parent) == ["reviews"]
    written = json.loads((path / "card.json").read_text(encoding="utf-8"))
    keys = ["kind", "data", "split", "seed", "versions", "parameters", "train_seconds", "metrics", "baselines"]
    assert list(written) == keys
    assert {name: written[name] for name in card} == card
    assert written["kind"] == "sentiment"
    assert written["parameters"] == sum(int(np.prod(w.shape)) for w in model.trainable_variables)
    assert written["versions"]["keras"] == keras.__version__
    assert {"python", "keras_seq", "tensorflow", "numpy"} <= set(written["versions"])
    assert ks.saving.read_card(path) == written


def test_loaded_and_served_it_says_what_the_model_says(artefact):
    path, model, _ = artefact
    expected = model.predict(TEXTS, verbose=0)
    copy = ks.saving.load(str(path))
    np.testing.assert_allclose(copy.predict(TEXTS, verbose=0), expected, rtol=1e-5)
    copy.fit(TEXTS, ["good", "bad"] * 2, verbose=0)  # ready for more training
    served = tf.saved_model.load(str(path / "saved_model")).signatures["serving_default"]
    assert list(served.structured_input_signature[1]) == ["text"]
    answer = served(text=tf.constant(TEXTS))
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=1e-5)
    assert answer["label"].numpy().tolist() == [model.labels[i].encode() for i in expected.argmax(axis=1)]
    assert served(text=tf.constant([], tf.string))["probabilities"].shape == (0, 2)
    assert served(text=tf.constant([""]))["probabilities"].shape == (1, 2)


def test_integer_labels_and_plain_export(tmp_path):
    model = small_model([7, 3, -1])
    model.export(tmp_path / "plain")
    served = tf.saved_model.load(str(tmp_path / "plain"))
    answer = served.serve(tf.constant(TEXTS))
    assert set(answer["label"].numpy()) <= {7, 3, -1}
    np.testing.assert_allclose(answer["probabilities"], model.predict(TEXTS, verbose=0), rtol=1e-5)


def test_another_model_is_an_artefact_too(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), ks.layers.LSTM(2)])
    ks.saving.save(model, tmp_path / "plain")
    assert ks.saving.read_card(tmp_path / "plain")["kind"] == "Sequential"
    assert type(ks.saving.load(tmp_path / "plain").layers[0]) is ks.layers.LSTM


def test_nothing_is_overwritten_unless_told_to(copied):
    before = contents_of(copied)
    other = small_model(["x", "y"])
    with pytest.raises(InputError, match="overwrite"):
        ks.saving.save(other, copied)
    assert contents_of(copied) == before
    ks.saving.save(other, copied, overwrite=True)
    assert ks.saving.load(copied).labels == ["x", "y"]
    assert names_in(copied) == PARTS
    assert names_in(copied.parent) == ["copy"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    ks.saving.save(small_model(), tmp_path / "empty")
    assert names_in(tmp_path / "empty") == PARTS


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_no_artefact_is_never_replaced(tmp_path, kind):
    path = tmp_path / "photos"
    if kind == "folder":
        path.mkdir()
        (path / "cat.jpg").write_text("meow")
    else:
        path.write_text("meow")
    with pytest.raises(InputError, match="photos"):
        ks.saving.save(small_model(), path, overwrite=True)
    assert (path / "cat.jpg" if kind == "folder" else path).read_text() == "meow"
    assert names_in(tmp_path) == ["photos"]


@pytest.mark.parametrize("step", ["save", "export", "rename"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
def test_a_failure_in_the_middle_leaves_the_old_one_whole(copied, monkeypatch, step, error):
    def fail(*_, **__):
        raise error

    if step == "rename":
        import os

        replace, calls = os.replace, []
        # The old one is out of the way, then the new one cannot be put in its place.
        monkeypatch.setattr("os.replace", lambda a, b: fail() if calls.append(a) or len(calls) == 2 else replace(a, b))
    else:
        monkeypatch.setattr(ks.models.TextClassifier, step, fail)
    before = contents_of(copied)
    with pytest.raises(type(error)):
        ks.saving.save(small_model(), copied, overwrite=True)
    assert contents_of(copied) == before
    assert names_in(copied.parent) == ["copy"]  # no temporary folder
    monkeypatch.undo()
    assert ks.saving.load(copied).labels == ["good", "bad"]


@pytest.mark.parametrize("missing", PARTS)
def test_a_half_written_folder_is_named_with_what_is_missing(copied, missing):
    path = copied / missing
    path.rename(copied.parent / missing)
    with pytest.raises(InputError, match=f"copy.*{missing}.* missing"):
        ks.saving.load(copied)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", "\x00\x01", '{"data": 3}', "caf\xe9"],
    ids=["empty", "open", "list", "no entries", "bytes", "no kind", "latin"],
)
def test_a_broken_card(copied, content):
    (copied / "card.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"card\.json"):
        ks.saving.load(copied)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_model(copied, share):
    path = copied / "model.keras"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match="copy"):
        ks.saving.load(copied)


def test_a_model_of_a_newer_keras(copied):
    """A layer has an argument that this Keras does not know: the error names both versions."""

    def extended(value):
        if isinstance(value, list):
            return [extended(item) for item in value]
        if not isinstance(value, dict):
            return value
        new = {name: extended(item) for name, item in value.items()}
        if value.get("class_name") == "Embedding":
            new["config"]["quantum"] = None
        return new

    path, card = copied / "model.keras", json.loads((copied / "card.json").read_text(encoding="utf-8"))
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    parts["config.json"] = json.dumps(extended(json.loads(parts["config.json"]))).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    card["versions"]["keras"] = "3.99.7"
    (copied / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(
        InputError, match=rf"(?s)model\.keras.*Keras 3\.99\.7.*is {keras.__version__}.*newer Keras"
    ) as error:
        ks.saving.load(copied)
    assert "quantum" in str(error.value.__cause__)
    del card["versions"]
    (copied / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(InputError, match="Keras unknown"):
        ks.saving.load(copied)


def test_a_folder_of_another_kind_and_none(tmp_path):
    with pytest.raises(InputError, match=r"There is no folder.*nowhere"):
        ks.saving.load(tmp_path / "nowhere")
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match=r"notes.*no artefact"):
        ks.saving.load(tmp_path / "notes")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file"):
        ks.saving.load(tmp_path / "file")


def test_loading_runs_no_code_of_the_file(tmp_path):
    """A Lambda layer holds Python code; an artefact that has one is refused, and the code has not run."""
    ran = []
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: ran.append(1) or x * 2)])
    ks.saving.save(model, tmp_path / "lambda")
    ran.clear()
    with pytest.raises(ValueError, match=r"(?i)lambda|unsafe|safe_mode"):
        ks.saving.load(tmp_path / "lambda")
    assert not ran


def test_unknown_entries_of_the_card(tmp_path):
    with pytest.raises(InputError, match="acuracy"):
        ks.saving.save(small_model(), tmp_path / "x", {"acuracy": 1.0})
    assert names_in(tmp_path) == []

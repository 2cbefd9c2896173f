"""What options of `keras-seq train sentiment` do: vectors, runs of letters, weights of labels, averages."""

import re

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from tests.processes import TINY

pytestmark = pytest.mark.tensorflow
WORDS = ["the", "film", "book", "park"]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """60 texts, three of four of them good, that say nothing of it."""
    path = tmp_path_factory.mktemp("uneven") / "rows.csv"
    texts = [f"the {thing}" for thing in ("film", "book", "park")]
    rows = [{"text": text, "label": label} for text in texts for label in ["good", "good", "good", "bad"]] * 5
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """A file with vectors of five numbers of all words but the last."""
    rng = np.random.default_rng(3)
    known = {word: rng.normal(size=5).round(3) for word in WORDS[:-1]}
    path = tmp_path_factory.mktemp("vectors") / "words.txt"
    path.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in known.items()))
    return path, known


@pytest.fixture
def kept(monkeypatch):
    """The models that trainings end with. To report on them and to export them takes long, and has no part in this."""
    models = []
    monkeypatch.setattr("keras_seq.cli.sentiment.reported", lambda *_: {"model": {}})
    monkeypatch.setattr("keras_seq.cli.sentiment.print_report", lambda *_: None)
    monkeypatch.setattr("keras_seq.saving.save", lambda model, *_, **__: models.append(model))
    return models


def trained(keras_seq, data, out, *options):
    """What a training prints of its last loss."""
    common = ["--data", data, "--out", out, *TINY, "--epochs", 6, "--patience", 9, "--dropout", 0, "--no-bidirectional"]
    done = keras_seq("train", "sentiment", *common, "--learning-rate", 0.1, *options)
    assert done.code == 0, done.err
    return float(re.findall(r" loss: (\S+)", done.out)[-1])


def rows_of(model, known):
    vocabulary, table = model.vectorizer.vocabulary, model.network.get_layer("embedding").get_weights()[0]
    assert table.shape == (len(WORDS) + 2, 5)  # the size of the vectors, not --embedding-dim
    return np.array([table[vocabulary.index(word) + 2] for word in known])


def test_frozen_vectors_letters_and_balanced_labels(keras_seq, uneven, vectors, tmp_path):
    path, known = vectors
    options = ["--vectors", path, "--no-train-vectors", "--subword-buckets", 53, "--balanced"]
    loss = trained(keras_seq, uneven, tmp_path / "model", *options)
    model = ks.saving.load(tmp_path / "model")
    np.testing.assert_allclose(rows_of(model, known), list(known.values()), rtol=1e-6)
    assert model.network.get_layer("embedding").trainable is False
    assert model.network.get_layer("embedding_of_letters").get_weights()[0].shape == (54, 5)
    assert loss > 0.65  # labels weigh alike: no more is to be known than that each has one half


def test_vectors_that_are_trained_on_and_labels_as_they_are(keras_seq, uneven, vectors, tmp_path, kept):
    path, known = vectors
    loss = trained(keras_seq, uneven, tmp_path / "model", "--vectors", path)
    (model,) = kept
    found, given = rows_of(model, known), np.array(list(known.values()))
    assert (np.abs(found - given).max(axis=1) > 1e-3).all()
    assert np.corrcoef(found.ravel(), given.ravel())[0, 1] > 0.8  # from where they started
    assert "embedding_of_letters" not in [layer.name for layer in model.network.layers]
    assert loss < 0.61  # three of four are good: 0.56 is the best


class Stopped(Exception):
    pass


def test_other_vectors_are_another_training(keras_seq, uneven, vectors, tmp_path, monkeypatch):
    """Also those in a file of the same name."""
    path = tmp_path / "words.txt"
    path.write_bytes(vectors[0].read_bytes())
    command = ["train", "sentiment", "--data", uneven, "--out", tmp_path / "model", *TINY, "--vectors", path]

    def stop(*_):
        raise Stopped

    monkeypatch.setattr("keras_seq.cli.sentiment.fit", stop)
    for _ in range(2):
        with pytest.raises(Stopped):
            keras_seq(*command)
    path.write_text(path.read_text().replace("-", ""))
    done = keras_seq(*command)
    assert done.code == 2
    assert re.search(r"\AError: .*model\.training.*data.*\n\Z", done.err), done.err


def test_epochs_are_judged_by_the_averaged_weights(keras_seq, csv_file, table, tmp_path, monkeypatch, kept):
    """Validation scores the weights that the artefact is given, not those that the training is at."""
    raw, backup_of = [], ks.callbacks.SafeBackup.on_epoch_end

    def record(self, epoch, logs=None):
        raw.append(self.model.get_weights())
        backup_of(self, epoch, logs)

    monkeypatch.setattr(ks.callbacks.SafeBackup, "on_epoch_end", record)
    command = ["train", "sentiment", "--data", csv_file, "--out", tmp_path / "model", *TINY, "--epochs", 3]
    done = keras_seq(*command, "--averaging", 0.9, "--learning-rate", 0.1, "--dropout", 0, "--no-bidirectional")
    assert done.code == 0, done.err
    losses, accuracies = ([float(n) for n in re.findall(rf"val_{x}: (\S+)", done.out)] for x in ("loss", "accuracy"))
    best = np.argmax(accuracies)  # the first of the best
    train, _ = ks.data.split(table.reset_index(drop=True), 0.2, stratify="label", seed=0)
    _, validation = ks.data.split(train, 0.1, stratify="label", seed=0)
    (model,) = kept
    scores = model.evaluate(validation["text"], validation["label"], verbose=0)
    assert scores == pytest.approx([losses[best], accuracies[best]], abs=2e-4)
    model.set_weights(raw[best])
    assert abs(model.evaluate(validation["text"], validation["label"], verbose=0)[0] - losses[best]) > 0.1

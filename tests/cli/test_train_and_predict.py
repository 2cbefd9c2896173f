"""From a table to an artefact, and from an artefact to a row for each text."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

import keras_seq as ks
from keras_seq.cli.report import best_threshold, calibration_error
from tests.processes import TINY

pytestmark = pytest.mark.tensorflow
TEXTS = ["the film is lovely", "what a cold, cold soup!", "", 'a "quoted", [/b] [bold]text :smile:', "é\u2028è"]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_artefact_and_its_card(artefact, table, csv_file):
    assert names_in(artefact) == ["card.json", "model.keras", "saved_model"]
    assert names_in(artefact.parent) == ["reviews"]  # what a training needs on the way is gone
    card = ks.saving.read_card(artefact)
    assert card["kind"] == "sentiment"
    assert card["data"] == str(csv_file)
    assert card["split"] == {"train": 44, "validation": 4, "test": 12}
    assert card["seed"] == 0
    assert card["baselines"]["majority"] == {"accuracy": 0.5, "macro_f1": 0.3333}
    assert set(card["baselines"]["bag_of_words"]) == {"accuracy", "macro_f1"}
    assert card["train_seconds"] > 0
    # The card's numbers are those of the rows that `split` holds out.
    _, test = ks.data.split(table.reset_index(drop=True), 0.2, stratify="label", seed=0)
    model = ks.saving.load(artefact)
    judged = np.array(model.labels)[model.predict(test["text"], verbose=0).argmax(axis=1)]
    truth = test["label"].to_numpy()
    assert card["metrics"]["accuracy"] == pytest.approx((judged == truth).mean(), abs=1e-4)
    f1 = [2 * ((judged == c) & (truth == c)).sum() / ((judged == c).sum() + (truth == c).sum()) for c in model.labels]
    assert card["metrics"]["macro_f1"] == pytest.approx(np.mean(f1), abs=1e-4)


def test_calibration_and_threshold_in_the_card(artefact, table):
    """The threshold is chosen on the rows of validation, as `split` takes them from those to train on."""
    metrics = ks.saving.read_card(artefact)["metrics"]
    added = {"ece", "threshold", "accuracy_at_threshold", "macro_f1_at_threshold"}
    assert set(metrics) == {"accuracy", "macro_f1", *added}
    train, test = ks.data.split(table.reset_index(drop=True), 0.2, stratify="label", seed=0)
    _, validation = ks.data.split(train, 0.1, stratify="label", seed=0)
    model = ks.saving.load(artefact)
    p = {name: model.predict(rows["text"], verbose=0) for name, rows in (("test", test), ("validation", validation))}
    truth = {name: (rows["label"] == "good").astype(int) for name, rows in (("test", test), ("validation", validation))}
    assert metrics["ece"] == pytest.approx(calibration_error(truth["test"], p["test"]), abs=1e-4)
    assert metrics["threshold"] == pytest.approx(best_threshold(truth["validation"], p["validation"][:, 1]), abs=1e-5)
    judged = p["test"][:, 1] >= metrics["threshold"]
    assert metrics["accuracy_at_threshold"] == pytest.approx((judged == truth["test"]).mean(), abs=1e-4)
    f1 = f1_score(truth["test"], judged, average="macro")
    assert metrics["macro_f1_at_threshold"] == pytest.approx(f1, abs=1e-4)


def test_training_again_replaces_only_with_force_and_prints_the_report(csv_file, keras_seq, tmp_path):
    out = tmp_path / "model"
    command = ["train", "sentiment", "--data", csv_file, "--out", out, "--epochs", 1, *TINY]
    done = keras_seq(*command)
    assert done.code == 0, done.err
    for words in ("this model", "bag of words", "majority class", "macro F1", "Confusion matrix", "val_accuracy: "):
        assert words in done.out
    assert "learning_rate" in done.out
    metrics = ks.saving.read_card(out)["metrics"]
    assert f"Expected calibration error: {metrics['ece']:.3f}\n" in done.out
    assert f"Judged good from a probability of {metrics['threshold']:.3f} on (chosen on validation rows): " in done.out
    assert f"{metrics['accuracy_at_threshold']:.3f}, macro F1 {metrics['macro_f1_at_threshold']:.3f}\n" in done.out
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = keras_seq(*command)
    assert again.code == 2
    assert "--force" in again.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    forced = keras_seq(*command, "--force", "--seed", 9)
    assert forced.code == 0
    assert ks.saving.read_card(out)["seed"] == 9
    assert names_in(tmp_path) == ["model"]


def test_other_columns_and_integer_labels(table, keras_seq, tmp_path):
    stars = table.assign(review=table["text"], stars=table["label"].map({"good": 5, "bad": 1}))
    stars[["review", "stars"]].to_parquet(tmp_path / "stars.parquet")
    options = ["--text", "review", "--label", "stars", "--pooling", "max", "--no-bidirectional", "--epochs", 1]
    out = tmp_path / "model"
    done = keras_seq("train", "sentiment", "--data", tmp_path / "stars.parquet", "--out", out, *options, *TINY)
    assert done.code == 0, done.err
    done = keras_seq("predict", out, "a lovely film", "--format", "jsonl")
    row = json.loads(done.out)
    assert row["label"] in (1, 5)
    assert set(row["probabilities"]) == {"1", "5"}


def predicted(keras_seq, artefact, source, form, tmp_path):
    """Call predict with the texts from one source."""
    if source == "arguments":
        return keras_seq("predict", artefact, *TEXTS, "--format", form)
    if source == "stdin":
        return keras_seq("predict", artefact, "--format", form, stdin="\n".join([*TEXTS, ""]).encode())
    path = tmp_path / "texts.jsonl"  # an empty text in CSV would be a missing one
    path.write_text("".join(json.dumps({"review": text}) + "\n" for text in TEXTS))
    return keras_seq("predict", artefact, "--data", path, "--text", "review", "--format", form)


def parsed(out, form):
    if form == "jsonl":
        return [json.loads(line) for line in out.split("\n") if line]
    rows = list(csv.DictReader(io.StringIO(out)))
    return [{**row, "probabilities": json.loads(row["probabilities"])} for row in rows]


@pytest.mark.parametrize("source", ["arguments", "data", "stdin"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_each_source_and_format_gives_a_row_for_each_text(keras_seq, artefact, tmp_path, source, form):
    done = predicted(keras_seq, artefact, source, form, tmp_path)
    assert done.code == 0, done.err
    rows = parsed(done.out, form)
    assert [row["text"] for row in rows] == TEXTS
    model = ks.saving.load(artefact)
    expected = model.predict(TEXTS, verbose=0)
    for row, probabilities in zip(rows, expected, strict=True):
        assert list(row["probabilities"]) == model.labels == ["bad", "good"]
        np.testing.assert_allclose(list(row["probabilities"].values()), probabilities, atol=1e-5)
        assert row["label"] == model.labels[int(probabilities.argmax())]


@pytest.mark.parametrize("source", ["arguments", "stdin"])
def test_the_table_shows_texts_as_they_are(keras_seq, artefact, tmp_path, source):
    done = predicted(keras_seq, artefact, source, "table", tmp_path)
    assert done.code == 0, done.err
    assert "[/b] [bold]text :smile:" in done.out  # no markup, no emoji
    assert "label" in done.out
    assert "0." in done.out


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["a text", "--data", "x.csv"], b"", "not both"),
        ([], b"", "standard input is empty"),
        ([], b"caf\xe9\n", "not UTF-8"),
        (["caf\udce9"], b"", ""),
        (["--data", "nowhere.csv"], b"", "nowhere.csv"),
        (["--data", "numbers.csv", "--text", "stars"], b"", "stars"),
        (["--data", "numbers.csv"], b"", "no column 'text'"),
        (["--data", "missing.csv"], b"", "row 1"),
    ],
)
def test_texts_that_cannot_be_used(keras_seq, artefact, tmp_path, monkeypatch, arguments, stdin, words):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"stars": [1, 2]}).to_csv("numbers.csv", index=False)
    pd.DataFrame({"text": ["a", None], "stars": [1, 2]}).to_csv("missing.csv", index=False)
    done = keras_seq("predict", artefact, *arguments, stdin=stdin)
    assert done.code == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert words in done.err
    assert done.out == ""


def test_folders_that_cannot_be_used(keras_seq, artefact, tmp_path):
    import shutil

    half = shutil.copytree(artefact, tmp_path / "half")
    (half / "model.keras").unlink()
    cut = shutil.copytree(artefact, tmp_path / "cut")
    (cut / "model.keras").write_bytes((cut / "model.keras").read_bytes()[:1000])
    other = shutil.copytree(artefact, tmp_path / "other")
    (other / "card.json").write_text('{"kind": "forecasting"}')
    (tmp_path / "photos").mkdir()
    for name, words in {
        "nowhere": "no folder",
        "photos": "no artefact",
        "half": "model.keras",
        "cut": "model.keras",
        "other": "'forecasting'",
    }.items():
        done = keras_seq("predict", tmp_path / name, "a text")
        assert (done.code, done.out) == (2, ""), name
        assert done.err.startswith("Error: ")
        assert done.err.count("\n") == 1
        assert name in done.err
        assert words in done.err

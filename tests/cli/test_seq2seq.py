"""`keras-seq train seq2seq` and what `keras-seq predict` does with its artefact."""

import contextlib
import csv
import functools
import io
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

import keras_seq as ks

pytestmark = pytest.mark.tensorflow
SMALL = {"encoder": "simple_rnn", "units": 5, "embedding-dim": 3, "min-count": 1, "batch-size": 11, "max-length": 7}
TINY = [part for name, value in SMALL.items() for part in (f"--{name}", value)] + ["--no-bidirectional"]
TEXTS = ["one, two", "", "[/b] three", "four four four four four four four four four"]


@pytest.fixture(scope="module")
def tsv(pairs, tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    pairs.to_csv(path, sep="\t", index=False)
    return path


def command(tsv, out, *options):
    return ["train", "seq2seq", "--data", tsv, "--source", "en", "--target", "de", "--out", out, *TINY, *options]


@pytest.fixture(scope="module")
def trained(tsv, tmp_path_factory):
    """What a training prints, and its artefact."""
    from keras_seq.cli.app import app

    out, folder = io.StringIO(), tmp_path_factory.mktemp("model") / "pairs"
    arguments = list(map(str, command(tsv, folder, "--epochs", 2)))
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.setenv("COLUMNS", "150")
        app(arguments, standalone_mode=False)
    return out.getvalue(), folder


@pytest.fixture(scope="module")
def artefact(trained):
    return trained[1]


@pytest.fixture(scope="module")
def model(artefact):
    return ks.saving.load(artefact)


def test_the_card_has_the_scores_on_the_pairs_that_were_held_out(artefact, model, pairs, tsv):
    card = ks.saving.read_card(artefact)
    assert (card["kind"], card["data"], card["seed"]) == ("seq2seq", str(tsv), 0)
    assert card["split"] == {"train": 55, "validation": 3, "test": 6}
    assert card["train_seconds"] > 0
    assert set(card["metrics"]) == {"exact", "bleu", "token_accuracy", "perplexity"}
    assert set(card["baselines"]) == {"copy"}
    assert set(card["baselines"]["copy"]) == {"exact", "bleu"}
    _, test = ks.data.split(pairs, 0.1, seed=0)
    _, accuracy, perplexity = model.evaluate(test["en"], test["de"], verbose=0)
    assert card["metrics"]["token_accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert card["metrics"]["perplexity"] == pytest.approx(perplexity, abs=1e-3)
    from sacrebleu.metrics import BLEU

    said, truth = model.translate(test["en"].tolist()), test["de"].tolist()
    assert card["metrics"]["bleu"] == pytest.approx(BLEU().corpus_score(said, [truth]).score, abs=0.01)
    assert card["metrics"]["exact"] == pytest.approx(np.mean([a == b for a, b in zip(said, truth, strict=True)]))
    copied = BLEU().corpus_score(test["en"].tolist(), [truth]).score
    assert card["baselines"]["copy"]["bleu"] == pytest.approx(copied, abs=0.01)


def test_the_report(trained, pairs):
    out, folder = trained
    card = ks.saving.read_card(folder)
    _, test = ks.data.split(pairs, 0.1, seed=0)
    for words in ("On 6 held-out pairs", "this model", "the source as it is", "exact", "BLEU", "token accuracy"):
        assert words in out
    assert f"{card['metrics']['perplexity']:.3f}" in out
    for source, target in test.head(5).itertuples(index=False):
        assert re.search(rf"{source} .* {target} ", out)
    assert f"keras-seq predict {folder} 'Your text.'" in out


def parsed(out, form):
    if form == "jsonl":
        return [json.loads(line) for line in out.split("\n") if line]
    return list(csv.DictReader(io.StringIO(out)))


@pytest.mark.parametrize(("source", "form"), [("arguments", "csv"), ("data", "jsonl"), ("stdin", "jsonl")])
def test_each_source_and_format_gives_a_row_for_each_text(keras_seq, artefact, model, tmp_path, source, form):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"said": text}) + "\n" for text in TEXTS))
    given = {
        "arguments": ([*TEXTS], b""),
        "data": (["--data", path, "--text", "said"], b""),
        "stdin": ([], "\n".join([*TEXTS, ""]).encode()),
    }
    arguments, stdin = given[source]
    done = keras_seq("predict", artefact, *arguments, "--format", form, stdin=stdin)
    assert done.code == 0, done.err
    assert "1 of 4 texts have more than 7 tokens: the rest is not read." in done.err
    rows = parsed(done.out, form)
    assert [list(row) for row in rows] == [["text", "translation", "score"]] * 4
    assert [row["text"] for row in rows] == TEXTS
    expected = model.translate(TEXTS, n_best=1)
    assert [row["translation"] for row in rows] == [one.text for (one,) in expected]
    assert rows[1]["translation"] == ""
    np.testing.assert_allclose([float(r["score"]) for r in rows], [one.score for (one,) in expected], atol=1e-5)


def test_beams_and_n_best(keras_seq, artefact, model):
    done = keras_seq("predict", artefact, *TEXTS[:2], "--beams", 3, "--n-best", 2, "--format", "jsonl")
    assert done.code == 0, done.err
    rows = parsed(done.out, "jsonl")
    assert [(row["text"], row["rank"]) for row in rows] == [(TEXTS[0], 1), (TEXTS[0], 2), ("", 1)]  # "" has but one
    (expected,) = model.translate(TEXTS[:1], beam_width=3, n_best=2)
    assert [row["translation"] for row in rows] == [*(one.text for one in expected), ""]
    greedy = keras_seq("predict", artefact, TEXTS[0], "--beams", 1, "--format", "jsonl")
    assert parsed(greedy.out, "jsonl")[0]["translation"] == model.translate(TEXTS[:1], 1)[0]


def test_the_table_and_the_picture(keras_seq, artefact, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "attention.png"
    done = keras_seq("predict", artefact, "[/b] :smile: one", "--attention", picture)
    assert done.code == 0, done.err
    for words in ("text", "translation", "score", "[/b] :smile: one"):
        assert words in done.out
    written = picture.read_bytes()
    assert written.startswith(b"\x89PNG")
    assert written.endswith(b"IEND\xaeB`\x82")
    assert [path.name for path in tmp_path.iterdir()] == ["attention.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "--beams", 2, "--n-best", 3], "--n-best must be at most --beams, 2, got 3"),
        (["a", "--n-best", 5], "--n-best must be at most --beams, 4"),
        (["a", "b", "--attention", "x.png"], "a single text, got 2"),
        (["a", "--attention", "x.pdf"], r"\.png"),
        (["a", "--attention", "nowhere/x.png"], "nowhere"),
        (["", "--attention", "x.png"], "nothing to draw"),
        (["a", "--data", "x.csv"], "not both"),
    ],
)
def test_predictions_that_cannot_be(keras_seq, artefact, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    done = keras_seq("predict", artefact, *arguments)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: .*{words}.*\n\Z", done.err), done.err
    assert list(tmp_path.iterdir()) == []


def test_options_of_another_kind_of_model_and_a_model_without_attention(keras_seq, tmp_path):
    (tmp_path / "saved_model").mkdir()
    for name in ("model.keras", "saved_model/saved_model.pb"):
        (tmp_path / name).touch()
    (tmp_path / "card.json").write_text('{"kind": "sentiment"}')
    for options in (["--beams", 2], ["--n-best", 1], ["--attention", "x.png"]):
        done = keras_seq("predict", tmp_path, "a text", *options)
        assert (done.code, done.out) == (2, "")
        assert re.search(rf"\AError: Option {options[0]} .*'sentiment'.*\n\Z", done.err), done.err
    from keras_seq.cli.translate import translated

    model = SimpleNamespace(network=SimpleNamespace(attention=None))
    with pytest.raises(ks.errors.InputError, match="trained without"):
        translated(model, ["a text"], attention=tmp_path / "x.png")


class Stopped(Exception):
    pass


@pytest.fixture
def weights_of(keras_seq, tsv, tmp_path, monkeypatch):
    """The weights that a training ends with. What comes behind it takes long, and has no part in this."""
    saved = []
    nothing = {"model": {}, "copy": {}}, []
    monkeypatch.setattr("keras_seq.cli.seq2seq.reported", lambda *_: nothing)
    monkeypatch.setattr("keras_seq.cli.seq2seq.print_report", lambda *_: None)
    monkeypatch.setattr("keras_seq.saving.save", lambda model, *_, **__: saved.append(model.get_weights()))

    def call(out, *options):
        done = keras_seq(*command(tsv, tmp_path / out, "--epochs", 4, *options))
        assert done.code == 0, done.err
        assert not (tmp_path / f"{out}.training").exists()
        return saved.pop(), done

    return call


FORCING = ["--scheduled-sampling", 0.5, "--teacher-forcing", "linear", "--forcing-rate", 0.25]


@pytest.mark.parametrize("options", [[], ["--average-last", 3], FORCING], ids=["best", "average", "forcing"])
def test_interrupted_twice_it_ends_as_without(weights_of, monkeypatch, options):
    """After the second epoch, and between the last and the artefact."""
    options = [*options, "--dropout", 0.3, "--learning-rate", 0.03]
    backup_of, of_epoch = ks.callbacks.SafeBackup.on_epoch_end, []

    def backup(self, epoch, logs=None, last=None):
        backup_of(self, epoch, logs)
        of_epoch.append(self.model.get_weights())
        if epoch == last:
            raise Stopped

    monkeypatch.setattr(ks.callbacks.SafeBackup, "on_epoch_end", backup)
    whole, done = weights_of("whole", *options)
    assert len(of_epoch) == 4
    shares = re.findall(r" sampling_share: (\S+)", done.out)
    assert list(map(float, shares)) == ([0, 0.25, 0.5, 0.5] if "--teacher-forcing" in options else [])
    if "--average-last" in options:
        for weight, *values in zip(whole, *of_epoch[1:], strict=True):
            if weight.dtype == "float32":
                np.testing.assert_allclose(weight, np.mean(values, axis=0), atol=1e-5)
    for last in (1, 3):
        with monkeypatch.context() as patched, pytest.raises(Stopped):  # noqa: PT012
            patched.setattr(ks.callbacks.SafeBackup, "on_epoch_end", functools.partialmethod(backup, last=last))
            weights_of("broken", *options)
    assert len(of_epoch) == 8
    resumed, done = weights_of("broken", *options)
    assert "Going on" in done.err
    assert "Epoch" not in done.out
    for weight, expected in zip(resumed, whole, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5)

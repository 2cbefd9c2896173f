"""`keras-seq diagnose`: one page on a model of each kind, which needs nothing from outside."""

import base64
import json
import re
import shutil
import struct

import keras
import pandas as pd
import pytest

import keras_seq as ks
from tests.processes import ROOT

pytestmark = pytest.mark.tensorflow
SECTIONS = ["The model", "Structure", "Gradients through time", "Recurrent kernels", "Gates over time", "What counts"]


def pictures(page):
    """`(width, height)` of each picture."""
    files = [base64.b64decode(one) for one in re.findall(r'src="data:image/png;base64,([^"]*)"', page)]
    assert all(file.startswith(b"\x89PNG") and file.endswith(b"IEND\xaeB\x60\x82") for file in files)
    return [struct.unpack(">II", file[16:24]) for file in files]


def asks_for_something(page):
    """Addresses that a browser would fetch, or go to: all but the page's own pictures and places."""
    without = re.sub(r'src="data:image/png;base64,[^"]*"|href="#s\d+"', "", page)
    return re.findall(r"https?:|//[a-z]|src=|href=|url\(|@import|<script|<link|<iframe", without)


def sections(page):
    """The HTML of each section by its heading."""
    parts = re.split(r"<h2[^>]*>([^<]*)</h2>", page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# Pictures in each section, in their order: directions and decoders have gates of their own.
PICTURES = {"reviews": [0, 1, 1, 0, 2, 3], "dates": [0, 1, 1, 0, 3, 3, 3], "load": [0, 1, 1, 0, 1, 3]}


@pytest.mark.parametrize("kind", PICTURES)
def test_the_page_of_a_model(keras_seq, tmp_path, kind):
    out = tmp_path / "report.html"
    done = keras_seq("diagnose", ROOT / "saved_models" / kind, "--out", out, "--rows", 7)
    assert done.code == 0, done.err
    page = out.read_text(encoding="utf-8")
    parts = sections(page)
    assert list(parts) == SECTIONS + ["Attention"] * (kind == "dates")
    assert [len(pictures(part)) for part in parts.values()] == PICTURES[kind]
    assert all(width > 300 and height > 150 for width, height in pictures(page))
    assert not asks_for_something(page)
    assert "Argument `" not in page  # no message in the place of a picture
    verdict = next(line for line in done.out.splitlines() if "per step" in line).strip()
    assert verdict in parts["Gradients through time"]
    kernels = re.findall(r"<td>(z|r|n|h|i|f|g|o)</td><td>([\d.]+)</td>", parts["Recurrent kernels"])
    assert [gate for gate, _ in kernels] == list("zrn") * (len(kernels) // 3)
    assert len(kernels) == 3 * PICTURES[kind][4]  # a GRU for each picture of gates
    card = json.loads((ROOT / "saved_models" / kind / "card.json").read_text())
    assert f"{card['parameters']:,} weights" in parts["The model"]
    assert all(name in parts["The model"] for name in card["metrics"])


def test_a_card_that_tells_little(keras_seq, csv_file, tmp_path):
    """`ks.saving.save` alone writes neither data nor metrics; blank texts are no rows; no gates."""
    frame = pd.read_csv(csv_file)
    vectorizer = ks.data.text_vectorizer(frame["text"])
    how = {"encoder": "simple_rnn", "units": 3, "embedding_dim": 5}
    ks.saving.save(ks.models.sentiment_model(vectorizer, ["bad", "good"], **how), tmp_path / "model")
    pd.concat([pd.DataFrame({"text": [" "] * 40, "label": ["good"] * 40}), frame]).to_csv(tmp_path / "rows.csv")
    done = keras_seq("diagnose", tmp_path / "model", "--data", tmp_path / "rows.csv", "--out", tmp_path / "x.html")
    assert done.code == 0, done.err
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    parts = sections(page)
    assert "None" not in parts["The model"]
    assert "<table>" not in parts["The model"]
    assert "60 rows of" in parts["The model"]
    assert "have none" in parts["Gates over time"]
    assert len(pictures(parts["What counts"])) == 3
    done = keras_seq("diagnose", tmp_path / "model", "--out", tmp_path / "y.html")
    assert done.code != 0
    assert "names no data: give labelled rows by --data" in done.err


@keras.saving.register_keras_serializable("tests")
class TwoGateCell(ks.layers.SimpleRNNCell):
    """Of somebody else's: no diagnostic knows its gates."""

    gates = 2

    def step(self, projected, states, constants):
        kernel, _ = constants
        z, n = keras.ops.split(projected + states[0] @ kernel, 2, axis=-1)
        z = keras.ops.sigmoid(z)
        h = z * states[0] + (1 - z) * keras.ops.tanh(n)
        return h, [h]


def test_a_cell_whose_blocks_have_no_letters(keras_seq, csv_file, tmp_path):
    vectorizer = ks.data.text_vectorizer(pd.read_csv(csv_file)["text"])
    how = {"encoder": TwoGateCell(3), "embedding_dim": 5}
    ks.saving.save(ks.models.sentiment_model(vectorizer, ["bad", "good"], **how), tmp_path / "model")
    done = keras_seq("diagnose", tmp_path / "model", "--data", csv_file, "--out", tmp_path / "x.html")
    assert done.code == 0, done.err
    parts = sections((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert list(parts) == SECTIONS
    assert "<td>" not in parts["Recurrent kernels"]


def test_a_model_without_recurrent_layers(keras_seq, csv_file, tmp_path):
    vectorizer = ks.data.text_vectorizer(pd.read_csv(csv_file)["text"])
    how = {"encoder": keras.layers.Dense(3), "embedding_dim": 5}
    ks.saving.save(ks.models.sentiment_model(vectorizer, ["bad", "good"], **how), tmp_path / "model")
    done = keras_seq("diagnose", tmp_path / "model", "--data", csv_file, "--out", tmp_path / "x.html")
    assert done.code == 0, done.err
    assert list(sections((tmp_path / "x.html").read_text(encoding="utf-8"))) == [
        "The model",
        "Recurrent layers",
        "What counts",
    ]


def test_what_texts_hold_is_text(keras_seq, tmp_path):
    rows = [("<script>alert('x')</script> lovely", "positive"), ('a "dull" & cold film', "negative")]
    pd.DataFrame(rows, columns=["review", "mood"]).to_csv(tmp_path / "rows.csv", index=False)
    how = ["--data", tmp_path / "rows.csv", "--text", "review", "--label", "mood"]
    done = keras_seq("diagnose", ROOT / "saved_models" / "reviews", *how, "--out", tmp_path / "x.html")
    assert done.code == 0, done.err
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert not asks_for_something(page)
    assert "&lt;script&gt;" in page
    assert "2 rows of" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reviews", "--out", "x.txt"], ".html"),
        (["reviews", "--out", "nowhere/x.html"], "folder that is there"),
        (["reviews", "--out", "x.html", "--source", "a"], "--source is not of models of kind 'sentiment'"),
        (["load", "--out", "x.html", "--label", "a"], "--label is not of models of kind 'forecast'"),
        (["reviews", "--out", "x.html", "--data", "other.csv"], "text"),
        (["reviews", "--out", "x.html", "--data", "numbers.csv"], "'text' must hold strings"),
        (["reviews", "--out", "x.html", "--data", "labels.csv"], "funny"),
    ],
)
def test_bad_input(keras_seq, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.html").write_text("as before")
    pd.DataFrame({"words": ["a"], "label": ["positive"]}).to_csv("other.csv", index=False)
    pd.DataFrame({"text": ["a film"], "label": ["funny"]}).to_csv("labels.csv", index=False)
    pd.DataFrame({"text": ["a film", None], "label": ["positive"] * 2}).to_csv("numbers.csv", index=False)
    done = keras_seq("diagnose", ROOT / "saved_models" / arguments[0], *arguments[1:])
    assert done.code != 0
    assert message in done.err
    assert "Traceback" not in done.err
    assert (tmp_path / "x.html").read_text() == "as before"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "memory"}, "ks.diagnostics"), ({"data": "/nowhere/reviews.csv"}, "--data")],
    ids=["kind", "data"],
)
def test_what_the_card_does_not_tell(keras_seq, tmp_path, change, message):
    shutil.copytree(ROOT / "saved_models" / "reviews", tmp_path / "model")
    card = json.loads((tmp_path / "model" / "card.json").read_text()) | change
    (tmp_path / "model" / "card.json").write_text(json.dumps(card))
    done = keras_seq("diagnose", tmp_path / "model", "--out", tmp_path / "x.html")
    assert done.code != 0
    assert message in done.err
    assert not (tmp_path / "x.html").exists()

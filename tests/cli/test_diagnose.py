"""`keras-seq diagnose`: one page on a model of each kind, which needs nothing from outside."""

import base64
import json
import re
import shutil
import struct

import pandas as pd
import pytest

from tests.processes import ROOT

pytestmark = pytest.mark.tensorflow
SECTIONS = ["The model", "Structure", "Gradients through time", "Recurrent kernels", "Gates over time", "What counts"]


def headings(page):
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", page)


def pictures(page):
    """`(width, height)` of each picture."""
    files = [base64.b64decode(one) for one in re.findall(r'src="data:image/png;base64,([^"]*)"', page)]
    assert all(file.startswith(b"\x89PNG") and file.endswith(b"IEND\xaeB\x60\x82") for file in files)
    return [struct.unpack(">II", file[16:24]) for file in files]


def asks_for_something(page):
    """Addresses that a browser would fetch, or go to: all but the page's own pictures and places."""
    without = re.sub(r'src="data:image/png;base64,[^"]*"|href="#s\d+"', "", page)
    return re.findall(r"https?:|//[a-z]|src=|href=|url\(|@import|<script|<link|<iframe", without)


@pytest.mark.parametrize(
    ("kind", "more", "least"),
    [("reviews", [], 6), ("dates", ["Attention"], 8), ("load", [], 5)],
    ids=lambda one: str(one),
)
def test_the_page_of_a_model(keras_seq, tmp_path, kind, more, least):
    out = tmp_path / "report.html"
    done = keras_seq("diagnose", ROOT / "saved_models" / kind, "--out", out, "--rows", 7)
    assert done.code == 0, done.err
    page = out.read_text(encoding="utf-8")
    assert headings(page) == SECTIONS + more
    found = pictures(page)
    assert len(found) >= least
    assert all(width > 300 and height > 150 for width, height in found)
    assert not asks_for_something(page)
    verdict = next(line for line in done.out.splitlines() if "per step" in line).strip()
    assert verdict.replace("<", "&lt;") in page
    card = json.loads((ROOT / "saved_models" / kind / "card.json").read_text())
    assert f"{card['parameters']:,} weights" in page
    assert all(name in page for name in card["metrics"])


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
        (["reviews", "--out", "x.html", "--data", "labels.csv"], "funny"),
    ],
)
def test_bad_input(keras_seq, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.html").write_text("as before")
    pd.DataFrame({"words": ["a"], "label": ["positive"]}).to_csv("other.csv", index=False)
    pd.DataFrame({"text": ["a film"], "label": ["funny"]}).to_csv("labels.csv", index=False)
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

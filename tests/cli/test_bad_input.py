"""Each kind of bad input ends in one line on standard error and exit code 2, and nothing is written."""

import itertools
import re

import pandas as pd
import pytest

from tests.processes import BLOCK, MAIN, TINY, python

pytestmark = pytest.mark.tensorflow


def csv_of(texts, labels):
    return pd.DataFrame({"text": texts, "label": labels}).to_csv(index=False).encode()


TEXTS = [f"{a} {b}" for a, b in itertools.product(["good", "bad", "nice", "dull"], repeat=2)]
HALVES = ["pos", "neg"] * 8

# [name of the file,] its content (None: not there), options, what the line must say
BAD = {
    "missing file": (None, [], r"nowhere\.csv"),
    "empty file": (b"", [], "is empty"),
    "no rows": (b"text,label\n", [], "no rows"),
    "missing text column": (csv_of(TEXTS, HALVES), ["--text", "review"], "'review'.*'text', 'label'"),
    "missing label column": (csv_of(TEXTS, HALVES), ["--label", "stars"], "'stars'.*'text', 'label'"),
    "single class": (csv_of(TEXTS, ["pos"] * 16), [], "single label, 'pos'"),
    "class with one row": (csv_of(TEXTS, [*["pos", "neg"] * 7, "pos", "odd"]), [], "'odd' has 1 row"),
    "class with two rows": (csv_of(TEXTS, [*["pos", "neg"] * 7, "odd", "odd"]), [], "'odd' has 2 row"),
    "not UTF-8": (csv_of(TEXTS, HALVES).replace(b"good", b"caf\xe9"), [], "not UTF-8"),
    "ragged": (csv_of(TEXTS, HALVES) + b"a, b, c,pos\n", [], "reviews.csv"),
    "missing text": (csv_of([None, *TEXTS[1:]], HALVES), [], "'text'.*row 0"),
    "missing label": (csv_of(TEXTS, ["pos", None, *HALVES[2:]]), [], "Label missing in row 1"),
    "floats for labels": (csv_of(TEXTS, [0.5, 1.5] * 8), [], "integers or all strings.*float"),
    "truth values for labels": (csv_of(TEXTS, [True, False] * 8), [], "integers or all strings.*bool"),
    "numbers for texts": (csv_of(range(16), HALVES), [], "'text' must hold strings"),
    "zero words": (csv_of(["<br />"] * 16, HALVES), [], "vocabulary is empty"),
    "zero frequent words": (csv_of([f"word{i}" for i in range(16)], HALVES), [], "vocabulary is empty"),
    "unpacked gzip": ("reviews.csv.gz", csv_of(TEXTS, HALVES), [], "reviews.csv.gz"),
    "vectors that are not there": (csv_of(TEXTS, HALVES), ["--vectors", "nowhere.txt"], "nowhere.txt"),
    "vectors of other words": (csv_of(TEXTS, HALVES), ["--vectors", __file__], "none of the 4 words"),
    "another kind of file": ("reviews.docx", b"PK", [], "must end in one of"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_one_line_exit_code_2_and_nothing_written(keras_seq, tmp_path, case):
    name, content, options, words = case if len(case) == 4 else ("reviews.csv", *case)
    path = tmp_path / (name if content is not None else "nowhere.csv")
    if content is not None:
        path.write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    done = keras_seq("train", "sentiment", "--data", path, "--out", tmp_path / "model", *TINY, *options)
    assert done.code == 2, done.out
    assert re.search(rf"\AError: .*{words}.*\n\Z", done.err), done.err
    assert done.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_vectors_that_are_frozen_and_not_given(keras_seq, csv_file, tmp_path):
    done = keras_seq("train", "sentiment", "--data", csv_file, "--out", tmp_path / "model", *TINY, "--no-train-vectors")
    assert done.code == 2
    assert re.search(r"\AError: .*vectors.*\n\Z", done.err), done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("kind", ["photos", "file", "below a file"])
def test_a_place_that_cannot_be_written_to(keras_seq, csv_file, tmp_path, kind, force):
    out = tmp_path / "place"
    if kind == "photos":
        out.mkdir()
        (out / "cat.jpg").write_text("meow")
    else:
        out.write_text("meow")
    target = out / "model" if kind == "below a file" else out
    before = sorted(tmp_path.rglob("*"))
    done = keras_seq("train", "sentiment", "--data", csv_file, "--out", target, *TINY, "--epochs", 1, *force)
    assert done.code == 2
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert "place" in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_in_a_process_of_its_own_and_without_the_extra(tmp_path):
    """The exit code is that of the process; and what to install is said where typer, rich or scikit-learn is absent."""
    done = python("-c", MAIN, "train", "sentiment", "--data", tmp_path / "nowhere.csv", "--out", tmp_path / "x")
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if "Error" in line or "Traceback" in line] == [
        f"Error: There is no file '{tmp_path / 'nowhere.csv'}': check the path."
    ]
    for absent in ({"typer"}, {"sklearn"}):
        code = BLOCK.format(names=absent) + MAIN
        done = python("-c", code, "train", "sentiment", "--out", tmp_path / "x")
        assert done.returncode not in (0, None)
        assert "keras_seq[cli]" in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_kind_of_model_that_it_does_not_know(keras_seq, tmp_path):
    (tmp_path / "saved_model").mkdir()
    for name in ("model.keras", "saved_model/saved_model.pb"):
        (tmp_path / name).touch()
    (tmp_path / "card.json").write_text('{"kind": "language"}')
    done = keras_seq("predict", tmp_path, "ROMEO:")
    assert done.code == 2
    assert re.search(r"\AError: .*kind 'language', which is not for `predict`: load it by ks\.saving\.load", done.err)

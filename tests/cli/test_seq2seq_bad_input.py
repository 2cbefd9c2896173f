"""Pairs and options that cannot be used end in one line on standard error and exit code 2, and nothing is written."""

import re

import pandas as pd
import pytest

from tests.cli.test_seq2seq import TINY, command

pytestmark = pytest.mark.tensorflow
SIX = pd.DataFrame({"en": list("abcdef"), "de": list("ABCDEF")})
BAD = {
    "missing file": (None, [], r"nowhere\.csv"),
    "missing column": (SIX, ["--target", "fr"], "'fr'.*'en', 'de'"),
    "one column twice": (SIX, ["--target", "en"], "two columns.*'en' twice"),
    "empty cell": (SIX.assign(de=[*"ABC", None, *"EF"]), [], "'de'.*nan in row 3"),
    "blank side": (SIX.assign(en=[*"ab", " \u2003\x00", *"def"]), [], "'en'.*row 2.*both sides"),
    "numbers": (SIX.assign(de=range(6)), [], "'de' must hold strings"),
    "too few": (SIX[:2], [], "2 different text.*three"),
    "one source": (SIX.assign(en="a"), [], "1 different text.*three"),
    "rare words": (SIX, ["--min-count", 2], "vocabulary is empty"),
    "lines of a table": (SIX, ["--data-target", "x.de"], "--source names a column"),
    "both batches": (SIX, ["--tokens-per-batch", 9], "--tokens-per-batch"),
    "best and mean": (SIX, ["--patience", 2, "--average-last", 2], "--patience"),
    "forcing without a rate": (SIX, ["--teacher-forcing", "linear"], "--forcing-rate make a schedule"),
    "forcing without a share": (
        SIX,
        ["--teacher-forcing", "linear", "--forcing-rate", 0.1],
        "--teacher-forcing needs --scheduled-sampling",
    ),
    "a rate of no schedule": (
        SIX,
        ["--scheduled-sampling", 0.2, "--teacher-forcing", "exponential", "--forcing-rate", 2],
        "--forcing-rate does not go.*below 1",
    ),
    "heads": (SIX, ["--num-heads", 2], "--num-heads.*transformer"),
    "attention of a transformer": (SIX, ["--encoder", "transformer", "--attention", "dot"], "--attention"),
    "a width of a transformer": (SIX, ["--encoder", "transformer", "--bidirectional"], "--bidirectional"),
    "feeding nothing": (SIX, ["--attention", "none", "--input-feeding"], "input_feeding"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_pairs_that_cannot_be_used(keras_seq, tmp_path, case):
    frame, options, words = case
    path = tmp_path / ("nowhere.csv" if frame is None else "pairs.csv")
    if frame is not None:
        frame.to_csv(path, index=False)
    before = sorted(tmp_path.rglob("*"))
    arguments = command(path, tmp_path / "model")
    if "transformer" in options:
        arguments.remove("--no-bidirectional")
    done = keras_seq(*arguments, *options)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: .*{words}.*\n\Z", done.err), done.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (["a\nb\nc\n", "A\nB\n"], "3.*2.*line that is missing"),
        (["a\nb\nc\n", "A\n\nC\n"], "'target'.*'' in row 1"),
        (["a\nb\nc\n", ""], "is empty"),
    ],
)
def test_files_of_lines_that_cannot_be_used(keras_seq, tmp_path, contents, words):
    paths = [tmp_path / "x.en", tmp_path / "x.de"]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    files = ["--data", paths[0], "--data-target", paths[1]]
    done = keras_seq("train", "seq2seq", *files, "--out", tmp_path / "model", *TINY)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: .*{words}.*\n\Z", done.err), done.err
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.parametrize("option", ["--source", "--test-size", "--data-target"])
def test_options_that_need_data(keras_seq, tmp_path, option):
    done = keras_seq("train", "seq2seq", "--out", tmp_path / "model", option, 0.5)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: Option {option} needs --data.*\n\Z", done.err), done.err

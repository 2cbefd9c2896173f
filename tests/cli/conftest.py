"""A small table, a trained artefact, and the command line in this process and in others."""

import contextlib
import io
import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.processes import MAIN, TINY, environment

THINGS = ["film", "book", "phone", "soup", "park"]
WORDS = {"one": "Eins", "two": "Zwei", "three": "Drei", "four": "Vier"}
MARKS = {"good": ["lovely", "great", "warm"], "bad": ["dull", "awful", "cold"]}


@pytest.fixture(scope="session")
def table():
    """60 short reviews."""
    rows = [
        {"text": text.format(thing, word), "label": label}
        for label, words in MARKS.items()
        for thing, word, text in itertools.product(THINGS, words, ["the {} is {}", "what a {1}, {1} {0}!"])
    ]
    return pd.DataFrame(rows).iloc[np.random.default_rng(2).permutation(60)]


@pytest.fixture(scope="session")
def csv_file(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "reviews.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def pairs():
    """64 pairs of three words; each source stands in one of them."""
    rows = [
        {"en": f"{a}, {b} {c}", "de": f"{WORDS[a]}, {WORDS[b]} {WORDS[c]}"}
        for a, b, c in itertools.product(WORDS, repeat=3)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def keras_seq(monkeypatch):
    """Call the command line in this process: `keras_seq("predict", ...)` gives `code`, `out` and `err`."""
    from keras_seq.cli import main

    monkeypatch.setenv("COLUMNS", "150")  # tables are not folded

    def call(*arguments, stdin=b""):
        out, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["keras-seq", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())

    return call


@pytest.fixture
def start():
    """Start the command line as a process of its own; what still runs in the end is killed."""
    running = []

    def begin(*arguments, **keywords):
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **keywords,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def artefact(csv_file, tmp_path_factory):
    """What `keras-seq train sentiment --data reviews.csv` writes."""
    from keras_seq.cli.app import app

    out = tmp_path_factory.mktemp("artefact") / "reviews"
    arguments = ["train", "sentiment", "--data", csv_file, "--out", out, "--epochs", 6, *TINY]
    app(list(map(str, arguments)), standalone_mode=False)
    return out

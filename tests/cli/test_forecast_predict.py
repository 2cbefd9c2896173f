"""`keras-seq predict` with a model that forecasts."""

import csv
import io
import json
import re

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from tests.cli.hours import command, hours

pytestmark = pytest.mark.tensorflow
COLUMNS = ["ds", "y", "y-lo-80", "y-hi-80", "y-lo-90", "y-hi-90"]


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    from keras_seq.cli.app import app

    folder = tmp_path_factory.mktemp("forecast")
    hours().to_csv(folder / "hours.csv", index=False)
    arguments = list(map(str, command(folder / "hours.csv", folder / "model", "--epochs", 1)))
    app(arguments, standalone_mode=False)
    return folder / "model"


@pytest.fixture
def recent(tmp_path):
    """40 hours, and the covariate of seven more."""
    frame = hours(47, seed=3)
    frame.loc[40:, "y"] = np.nan
    frame.to_csv(tmp_path / "recent.csv", index=False)
    return tmp_path / "recent.csv", frame


def compared(rows, expected):
    assert [list(row) for row in rows] == [COLUMNS] * len(expected)
    assert [row["ds"] for row in rows] == expected["ds"].astype(str).tolist()
    for name in COLUMNS[1:]:
        np.testing.assert_allclose([float(row[name]) for row in rows], expected[name], rtol=1e-6)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_it_prints_what_the_forecaster_says(keras_seq, artefact, recent, form):
    path, frame = recent
    done = keras_seq("predict", artefact, "--data", path, "--format", form)
    assert done.code == 0, done.err
    parse = {
        "csv": lambda out: csv.DictReader(io.StringIO(out)),
        "jsonl": lambda out: map(json.loads, out.splitlines()),
    }
    rows = list(parse[form](done.out))
    compared(rows, ks.models.Forecaster.load(artefact).predict(frame))
    assert len(rows) == 7
    assert rows[0]["ds"] == "2024-02-28 16:00:00"


def test_the_table_and_fewer_steps(keras_seq, artefact, recent):
    done = keras_seq("predict", artefact, "--data", recent[0], "--horizon", 2)
    assert done.code == 0, done.err
    for words in (*COLUMNS, "2024-02-28 16:00:00", "2024-02-28 17:00:00"):
        assert words in done.out
    assert "2024-02-28 18:00:00" not in done.out


def test_it_writes_a_file_whole_and_takes_the_future_from_another(keras_seq, artefact, recent, tmp_path):
    _, frame = recent
    frame[:40].to_csv(tmp_path / "past.csv", index=False)
    frame[40:][["ds", "warm"]].to_csv(tmp_path / "future.csv", index=False)
    out = tmp_path / "forecast.csv"
    out.write_text("what was there before")
    files = ["--data", tmp_path / "past.csv", "--future", tmp_path / "future.csv"]
    done = keras_seq("predict", artefact, *files, "--out", out)
    assert done.code == 0, done.err
    assert done.out == f"Wrote {out}: 7 rows.\n"
    expected = ks.models.Forecaster.load(artefact).predict(frame)
    with out.open() as file:
        compared(list(csv.DictReader(file)), expected)
    done = keras_seq("predict", artefact, *files, "--out", tmp_path / "forecast.jsonl")
    assert done.code == 0, done.err
    compared([json.loads(line) for line in (tmp_path / "forecast.jsonl").read_text().splitlines()], expected)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("past.csv", "future.csv", "recent.csv", "forecast.csv", "forecast.jsonl")
    }


def test_the_picture(keras_seq, artefact, recent, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "out.png"
    done = keras_seq("predict", artefact, "--data", recent[0], "--plot", picture, "--format", "csv")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 8
    written = picture.read_bytes()
    assert written.startswith(b"\x89PNG")
    assert written.endswith(b"IEND\xaeB`\x82")
    assert {path.name for path in tmp_path.iterdir()} == {"recent.csv", "out.png"}


def as_it_is(frame):
    return frame


# options, what is done to the table, what the line must say
BAD = {
    "no history": ([], as_it_is, "--data FILE"),
    "missing column": (["--data"], lambda frame: frame.drop(columns="warm"), "'warm'.*'ds', 'y'"),
    "no covariate of the steps to come": (
        ["--data"],
        lambda frame: frame[:40],
        "'warm' is missing at 2024-02-28 16:00.*7 steps",
    ),
    "covariates of too few steps": (["--data"], lambda frame: frame[:45], "'warm' is missing at 2024-02-28 21:00"),
    "short history": (["--data"], lambda frame: frame[20:], "20 steps.*look-back needs 29"),
    "irregular stamps": (
        ["--data"],
        lambda frame: frame.replace(frame["ds"][3], pd.Timestamp("2024-02-27 03:20")),
        "03:20",
    ),
    "longer horizon": (["--horizon", 8, "--data"], as_it_is, "at most 7"),
    "another ending": (["--out", "x.xlsx", "--data"], as_it_is, r"\.csv or \.jsonl"),
    "folder that is not there": (["--out", "nowhere/x.csv", "--data"], as_it_is, "nowhere"),
    "picture of another kind": (["--plot", "x.pdf", "--data"], as_it_is, r"\.png"),
    "two ways to print": (["--out", "x.csv", "--format", "csv", "--data"], as_it_is, "--format"),
    "future that is not there": (["--future", "x.csv", "--data"], as_it_is, r"x\.csv"),
    "texts": (["a text", "--data"], as_it_is, "Texts are for models that read texts.*'forecast'"),
    "column of texts": (["--text", "y", "--data"], as_it_is, "--text is of models that read texts.*'forecast'"),
    "beams": (["--beams", 2, "--data"], as_it_is, "--beams is of models that translate.*'forecast'"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_what_cannot_be_forecast(keras_seq, artefact, recent, tmp_path, monkeypatch, case):
    options, change, words = case
    monkeypatch.chdir(tmp_path)
    path, frame = recent
    frame = change(frame)
    frame.to_csv(path, index=False)
    done = keras_seq("predict", artefact, *options, *([path] if "--data" in options else []))
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: .*{words}.*\n\Z", done.err), done.err
    assert [one.name for one in tmp_path.iterdir()] == ["recent.csv"]


@pytest.mark.parametrize("option", ["--future", "--horizon", "--out", "--plot"])
def test_its_options_are_not_for_texts(keras_seq, tmp_path, option):
    (tmp_path / "saved_model").mkdir()
    for name in ("model.keras", "saved_model/saved_model.pb"):
        (tmp_path / name).touch()
    (tmp_path / "card.json").write_text('{"kind": "sentiment"}')
    done = keras_seq("predict", tmp_path, "a text", option, 3)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: Option {option} is of models that forecast.*'sentiment'\.\n\Z", done.err), done.err


def test_a_series_that_the_training_did_not_have(keras_seq, tmp_path):
    frames = [hours(60, seed).assign(unique_id=id) for seed, id in ((0, 1), (1, 2))]
    pd.concat(frames).to_csv(tmp_path / "two.csv", index=False)
    small = ["--horizon", 2, "--lookback", 5, "--units", 2, "--epochs", 1, "--season", 3, "--target", "y"]
    done = keras_seq("train", "forecast", "--data", tmp_path / "two.csv", "--out", tmp_path / "model", *small)
    assert done.code == 0, done.err
    done = keras_seq("predict", tmp_path / "model", "--data", tmp_path / "two.csv", "--format", "jsonl")
    assert [(row["unique_id"], row["ds"]) for row in map(json.loads, done.out.splitlines())] == [
        (id, f"2024-02-29 {hour}:00:00") for id in (1, 2) for hour in (12, 13)
    ]
    frames[1].assign(unique_id=3).to_csv(tmp_path / "three.csv", index=False)
    done = keras_seq("predict", tmp_path / "model", "--data", tmp_path / "three.csv")
    assert (done.code, done.out) == (2, "")
    assert re.search(r"\AError: Series 3 is unknown .*\n\Z", done.err), done.err

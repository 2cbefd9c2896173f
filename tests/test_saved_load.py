"""The checked-in forecaster of the load, which `keras-seq train forecast` writes, served where this package is not."""

import csv
import io
import json

import keras
import numpy as np
import pytest
from packaging.version import Version

import keras_seq as ks
from tests.processes import BLOCK, ROOT, python

pytestmark = pytest.mark.tensorflow
ARTEFACT = ROOT / "saved_models" / "load"
DAYS = 73  # forecast in the test part

SERVE = """
import sys
for name in ("keras_seq", "keras"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        pass
    else:
        raise SystemExit(f"{name} can be imported here: this would prove nothing")
import numpy as np
import tensorflow as tf

given = dict(np.load("windows.npz"))
signatures = tf.saved_model.load(sys.argv[1]).signatures
answer = signatures["forecast"](**{name: tf.constant(values) for name, values in given.items()})
alone = signatures["serving_default"](**{name: tf.constant(values[:1]) for name, values in given.items()})
nothing = signatures["forecast"](**{name: tf.constant(values[:0]) for name, values in given.items()})
assert {name: y.shape.as_list() for name, y in nothing.items()} == {name: [0, 24, 1] for name in answer}
assert abs(alone["forecast"][0] - answer["forecast"][0]).numpy().max() < 1e-3
np.savez("answer.npz", **{name: y.numpy() for name, y in answer.items()})
"""


@pytest.fixture(scope="module")
def card():
    return json.loads((ARTEFACT / "card.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def load():
    return ks.data.load()


@pytest.fixture(scope="module")
def forecaster(card):
    if Version(keras.__version__) < Version(card["versions"]["keras"]):
        pytest.skip("the artefact was written by a newer Keras, whose .keras files an older one does not read")
    return ks.models.Forecaster.load(ARTEFACT)


@pytest.fixture(scope="module")
def backtest(forecaster, load):
    return forecaster.backtest(load, DAYS)


def windows_of(load):
    """What is to be served for each day of the test part, as it is in the frame."""
    begins = len(load) - 24 * np.arange(DAYS, 0, -1)
    cut = [load[begin - 168 : begin + 24] for begin in begins]
    return {
        "past": np.stack([one[["y"]][:168].to_numpy("float32") for one in cut]),
        "known": np.stack([one[["temperature"]].to_numpy("float32") for one in cut]),
        "time": np.stack([one["ds"].to_numpy("datetime64[us]").astype("int64") for one in cut]),
    }


def test_served_without_the_package_it_forecasts_as_with_it(tmp_path, load, backtest):
    windows = windows_of(load)
    assert np.isnan(windows["past"]).any()
    np.savez(tmp_path / "windows.npz", **windows)
    code = BLOCK.format(names={"keras_seq", "keras"}) + SERVE
    done = python("-c", code, ARTEFACT / "saved_model", cwd=tmp_path, PYTHONPATH=None)
    assert done.returncode == 0, done.stderr[-3000:]
    names = {
        "forecast": "y",
        "lower_80": "y-lo-80",
        "upper_80": "y-hi-80",
        "lower_90": "y-lo-90",
        "upper_90": "y-hi-90",
    }
    with np.load(tmp_path / "answer.npz") as answer:
        assert set(answer) == set(names)
        for served, name in names.items():
            np.testing.assert_allclose(answer[served].ravel(), backtest[name], atol=2e-3)


def test_its_card_says_what_it_does(card, load, backtest):
    truth = load["y"].to_numpy()[-24 * DAYS :]
    known = ~np.isnan(truth)
    before = load["y"].to_numpy()[: -card["split"]["test"]]
    unit = np.nanmean(np.abs(before[24:] - before[:-24]))
    error = np.abs(truth - backtest["y"].to_numpy())[known]
    assert card["metrics"]["mae"] == pytest.approx(error.mean(), abs=1e-3)
    assert card["metrics"]["mase"] == pytest.approx(error.mean() / unit, abs=1e-3)
    for level in (80, 90):
        inside = (backtest[f"y-lo-{level}"] <= truth) & (truth <= backtest[f"y-hi-{level}"])
        assert card["metrics"][f"coverage_{level}"] == pytest.approx(inside[known].mean(), abs=2e-3)
    naive = [ks.models.baselines.seasonal_naive(load["y"][: -24 * day], 24, 24) for day in range(DAYS, 0, -1)]
    worse = np.abs(truth - np.concatenate(naive))[known].mean()
    assert card["baselines"]["seasonal_naive"]["mae"] == pytest.approx(worse, abs=1e-3)


def test_it_beats_the_last_season_and_its_intervals_hold(card, load):
    assert (card["kind"], card["data"], card["seed"]) == ("forecast", "generated load", 0)
    assert sum(card["split"].values()) == len(load)
    assert card["split"]["test"] == round(0.1 * len(load))
    naive = card["baselines"]["seasonal_naive"]
    assert card["metrics"]["mase"] < 0.5 * naive["mase"]
    assert card["metrics"]["smape"] < 0.5 * naive["smape"]
    assert 0.75 <= card["metrics"]["coverage_80"] <= 0.85
    assert 0 < card["train_seconds"] < 180


def test_it_is_small():
    assert sum(path.stat().st_size for path in ARTEFACT.rglob("*") if path.is_file()) < 1_000_000


def test_the_script_that_serves_it_runs(tmp_path, load, forecaster):
    recent = load.tail(192).reset_index(drop=True)
    recent.loc[168:, "y"] = np.nan
    recent.to_csv(tmp_path / "recent.csv", index=False)
    done = python(ROOT / "saved_models" / "serve_load.py", ARTEFACT, "recent.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    expected = forecaster.predict(recent)
    assert [row["ds"] for row in rows] == expected["ds"].astype(str).tolist()
    for served, name in {"y": "y", "lower_80": "y-lo-80", "upper_80": "y-hi-80"}.items():
        np.testing.assert_allclose([float(row[served]) for row in rows], expected[name], atol=2e-3)

"""Series and options that cannot be used end in one line on standard error and exit code 2, and nothing is written."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.cli.hours import command, hours

pytestmark = pytest.mark.tensorflow


def as_it_is(frame):
    return frame


def with_hole(row, name):
    def change(frame):
        frame = frame.fillna({"y": 0.0})
        frame.loc[row, name] = np.nan
        return frame

    return change


# what is done to the table (None: there is none), options, what the line must say
BAD = {
    "missing file": (None, [], r"nowhere\.csv"),
    "missing target": (as_it_is, ["--target", "load"], "'load'.*'ds', 'y', 'warm'"),
    "missing covariate": (as_it_is, ["--past", "rain"], "'rain'.*'ds', 'y', 'warm'"),
    "missing stamps": (lambda frame: frame.drop(columns="ds"), [], "'ds'.*'y', 'warm'"),
    "missing id": (as_it_is, ["--id", "shop"], "'shop'"),
    "one column twice": (as_it_is, ["--past", "warm"], "'warm' is given more than one part"),
    "text for a target": (lambda frame: frame.assign(y="much"), [], "'y' must hold numbers"),
    "no stamps": (lambda frame: frame.assign(ds="today, or so"), [], "'ds' must hold time stamps"),
    "irregular stamps": (lambda frame: frame.replace(frame["ds"][9], pd.Timestamp("2024-02-27 08:20")), [], "08:20"),
    "stamps out of order": (lambda frame: frame[::-1], [], "Sort the frame by time"),
    "two series as one": (lambda frame: pd.concat([frame, frame]), [], "Sort the frame by time"),
    "no frequency": (as_it_is, ["--freq", "often"], "'often'"),
    "horizon too long": (as_it_is, ["--horizon", 41], "No forecast of 41 steps.*0.1 of the time.*40"),
    "look-back too long": (as_it_is, ["--lookback", 399], "No forecast of 7 steps.*399 before"),
    "look-back too long to train": (as_it_is, ["--lookback", 330], "No series has a window"),
    "season too long": (as_it_is, ["--season", 500], "No forecast.*season"),
    "nothing known before": (lambda frame: frame.assign(y=[np.nan] * 399 + [1.0]), [], "No target is known before"),
    "covariate missing in the test part": (with_hole(365, "warm"), [], "'warm' is missing at 2024-03-13 05:00"),
    "values missing in the test part alone": (with_hole(365, "y"), [], "'y' is missing at 2024-03-13 05:00"),
    "levels beyond": (as_it_is, ["--level", 100], "`level`.*100"),
    "segment of no segments": (as_it_is, ["--strategy", "direct"], "--segment is of --strategy segment"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_series_that_cannot_be_used(keras_seq, tmp_path, case):
    change, options, words = case
    path = tmp_path / ("nowhere.csv" if change is None else "hours.csv")
    if change is not None:
        change(hours()).to_csv(path, index=False)
    before = sorted(tmp_path.rglob("*"))
    done = keras_seq(*command(path, tmp_path / "model"), *options)
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: .*{words}.*\n\Z", done.err), done.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("option", ["--time", "--id", "--target", "--past", "--known", "--freq"])
def test_options_that_need_data(keras_seq, tmp_path, option):
    done = keras_seq("train", "forecast", "--out", tmp_path / "model", option, "y")
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"\AError: Option {option} needs --data.*\n\Z", done.err), done.err


def test_settings_suit_the_load_and_data():
    from keras_seq.cli.forecast import settings_of

    load, data = settings_of({"seed": 3}), settings_of({"data": "x.csv", "target": ["a", "b"], "scale": "none"})
    assert (load.data, load.seed, load.epochs, load.forecaster["units"]) == (None, 3, 15, 48)
    assert load.columns == {"time": "ds", "target": ["y"], "known": ["temperature"]}
    assert (data.data, data.epochs, data.horizon) == ("x.csv", 20, 24)
    assert data.columns == {"time": "ds", "target": ["a", "b"]}
    assert (data.forecaster["scale"], data.forecaster["units"]) == (None, 64)
    assert "segment" not in data.forecaster
    assert "segment" not in settings_of({"strategy": "direct"}).forecaster


@pytest.mark.parametrize(
    ("freq", "season"),
    [
        *(("h", 24), ("15min", 96), ("2h", 12), ("7h", 1), ("D", 7), ("B", 5), ("2D", 1), ("W-SUN", 52), ("MS", 12)),
        *(("ME", 12), ("QS-OCT", 4), ("QE-DEC", 4), ("YS-JAN", 1), (5, 1)),
    ],
)
def test_the_season_of_a_frequency(freq, season):
    from keras_seq.cli.forecast import season_of

    assert season_of(freq) == season


@pytest.mark.parametrize(
    ("freq", "rows", "horizon", "lookback", "season"),
    [
        ("h", 900, 5, 168, 24),
        ("15min", 2000, 5, 672, 96),
        ("D", 400, 24, 48, 7),
        ("MS", 90, 2, 12, 12),
        (None, 90, 4, 8, 1),
    ],
)
def test_what_suits_a_frequency(tmp_path, freq, rows, horizon, lookback, season):
    """None: whole numbers as time."""
    from keras_seq.cli.forecast import load, settings_of

    stamps = range(10, 10 + 3 * rows, 3) if freq is None else pd.date_range("2020-01-01", periods=rows, freq=freq)
    pd.DataFrame({"t": stamps, "y": np.arange(rows)}).to_csv(tmp_path / "x.csv", index=False)
    given = {"data": tmp_path / "x.csv", "time": "t", "horizon": horizon, "freq": "3" if freq is None else freq}
    settings, held_out = load(settings_of(given))
    assert (settings.lookback, settings.season) == (lookback, season)
    assert settings.columns["freq"] == (3 if freq is None else freq)
    assert held_out.starts.tolist() == [rows * 9 // 10]


def test_the_rate_falls_to_zero():
    from keras_seq.cli.forecast import rate, settings_of

    settings = settings_of({"epochs": 4, "learning_rate": 0.5})
    assert [rate(settings, epoch) for epoch in range(5)] == pytest.approx([0.5, 0.42678, 0.25, 0.07322, 0], abs=1e-5)

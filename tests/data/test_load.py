"""The generated load: what it says of itself is there."""

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks


@pytest.fixture(scope="module")
def frame():
    return ks.data.load()


def test_hours_and_seed_give_the_frame(frame):
    assert list(frame.columns) == ["ds", "y", "temperature"]
    assert frame["ds"].tolist() == pd.date_range("2022-01-01", periods=17_520, freq="h").tolist()
    pd.testing.assert_frame_equal(ks.data.load(hours=1000), frame[:1000])  # fewer hours are the beginning
    other = ks.data.load(hours=1000, seed=1)
    assert (other["temperature"] != frame["temperature"][:1000]).all()


def test_seasons_of_day_and_week_trend_and_weather(frame):
    y, ds = frame["y"], frame["ds"].dt
    days = y[ds.weekday < 5].groupby(ds.hour).mean()
    assert days.idxmax() in (18, 19, 20)
    assert days[8] > days[13] + 5  # a morning peak
    assert y[ds.weekday >= 5].mean() < y[ds.weekday < 5].mean() - 3
    assert 3 < y[ds.year == 2023].mean() - y[ds.year == 2022].mean() < 7
    cold = frame["temperature"] < 10
    at_night = ds.hour == 2
    assert np.corrcoef(frame["temperature"][cold & at_night & y.notna()], y[cold & at_night].dropna())[0, 1] < -0.5
    assert (y - y.shift(168)).std() < (y - y.shift(24)).std() < y.std()


def test_holes_are_missing_values_of_the_load_only(frame):
    assert frame["temperature"].notna().all()
    missing = frame["y"].isna()
    assert 0.02 < missing.mean() < 0.05
    runs = missing.groupby((missing != missing.shift()).cumsum()).sum()
    assert 5 < runs[runs > 0].median() < 20


@pytest.mark.parametrize("wrong", [{"hours": 0}, {"hours": 1.5}, {"seed": -1}, {"seed": None}])
def test_bad_arguments(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        ks.data.load(**wrong)

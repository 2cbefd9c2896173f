"""Calendar features: their values, and which there are."""

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.errors import InputError

EXPECTED = {
    "15min": ["hour", "weekday", "day_of_month", "day_of_year"],
    "h": ["hour", "weekday", "day_of_month", "day_of_year"],
    "D": ["weekday", "day_of_month", "day_of_year"],
    "B": ["weekday", "day_of_month", "day_of_year"],
    "W": ["day_of_month", "day_of_year"],
    "MS": ["month"],
    "QE": ["month"],
    "YS": [],
}


@pytest.mark.parametrize("freq", EXPECTED)
@pytest.mark.parametrize("given", [True, False])
def test_features_are_those_that_make_sense_for_the_frequency(freq, given):
    index = pd.date_range("2020-01-01", periods=40, freq=freq)
    linear = ks.data.calendar_features(index, freq if given else None, encoding="linear")
    cyclic = ks.data.calendar_features(index, freq if given else None)
    assert list(linear.columns) == EXPECTED[freq]
    assert list(cyclic.columns) == [f"{name}_{part}" for name in EXPECTED[freq] for part in ("sin", "cos")]
    for frame in (linear, cyclic):
        assert frame.index.equals(index)
        assert (frame.dtypes == "float32").all()
    assert (linear >= -0.5).all().all()
    assert (linear < 0.5).all().all()


def test_values():
    stamp = pd.DatetimeIndex(["2024-02-28 18:30"])  # a Wednesday in a leap year
    linear = ks.data.calendar_features(stamp, "h", "linear").iloc[0]
    places = {"hour": 18.5 / 24, "weekday": 2 / 7, "day_of_month": 27 / 29, "day_of_year": 58 / 366}
    np.testing.assert_allclose(linear, np.array([*places.values()]) - 0.5, atol=1e-6)
    cyclic = ks.data.calendar_features(stamp, "h").iloc[0]
    for name, place in places.items():
        np.testing.assert_allclose(cyclic[f"{name}_sin"], np.sin(2 * np.pi * place), atol=1e-6)
        np.testing.assert_allclose(cyclic[f"{name}_cos"], np.cos(2 * np.pi * place), atol=1e-6)
    month = ks.data.calendar_features(pd.DatetimeIndex(["2024-04-30"]), "ME", "linear")
    np.testing.assert_allclose(month, [[3 / 12 - 0.5]])


def test_a_time_zone_counts_in_local_time():
    utc = pd.date_range("2024-07-01", periods=3, freq="h", tz="UTC")
    local = ks.data.calendar_features(utc.tz_convert("Europe/Berlin"), encoding="linear")
    np.testing.assert_allclose(local["hour"], np.array([2, 3, 4]) / 24 - 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("index", "wrong", "message"),
    [
        ([1, 2], {}, "`index` must hold time stamps"),
        (["no date"], {}, "`index` must hold time stamps"),
        (["2024-01-01"], {}, "`freq` is needed for 1 stamp"),
        (["2024-01-01"], {"freq": "fortnight"}, "`freq` must be a frequency of pandas such as 'h', got 'fortnight'"),
        (["2024-01-01"], {"encoding": "one_hot"}, "`encoding` must be one of 'cyclic', 'linear', got 'one_hot'"),
    ],
)
def test_bad_arguments(index, wrong, message):
    with pytest.raises(InputError, match=message):
        ks.data.calendar_features(index, **wrong)

"""Frames and arguments that pictures of forecasts cannot be drawn from."""

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.diagnostics.forecast_frames import HOURS, STEPS, backtest_of, history_of

pytest.importorskip("matplotlib")
plot_forecast, plot_backtest = ks.diagnostics.plot_forecast, ks.diagnostics.plot_backtest
plot_error_by_horizon = ks.diagnostics.plot_error_by_horizon


def without(*names):
    return lambda frame: frame.drop(columns=list(names))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda frame: frame[:0], r"`forecast` has no rows"),
        (lambda frame: frame.to_numpy(), r"`forecast` must be a pandas frame, got ndarray"),
        (lambda frame: frame[["ds"]], r"`forecast` must have columns of forecasts.*got 'ds'"),
        (lambda frame: frame.assign(cutoff=HOURS[0]), r"`forecast` has a column 'cutoff'.*plot_backtest"),
        (lambda frame: frame.assign(a="a", b="b"), r"`forecast` has columns that could be time or id: 'a', 'b'.*`id=`"),
        (
            lambda frame: frame.rename(columns=lambda name: name.replace("y", "z")),
            r"`history` has no column 'z': the columns are 'ds', 'y'",
        ),
        (lambda frame: pd.concat([frame, frame]), r"stamp 2024-01-31T07.* does not come after.*`id=`"),
        (lambda frame: frame.assign(ds=range(STEPS)), r"`history` and `forecast` must both have dates"),
    ],
)
def test_frames_that_are_no_forecast(rng, forecast, change, match):
    with pytest.raises(InputError, match=match):
        plot_forecast(history_of(rng), change(forecast))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda frame: frame[:0], r"`history` has no rows"),
        (lambda frame: None, r"`history` must be a pandas frame, got NoneType"),
        (without("y"), r"`history` has no column 'y'"),
        (lambda frame: frame.assign(unique_id=frame["ds"].dt.day), r"`history` has 2 series.*'unique_id'"),
    ],
)
def test_frames_that_are_no_history(rng, forecast, change, match):
    with pytest.raises(InputError, match=match):
        plot_forecast(change(history_of(rng)), forecast)


def test_a_series_without_history(rng, forecast):
    with pytest.raises(InputError, match=r"`history` has no series 'b' \(1 such.*'unique_id'"):
        plot_forecast(history_of(rng, unique_id="a"), forecast.assign(unique_id="b"))


@pytest.mark.parametrize("plot", [plot_backtest, plot_error_by_horizon])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (without("cutoff"), r"`backtest` has no column 'cutoff'.*Forecaster.backtest"),
        (without("y-true"), r"`backtest` has no column 'y-true'"),
        (lambda frame: frame[:0], r"`backtest` has no rows"),
        (lambda frame: frame[::-1], r"does not come after"),
    ],
)
def test_frames_that_are_no_backtest(rng, plot, change, match):
    with pytest.raises(InputError, match=match):
        plot(change(backtest_of(rng, [3, 9])))


def test_errors_of_forecasts_of_other_lengths_and_without_truth(rng):
    backtest = backtest_of(rng, [3, 9])
    with pytest.raises(InputError, match=r"of one length, got 4 to 5 rows"):
        plot_error_by_horizon(backtest.drop(index=2))
    with pytest.raises(InputError, match="no truth of 'y'"):
        plot_error_by_horizon(backtest.assign(**{"y-true": np.nan}))


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ({"panels": 0}, "`panels`.*positive integer, got 0"),
        ({"steps": -1}, "`steps`"),
        ({"time": "t"}, "no column 't'"),
    ],
)
def test_arguments_that_cannot_be(rng, forecast, argument, match):
    with pytest.raises(ValueError, match=match):
        plot_forecast(history_of(rng), forecast, **argument)


def test_other_metrics_are_refused(rng):
    with pytest.raises(InputError, match=r"`metric` must be 'mae' or 'mse', got 'rmse'"):
        plot_error_by_horizon(backtest_of(rng, [3]), "rmse")

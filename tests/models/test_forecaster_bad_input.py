"""Forecasters: frames and arguments that cannot be, and some that are odd."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.models.forecasters import F, T, fitted, forecaster_of, future_of, wide
from tests.windows import COLUMNS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 0}, "`level` must be different numbers between 0 and 100.*got 0"),
        ({"level": [80, 80]}, "`level` must be different"),
        ({"lookback": 0}, "`lookback` must be a positive integer"),
        ({"unit": 3}, "Unknown argument `unit`"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.models.Forecaster(**{"lookback": T, "horizon": F, **arguments})


def test_levels_that_are_no_quantiles_are_told_before_the_training(rng):
    with pytest.raises(ValueError, match=r"`level` has 90, whose ends 0.05 and 0.95 are not among the quantiles"):
        forecaster_of(target="load", outputs=[0.1, 0.5, 0.9]).prepare(wide(rng))


def test_what_cannot_be_forecast(long, of_long):
    future = future_of(long)
    for given, message in [
        ({"frame": long, "future": future, "horizon": 4}, "`horizon` must be at most 3.*got 4"),
        ({"frame": long, "future": future[1:]}, r"Series 'a': the covariate 'price' is missing at .* step 1 of"),
        ({"frame": long}, r"Series 'a': the covariate 'price' is missing"),
        ({"frame": long.drop(columns="price"), "future": future}, r"'price' is missing at .*, 5 step\(s\) before"),
        ({"frame": long[:3], "future": future[:3]}, r"Series 'a' has 3 steps before .*look-back needs 5"),
        ({"frame": long.assign(unique_id="z"), "future": None}, "twice|comes after"),
        ({"frame": long[:61].assign(unique_id="z"), "future": future[:3].assign(unique_id="z")}, "'z' is unknown"),
        ({"frame": long.assign(u=np.nan, v=np.nan), "future": future}, "has no value"),
        ({"frame": long.assign(u=np.inf), "future": future}, "infinite"),
        ({"frame": 3, "future": future}, "`frame` must be a pandas frame, got int"),
        ({"frame": long, "future": future.drop(columns="price")}, "'price'"),
    ]:
        with pytest.raises(InputError, match=message):
            of_long.predict(**given)
    with pytest.raises(InputError, match="look-back needs 5"):
        of_long.backtest(long, windows=30)
    with pytest.raises(InputError, match="`epochs` is for `refit=True`"):
        of_long.backtest(long, epochs=3)


def test_frames_that_cannot_be_trained_on(long, rng):
    make = forecaster_of(**COLUMNS)
    for given, message in [
        ({"frame": np.ones(5)}, "`frame` must be a pandas frame"),
        ({"frame": long.assign(price=long["price"].where(long.index != 70))}, "Series 'b': the covariate 'price'"),
        ({"frame": long.assign(unique_id=long["unique_id"].map({"a": 1.5, "b": 1.7, "c": 2.0}))}, "ids that are all"),
        ({"frame": long, "validation": 48}, "`validation` must be .* got 48: say -48"),
        ({"frame": long.drop(columns="unique_id")}, "twice|`id=`"),
    ]:
        with pytest.raises(InputError, match=message):
            make.prepare(**given)
    holes = long.assign(u=long["u"].where(long.index < 50))
    with pytest.raises(InputError, match="No value of 'u' is known in the validation part"):
        forecaster_of(**COLUMNS).fit(holes[:61], validation=0.1, epochs=1, verbose=0)


def test_the_future_is_not_read_beyond_what_is_known_of_it(long, of_long):
    """Targets and covariates of the past that stand there do not move the forecast; rows may hold whole numbers."""
    future = future_of(long)
    expected = of_long.predict(long, future=future)
    pd.testing.assert_frame_equal(of_long.predict(long, future=future.assign(u=5.0, visitors=7)), expected)


def test_rows_to_come_are_no_part_of_the_validation(rng):
    """The rows after the last known target are cut off first."""
    frame = wide(rng)
    longer = pd.concat([frame, wide(rng, 90)[80:].assign(load=np.nan)])
    train, validation = forecaster_of(target="load", calendar=None).prepare(longer, -20)
    assert train.batches.panel.lengths.tolist() == [80]
    assert validation.batches.windows == 20 - F + 1


def test_the_best_epoch_is_kept_and_patience_ends_it(rng):
    """With a rate at which it gets worse: the weights are not those of the last epoch."""
    frame = pd.DataFrame({"ds": range(200), "y": np.sin(np.arange(200) / 3)})
    keras.utils.set_random_seed(1)
    forecaster = forecaster_of(learning_rate=1.0, clipnorm=None, dropout=0.0)
    _, validation = forecaster.prepare(frame)
    forecaster.fit(frame, epochs=12, patience=3, verbose=0)
    losses = forecaster.model.history.history["val_loss"]
    assert losses[-1] > min(losses)
    assert len(losses) == min(12, int(np.argmin(losses)) + 4)
    assert forecaster.model.evaluate(validation, verbose=0)[0] == pytest.approx(min(losses), rel=1e-4)


def test_missing_values_where_the_training_had_none(rng):
    frame = wide(rng)
    forecaster = fitted(frame, target="load", calendar=None)
    holes = frame.copy()
    holes.iloc[-3, 0] = np.nan
    with pytest.raises(InputError, match=r"'load' is missing at .*: fill them in.*`missing=True`"):
        forecaster.predict(holes)
    found = fitted(frame, target="load", calendar=None, missing=True).predict(holes)
    assert np.isfinite(found.to_numpy()).all()


def test_before_the_training(rng, tmp_path):
    for call in (
        lambda f: f.predict(wide(rng)),
        lambda f: f.backtest(wide(rng)),
        lambda f: f.save(tmp_path / "x"),
        lambda f: f.export(tmp_path / "x"),
    ):
        with pytest.raises(InputError, match="no model yet: call `fit"):
            call(forecaster_of())


def test_constant_series_have_forecasts(rng):
    """Their scale is 1."""
    frame = pd.DataFrame({"ds": range(80), "y": 7.0})
    found = fitted(frame).predict(frame)
    assert np.isfinite(found.to_numpy()).all()
    assert np.abs(found["y"] - 7).max() < 3


def test_time_may_be_months_or_integers(rng):
    for freq in ("MS", "W", "B"):
        frame = wide(rng, freq=freq)
        found = fitted(frame, target="load").predict(frame)
        assert (found.index == pd.date_range(frame.index[-1], periods=F + 1, freq=freq)[1:]).all()
    frame = pd.DataFrame({"ds": np.arange(0, 240, 3), "y": rng.normal(size=80)})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert list(fitted(frame).predict(frame)["ds"]) == [240, 243, 246]

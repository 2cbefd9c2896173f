"""Forecaster: what it says of frames, against windows by hand; leaks; intervals."""

import keras
import numpy as np
import pandas as pd
import pytest

from tests.models.forecasters import F, T, fitted, forecaster_of, future_of, wide

# What it says.

ENDS = ["", "-lo-80", "-hi-80", "-lo-90", "-hi-90"]


@pytest.mark.parametrize("scale", ["series", "window", None])
def test_forecasts_are_the_models_of_the_last_windows(scale, rng):
    """By hand: the last T rows, scaled, through the model, and back; the frame's index goes on."""
    frame = wide(rng)
    forecaster = fitted(frame, target=["load", "wind"], past="sun", scale=scale, calendar=None)
    found = forecaster.predict(frame)
    last = frame.to_numpy()[-T:]
    if scale == "series":  # of the training part: the rows before the last three tenths
        mean, size = frame.to_numpy()[:56].mean(0), frame.to_numpy()[:56].std(0)
    elif scale == "window":
        mean, size = last.mean(0), last.std(0)
    else:
        mean, size = np.zeros(3), np.ones(3)
    z = ((last - mean) / size).astype("float32")[None]
    y = forecaster.model.predict({"past": z[..., :2], "past_covariates": z[..., 2:]}, verbose=0)[0]
    np.testing.assert_allclose(found[["load", "wind"]], y * size[:2] + mean[:2], rtol=1e-3, atol=1e-3)
    expected = pd.date_range(frame.index[-1], periods=F + 1, freq="h")[1:]
    assert (found.index == expected).all()
    assert found.index.name == "when"
    assert list(found.columns) == [f"{name}{end}" for name in ("load", "wind") for end in ENDS]
    shorter = forecaster.predict(frame, horizon=2)
    pd.testing.assert_frame_equal(shorter, found[:2], check_freq=False)


def test_series_of_a_long_frame_follow_from_themselves_alone(long, of_long):
    future = future_of(long)
    found = of_long.predict(long, future=future)
    assert list(found["unique_id"]) == [name for name in "abc" for _ in range(F)]
    pd.testing.assert_series_equal(found["ds"], future["ds"], check_dtype=False)
    for name in "abc":
        alone = of_long.predict(long[long["unique_id"] == name], future=future[future["unique_id"] == name])
        same = found[found["unique_id"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, same, atol=1e-4, check_dtype=False)
    mixed = long.sample(frac=1, random_state=0).sort_values("ds", kind="stable")
    again = of_long.predict(mixed, future=future).sort_values(["unique_id", "ds"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, found, atol=1e-4)


def test_what_is_known_in_advance_may_stand_in_the_frame(long, of_long):
    """In rows with empty targets at its end. What it says there matters."""
    future = future_of(long)
    joined = pd.concat([long, future], ignore_index=True)
    found = of_long.predict(long, future=future)
    pd.testing.assert_frame_equal(of_long.predict(joined), found)
    other = of_long.predict(long, future=future.assign(price=future["price"] + 2))
    assert np.abs(other["u"] - found["u"]).min() > 1e-5


def test_forecasts_begin_after_the_last_known_value(rng):
    frame = wide(rng)
    forecaster = fitted(frame, target="load", calendar=None)
    holes = frame.copy()
    holes.iloc[-4:, 0] = np.nan
    found = forecaster.predict(holes)
    pd.testing.assert_frame_equal(found, forecaster.predict(frame[:-4]), check_freq=False)
    assert found.index[0] == frame.index[-4]


def test_backtest_is_predict_at_some_times_of_the_past(long, of_long):
    found = of_long.backtest(long, windows=4, step=2)
    assert len(found) == 3 * 4 * F
    for (name, cutoff), one in found.groupby(["unique_id", "cutoff"]):
        frame = long[long["unique_id"] == name]
        seen = frame[frame["ds"] <= cutoff]
        later = frame[frame["ds"] > cutoff][:F]
        made = of_long.predict(seen, future=later[["unique_id", "ds", "price"]])
        columns = [c for c in made if c not in ("unique_id", "ds")]
        if seen[["u", "v"]].iloc[-1].notna().any():
            np.testing.assert_allclose(one[columns], made[columns], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(one[["u-true", "v-true"]], later[["u", "v"]], rtol=1e-4, atol=1e-4)
        assert list(one["ds"]) == list(later["ds"])
    ends = found.groupby("unique_id")["ds"].max()
    assert (ends == long.groupby("unique_id")["ds"].max()).all()


def test_backtest_that_trains_anew_knows_only_what_came_before(rng):
    """Each of its forecasts is that of a forecaster that was trained on the frame up to the cutoff."""
    frame = wide(rng, 70)
    forecaster = fitted(frame, target="load", calendar=None)
    keras.utils.set_random_seed(2)
    found = forecaster.backtest(frame, windows=2, step=4, refit=True, validation=-4, epochs=1, verbose=0)
    keras.utils.set_random_seed(2)
    for cutoff, one in found.groupby("cutoff"):
        again = forecaster_of(target="load", calendar=None)
        again.fit(frame[frame.index <= cutoff], validation=-4, epochs=1, verbose=0)
        np.testing.assert_allclose(one["load"], again.predict(frame[frame.index <= cutoff])["load"], rtol=1e-4)


# What it must not know.


@pytest.mark.parametrize("scale", ["series", "window"])
def test_the_validation_part_moves_no_weight(scale, rng):
    """Only when to stop, and how wide the intervals are; the training part has no row of it in its targets."""
    frame = wide(rng)
    other = frame.copy()
    other.iloc[56:] += 100.0
    one, two = (fitted(f, target="load", scale=scale, calendar=None) for f in (frame, other))
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one._constants[80] - two._constants[80]).max() > 0.1
    train, validation = forecaster_of(target="load", calendar=None).prepare(frame, 0.3)
    rows = train.batches.origins(np.arange(train.batches.windows))[1]
    assert rows.max() + F == 56
    assert validation.batches.origins(np.arange(validation.batches.windows))[1].min() == 56


# Intervals.


def test_intervals_cover_what_they_say_of_windows_like_those(rng):
    """On noise, where windows are alike: 80 of 100, within three deviations of so many draws."""
    frame = pd.DataFrame({"ds": range(3000), "y": rng.normal(size=3000)})
    for outputs in ("mae", "quantiles", "gaussian"):
        forecaster = fitted(frame[:2000], outputs=outputs, level=[50, 80])
        found = forecaster.backtest(frame, windows=1000 // F)
        for level in (50, 80):
            inside = found["y-true"].between(found[f"y-lo-{level}"], found[f"y-hi-{level}"]).mean()
            assert inside == pytest.approx(level / 100, abs=0.06)
        assert (found["y-lo-80"] <= found["y-lo-50"]).mean() > 0.99
        assert ((found["y-lo-50"] <= found["y"]) & (found["y"] <= found["y-hi-50"])).all()


def test_constants_are_order_statistics(rng):
    """By the definition, step by step; of too few windows the largest of all steps; missing ones do not count."""
    from keras_seq.models.intervals import calibrated
    from keras_seq.models.outputs import output_of

    y, p = rng.normal(size=(2, 97, F, 2))
    y[rng.random(y.shape) < 0.1] = np.nan
    found, windows = calibrated(output_of("mse"), p, y, 80)
    assert windows == (~np.isnan(y)).sum(0).min()
    for f in range(F):
        scores = np.sort(np.abs(y - p)[:, f, 1][~np.isnan(y[:, f, 1])])
        assert found[f, 1] == scores[int(np.ceil((len(scores) + 1) * 0.8)) - 1]
    few, _ = calibrated(output_of("gaussian"), np.stack([p, p**2 + 1], -1)[:3], y[:3], 80)
    scores = (np.abs(y - p) / (p**2 + 1))[:3, :, 0]
    np.testing.assert_allclose(few[:, 0], np.nanmax(scores))


def test_too_few_windows_are_told(rng):
    with pytest.warns(UserWarning, match=r"Intervals of 90 % need 9 validation windows.*there are 5"):
        fitted(wide(rng), target="load", validation=-F - 4)

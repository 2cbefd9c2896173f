"""Baselines: against their definitions, with holes, and M4 Hourly's published figures."""

import csv
import gzip

import numpy as np
import pytest

import keras_seq as ks

b = ks.models.baselines
NAN = np.nan
EVERY = {
    "naive": b.naive,
    "drift": b.drift,
    "seasonal_naive": lambda x, f: b.seasonal_naive(x, f, 3),
    "naive2": lambda x, f: b.naive2(x, f, 3),
}
every = pytest.mark.parametrize("forecast", EVERY.values(), ids=EVERY)


def seasonal(rng, length=60, season=4, noise=0.02):
    """A positive series with a trend and indices; `(x, indices)`."""
    indices = rng.uniform(0.5, 1.5, season)
    indices /= indices.mean()
    t = np.arange(length)
    return (10 + 0.1 * t) * indices[t % season] * np.exp(noise * rng.normal(size=length)), indices


def test_by_hand():
    x = [4.0, 1.0, 7.0, 5.0, 2.0, 9.0, 6.0]
    assert b.naive(x, 3).tolist() == [6, 6, 6]
    assert b.drift(x, 3) == pytest.approx([6 + 2 / 6, 6 + 4 / 6, 7])
    assert b.seasonal_naive(x, 5, 3).tolist() == [2, 9, 6, 2, 9]
    assert b.seasonal_naive(x, 2, 7).tolist() == [4, 1]
    assert b.seasonal_naive(x, 3, 1).tolist() == b.naive(x, 3).tolist()


def test_holes_by_hand():
    x = [4.0, 1.0, 7.0, 5.0, NAN, 9.0, NAN]
    assert b.naive(x, 2).tolist() == [9, 9]
    assert b.drift(x, 2).tolist() == [11, 12]  # 9 at the sixth of seven steps, and one more for each step
    assert b.seasonal_naive(x, 3, 3).tolist() == [1, 9, 5]
    np.testing.assert_equal(b.seasonal_naive([1.0, NAN, NAN, NAN], 3, 2), [1, NAN, 1])
    assert b.drift([NAN, 3.0, NAN], 2).tolist() == [3, 3]


@every
def test_rows_are_forecast_by_themselves(forecast, rng):
    x = rng.uniform(1, 2, (5, 20))
    x[2, 15:] = NAN
    together = forecast(x, 7)
    assert together.shape == (5, 7)
    assert together.dtype == np.float64
    for row in range(5):
        np.testing.assert_array_equal(together[row], forecast(x[row], 7))
    assert forecast(x[:0], 7).shape == (0, 7)
    np.testing.assert_array_equal(forecast((100 * x[:2]).astype(int), 2), forecast((100 * x[:2]) // 1, 2))


@every
def test_nothing_known(forecast):
    assert np.isnan(forecast(np.full(11, NAN), 3)).all()


@pytest.mark.parametrize("season", [3, 4])
def test_the_indices_are_those_of_a_classical_decomposition(season, rng):
    """Spelt out for each step; and close to those that the series was made with."""
    x, made_with = seasonal(rng, 62, season)
    ratios = [[] for _ in range(season)]
    half = season // 2
    for t in range(half, len(x) - half):
        around = x[t - half : t + half + 1].copy()
        if season % 2 == 0:
            around[[0, -1]] /= 2
        ratios[t % season].append(x[t] / (around.sum() / season))
    expected = np.array([np.mean(r) for r in ratios])
    found = b.seasonal_indices(x, season)
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-12)
    np.testing.assert_allclose(found, made_with, atol=0.03)


def test_the_test_for_a_season(rng):
    x, _ = seasonal(rng, 60, 4)
    assert b.is_seasonal(x, 4)
    n, deviation = len(x), x - x.mean()
    r = [sum(deviation[t] * deviation[t - k] for t in range(k, n)) / sum(deviation**2) for k in range(5)]
    for season in (2, 3, 4):
        limit = 1.645 * np.sqrt((1 + 2 * sum(r[j] ** 2 for j in range(1, season))) / n)
        assert b.is_seasonal(x, season) == (abs(r[season]) > limit)
    noise = rng.normal(size=(400, 60))
    share = np.mean([b.is_seasonal(row, 4) for row in noise])
    assert 0.04 < share < 0.16  # of noise about a tenth passes a test of 90 %
    assert not b.is_seasonal(x[:11], 4)  # fewer than three seasons
    assert not b.is_seasonal(np.ones(60), 4)
    assert not b.is_seasonal(x, 1)


def test_naive2_is_the_naive_forecast_of_the_adjusted_history(rng):
    x, _ = seasonal(rng, 62, 4)
    index = b.seasonal_indices(x, 4)
    expected = x[61] / index[61 % 4] * index[[2, 3, 0, 1, 2]]
    np.testing.assert_allclose(b.naive2(x, 5, 4), expected, rtol=1e-12)
    np.testing.assert_allclose(b.naive2(1000 * x, 5, 4), 1000 * expected, rtol=1e-12)


def test_naive2_without_a_season_is_naive(rng):
    x, _ = seasonal(rng, 60, 4)
    noise = 5 + np.random.default_rng(3).normal(size=60)
    assert not b.is_seasonal(noise, 4)
    for history, season in [(noise, 4), (x, 1), (x[:11], 4), (np.full(60, 3.0), 4), (x - x.min(), 4), (-x, 4)]:
        np.testing.assert_array_equal(b.naive2(history, 5, season), b.naive(history, 5))


def test_naive2_with_holes_is_close_to_that_without(rng):
    x, _ = seasonal(rng, 120, 4)
    holes = x.copy()
    holes[rng.choice(119, 10, replace=False)] = NAN
    assert b.is_seasonal(holes, 4)
    np.testing.assert_allclose(b.naive2(holes, 8, 4), b.naive2(x, 8, 4), rtol=0.03)
    before = np.r_[np.full(8, NAN), x]  # as in a batch of series of unequal length
    np.testing.assert_allclose(b.naive2(before, 8, 4), b.naive2(x, 8, 4), rtol=1e-12)
    phase = x.copy()
    phase[3::4] = NAN  # nothing is known of one phase
    np.testing.assert_array_equal(b.naive2(phase, 8, 4), b.naive(phase, 8))


@every
def test_bad_input_is_named(forecast):
    for wrong in (np.ones((2, 3, 4)), np.ones(0), 3.0):
        with pytest.raises(ValueError, match="`history`"):
            forecast(wrong, 3)
    for horizon in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"`horizon` must be a positive integer, got {horizon}"):
            forecast(np.ones(10), horizon)


def test_a_season_longer_than_the_history_is_named():
    with pytest.raises(ValueError, match=r"`history` must be at least one season \(5 steps\) long, got 4"):
        b.seasonal_naive(np.ones((2, 4)), 3, 5)
    for forecast in (b.seasonal_naive, b.naive2):
        with pytest.raises(ValueError, match="`season` must be a positive integer, got 0"):
            forecast(np.ones(10), 3, 0)


def hourly(folder, part):
    with gzip.open(folder / "m4" / f"Hourly-{part}.csv.gz", "rt") as file:
        rows = list(csv.reader(file))[1:]
    return [np.array([float(value) for value in row[1:] if value]) for row in rows]


@pytest.mark.data
def test_the_published_figures_of_m4_hourly(data_dir):
    history, y = hourly(data_dir, "train"), np.array(hourly(data_dir, "test"))
    assert y.shape == (414, 48)
    forecasts = {
        "seasonal": np.array([b.seasonal_naive(x, 48, 24) for x in history]),
        "naive2": np.array([b.naive2(x, 48, 24) for x in history]),
    }
    published = {"seasonal": (13.912, 1.193), "naive2": (18.383, 2.395)}
    for name, (smape, mase) in published.items():
        assert ks.metrics.smape(y, forecasts[name]) == pytest.approx(smape, abs=5e-4)
        assert ks.metrics.mase(y, forecasts[name], history, 24) == pytest.approx(mase, abs=5e-4)
    found = ks.metrics.owa(y, forecasts["seasonal"], forecasts["naive2"], history, 24)
    assert found == pytest.approx(0.6275, abs=5e-4)

"""Series that are short, constant or missing, and the scale of those that are not."""

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.windows import COLUMNS, F, T, gathered, long_frame


def test_short_series_are_left_out(rng):
    frame = long_frame(rng, [20, T + F - 1, T + F, 1])
    with pytest.warns(UserWarning, match="2 of 4 series are too short .* such as 'b'"):
        dataset = ks.data.window_dataset(frame, T, F, freq="h", **COLUMNS)
    assert dataset.batches.left_out == ["b", "d"]
    assert dataset.batches.windows == 13 + 1
    with pytest.raises(InputError, match=r"need 21 rows, the last 3 .* longest has 20 rows before `end`, 20 of them"):
        ks.data.window_dataset(frame, 18, F, freq="h", **COLUMNS)
    with pytest.raises(InputError, match="20 rows before `end`, 2 of them"):
        ks.data.window_dataset(frame, T, F, start=18, freq="h", **COLUMNS)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e7])
@pytest.mark.parametrize("scale", ["series", "window"])
def test_constant_series_and_windows(value, scale, rng):
    y = np.full(20, value)
    dataset = ks.data.window_dataset(pd.DataFrame({"y": y}), T, F, scale=scale, shuffle=False)
    inputs, targets, _ = gathered(dataset)
    assert dataset.batches.scaler.scale.tolist() == [[1.0], [1.0]]
    np.testing.assert_allclose(inputs["past"], 0, atol=1e-6)
    np.testing.assert_allclose(dataset.batches.scaler.inverse(targets, inputs), value, rtol=1e-6)
    y[12:] = value + 3 * abs(value) + 5  # the first windows are constant: their scale is that of the series
    dataset = ks.data.window_dataset(pd.DataFrame({"y": y}), T, F, scale="window", shuffle=False)
    inputs, targets, _ = gathered(dataset)
    np.testing.assert_allclose(inputs["scale"][0], y.std(), rtol=1e-5)
    np.testing.assert_allclose(dataset.batches.scaler.inverse(targets, inputs)[:, -1, 0], y[T + F - 1 :], rtol=1e-5)


@pytest.mark.parametrize("scale", [None, "series", "window"])
def test_missing_values_are_zero_after_scaling_and_marked(scale):
    frame = pd.DataFrame({"u": np.arange(30.0) + 50, "v": np.nan})
    frame.loc[10:20, "u"] = np.nan
    frame.loc[25:, "v"] = 7.0
    inputs, targets, weights = gathered(ks.data.window_dataset(frame, T, F, scale=scale, shuffle=False))
    for values, there in ((inputs["past"], inputs["past_mask"]), (targets, weights)):
        assert np.isfinite(values).all()
        assert set(np.unique(there)) == {0.0, 1.0}
        assert not values[there == 0].any()
    assert weights.sum() == 3 * len(weights) - 33 + (3 + 3 + 3 + 2 + 1)
    if scale == "window":
        empty = inputs["past_mask"][..., 0].sum(axis=1) == 0
        assert empty.sum() == 7
        np.testing.assert_allclose(inputs["mean"][empty][:, 0], np.nanmean(frame["u"]), rtol=1e-5)


def test_series_without_values_in_the_training_part_are_scaled_as_all_together(rng):
    frame = long_frame(rng, [20, 20], begins=[0, 15])
    train = ks.data.window_dataset(frame, T, F, end="2024-01-01 12:00", scale="series", **COLUMNS)
    assert train.batches.left_out == ["b"]
    scaler = train.batches.scaler
    np.testing.assert_allclose(scaler.mean[1], scaler.mean[0], rtol=1e-6)
    np.testing.assert_allclose(scaler.scale[2], scaler.scale[0], rtol=1e-6)


def test_a_scaler_keeps_the_numbers_of_its_series(rng):
    frame = long_frame(rng, [20, 20, 20])
    train = ks.data.window_dataset(frame, T, F, scale="series", **COLUMNS)
    part = frame[frame["unique_id"] != "a"]
    inputs, _, _ = gathered(ks.data.window_dataset(part, T, F, scale=train.batches.scaler, **COLUMNS))
    assert set(inputs["series"]) == {1, 2}
    unknown = frame.assign(unique_id=frame["unique_id"].replace("b", "new"))
    with pytest.raises(InputError, match=r"Series 'new' is unknown \(1 such series\)"):
        ks.data.window_dataset(unknown, T, F, scale=train.batches.scaler, **COLUMNS)
    window = ks.data.window_dataset(frame, T, F, scale="window", **COLUMNS).batches.scaler
    inputs, _, _ = gathered(ks.data.window_dataset(unknown, T, F, scale=window, **COLUMNS))
    assert set(inputs["series"]) == {0, 2, 3}
    with pytest.raises(InputError, match="this one has none"):
        window.codes(ks.data.read_series(frame[:20].drop(columns="unique_id"), **COLUMNS))
    with pytest.raises(InputError, match="`inputs` must hold 'series'"):
        train.batches.scaler.inverse(np.zeros((2, F, 2)))

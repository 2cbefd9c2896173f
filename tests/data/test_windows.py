"""Windows: each in its place, and each once an epoch."""

import tracemalloc

import keras
import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.data.scaling import Scaler
from keras_seq.errors import InputError
from tests.windows import COLUMNS, F, T, gathered, long_frame


def by_hand(frame, spans, stride=1, scale=None, calendar=True):
    """The windows of a long frame one by one, series after series: inputs, targets, weights.

    Args:
        spans: for each series the rows in which the targets lie, begin and end.
    """
    windows = []
    for code, (_, rows) in enumerate(frame.groupby("unique_id")):
        low, high = spans[code]
        values = rows[["u", "v", "visitors", "price"]].to_numpy("float64")
        mean, std = np.zeros(4), np.ones(4)
        if scale is not None:
            mean, std = np.nanmean(values[:high], axis=0), np.nanstd(values[:high], axis=0)
        features = ks.data.calendar_features(pd.DatetimeIndex(rows["ds"]), "h").to_numpy()
        for origin in range(max(low, T), high - F + 1, stride):
            m, s = mean.copy(), std.copy()
            if scale == "window":
                m[:3] = np.nanmean(values[origin - T : origin, :3], axis=0)
                s[:3] = np.nanstd(values[origin - T : origin, :3], axis=0)
            scaled = (values - m) / s
            past, future = scaled[origin - T : origin], scaled[origin : origin + F]
            around = slice(origin - T, origin + F)
            inputs = {
                "past": np.nan_to_num(past[:, :2]),
                "past_mask": ~np.isnan(past[:, :2]),
                "past_covariates": np.nan_to_num(past[:, 2:3]),
                "known": np.concatenate([scaled[around, 3:], features[around]], axis=1),
                "series": code,
            }
            if scale == "window":
                inputs.update(mean=m[:2], scale=s[:2])
            windows.append((inputs, np.nan_to_num(future[:, :2]), ~np.isnan(future[:, :2])))
    return keras.tree.map_structure(lambda *x: np.stack(x), *windows)


def same(found, expected):
    assert set(found[0]) == set(expected[0])
    for name, value in expected[0].items():
        assert found[0][name].dtype == ("int32" if name == "series" else "float32")
        np.testing.assert_allclose(found[0][name], value, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(found[1], expected[1], atol=2e-5)
    if found[2] is not None:
        np.testing.assert_array_equal(found[2], expected[2])


# --- values


@pytest.mark.parametrize("scale", [None, "series", "window"])
@pytest.mark.parametrize("stride", [1, 3])
def test_windows_are_those_of_a_loop(scale, stride, rng):
    frame = long_frame(rng, [19, 11, 23], missing=0.1, begins=[0, 2, 5])
    how = {**COLUMNS, "calendar": "cyclic", "stride": stride, "batch_size": 7, "shuffle": False}
    train = ks.data.window_dataset(frame, T, F, end=-2, scale=scale, **how)
    spans = [(0, 17), (0, 9), (0, 21)]
    found = gathered(train)
    same(found, by_hand(frame, spans, stride, scale))
    if scale is not None:  # and back
        lost = found[2] == 0
        raw = by_hand(frame, spans, stride)[1]
        np.testing.assert_allclose(np.where(lost, 0, train.batches.scaler.inverse(found[1], found[0])), raw, atol=1e-4)
        quantiles = train.batches.scaler.inverse(np.repeat(found[1][..., None], 2, axis=-1), found[0])
        np.testing.assert_allclose(np.where(lost, 0, quantiles[..., 1]), raw, atol=1e-4)


def test_a_later_part_looks_back_over_the_border_and_has_the_scale_of_training(rng):
    frame = long_frame(rng, [19, 29])
    train = ks.data.window_dataset(frame, T, F, end=12, scale="series", **COLUMNS)
    test = ks.data.window_dataset(
        frame, T, F, start=12, scale=train.batches.scaler, shuffle=False, **COLUMNS, calendar="cyclic"
    )
    inputs, targets, weights = gathered(test)
    assert weights is None
    assert "past_mask" not in inputs
    assert len(targets) == (7 - F + 1) + (17 - F + 1)
    b = frame[frame["unique_id"] == "b"][["u", "v"]].to_numpy()
    scaled = (b - b[:12].mean(axis=0)) / b[:12].std(axis=0)
    first = 7 - F + 1  # window of series b
    np.testing.assert_allclose(targets[first], scaled[12 : 12 + F], atol=1e-5)
    np.testing.assert_allclose(inputs["past"][first], scaled[12 - T : 12], atol=1e-5)
    assert inputs["series"].tolist() == [0] * 5 + [1] * 15


def test_only_what_exists_is_given():
    frame = pd.DataFrame({"y": np.arange(10.0)})
    inputs, targets = next(iter(ks.data.window_dataset(frame, T, F, shuffle=False)))
    assert list(inputs) == ["past"]
    assert inputs["past"][1].numpy().tolist() == [[1], [2], [3], [4], [5]]
    assert targets[1].numpy().tolist() == [[6], [7], [8]]
    asked = next(iter(ks.data.window_dataset(frame, T, F, mask=True)))
    assert np.asarray(asked[0]["past_mask"]).all()
    assert np.asarray(asked[2]).all()


def test_a_keras_model_trains_on_them(rng):
    frame = long_frame(rng, [40], missing=0.1)
    inputs = {name: keras.Input((T, 2), name=name) for name in ("past", "past_mask")}
    hidden = keras.layers.Concatenate()([*inputs.values()])
    outputs = keras.layers.Reshape((F, 2))(keras.layers.Dense(F * 2)(keras.layers.Flatten()(hidden)))
    model = keras.Model([*inputs.values()], outputs)  # a list: named inputs take theirs from the dict
    model.compile("adam", lambda y, p: keras.ops.abs(y - p))
    data = ks.data.window_dataset(frame, T, F, target=["u", "v"], scale="window")
    assert np.isfinite(model.fit(data, epochs=2, verbose=0).history["loss"]).all()
    assert model.predict(data, verbose=0).shape == (40 - T - F + 1, F, 2)


# --- epochs


def test_each_window_comes_once_an_epoch_in_an_order_that_can_be_resumed():
    frame = pd.DataFrame({"unique_id": np.repeat([3, 1, 2], 50), "ds": np.tile(np.arange(50), 3), "y": np.arange(150)})

    def epoch(dataset):
        return gathered(dataset)[1][:, 0, 0].astype(int).tolist()

    dataset = ks.data.window_dataset(frame, T, F, batch_size=16, seed=4)
    first, second = epoch(dataset), epoch(dataset)
    in_order = epoch(ks.data.window_dataset(frame, T, F, batch_size=16, shuffle=False))
    assert in_order == [50 * s + o for s in range(3) for o in range(T, 50 - F + 1)]
    assert sorted(first) == sorted(second) == in_order
    assert first != second
    again = ks.data.window_dataset(frame, T, F, batch_size=16, seed=4)
    again.batches.epoch = 1
    assert epoch(again) == second
    assert epoch(ks.data.window_dataset(frame, T, F, batch_size=16, seed=5)) != first
    assert [len(y) for _, y in again] == [16] * 8 + [1]
    assert again.batches.ids == [3, 1, 2]


def test_the_window_after_the_end_of_each_series(rng):
    """What a forecast reads: the last look-back, and the calendar of the time to come."""
    panel = ks.data.read_series(long_frame(rng, [20, 9]), target=["u", "v"], calendar="cyclic")
    future = ks.data.window_dataset(panel.extended(F), T, F, start=-F, shuffle=False, mask=True)
    (inputs, _, weights), *none = future
    assert not none
    assert not np.asarray(weights).any()
    for i in range(2):
        np.testing.assert_array_equal(inputs["past"][i], panel[i].targets[-T:])
        calendar = ks.data.calendar_features(panel.stamps(i, F), "h")[-T - F :]
        np.testing.assert_array_equal(inputs["known"][i], calendar)


# --- size, arguments


def test_memory_does_not_grow_with_the_windows():
    """A thousand series of a thousand points: all windows would take 300 MB."""
    n, length = 1000, 1000
    panel = ks.data.read_series(
        pd.DataFrame({"unique_id": np.repeat(np.arange(n), length), "ds": np.tile(np.arange(length), n), "y": 1.0})
    )
    tracemalloc.start()
    dataset = ks.data.window_dataset(panel, 48, 24, scale="series", batch_size=256)
    batches = iter(dataset.batches)
    for _ in range(20):
        next(batches)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert dataset.batches.windows == n * (length - 71)
    assert peak < 8 * dataset.batches.windows


BAD = [
    ({"lookback": 0}, "`lookback` must be a positive integer, got 0"),
    ({"horizon": 1.5}, "`horizon` must be a positive integer, got 1.5"),
    ({"stride": 0}, "`stride` must be a positive integer"),
    ({"batch_size": None}, "`batch_size` must be a positive integer"),
    ({"seed": -1}, "`seed` must be an integer, 0 or more"),
    ({"end": 1.5}, "`end` must be an integer, a float from 0 to 1, or a time stamp, got 1.5"),
    ({"start": True}, "`start` must be an integer"),
    ({"end": "soon"}, "`end` must hold time stamps .* got 'soon'"),
    ({"end": pd.Timestamp("2024-01-02", tz="UTC")}, "`end` has a time zone and the frame has none"),
    ({"scale": "minmax"}, "`scale` must be None, 'series', 'window' or a scaler, got 'minmax'"),
    ({"scale": "series", "start": 4}, r"`scale='series'` .*scale=train\.batches\.scaler"),
    ({"scale": "window", "start": 4}, r"`scale='window'` .*scale=train\.batches\.scaler"),
    ({"start": 30}, "No series has a window"),
    ({"target": "z"}, "no column 'z'"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=str)
def test_bad_arguments(wrong, message, rng):
    with pytest.raises(ValueError, match=message):
        ks.data.window_dataset(long_frame(rng, [25]), **{"lookback": T, "horizon": F, **COLUMNS, **wrong})


def test_bad_arguments_of_a_panel(rng):
    panel = ks.data.read_series(long_frame(rng, [25], missing=0.1), **COLUMNS)
    with pytest.raises(InputError, match="`freq` is for read_series"):
        ks.data.window_dataset(panel, T, F, freq="h")
    with pytest.raises(InputError, match="`mask` must not be False"):
        ks.data.window_dataset(panel, T, F, mask=False)
    integers = pd.DataFrame({"y": np.arange(20.0)})
    with pytest.raises(InputError, match="`end` must be an integer, a float from 0 to 1, got '2024'"):
        ks.data.window_dataset(integers, T, F, end="2024")
    other = Scaler.fit(ks.data.read_series(integers))
    with pytest.raises(InputError, match="fitted on 1 column"):
        ks.data.window_dataset(panel, T, F, scale=other)

"""Parts of the time: no window of one knows what is in a later one."""

import contextlib
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.errors import InputError
from tests.windows import COLUMNS, F, T, gathered, long_frame


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    begins=st.lists(st.integers(0, 30), min_size=4, max_size=4),
    lookback=st.integers(1, 6),
    horizon=st.integers(1, 4),
    stride=st.integers(1, 3),
    border=st.one_of(
        st.floats(0, 1), st.integers(-40, 60), st.datetimes(*pd.to_datetime(["2024-01-01", "2024-01-03"]))
    ),
)
@settings(max_examples=150, deadline=None)
def test_no_training_window_holds_a_stamp_of_a_later_part(lengths, begins, lookback, horizon, stride, border):
    """The values are the stamps themselves; a border by rows parts each series alone."""
    parts = [
        pd.DataFrame({"unique_id": i, "ds": pd.Timestamp("2024-01-01") + pd.to_timedelta(b + np.arange(n), "h"),
                      "y": b + np.arange(n)})
        for i, (n, b) in enumerate(zip(lengths, begins, strict=False))
    ]  # fmt: skip
    frame = pd.concat(parts).assign(x=lambda f: f["y"], z=lambda f: f["y"])
    panel = ks.data.read_series(frame, past="x", known="z", freq="h")

    def stamps(**part):
        batches = None  # where no series has a window
        with warnings.catch_warnings(), contextlib.suppress(InputError):
            warnings.simplefilter("ignore")
            batches = ks.data.window_dataset(panel, lookback, horizon, stride=stride, **part).batches
        if batches is None:
            return [], []
        inputs, targets = keras.tree.map_structure(lambda *x: np.concatenate(x), *batches)
        np.testing.assert_array_equal(inputs["past"], inputs["past_covariates"])
        np.testing.assert_array_equal(inputs["known"], np.concatenate([inputs["past"], targets], axis=1))
        np.testing.assert_array_equal(np.diff(inputs["known"][..., 0], axis=1), 1)  # all of one series, in order
        by_rows = isinstance(border, int)
        return [
            set(zip(np.repeat(inputs["series"], x[0].size) * by_rows, x.reshape(-1).astype(int).tolist(), strict=True))
            for x in (inputs["known"], targets)
        ]

    seen, _ = stamps(end=border)
    _, unseen = stamps(start=border)
    assert not set(seen) & set(unseen)
    if stride == 1 and isinstance(border, int) and border >= lookback:  # nothing is lost that fits
        for i, n in enumerate(lengths):
            if n >= border + horizon:
                assert {(i, begins[i] + row) for row in range(border, n)} <= set(unseen)


def test_borders_of_series_that_begin_at_different_times(rng):
    panel = ks.data.read_series(long_frame(rng, [20, 20], begins=[0, 10]), **COLUMNS)

    def ends(end):
        batches = ks.data.window_dataset(panel, T, F, end=end).batches
        return [batches.origins(batches.ends - 1)[1][i] + F for i in range(2)]

    assert ends(None) == [20, 20]
    assert ends(15) == [15, 15]  # rows of each
    assert ends(-4) == [16, 16]
    assert ends(0.6) == [18, 8]  # of the 30 hours from the first to the last
    for border in ("2024-01-01 18:00", pd.Timestamp("2024-01-01 17:01"), np.datetime64("2024-01-01T18")):
        assert ends(border) == [18, 8]
    monthly = pd.DataFrame({"y": np.arange(24.0)}, index=pd.date_range("2020-01-31", periods=24, freq="ME"))
    for border in (0.75, 18, "2021-07-31", "2021-07-01"):
        batches = ks.data.window_dataset(monthly, T, F, start=border, shuffle=False).batches
        assert batches.origins(0) == (0, 18)


@pytest.mark.data
@pytest.mark.parametrize("horizon", [96, 192, 336, 720])
def test_the_parts_of_ett(data_dir, horizon):
    panel = ks.data.read_series(ks.data.read_frame(data_dir / "ett" / "ETTh1.csv.gz"), time="date")
    assert panel.grid.freq == "h"
    assert not panel.gaps.any()
    train = ks.data.window_dataset(panel, 96, horizon, end=8640, scale="series", batch_size=256)
    scaler = train.batches.scaler
    later = {"scale": scaler, "shuffle": False, "batch_size": 32}
    valid = ks.data.window_dataset(panel, 96, horizon, start=8640, end=11520, **later)
    test = ks.data.window_dataset(panel, 96, horizon, start=11520, end=14400, **later)
    assert train.batches.windows == 8640 - 96 - horizon + 1
    assert valid.batches.windows == test.batches.windows == 2880 - horizon + 1
    values = pd.read_csv(data_dir / "ett" / "ETTh1.csv.gz").iloc[:8640, 1:]
    np.testing.assert_allclose(scaler.mean[0], values.mean(), rtol=1e-4)
    np.testing.assert_allclose(scaler.scale[0], values.std(ddof=0), rtol=1e-4)
    inputs, targets, _ = gathered(test)
    error = np.square(targets - inputs["past"][:, -1:])[: len(targets) // 32 * 32].mean()  # as published tables did
    assert abs(error - {96: 1.295, 192: 1.325, 336: 1.323, 720: 1.339}[horizon]) < 0.0006  # the last value, repeated

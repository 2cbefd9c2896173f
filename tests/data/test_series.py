"""Frames read into series: forms, frequencies, gaps, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.errors import InputError


def stamps(n, freq="h", start="2024-01-31"):
    return pd.date_range(start, periods=n, freq=freq)


def long_frame(lengths, freq="h", **columns):
    """Series a, b, … that begin a step after each other."""
    parts = [
        pd.DataFrame({"unique_id": chr(97 + i), "ds": stamps(n + i, freq)[i:], "y": 100.0 * i + np.arange(n)})
        for i, n in enumerate(lengths)
    ]
    return pd.concat(parts, ignore_index=True).assign(**columns)


# --- forms


def test_wide_frames_by_index_or_column_and_long_ones_are_the_same_series(rng):
    values = rng.normal(size=(11, 3))
    indexed = pd.DataFrame(values, columns=["u", "v", "w"], index=stamps(11))
    by_column = indexed.reset_index(names="when")
    long = by_column.assign(shop=7)
    panels = [
        ks.data.read_series(indexed),
        ks.data.read_series(by_column, time="when"),
        ks.data.read_series(by_column.assign(when=by_column["when"].astype(str)), time="when"),
        ks.data.read_series(long, target=["u", "v", "w"], time="when", id="shop"),
    ]
    for panel in panels:
        assert len(panel) == 1
        assert panel.columns["targets"] == ["u", "v", "w"]
        assert panel.targets.dtype == "float32"
        np.testing.assert_array_equal(panel[0].targets, values.astype("float32"))
        assert panel[0].stamps.tolist() == stamps(11).tolist()
        assert panel[0].past.shape == panel[0].known.shape == (11, 0)
        assert panel.grid.freq == "h"
    assert [panel.ids for panel in panels] == [None, None, None, [7]]


def test_series_of_unequal_length_whose_rows_alternate(rng):
    frame = long_frame([5, 2, 7], price=1.5, promotion=True)
    mixed = frame.sort_values(["ds", "unique_id"], kind="stable").reset_index(drop=True)
    one, other = (ks.data.read_series(f, past="price", known=["promotion"]) for f in (frame, mixed))
    assert one.ids == other.ids == ["a", "b", "c"]
    for i, n in enumerate([5, 2, 7]):
        for panel in (one, other):
            assert panel[i].id == panel.ids[i]
            np.testing.assert_array_equal(panel[i].targets[:, 0], 100 * i + np.arange(n))
            assert panel[i].stamps.tolist() == stamps(n + i)[i:].tolist()
            assert panel[i].past.tolist() == [[1.5]] * n
            assert panel[i].known.tolist() == [[1.0]] * n
    assert one[-1].id == "c"
    with pytest.raises(IndexError):
        one[3]


def test_default_columns():
    frame = long_frame([4]).assign(other=1.0)
    assert ks.data.read_series(frame).columns == {
        "time": "ds", "id": "unique_id", "targets": ["y"], "past": [], "known": []
    }  # fmt: skip
    wide = ks.data.read_series(pd.DataFrame({"u": [1, 2], "v": [3, 4]}), known="v")
    assert (wide.columns["time"], wide.columns["id"], wide.columns["targets"]) == (None, None, ["u"])


# --- frequencies


@pytest.mark.parametrize("freq", ["15min", "h", "D", "7D", "W-MON", "B", "MS", "ME", "QS-FEB", "QE", "YS", "YE-JUN"])
@pytest.mark.parametrize("given", [False, True])
def test_each_frequency_is_found_and_gaps_are_missing(freq, given):
    index = stamps(40, freq, "2020-01-01")
    frame = pd.DataFrame({"y": np.arange(40.0)}, index=index).drop(index[[7, 8, 21]])
    how = {"freq": freq} if given else {}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        panel = ks.data.read_series(frame, **how)
    assert panel[0].stamps.tolist() == index.tolist()
    assert panel.stamps(0, extra=3).tolist() == stamps(43, freq, "2020-01-01").tolist()
    assert np.flatnonzero(np.isnan(panel.targets)).tolist() == [7, 8, 21]
    assert panel.gaps.tolist() == [3]
    told = [str(w.message) for w in seen if issubclass(w.category, UserWarning)]
    assert len(told) == (not given)
    if not given:
        assert "2 gap(s), 3 rows" in told[0]
        assert f"The series after {index[6]}" in told[0]


def test_months_as_strings_periods_and_integers(data_dir):
    months = stamps(30, "MS", "1949-01-01")
    for index in (months.strftime("%Y-%m"), months.to_period("M")):
        panel = ks.data.read_series(pd.DataFrame({"time": index, "y": 1.0}), time="time")
        assert panel.grid.freq == "MS"
        assert panel[0].stamps.tolist() == months.tolist()
    panel = ks.data.read_series(pd.DataFrame({"y": [1, 2, 3]}, index=[10, 15, 20]))
    assert panel.grid.freq == 5
    assert panel.stamps(0, 1).tolist() == [10, 15, 20, 25]
    gap = ks.data.read_series(pd.DataFrame({"y": [1, 2, 3]}, index=[1, 2, 5]), freq=1)
    assert gap.gaps.tolist() == [2]


def test_a_time_zone_where_clocks_are_changed():
    for freq in ("h", "D"):
        index = pd.date_range("2024-03-28", periods=100, freq=freq, tz="Europe/Berlin")
        panel = ks.data.read_series(pd.DataFrame({"y": 1.0}, index=index))
        assert panel.grid.freq == freq
        assert not panel.gaps.any()
        assert panel[0].stamps.tolist() == index.tolist()


def test_the_panel_extended():
    panel = ks.data.read_series(long_frame([5, 3], "MS"), calendar="linear")
    longer = panel.extended(4)
    assert longer.lengths.tolist() == [9, 7]
    for i in range(2):
        n = panel.lengths[i]
        np.testing.assert_array_equal(longer[i].targets[:n], panel[i].targets)
        assert np.isnan(longer[i].targets[n:]).all()
        assert longer[i].stamps.tolist() == panel.stamps(i, 4).tolist()
    table, rows = longer.calendar_table()
    for i in range(2):
        own = ks.data.calendar_features(longer[i].stamps, "MS", "linear")
        np.testing.assert_array_equal(table[rows[i] : rows[i] + longer.lengths[i]], own)


def test_calendar_of_series_that_are_not_in_step():
    late = long_frame([5]).assign(unique_id="late")
    late["ds"] += pd.Timedelta("30min")
    panel = ks.data.read_series(pd.concat([long_frame([5, 7]), late]), calendar="cyclic")
    table, rows = panel.calendar_table()
    assert len(table) == 8 + 5  # series with the same stamps share them
    for i in range(3):
        own = ks.data.calendar_features(panel[i].stamps, "h")
        np.testing.assert_array_equal(table[rows[i] : rows[i] + panel.lengths[i]], own)


# --- bad input


def changed(column, row, value, frame=None):
    frame = long_frame([6, 5], x=1.0) if frame is None else frame
    frame = frame.astype({column: object}) if isinstance(value, str) else frame
    frame.loc[row, column] = value
    return frame


HOURS = stamps(9)
MIXED = pd.concat([long_frame([6]), long_frame([3], "3h").assign(unique_id="z")])
BAD = [
    ([1], {}, "`frame` must be a pandas frame, got list"),
    (long_frame([3])[:0], {}, "`frame` has no rows"),
    (long_frame([3]), {"target": "z"}, "no column 'z': the columns are 'unique_id', 'ds', 'y'"),
    (long_frame([3]), {"known": "y"}, "'y' is given more than one part"),
    (long_frame([3]), {"target": None, "past": None}, "`past` must be a column or a list"),
    (long_frame([3]), {"target": []}, "no column to forecast"),
    (long_frame([3]), {"calendar": True}, "`calendar` must be None, 'auto', 'cyclic' or 'linear', got True"),
    (pd.DataFrame({"y": [1, 2]}), {"calendar": "cyclic"}, "`calendar` needs dates"),
    (long_frame([3]).assign(y="3"), {}, "'y' must hold numbers, got .* such as '3'"),
    (changed("unique_id", 2, None), {}, "'unique_id' has no id in row 2"),
    (changed("ds", 2, pd.NaT), {}, "'ds' has no time stamp in row 2"),
    (changed("ds", 0, "soon"), {}, "'ds' must hold time stamps .*, got 'soon'"),
    (pd.DataFrame({"y": [1.0, 2.0]}, index=[0.5, 1.5]), {}, "The index must hold time stamps"),
    (changed("ds", 8, stamps(9)[2]), {}, "Series 'b': stamp 2024-01-31 02:00:00 occurs twice"),
    (changed("ds", 8, stamps(9)[0]), {}, "Series 'b': stamp 2024-01-31 00:00:00 comes after 2024-01-31 02:00:00"),
    (changed("y", 9, np.inf), {}, "Series 'b', column 'y': the value at 2024-01-31 04:00:00 is infinite"),
    (changed("x", 1, -np.inf), {"known": "x"}, "Series 'a', column 'x': the value at 2024-01-31 01:00:00"),
    (changed("y", 1, 1e39), {}, "too large for float32"),
    (changed("y", slice(6, 11), np.nan), {}, "Series 'b' has no value of 'y' at all"),
    (changed("ds", 8, stamps(9)[3] - pd.Timedelta("5min")), {}, "Series 'b': stamp 2024-01-31 02:55.* irregular"),
    (MIXED, {}, "mixed frequencies: most have freq='h', 1 other.*'z' with steps of 0 days 03:00:00"),
    (long_frame([3]), {"freq": "fortnight"}, "`freq` must be a frequency of pandas such as 'h', got 'fortnight'"),
    (long_frame([3]), {"freq": "2h"}, "stamp 2024-01-31 01:00:00 is off the regular steps of freq='2h'"),
    (pd.DataFrame({"y": [1, 2]}), {"freq": "h"}, "`freq` must be a positive integer .* got 'h'"),
    (long_frame([1]), {}, "cannot be told from a single stamp"),
    (
        pd.DataFrame({"y": 1.0}, index=[*HOURS, pd.Timestamp("2224-01-01")]),
        {},
        "would have .* rows at freq='h', got 10",
    ),
]


@pytest.mark.parametrize(("frame", "how", "message"), BAD, ids=range(len(BAD)))
def test_bad_input(frame, how, message):
    with pytest.raises(InputError, match=message):
        ks.data.read_series(frame, **how)


def test_mixed_frequencies_may_be_meant():
    panel = ks.data.read_series(MIXED, freq="h")
    assert panel.lengths.tolist() == [6, 7]
    assert panel.gaps.tolist() == [0, 4]


def test_channels_may_be_missing_and_integers_too():
    frame = pd.DataFrame({"u": [1.0, 2.0, 3.0], "v": pd.array([None, None, 4], "Int64")})
    panel = ks.data.read_series(frame)
    np.testing.assert_array_equal(panel.targets, [[1, np.nan], [2, np.nan], [3, 4]])


@pytest.mark.parametrize("freq", ["6MS", "2QE-DEC", "2YS-JAN"])
def test_steps_of_several_months_are_a_grid(freq):
    frame = pd.DataFrame({"ds": pd.date_range("2001-01-01", periods=9, freq=freq), "y": np.arange(9.0)})
    panel = ks.data.read_series(frame)
    assert panel.lengths.tolist() == [9]
    assert (panel.stamps(0, 2) == pd.date_range(frame["ds"][0], periods=11, freq=freq)).all()

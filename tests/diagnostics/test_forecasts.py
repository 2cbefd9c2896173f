"""Pictures of forecasts: what lines and fans stand in which panel, the names found, the file, and errors by step."""

import sys

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from tests.diagnostics.forecast_frames import (
    HOURS,
    PAST,
    STEPS,
    backtest_of,
    check_fan,
    check_line,
    forecast_of,
    history_of,
    legend,
    lines,
)

dates = pytest.importorskip("matplotlib.dates")
plot_forecast, plot_backtest = ks.diagnostics.plot_forecast, ks.diagnostics.plot_backtest
plot_error_by_horizon = ks.diagnostics.plot_error_by_horizon


def test_history_forecast_and_fans(rng, forecast, tmp_path):
    history = history_of(rng)
    figure = plot_forecast(history, forecast, path=tmp_path / "a.png", title="$a$")
    (axis,) = figure.axes
    shown = slice(PAST - 4 * STEPS, None)
    check_line(*lines(axis, "history"), HOURS[:PAST][shown], history["y"][shown])
    check_line(*lines(axis, "forecast"), HOURS[PAST:], forecast["y"])
    assert lines(axis, "what came") == []
    wide, narrow = axis.collections
    check_fan(wide, forecast["y-lo-80"], forecast["y-hi-80"])
    check_fan(narrow, forecast["y-lo-9.5"], forecast["y-hi-9.5"])
    assert wide.get_facecolor()[0, :3].sum() > narrow.get_facecolor()[0, :3].sum()  # the widest is the lightest
    assert legend(figure) == ["history", "forecast", "80 % interval", "9.5 % interval"]
    assert axis.get_ylabel() == "y"
    assert axis.get_title() == ""
    assert figure.get_suptitle() == "$a$"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_what_came_goes_on_from_the_history(rng, forecast):
    history = history_of(rng, pd.date_range(HOURS[0], periods=PAST + 2 * STEPS, freq="h"))
    (axis,) = plot_forecast(history, forecast, steps=3).axes
    check_line(*lines(axis, "history"), HOURS[PAST - 3 : PAST], history["y"][PAST - 3 : PAST])
    check_line(*lines(axis, "what came"), HOURS[PAST - 1 :], history["y"][PAST - 1 : PAST + STEPS])


def test_rows_with_empty_targets_are_no_truth(rng, forecast):
    history = history_of(rng, HOURS)
    history.loc[PAST:, "y"] = np.nan
    (axis,) = plot_forecast(history, forecast).axes
    assert lines(axis, "what came") == []
    assert lines(axis, "history")[0].get_xdata()[-1] == HOURS[PAST - 1]


@pytest.mark.filterwarnings("error:Time stamps have")
def test_holes_are_gaps_also_where_rows_are_left_out(rng, forecast):
    history = history_of(rng)
    history.loc[PAST - 4, "y"] = np.nan
    (axis,) = plot_forecast(history.drop(index=PAST - 7), forecast, steps=9).axes
    empty = np.isnan(lines(axis, "history")[0].get_ydata())
    assert empty.tolist() == [False, False, True, False, False, True, False, False, False]


def test_each_series_and_target_has_a_panel(rng):
    ids, targets = ["b", "a", "$c$ $d$"], ("load", "wind")
    history = pd.concat([history_of(rng, targets=targets, unique_id=one) for one in reversed(ids)])
    forecast = pd.concat([forecast_of(rng, HOURS[PAST:], targets, unique_id=one) for one in ids])
    figure = plot_forecast(history, forecast)
    cells = [(one, target) for one in ids for target in targets]
    assert [(axis.get_title(), axis.get_ylabel()) for axis in figure.axes] == cells
    for axis, (one, target) in zip(figure.axes, cells, strict=True):
        past, told = (frame[frame["unique_id"] == one] for frame in (history, forecast))
        check_line(*lines(axis, "history"), HOURS[PAST - 4 * STEPS : PAST], past[target][-4 * STEPS :])
        check_line(*lines(axis, "forecast"), HOURS[PAST:], told[target])
        check_fan(axis.collections[1], told[f"{target}-lo-9.5"], told[f"{target}-hi-9.5"])
    assert not figure.axes[-1].title.get_parse_math()
    assert len(figure.legends) == 1
    assert len(legend(figure)) == 4
    figure.draw_without_rendering()
    boxes = [axis.get_tightbbox() for axis in figure.axes] + [figure.legends[0].get_window_extent()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_title_says_what_is_left_out(rng):
    history = pd.concat([history_of(rng, unique_id=one) for one in range(9)])
    forecast = pd.concat([forecast_of(rng, HOURS[PAST:], unique_id=one) for one in range(9)])
    figure = plot_forecast(history, forecast, title="Areas")
    assert len(figure.axes) == 6
    assert figure.get_suptitle() == "Areas\n3 of 9 panels are left out"
    figure = plot_forecast(history, forecast, panels=9)
    assert len(figure.axes) == 9
    assert figure.get_suptitle() == ""


@pytest.mark.parametrize("names", [{}, {"time": "when", "id": "who"}])
def test_names_of_time_and_id_are_found_or_said(rng, names):
    new = {"ds": "when", "unique_id": "who"}
    history = pd.concat([history_of(rng, unique_id=one) for one in (3, 2)]).rename(columns=new)
    forecast = pd.concat([forecast_of(rng, HOURS[PAST:], unique_id=one) for one in (3, 2)]).rename(columns=new)
    if names:
        forecast["note"] = "of no concern"
    figure = plot_forecast(history, forecast, **names)
    assert [axis.get_title() for axis in figure.axes] == ["3", "2"]
    check_line(*lines(figure.axes[1], "forecast"), HOURS[PAST:], forecast["y"][STEPS:])


def test_time_in_the_index_in_another_zone(rng, forecast):
    history = history_of(rng).set_index("ds").tz_localize("Asia/Tokyo")
    figure = plot_forecast(history, forecast.set_index("ds").tz_localize("Asia/Tokyo"))
    (axis,) = figure.axes
    check_line(*lines(axis, "forecast"), HOURS[PAST:] - pd.Timedelta("9h"), forecast["y"])
    locator = axis.xaxis.get_major_locator()
    assert isinstance(locator, dates.AutoDateLocator)
    figure.draw_without_rendering()
    midnight = dates.num2date(axis.get_xticks()[0], tz="Asia/Tokyo")
    assert (midnight.hour % 3, midnight.minute) == (0, 0)
    assert axis.xaxis.get_offset_text().get_text().startswith("2024-Jan")


def test_integers_as_time_and_one_step_without_intervals(rng):
    history = history_of(rng, np.arange(PAST))
    (axis,) = plot_forecast(history, forecast_of(rng, [PAST], levels=())).axes
    assert lines(axis, "history")[0].get_xdata()[-1] == PAST - 1
    (line,) = lines(axis, "forecast")
    assert line.get_marker() == "o"  # a line of one point is not seen
    assert line.get_xdata() == [PAST]
    assert axis.get_xlabel() == "ds"
    assert len(axis.collections) == 0


def test_bars_of_a_single_step_are_seen(rng, forecast):
    (axis,) = plot_forecast(history_of(rng), forecast[:1]).axes
    assert all(fan.get_linewidth()[0] > 0 for fan in axis.collections)


def test_a_backtest_draws_each_forecast_against_the_truth(rng):
    backtest = backtest_of(rng, [3, 3 + STEPS, 20])
    backtest.loc[7, "y-true"] = np.nan
    figure = plot_backtest(backtest.sample(frac=1, random_state=1).sort_values("ds"), title="five")
    (axis,) = figure.axes
    parts = [backtest[i : i + STEPS] for i in (0, STEPS, 2 * STEPS)]
    for line, part in zip(lines(axis, "forecast"), parts, strict=True):
        check_line(line, part["ds"], part["y"])
    for fan, part in zip(axis.collections[1::2], parts, strict=True):
        check_fan(fan, part["y-lo-9.5"], part["y-hi-9.5"])
    truth = np.insert(backtest["y-true"].to_numpy(), 2 * STEPS, np.nan)  # nobody told what came from 13 to 19
    times = np.insert(backtest["ds"].to_numpy(), 2 * STEPS, HOURS[19])
    check_line(*lines(axis, "truth"), times, truth)
    assert len({line.get_color() for line in lines(axis, "forecast")}) == 1
    assert legend(figure) == ["truth", "forecast", "80 % interval", "9.5 % interval"]


def test_forecasts_that_overlap_differ_in_colour_and_the_truth_is_one_line(rng):
    backtest = backtest_of(rng, [3, 5, 7])
    backtest["y-true"] = backtest["ds"].dt.hour
    (axis,) = plot_backtest(backtest).axes
    check_line(*lines(axis, "truth"), HOURS[3 : 7 + STEPS], np.arange(3, 7 + STEPS))
    first, second, third = (line.get_color() for line in lines(axis, "forecast"))
    assert first == third != second


def test_a_backtest_of_series_and_targets(rng):
    backtest = pd.concat([backtest_of(rng, [3, 9], ("y", "z"), unique_id=one) for one in "ba"])
    figure = plot_backtest(backtest, panels=3)
    assert [(axis.get_title(), axis.get_ylabel()) for axis in figure.axes] == [("b", "y"), ("b", "z"), ("a", "y")]
    assert figure.get_suptitle() == "1 of 4 panels are left out"
    part = backtest[(backtest["unique_id"] == "a") & (backtest["cutoff"] == HOURS[8])]
    check_line(lines(figure.axes[2], "forecast")[1], HOURS[9 : 9 + STEPS], part["y"])


@pytest.mark.parametrize(
    ("metric", "power", "label"), [("mae", 1, "mean absolute error"), ("mse", 2, "mean squared error")]
)
def test_error_by_horizon(rng, metric, power, label):
    backtest = pd.concat([backtest_of(rng, [3, 5, 20], ("y", "$z$"), unique_id=one) for one in "ba"], ignore_index=True)
    backtest.loc[[1, 6], "y-true"] = np.nan
    figure = plot_error_by_horizon(backtest.sort_values("ds", kind="stable"), metric)
    (axis,) = figure.axes
    for target in ("y", "$z$"):
        error = np.abs(backtest[target] - backtest[f"{target}-true"]) ** power
        check_line(*lines(axis, target), range(1, STEPS + 1), np.nanmean(error.to_numpy().reshape(-1, STEPS), axis=0))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("step of the horizon", label)
    assert axis.get_ylim()[0] == 0
    assert legend(figure) == ["y", "$z$"]


def test_a_step_without_any_truth_is_a_gap(rng):
    backtest = backtest_of(rng, [3, 9])
    backtest.loc[[2, 2 + STEPS], "y-true"] = np.nan
    (line,) = plot_error_by_horizon(backtest).axes[0].lines
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False, False]

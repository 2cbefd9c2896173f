"""Frames as forecasters return them, and what is looked for in their pictures."""

import numpy as np
import pandas as pd

PAST, STEPS = 31, 5
HOURS = pd.date_range("2024-01-30", periods=PAST + STEPS, freq="h")


def forecast_of(rng, times, targets=("y",), levels=("9.5", "80"), truth=False, **more):
    """A frame as `Forecaster.predict` returns it; `more` columns come first."""
    columns = dict(more) | {"ds": times}
    for target in targets:
        columns[target] = rng.normal(size=len(times))
        for i, level in enumerate(levels):
            width = i + 1 + rng.random(len(times))
            columns |= {
                f"{target}-lo-{level}": columns[target] - width,
                f"{target}-hi-{level}": columns[target] + width,
            }
        if truth:
            columns[f"{target}-true"] = rng.normal(size=len(times))
    return pd.DataFrame(columns)


def history_of(rng, times=HOURS[:PAST], targets=("y",), **more):
    return pd.DataFrame(dict(more) | {"ds": times} | {target: rng.normal(size=len(times)) for target in targets})


def backtest_of(rng, begins, targets=("y",), steps=STEPS, **more):
    """Forecasts that begin at these rows of `HOURS`, as `Forecaster.backtest` returns them."""
    frames = [
        forecast_of(rng, HOURS[b : b + steps], targets, truth=True, **more).assign(cutoff=HOURS[b - 1]) for b in begins
    ]
    return pd.concat(frames, ignore_index=True)


def lines(axis, label):
    return [line for line in axis.lines if line.get_label() == label]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def check_line(line, times, values):
    np.testing.assert_array_equal(line.get_xdata(), np.asarray(times, line.get_xdata().dtype))
    np.testing.assert_allclose(line.get_ydata(), values, rtol=1e-6)


def check_fan(fan, low, high):
    """The corners of the polygon are these two lines."""
    corners = {tuple(corner) for corner in np.round(fan.get_paths()[0].vertices, 6)}
    x = np.sort(np.unique(fan.get_paths()[0].vertices[:, 0]))
    wanted = {(round(a, 6), round(b, 6)) for end in (low, high) for a, b in zip(x, end, strict=True)}
    assert corners == wanted

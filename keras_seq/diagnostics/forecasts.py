"""Pictures of forecasts: with their history, against what came, and how the error grows with the horizon."""

from itertools import cycle, pairwise

import numpy as np

from keras_seq.checks import positive_integer
from keras_seq.diagnostics.forecast_columns import Forecasts, History
from keras_seq.errors import InputError, MissingExtraError
from keras_seq.files import written_whole

_PAST = {"color": "0.15", "linewidth": 1.2, "zorder": 3}  # nearly black, above all forecasts
_BLUE, _ORANGE = (0.12, 0.38, 0.65), (0.80, 0.42, 0.05)
_PANEL = {1: (8, 2.6), 2: (5.5, 2.3)}  # width and height in inches, by columns
_SMALL = 8  # points
_METRICS = {"mae": ("mean absolute error", np.abs), "mse": ("mean squared error", np.square)}


def plot_forecast(history, forecast, steps=None, panels=6, time=None, id=None, freq=None, path=None, title=None):
    """Draw the end of a history, its forecast, and the fan of the intervals, the widest the lightest.

    Each series and target has a panel. What the history holds of the forecast's own time is drawn as what came.

    Args:
        history: the frame that was given to `Forecaster.predict`, or the one that it was cut from. Missing values are
            gaps in the line.
        forecast: the frame that came back: its targets are the columns `y` with `y-lo-80` and `y-hi-80`, or without
            any such columns all that hold numbers.
        steps: how many of the history are drawn; by default four times those of the forecast.
        panels: how many at most. The title says how many are left out.
        time: the column of time stamps in both frames. By default `"ds"`, or else the only one with dates, or else the
            index.
        id: the column of ids in both frames. By default `"unique_id"`, or else the only one that is nothing else.
        freq: of the history, as of `ks.data.read_series`.
        path: where to write the picture as PNG, under a temporary name first; nowhere by default.
        title: above the picture.

    Returns:
        The `matplotlib.figure.Figure`. pyplot does not know of it, so there is nothing to close.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        InputError: for frames that are empty, without forecasts, or do not fit each other.
        ValueError: where `steps` or `panels` is not a positive integer.

    Example:

    >>> frame = ks.data.load(hours=96)
    >>> forecast = frame[72:][["ds", "y"]].fillna(110)
    >>> forecast = forecast.assign(**{"y-lo-80": forecast["y"] - 5, "y-hi-80": forecast["y"] + 5})
    >>> figure = ks.diagnostics.plot_forecast(frame, forecast, steps=48)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['history', 'what came', 'forecast']
    """
    told = Forecasts("forecast", forecast, time, id)
    if told.cutoffs is not None:
        raise InputError("Argument `forecast` has a column 'cutoff', as a backtest has: draw it by `plot_backtest`.")
    steps = None if steps is None else positive_integer("steps", steps)
    before = History(history, told, freq)
    figure, cells = _panels("plot_forecast", told, panels, title)
    for axis, one, target in cells:
        rows = told.rows(one)
        ticks, values = before.line(one, target)
        begin, end = np.searchsorted(ticks, [told.ticks[rows[0]], told.ticks[rows[-1]] + 1])
        start = max(0, begin - (4 * len(rows) if steps is None else steps))
        axis.plot(told.x(ticks[start:begin]), values[start:begin], **_PAST, label="history")
        if not np.isnan(values[begin:end]).all():
            came = slice(max(start, begin - 1), end)  # with the step before, so that the line goes on
            axis.plot(told.x(ticks[came]), values[came], **_PAST, linestyle="--", label="what came")
        _draw(axis, told, rows, target)
    return _finish(figure, path)


def plot_backtest(backtest, panels=6, time=None, id=None, path=None, title=None):
    """Draw forecasts of a backtest, each a line with its fan, against what came.

    Each series and target has a panel. A dot marks where each forecast begins; where they overlap, colours alternate.

    Args:
        backtest: the frame that `Forecaster.backtest` returned.
        panels, time, id, path, title: as of `plot_forecast`.

    Returns:
        The `matplotlib.figure.Figure`. pyplot does not know of it, so there is nothing to close.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        InputError: for a frame that is empty, or without `cutoff` and, say, `y-true`.
        ValueError: where `panels` is not a positive integer.

    Example:

    >>> frame = ks.data.load(hours=48)
    >>> cutoff = frame["ds"].dt.floor("D") - np.timedelta64(1, "h")
    >>> backtest = frame[["ds"]].assign(cutoff=cutoff, y=110, **{"y-true": frame["y"]})
    >>> figure = ks.diagnostics.plot_backtest(backtest)
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['truth', 'forecast', 'forecast']
    """
    told = Forecasts("backtest", backtest, time, id)
    told.check_backtest()
    figure, cells = _panels("plot_backtest", told, panels, title)
    for axis, one, target in cells:
        rows = told.rows(one)
        forecasts = [rows[told.cutoffs[rows] == cutoff] for cutoff in np.unique(told.cutoffs[rows])]
        axis.plot(*_truth(told, forecasts, target), **_PAST, label="truth")
        overlap = any(told.ticks[a[-1]] >= told.ticks[b[0]] for a, b in pairwise(forecasts))
        colors = [_BLUE, _ORANGE] if overlap else [_BLUE]
        for forecast, color in zip(forecasts, cycle(colors), strict=False):
            _draw(axis, told, forecast, target, color, marker="o")
    return _finish(figure, path)


def plot_error_by_horizon(backtest, metric="mae", time=None, id=None, path=None, title=None):
    """Draw the error of a backtest at each step of the horizon, a line for each target.

    It is the mean over series and cutoffs; where the truth is missing, the rest counts.

    Args:
        backtest: the frame that `Forecaster.backtest` returned.
        metric: `"mae"` or `"mse"`: mean absolute or mean squared error.
        time, id, path, title: as of `plot_forecast`.

    Returns:
        The `matplotlib.figure.Figure`. pyplot does not know of it, so there is nothing to close.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        InputError: for a frame that is empty, without `cutoff` and, say, `y-true`, without any truth, or with
            forecasts of different lengths.

    Example:

    >>> frame = ks.data.load(hours=48)
    >>> cutoff = frame["ds"].dt.floor("D") - np.timedelta64(1, "h")
    >>> backtest = frame[["ds"]].assign(cutoff=cutoff, y=frame["y"] + 3, **{"y-true": frame["y"]})
    >>> figure = ks.diagnostics.plot_error_by_horizon(backtest)
    >>> x, y = figure.axes[0].lines[0].get_data()
    >>> x[[0, -1]].tolist(), y.max().round(6).item()
    ([1, 24], 3.0)
    """
    if not isinstance(metric, str) or metric not in _METRICS:
        raise InputError(f"Argument `metric` must be 'mae' or 'mse', got {metric!r}.")
    told = Forecasts("backtest", backtest, time, id)
    told.check_backtest()
    name, error = _METRICS[metric]
    errors = {target: told.by_step(target, error) for target in told.targets}
    figure = _figure("plot_error_by_horizon", (6.5, 3.6))
    axis = figure.subplots()
    for target, line in errors.items():
        axis.plot(np.arange(1, len(line) + 1), line, marker="o", markersize=3, label=str(target))
    axis.set(xlim=(0.5, len(line) + 0.5), ylim=(0, None))
    _dress(axis)
    axis.set_xlabel("step of the horizon", fontsize=_SMALL)
    axis.set_ylabel(name, fontsize=_SMALL)
    if title is not None:
        figure.suptitle(title, fontsize=_SMALL + 2, parse_math=False)
    return _finish(figure, path)


def _truth(told, forecasts, target):
    """Ticks and values of what came, with a hole where the forecasts, in the order of their cutoffs, leave one."""
    values = told.values(f"{target}-true")
    rows = forecasts[0]
    ticks, came = told.ticks[rows], values[rows]
    for before, forecast in pairwise(forecasts):
        rows = forecast[told.ticks[forecast] > ticks[-1]]
        if told.cutoffs[forecast[0]] > told.ticks[before[-1]]:
            ticks, came = np.append(ticks, told.cutoffs[forecast[0]]), np.append(came, np.nan)
        ticks, came = np.append(ticks, told.ticks[rows]), np.append(came, values[rows])
    return told.x(ticks), came


def _draw(axis, told, rows, target, color=_BLUE, marker=None):
    """A forecast over its fan. One of a single step is a dot on bars."""
    x, levels, single = told.x(told.ticks[rows]), told.levels[target], len(rows) == 1
    style = {"color": color, "linewidth": 1.5, "marker": "o" if single else marker, "markersize": 3, "markevery": [0]}
    axis.plot(x, told.values(target)[rows], label="forecast", **style)
    for i, level in enumerate(levels):
        ends = [told.values(f"{target}-{end}-{level}")[rows] for end in ("lo", "hi")]
        shade = 0.2 + 0.4 * i / len(levels)
        pale = [1 - shade * (1 - part) for part in color]
        # Nearly opaque: the legend shows the colour, and a fan below is still seen.
        bar = {"linewidth": 5} if single else {"linewidth": 0, "alpha": 0.8}
        axis.fill_between(x, *ends, color=pale, label=f"{level} % interval", **bar)


def _panels(who, told, panels, title):
    """A figure, and what is drawn in it: a list of axes, id and target."""
    ids = [None] if told.id is None else list(told.frame[told.id].unique())
    cells = [(one, target) for one in ids for target in told.targets]
    shown = cells[: positive_integer("panels", panels)]
    columns = 1 if len(shown) <= 3 else 2
    rows = -(-len(shown) // columns)
    width, height = _PANEL[columns]
    figure = _figure(who, (width * columns, height * rows + 0.5))
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(len(shown))]
    for axis, (one, target) in zip(axes, shown, strict=True):
        axis.set_ylabel(target, fontsize=_SMALL, parse_math=False)
        if one is not None:
            axis.set_title(one, fontsize=_SMALL + 1, parse_math=False)
        _dress(axis, told)
    figure.align_ylabels(axes)
    lines = [] if title is None else [title]
    if len(shown) < len(cells):
        lines.append(f"{len(cells) - len(shown)} of {len(cells)} panels are left out")
    if lines:
        figure.suptitle("\n".join(lines), fontsize=_SMALL + 2, parse_math=False)
    return figure, [(axis, *cell) for axis, cell in zip(axes, shown, strict=True)]


def _figure(who, size):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(f"ks.diagnostics.{who}", "plots") from error
    return Figure(figsize=size, dpi=150, layout="constrained")


def _dress(axis, told=None):
    """Ticks for dates, or for integers, and a quiet frame."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    if told is not None and told.dated:
        locator = AutoDateLocator(tz=told.tz, minticks=3, maxticks=8)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=told.tz))
    else:
        locator = MaxNLocator(integer=True)
        axis.set_xlabel("step" if told is None else told.time or "time", fontsize=_SMALL)
    axis.xaxis.set_major_locator(locator)
    axis.tick_params(labelsize=_SMALL)
    axis.xaxis.get_offset_text().set_fontsize(_SMALL)
    axis.grid(alpha=0.3, linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _finish(figure, path):
    """One legend for all panels, and the file."""
    from matplotlib.legend_handler import HandlerTuple

    entries = {}
    for axis in figure.axes:
        entries |= _entries(axis)
    style = {"loc": "outside lower center", "ncols": int(figure.get_figwidth() / 1.25), "fontsize": _SMALL}
    both = {tuple: HandlerTuple(ndivide=None)}
    legend = figure.legend(list(entries.values()), list(entries), handler_map=both, frameon=False, **style)
    for label in legend.get_texts():
        label.set_parse_math(False)
    if path is not None:
        with written_whole(path) as file:
            figure.savefig(file, format="png")
    return figure


def _entries(axis):
    """Of each label the handles, one of each colour: `{label: tuple}`."""
    found = {}
    for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
        color = handle.get_facecolor() if hasattr(handle, "get_facecolor") else handle.get_color()
        found.setdefault(label, {}).setdefault(str(color), handle)
    return {label: tuple(handles.values()) for label, handles in found.items()}

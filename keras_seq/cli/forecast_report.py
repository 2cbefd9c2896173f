"""How well a model forecasts the time that it never saw, and what repeating the last season is worth."""

import numpy as np
from rich.console import Console
from rich.table import Table

from keras_seq import metrics
from keras_seq.models.baselines import seasonal_naive

COLUMNS = {"mase": ("MASE", 3), "smape": ("sMAPE", 2), "mae": ("MAE", 4), "rmse": ("RMSE", 4)}


def reported(forecaster, held_out, season):
    """Scores of forecasts made at times of the test part, of the model and of the last season before each, repeated.

    Each is the mean over series and targets. MASE is in units of what came before the test part.

    Args:
        forecaster: a `Forecaster`.
        held_out: a `HeldOut`, cut.
        season: its steps.

    Returns:
        `{"model": scores, "seasonal_naive": scores}`; a score that has no value is None.
    """
    found = {"model": [], "seasonal_naive": []}
    for windows in np.unique(held_out.windows[held_out.windows > 0]):
        series = np.flatnonzero(held_out.windows == windows)  # backtest makes as many of each
        told = forecaster.backtest(held_out.rows_of(series), int(windows))
        values = {name: told[name].to_numpy().reshape(len(series), -1) for name in told.select_dtypes("number")}
        for c, name in enumerate(held_out.panel.columns["targets"]):
            came = values[f"{name}-true"]
            histories = [held_out.targets(s, held_out.starts[s])[:, c] for s in series]
            naive = np.stack([_repeated(held_out, s, c, season) for s in series])
            ends = {
                f"coverage_{one:g}": [values[f"{name}-{end}-{one:g}"] for end in ("lo", "hi")]
                for one in forecaster.level
            }
            covered = {key: metrics.coverage(came, *both, axis=-1) for key, both in ends.items()}
            found["model"].append(scores(came, values[name], histories, season) | covered)
            found["seasonal_naive"].append(scores(came, naive, histories, season))
    return {who: _means(parts) for who, parts in found.items()}


def scores(came, said, histories, season):
    """The errors of each series, `(S,)`: of forecasts `said` where values `came`, both `(S, N)`."""
    return {
        "mase": metrics.mase(came, said, histories, season, axis=-1),
        "smape": metrics.smape(came, said, axis=-1),
        "mae": metrics.mae(came, said, axis=-1),
        "rmse": np.sqrt(metrics.mse(came, said, axis=-1)),
    }


def _repeated(held_out, s, c, season):
    """The seasonal naive forecasts of a target of a series, one behind the other."""
    cutoffs = held_out.cutoffs(s)
    return np.concatenate([seasonal_naive(held_out.targets(s, row)[:, c], held_out.horizon, season) for row in cutoffs])


def _means(parts):
    """The mean of each score over all series that have one."""
    found = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts])
        values = values[~np.isnan(values)]
        found[name] = round(float(values.mean()), 4) if len(values) else None
    return found


def print_report(report, held_out, season):
    """Scores of the model beside those of the baseline."""
    levels = [name for name in report["model"] if name not in COLUMNS]
    shown = COLUMNS | {name: (name.replace("_", " ") + " %", 3) for name in levels}
    many = f"{held_out.windows.sum()} forecasts of {held_out.horizon} steps"
    table = Table(
        "", *(title for title, _ in shown.values()), title=f"On {many} in the last {held_out.share:g} of the time"
    )
    names = {"model": "this model", "seasonal_naive": f"seasonal naive ({season})"}
    for key, name in names.items():
        values = {score: report[key].get(score) for score in shown}
        cells = ("" if values[k] is None else f"{values[k]:.{digits}f}" for k, (_, digits) in shown.items())
        table.add_row(name, *cells)
    Console().print(table)

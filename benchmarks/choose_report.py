"""Table of choose.py, from its result file, without rows if it is not there."""

import results_file
from choose import LAYERS

TASKS = {"sentiment": "accuracy", "forecasting": "mae", "adding": "mse"}
BASELINES = {"sentiment": "majority", "forecasting": "day_before", "adding": "always_1"}


def choose():
    """What each layer reaches in each task, from the least to the most over the seeds, and what it costs."""
    entries = results_file.read("choose")
    runs = [entry for entry in entries if entry["task"] in TASKS]
    costs = {entry["layer"]: entry for entry in entries if entry["task"] == "costs"}
    rows = []
    for layer in (name for name in LAYERS if any(entry["layer"] == name for entry in runs)):
        units = next(entry["settings"]["units"] for entry in runs if entry["layer"] == layer)
        scores = [
            _of_seeds(task, [e["metrics"][name] for e in runs if (e["layer"], e["task"]) == (layer, task)])
            for task, name in TASKS.items()
        ]
        rows.append([f"`{layer}`", str(units), *scores, *_cost(costs.get(layer))])
    if runs:
        simplest = [
            "".join({_number(task, e["baselines"][name]) for e in runs if e["task"] == task})
            for task, name in BASELINES.items()
        ]
        rows.append(["the simplest answer", "", *simplest, "", "", ""])
    head = ["layer", "units", "sentiment, accuracy", "forecasting, MAE", "adding, MSE"]
    return [*head, "training step, ms", "inference, ms", "memory of a row, KB"], rows


def _cost(entry):
    if entry is None:
        return ["", "", ""]
    train, predict = (entry[f"{kind}_milliseconds"]["wall"] for kind in ("train", "predict"))
    return [f"{train:.0f}", f"{predict:.1f}", f"{entry['kilobytes_a_row']:,}"]


def _of_seeds(task, values):
    """The least and the most."""
    ends = dict.fromkeys(_number(task, end(values)) for end in (min, max)) if values else {}
    return " to ".join(ends)


def _number(task, value):
    return f"{value:.5f}" if task == "adding" else f"{value:.3f}"

"""Tables of copy_memory.py, gradient_flow.py and starts.py, from their result files, without rows if none is there."""

import statistics

import results_file
from recurrent_report import times


def copy_memory():
    """What the gradient said before training, and what came of it, for each configuration and seed."""
    rows = []
    for run in results_file.read("copy_memory"):
        told = run["prediction"]
        rows.append(
            [
                run["configuration"],
                str(run["seed"]),
                f"{'at least ' * told['at_least']}{told['memory']}",
                "" if told["gamma"] is None else f"{told['gamma']:.3f}",
                told["verdict"],
                "learns" if told["learns"] else "does not",
                "learnt" if run["learnt"] else "not learnt",
                "" if run["losses"][-1] is None else f"{run['losses'][-1] / run['baseline']:.0%}",
                f"{run['batches']:,}",
                f"{run['train_seconds'] / 60:.0f} min",
            ]
        )
    head = [
        "configuration",
        "seed",
        "memory, steps",
        "per step",
        "verdict before training",
        "predicted",
        "outcome",
        "loss, of the baseline",
        "batches",
        "training",
    ]
    return head, rows


def gradient_flow():
    """Milliseconds of a training step and of a measurement, and the second in training steps."""
    rows = []
    for entry in results_file.read("gradient_flow"):
        step, flow = (entry["milliseconds"][way] for way in ("training", "gradient_flow"))
        cells = [f"{step['wall']:.0f}", f"{flow['wall']:.0f}", times(flow["wall"] / step["wall"])]
        first = f"{entry['first_call_seconds']['gradient_flow']:.1f} s"
        shape = " × ".join(map(str, entry["shape"]))
        rows.append([entry["model"], shape, entry["backend"], *cells, times(flow["cpu"] / step["cpu"]), first])
    head = [
        "model",
        "B × T × D × H",
        "backend",
        "training step, ms",
        "gradient flow, ms",
        "steps",
        "in CPU",
        "traced in",
    ]
    return head, rows


def starts():
    """Medians over the seeds: what a start of the recurrent kernel is, and what comes of it."""
    runs = results_file.read("starts")
    rows = []
    for start in dict.fromkeys(run["start"] for run in runs):
        ours = [run for run in runs if run["start"] == start]

        def median(when, *keys, ours=ours):
            values = []
            for run in ours:
                value = run[when]
                for key in keys:
                    value = value[key]
                values.append(value)
            return None if None in values else statistics.median(values)

        cells = [str(len(ours)), times(median("before", "radius")), _short(median("before", "powers", "100"))]
        for when in ("before", "after"):
            gamma = median(when, "gamma")
            cells += ["" if gamma is None else f"{gamma:.3f}", f"{median(when, 'memory'):.0f}"]
        rows.append([start, *cells, f"{statistics.median(run['mse'] / run['always_1'] for run in ours):.1%}"])
    head = ["start", "seeds", "spectral radius", "norm of U^100", "gradient per step", "memory, steps"]
    return [*head, "per step, trained", "memory, trained", "MSE, of saying 1"], rows


def _short(value):
    return "" if value is None else f"{value:.3g}"

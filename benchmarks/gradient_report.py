"""Tables of benchmarks/copy_memory.py and gradient_flow.py, from their result files, without rows if none is there."""

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

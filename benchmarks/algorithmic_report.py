"""Rows of the tables on memory, and the figure of the trainings: python benchmarks/algorithmic_report.py"""

import statistics
from pathlib import Path

import results_file

FIGURE = Path(__file__).parent / "results" / "algorithmic.png"
NAMES = {
    "ntm_copy": "copy, NTM 128 × 20",
    "ntm_copy_20k": "the same, 20,000 steps",
    "dnc_copy": "copy, DNC 32 × 16",
    "lstm_copy": "copy, LSTM of 256 units",
    "dnc_repeat_copy": "repeat copy, DNC 32 × 16",
    "dnc_repeat_copy_20k": "the same, 20,000 steps",
    "ntm_recall": "associative recall, NTM 128 × 20",
}
OTHERS = {"ours_graph": "ours, plain graph", "graph": "`keras.layers.RNN`", "public": "PyTorch `dnc`"}


def _by_task(results):
    found = {task: [run for run in results if run["task"] == task] for task in NAMES}
    return {task: runs for task, runs in found.items() if runs}


def quality(results):
    """Head and rows, one for each task over its seeds."""
    rows = []
    for task, runs in _by_task(results).items():
        solved = [run["solved"] for run in runs if run["solved"]]
        bits, exact = (
            ", ".join(f"{size}: {_told(runs, size, what)}" for size in runs[0]["metrics"]) for what in ("bits", "exact")
        )
        rows.append(
            [
                NAMES[task],
                f"{runs[0]['parameters'] / 1e3:.0f} k",
                f"{len(solved)} of {len(runs)}",
                f"{sum(map(_below_the_bars, runs))} of {len(runs)}",
                f"{statistics.median(one['sequences'] for one in solved):,.0f}" if solved else "",
                f"{statistics.median(one['seconds'] for one in solved) / 60:.1f} min" if solved else "",
                f"{statistics.median(one['cpu_seconds'] for one in solved) / 60:.1f} min" if solved else "",
                bits,
                exact,
                str(sum(run["not_finite"] for run in runs)),
            ]
        )
    head = ["task, memory", "parameters", "solved", "and in the test", "sequences", "wall", "CPU", "bits per sequence"]
    return [*head, "exact", "steps not finite"], rows


def _below_the_bars(run):
    """Whether the test sequences, too, stay below what solves the task."""
    return all(run["metrics"][size]["bits"] < bar for size, bar in run["settings"]["bars"].items())


def _told(runs, size, what):
    """The median over the seeds, and the worst of several in brackets."""
    values = [run["metrics"][size][what] for run in runs]
    worst = (min if what == "exact" else max)(values)
    middle = _short(statistics.median(values), what)
    return middle if len(runs) == 1 else f"{middle} ({_short(worst, what)})"


def _short(value, what):
    return f"{100 * value:.2f} %" if what == "exact" else f"{value:.4f}" if value < 1 else f"{value:.1f}"


def speed(results):
    """Head and rows: each memory, ours against the others, in one run."""
    rows = []
    for run in results:
        spent = run["training_milliseconds"]
        ours = spent["ours"]["wall"]
        batch, steps, slots = run["shape"]
        rows.append(
            [
                f"{run['cell'].upper()} {slots} × {run['slot_width']}",
                f"{batch} × {steps}",
                f"{1000 / ours:.1f}",
                *(f"{spent[name]['wall'] / ours:.1f}" if name in spent else "" for name in OTHERS),
            ]
        )
    return ["memory", "B × T", "steps a second", *(f"times {name}" for name in OTHERS.values())], rows


def draw(path=FIGURE):
    """Bits per sequence over the sequences seen, a line for each seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = {task: runs for task, runs in _by_task(results_file.read("algorithmic")).items() if "20k" not in task}
    figure, _ = pyplot.subplots(1, len(tasks), figsize=(3.2 * len(tasks), 3.2), sharey=True, layout="constrained")
    for axis, (task, runs) in zip(figure.axes, tasks.items(), strict=True):
        for run in runs:
            seen = [point["sequences"] / 1000 for point in run["curve"]]
            axis.plot(seen, [max(point["training"], 1e-4) for point in run["curve"]], color="0.3", linewidth=1)
        axis.set_title(NAMES[task], fontsize=9)
        axis.set_yscale("log")
        axis.set_xlabel("thousand sequences")
    figure.axes[0].set_ylabel("bits per sequence, training")
    temporary = Path(path).with_suffix(".part.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)


if __name__ == "__main__":
    draw()

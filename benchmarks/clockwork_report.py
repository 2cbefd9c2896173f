"""Rows of the tables on the clockwork RNN, and the picture of what is generated.

python benchmarks/clockwork_report.py     # draws results/clockwork.png
"""

import statistics
from pathlib import Path

import results_file

FIGURE = Path(__file__).parent / "results" / "clockwork.png"
NAMES = {
    "clockwork": "`ClockworkRNN`",
    "gru": "`GRU`",
    "lstm": "`LSTM`",
    "simple_rnn": "`SimpleRNN`",
    "kernel": "`ClockworkRNN`, 8 modules",
    "cell": "its cell in `keras.layers.RNN`",
    "stock": "`keras.layers.SimpleRNN`",
    "simple_rnn_kernel": "`SimpleRNN`",
}


def trained(results, task, metrics):
    """Head and rows of a task, a row for each model, over its seeds."""
    rows = []
    results = [run for run in results if run["backend"] == "tensorflow"]
    for name in dict.fromkeys(run["model"] for run in results if run["task"] == task):
        runs = [run for run in results if run["task"] == task and run["model"] == name]
        of = [_spread([run["metrics"][metric] for run in runs]) for metric in metrics]
        seconds = statistics.mean(run["train_seconds"] for run in runs)
        rows.append([NAMES[name], f"{runs[0]['parameters']:,}", str(len(runs)), *of, f"{seconds / 60:.1f} min"])
    return ["model", "parameters", "seeds", *(metric.upper() for metric in metrics), "training"], rows


def speed(results):
    """Head and rows, a row for each contestant and a column for each backend."""
    runs = {run["backend"]: run["training_milliseconds"] for run in results if run["task"] == "speed"}
    head = ["a training step", *(f"{what}, {backend}" for backend in runs for what in ("ms", "times ours"))]
    rows = []
    for name in next(iter(runs.values()), {}):
        times = [(one[name]["wall"], one[name]["wall"] / one["kernel"]["wall"]) for one in runs.values()]
        rows.append([NAMES[name], *(text for ms, ratio in times for text in (f"{ms:.0f}", f"{ratio:.2f}"))])
    return head, rows


def _spread(values):
    text = f"{statistics.mean(values):.1e}"
    return text + (f" ± {statistics.stdev(values):.0e}" if len(values) > 1 else "")


def draw(path=FIGURE):
    """The wave, and what each model generates, of seed 0."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    import keras_seq as ks

    runs = [run for run in results_file.read("clockwork") if "generated" in run]
    figure, axes = pyplot.subplots(len(runs), 1, figsize=(10, 2.4 * len(runs)), sharex=True, layout="constrained")
    for axis, run in zip(axes, runs, strict=True):
        axis.plot(ks.data.tasks.wave()[:, 0], color="0.6", linewidth=3, label="the wave")
        axis.plot(run["generated"], color="black", linewidth=1, label="generated")
        axis.set_title(f"{NAMES[run['model']].strip('`')}, {run['parameters']} parameters", fontsize="medium")
    axes[0].legend(frameon=False, ncols=2)
    axes[-1].set_xlabel("step")
    temporary = Path(path).with_suffix(".part.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)


if __name__ == "__main__":
    draw()

"""Tables and the figure of benchmarks/recurrent.py, from its result files.

python benchmarks/recurrent_report.py     # draws benchmarks/results/recurrent.png
"""

import statistics
from pathlib import Path

import results_file

FIGURE = results_file.RESULTS / "recurrent.png"
NAMES = {
    "stock": "`keras.layers`",
    "stock_jit": "`keras.layers`, `jit_compile=True`",
    "cell": "same cell in `keras.layers.RNN`",
    "torch": "`torch.nn`",
}
TRAINING, INFERENCE = "training_milliseconds", "inference_milliseconds"


def by_layer(backend):
    """For each layer, how many times faster than each contestant: means over shapes, and the worst."""
    entries = results_file.read(f"recurrent_{backend}")
    rows = []
    for layer in dict.fromkeys(entry["layer"] for entry in entries):
        own = [entry for entry in entries if entry["layer"] == layer]
        many, single = [e for e in own if e["shape"][0] > 1], [e for e in own if e["shape"][0] == 1]
        usual = "stock" if any("stock" in entry[TRAINING] for entry in own) else "cell"
        for name in NAMES:
            if not ratios(own, TRAINING, name):
                continue
            rows.append(
                [
                    f"`{layer}`",
                    NAMES[name],
                    times(mean(ratios(many, TRAINING, name))),
                    times(min(ratios(own, TRAINING, name))),
                    times(mean(ratios(single, TRAINING, name))),
                    times(mean(ratios(own, INFERENCE, name))),
                    times(min(ratios(own, INFERENCE, name))),
                    memory(own, name) if name in (usual, "torch") else "",
                ]
            )
    head = [
        "layer",
        "against",
        "training, mean without batch 1",
        "worst shape",
        "batch 1",
        "inference, mean of all",
        "worst shape",
        "peak memory, T = 500",
    ]
    return head, rows


def by_shape(backend):
    """A training step at each shape: milliseconds of ours, and how many times longer stock Keras takes."""
    entries = results_file.read(f"recurrent_{backend}")
    shapes = list(dict.fromkeys(tuple(entry["shape"]) for entry in entries))
    cases = list(dict.fromkeys((entry["layer"], entry["masked"]) for entry in entries))
    found = {(e["layer"], e["masked"], tuple(e["shape"])): e for e in entries}
    rows = []
    for layer, masked in cases:
        row = [f"`{layer}`{', masked' * masked}"]
        for shape in shapes:
            spent = found[layer, masked, shape][TRAINING] if (layer, masked, shape) in found else None
            rival = spent and ("stock" if "stock" in spent else "cell")
            row.append(
                f"{spent['ours']['wall']:.1f} ({spent[rival]['wall'] / spent['ours']['wall']:.2f})" if spent else ""
            )
        rows.append(row)
    return ["layer", *("×".join(map(str, shape)) for shape in shapes)], rows


def ratios(entries, what, name):
    """How many times longer than ours a contestant takes, at each shape where it is there."""
    return [e[what][name]["wall"] / e[what]["ours"]["wall"] for e in entries if name in e[what]]


def memory(entries, name):
    """Our peak memory as a share of a contestant's."""
    peaks = [entry["training_peak_megabytes"] for entry in entries if "training_peak_megabytes" in entry]
    shares = [peak["ours"] / peak[name] for peak in peaks if name in peak]
    return f"{statistics.geometric_mean(shares):.2f}" if shares else ""


def mean(values):
    return statistics.geometric_mean(values) if values else None


def times(value):
    return "" if value is None else f"{value:.2f}"


def draw(path=FIGURE):
    """Each shape a point: how many times faster than stock Keras, in training and in inference."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 6.5), sharex="col", sharey="row", layout="constrained")
    for row, what in zip(axes, (TRAINING, INFERENCE), strict=True):
        for axis, backend in zip(row, ("tensorflow", "jax"), strict=True):
            entries = results_file.read(f"recurrent_{backend}")
            layers = list(dict.fromkeys(entry["layer"] for entry in entries))
            for masked, marker in ((False, "o"), (True, "x")):
                own = [entry for entry in entries if entry["masked"] == masked]
                values = [
                    entry[what]["stock" if "stock" in entry[what] else "cell"]["wall"] / entry[what]["ours"]["wall"]
                    for entry in own
                ]
                places = [layers.index(entry["layer"]) + 0.25 * masked - 0.12 for entry in own]
                style = {"facecolors": "none", "edgecolors": "black"} if marker == "o" else {"color": "0.35"}
                axis.scatter(places, values, marker=marker, label="masked" if masked else "whole rows", **style)
            axis.axhline(1, color="0.6", linewidth=1)
            axis.set_yscale("log")
            ticks = (0.5, 1, 2, 4, 8, 16)
            axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
            axis.set_xticks(range(len(layers)), layers, rotation=25, ha="right")
            axis.set_title(f"{'training step' if what == TRAINING else 'inference'}, {backend}")
        row[0].set_ylabel("times faster than stock Keras")
    axes[0][1].legend(frameon=False)
    temporary = Path(path).with_suffix(".part.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)


if __name__ == "__main__":
    draw()

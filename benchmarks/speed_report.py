"""Tables of benchmarks/attention.py, decoding.py and cached_decoding.py, from their result files."""

import results_file
from recurrent_report import INFERENCE, TRAINING, mean, times

OURS = {"stock": "ours", "stock_jit": "ours_jit", "torch": "ours"}
NAMES = {"stock": "`keras.layers`", "stock_jit": "the same, both with `jit_compile=True`", "torch": "`torch.nn`"}


def attention():
    """For each layer, how many times faster than each contestant: means over shapes, and the worst."""
    entries = results_file.read("attention_tensorflow")
    rows = []
    for layer in dict.fromkeys(entry["layer"] for entry in entries):
        for rival, ours in OURS.items():
            row = [layer, NAMES[rival]]
            for what in (TRAINING, INFERENCE):
                spent = [entry[what] for entry in entries if entry["layer"] == layer and rival in entry[what]]
                found = [one[rival]["wall"] / one[ours]["wall"] for one in spent]
                row += [times(mean(found)), times(min(found))] if found else []
            if len(row) > 2:
                rows.append(row)
    return ["layer", "against", "training, mean", "worst shape", "inference, mean", "worst shape"], rows


def decoding():
    """Tokens per second, and how many times those of the others."""
    rows = []
    for entry in results_file.read("decoding"):
        spent = {name: one["wall"] for name, one in entry["milliseconds"].items()}
        tokens = entry["batch"] * entry["length"] * 1e3
        rows.append(
            [
                entry["how"],
                entry["task"],
                str(entry["batch"]),
                "with" if entry["end"] else "without",
                f"{tokens / spent['ours']:,.0f}" if not entry["end"] else "",
                f"{spent['steps'] / spent['ours']:.0%}" if "steps" in spent else "",
                times(spent["keras_hub"] / spent["ours"]),
                times(spent["keras_hub_jit"] / spent["ours_jit"]),
                times(spent["python"] / spent["ours"]),
            ]
        )
    head = [
        "search",
        "step",
        "batch",
        "end token",
        "tokens / s",
        "of it the steps",
        "KerasHub",
        "both compiled",
        "loop in Python",
    ]
    return head, rows


def cached_decoding():
    """Milliseconds for a sequence, and for one token of it."""
    rows = []
    for entry in sorted(results_file.read("cached_decoding"), key=lambda entry: entry["length"]):
        cached, full = (entry["milliseconds"][name] for name in ("cached", "full"))
        each = cached / entry["length"]
        rows.append([str(entry["length"]), f"{cached:.0f}", f"{each:.2f}", f"{full:.0f}", times(full / cached)])
    return ["tokens", "cached, ms", "ms per token", "full passes, ms", "times"], rows


def gradient_monitor():
    """CPU time, which other processes hardly change; wall time stands in the results."""
    rows = [
        [
            {"tensorflow": "TensorFlow", "jax": "JAX"}[one["backend"]],
            one["model"],
            f"{one['step_milliseconds']['without']['cpu']:.1f} ms",
            f"{100 * (one['ratio']['cpu'] - 1):+.1f}%",
        ]
        for one in sorted(results_file.read("gradient_monitor"), key=lambda one: one["backend"], reverse=True)
    ]
    return ["backend", "model", "CPU time of a step", "with the monitor"], rows

"""Rows of the table on language models."""

from results_file import read

NAMES = {"gru": "GRU of {units}, dropout {dropout}"}


def quality():
    """Head and rows, a row for each training, the best last."""
    rows = []
    for run in sorted(read("language"), key=lambda run: (-run["nats"], run["seed"])):
        model = run["settings"]["model"]
        rows.append(
            [
                NAMES[model["encoder"]].format(**model),
                f"{run['parameters'] / 1e6:.2f} M",
                f"{run['nats']:.3f}",
                f"{100 * run['accuracy']:.1f} %",
                f"{run['train_nats']:.3f}",
                f"{run['train_seconds'] / 60:.0f} min",
            ]
        )
    return ["model", "parameters", "nats", "accuracy", "nats while training", "training"], rows

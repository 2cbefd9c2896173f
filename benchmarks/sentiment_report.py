"""Tables of sentiment models: the demo, sentiment.py and text_pipeline.py, from the card and the result files."""

import json
import statistics
from pathlib import Path

from results_file import content as result
from sentiment_settings import SETTINGS

ROOT = Path(__file__).parents[1]


def demo():
    card = json.loads((ROOT / "saved_models" / "reviews" / "card.json").read_text())
    metrics, baselines = card["metrics"], card["baselines"]
    rows = [
        ("this model", metrics["accuracy"], metrics["macro_f1"]),
        ("… on the composed ones", metrics["accuracy_composed"], None),
        ("… on the written ones", metrics["accuracy_written"], None),
        ("bag of words", baselines["bag_of_words"]["accuracy"], baselines["bag_of_words"]["macro_f1"]),
        ("majority class", baselines["majority"]["accuracy"], baselines["majority"]["macro_f1"]),
    ]
    head = f"{card['split']['test']} held-out reviews"
    return [head, "accuracy", "macro F1"], [[name, number(a), number(f)] for name, a, f in rows]


def sentiment():
    """Means over the folds for each seed; then their mean, and their deviation between seeds."""
    rows = []
    for task, what in (("mr", "ten folds"), ("imdb", "test reviews")):
        runs = result(f"sentiment_{task}")["results"]
        by_seed = [[r for r in runs if r["seed"] == seed] for seed in sorted({r["seed"] for r in runs})]
        if task == "mr":
            by_seed = [one for one in by_seed if len(one) == 10]
        means = [
            [
                statistics.mean(r["metrics"]["accuracy"] for r in one),
                statistics.mean(r["metrics"]["ece"] for r in one),
                statistics.mean(r["baselines"]["nbsvm_bigrams"]["accuracy"] for r in one),
                statistics.mean(r["baselines"]["bag_of_words"]["accuracy"] for r in one),
            ]
            for one in by_seed
        ]
        model = runs[0]["settings"]
        millions = statistics.mean(r["parameters"] for r in runs) / 1e6
        pooling = " and ".join(model["pooling"]) if isinstance(model["pooling"], list) else model["pooling"]
        described = f"{'bidirectional ' if model['bidirectional'] else ''}{model['encoder'].upper()} {model['units']}"
        folds = [statistics.stdev(r["metrics"]["accuracy"] for r in one) for one in by_seed if len(one) > 1]
        rows.append(
            [
                f"{task.upper()}, {what}, {len(by_seed)} seed{'s' * (len(by_seed) > 1)}",
                f"{described}, {pooling} pooling, {millions:.1f} M parameters",
                *(spread(values) for values in zip(*means, strict=True)),
                f"{statistics.mean(folds):.3f}" if folds else "",
                f"{statistics.mean(sum(r['train_seconds'] for r in one) for one in by_seed) / 60:.0f} min",
            ]
        )
    head = ["data", "model", "accuracy", "ECE", "NB-SVM bigrams", "bag of words", "deviation of folds", "training"]
    return head, rows


def changes():
    """What each change of the settings does to the accuracy on validation rows, over the folds that it was tried on.

    Points more: at the last epoch that both were trained for.
    """
    runs, rows = result("sentiment_changes")["results"], []
    for task, settings in SETTINGS.items():
        by_change = {}
        for run in (r for r in runs if r["task"] == task):
            by_change.setdefault(_difference(run["settings"], settings), {})[run["fold"], run["seed"]] = run
        unchanged = by_change.get("", {})
        for change, tried in sorted(by_change.items()):
            by_epoch = [run["validation_accuracies"] for run in tried.values()]
            gains = [_gain(run, unchanged[key]) for key, run in tried.items() if change and key in unchanged]
            rows.append(
                [
                    task.upper(),
                    f"`{change}`" if change else "as they are",
                    str(len(tried)),
                    " ".join(number(statistics.mean(values)) for values in zip(*by_epoch, strict=True)),
                    (f"{statistics.mean(gains):+.1f}" if gains else "")
                    + (f" ± {statistics.stdev(gains):.1f}" if len(gains) > 1 else ""),
                    f"{statistics.mean(run['train_seconds'] for run in tried.values()):.0f} s",
                ]
            )
    return ["data", "settings", "runs", "accuracy epoch by epoch", "points more", "training"], rows


def _gain(run, unchanged):
    """How many points more at the last epoch that both have."""
    accuracies = zip(run["validation_accuracies"], unchanged["validation_accuracies"], strict=False)
    new, old = list(accuracies)[-1]
    return 100 * (new - old)


def _difference(settings, usual):
    """What was set otherwise, as it is written after `--change`; what is not there is None."""
    names = [name for name in {**usual, **settings} if settings.get(name) != usual.get(name)]
    return " ".join(f"{name}={json.dumps(settings.get(name), separators=(',', ':'))}" for name in names)


def text_pipeline():
    content = result("text_pipeline")
    rows = []
    for role, name in (("ours", "length buckets"), ("stock", "`keras.layers`, padded to 400")):
        runs = content["runs"][role]
        rows.append(
            [
                name,
                f"{statistics.median(r['wall_seconds'] for r in runs):.0f} s",
                f"{statistics.median(r['cpu_seconds'] for r in runs):.0f} s",
                f"{max(r['peak_gigabytes'] for r in runs):.2f} GB",
                f"{runs[0]['mean_length']:.0f}",
                str(runs[0]["shapes_of_batches"]),
                str(runs[0]["traced_graphs"]),
                f"{min(r['warm_up_seconds'] for r in runs):.0f} s",
            ]
        )
    head = [
        "an epoch of IMDB",
        "wall",
        "CPU",
        "peak memory",
        "mean length",
        "shapes of batches",
        "traced graphs",
        "first batches",
    ]
    return head, [*rows, ["ratio", f"{content['ratio_of_wall_seconds']:.2f}", *[""] * 6]]


def vectorize():
    content = result("text_pipeline")
    runs = content["runs"]["vectorize"]
    row = [
        f"{content['rows']:,} reviews",
        f"{statistics.median(run['wall_seconds'] for run in runs):.1f} s",
        f"{statistics.median(run['cpu_seconds'] for run in runs):.1f} s",
        f"{max(run['peak_gigabytes'] for run in runs):.2f} GB",
        f"{max(run['of_which_imports'] for run in runs):.2f} GB",
    ]
    return ["reading and vectorising", "wall", "CPU", "peak memory", "of which imports"], [row]


def number(value):
    return "" if value is None else f"{value:.3f}"


def spread(values):
    """The mean, and the deviation where there are several that differ."""
    return number(statistics.mean(values)) + (f" ± {statistics.stdev(values):.3f}" if len(set(values)) > 1 else "")

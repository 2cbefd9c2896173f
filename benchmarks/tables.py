"""Write the tables of README.md and benchmarks/README.md from the result files.

python benchmarks/tables.py            # writes them
python benchmarks/tables.py --check    # fails where a page is not what the results say
"""

import json
import re
import statistics
import sys
from pathlib import Path

import algorithmic_report
import clockwork_report
import forecasting_report
import gradient_report
import recurrent_report
import results_file
import speed_report
import translation_report
from sentiment_settings import SETTINGS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md"]


def result(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


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
    return table([head, "accuracy", "macro F1"], [[name, number(a), number(f)] for name, a, f in rows])


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
    return table(head, rows)


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
    return table(["data", "settings", "runs", "accuracy epoch by epoch", "points more", "training"], rows)


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
    ratio = f"| ratio | {content['ratio_of_wall_seconds']:.2f} | | | | | | |"
    return f"{table(head, rows)}\n{ratio}"


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
    return table(["reading and vectorising", "wall", "CPU", "peak memory", "of which imports"], [row])


def recurrent():
    return table(*recurrent_report.by_layer("tensorflow"))


def recurrent_jax():
    return table(*recurrent_report.by_layer("jax"))


def recurrent_shapes():
    return table(*recurrent_report.by_shape("tensorflow"))


def recurrent_shapes_jax():
    return table(*recurrent_report.by_shape("jax"))


def attention():
    return table(*speed_report.attention())


def decoding():
    return table(*speed_report.decoding())


def cached_decoding():
    return table(*speed_report.cached_decoding())


def gradient_monitor():
    return table(*speed_report.gradient_monitor())


def translation():
    return table(*translation_report.quality(result("translation")["results"]))


def translation_speed():
    return table(*translation_report.speed(result("translation_speed")["results"]))


def forecasting():
    return table(*forecasting_report.ett(result("forecasting")["results"], result("forecasting_peer")["results"]))


def forecasting_frames():
    return table(*forecasting_report.frames(result("forecasting")["results"]))


def forecasting_speed():
    return table(*forecasting_report.speed(result("forecasting_speed")["results"]))


def clockwork_wave():
    return table(*clockwork_report.trained(results_file.read("clockwork"), "wave", ("mse", "nmse")))


def clockwork_adding():
    return table(*clockwork_report.trained(results_file.read("clockwork"), "adding", ("mse",)))


def clockwork_speed():
    return table(*clockwork_report.speed(results_file.read("clockwork")))


def algorithmic():
    return table(*algorithmic_report.quality(results_file.read("algorithmic")))


def memory_speed():
    return table(*algorithmic_report.speed(results_file.read("memory_speed")))


def copy_memory():
    return table(*gradient_report.copy_memory())


def gradient_flow():
    return table(*gradient_report.gradient_flow())


def starts():
    return table(*gradient_report.starts())


def number(value):
    return "" if value is None else f"{value:.3f}"


def spread(values):
    """The mean, and the deviation where there are several that differ."""
    return number(statistics.mean(values)) + (f" ± {statistics.stdev(values):.3f}" if len(set(values)) > 1 else "")


def table(head, rows):
    """Lines of Markdown; a table that has no rows yet is none at all."""
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(text):
    """A page with each table behind its marker made anew."""
    recurrent_tables = (recurrent, recurrent_jax, recurrent_shapes, recurrent_shapes_jax)
    speed_tables = (attention, decoding, cached_decoding, gradient_monitor)
    text_tables = (demo, sentiment, changes, text_pipeline, vectorize, translation, translation_speed)
    forecast_tables = (forecasting, forecasting_frames, forecasting_speed)
    clockwork_tables = (clockwork_wave, clockwork_adding, clockwork_speed)
    memory_tables = (algorithmic, memory_speed)
    gradient_tables = (copy_memory, gradient_flow, starts)
    of_papers = (*clockwork_tables, *memory_tables, *gradient_tables)
    for make in (*text_tables, *forecast_tables, *of_papers, *recurrent_tables, *speed_tables):
        marker = f"<!-- table: {make.__name__} -->"
        if marker in text:
            text = re.sub(
                rf"{marker}\n+(\|[^\n]*\n)*\n*",
                lambda _, m=marker, f=make: f"{m}\n\n{f()}\n\n".replace("\n\n\n\n", "\n\n"),
                text,
            )
    return text


def main():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if "--check" not in sys.argv:
            page.with_suffix(".tmp").write_text(filled(text), encoding="utf-8")
            page.with_suffix(".tmp").replace(page)
        elif filled(text) != text:
            sys.exit(f"{page.relative_to(ROOT)}: run python benchmarks/tables.py")


if __name__ == "__main__":
    main()

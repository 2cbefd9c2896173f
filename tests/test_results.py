"""Results that are checked in are whole, and the tables of the pages hold their numbers."""

import importlib
import json
import re
import runpy
import subprocess
import sys

import pytest

from tests.processes import ROOT

SETTINGS = runpy.run_path(str(ROOT / "benchmarks" / "sentiment_settings.py"))["SETTINGS"]
FILES = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
TASKS = {"mr": 10_662, "imdb": 50_000}
KEYS = {"fold", "seed", "rows", "parameters", "train_seconds", "settings", "versions"}


def results(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_there_are_results():
    names = {path.stem for path in FILES}
    assert {"sentiment_mr", "sentiment_imdb", "sentiment_changes", "text_pipeline"} <= names
    assert {f"{what}_{b}" for what in ("recurrent", "thresholds") for b in ("tensorflow", "jax")} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_json_without_odd_numbers(path):
    def refuse(name):
        raise AssertionError(f"{name} in {path.name}")

    assert json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def check_run(result):
    assert set(result) >= KEYS
    assert result["train_seconds"] > 0
    assert result["parameters"] > 0
    assert {"python", "keras", "numpy", "keras_seq"} <= set(result["versions"])


@pytest.mark.parametrize("task", TASKS)
def test_each_result_says_what_was_run_and_how_well_it_did(task):
    content = results(f"sentiment_{task}")
    assert {"protocol", "results"} <= set(content)
    runs = [(result["fold"], result["seed"]) for result in content["results"]]
    assert len(set(runs)) == len(runs) >= 1
    for result in content["results"]:
        check_run(result)
        assert sum(result["rows"].values()) == TASKS[task]
        assert set(result["baselines"]) == {"nbsvm_bigrams", "bag_of_words", "majority"}
        for scores in (result["metrics"], *result["baselines"].values()):
            assert {"accuracy", "macro_f1"} <= set(scores)
            assert all(0 <= value <= 1 for value in scores.values())
        assert result["metrics"]["accuracy"] > result["baselines"]["majority"]["accuracy"]
        assert result["settings"] == SETTINGS[task]


def test_mr_has_all_ten_folds_and_both_tasks_three_seeds():
    runs = {(result["fold"], result["seed"]) for result in results("sentiment_mr")["results"]}
    assert runs == {(fold, seed) for fold in range(10) for seed in range(3)}
    assert {result["seed"] for result in results("sentiment_imdb")["results"]} == {0, 1, 2}


def test_changes_are_judged_without_test_rows():
    for result in results("sentiment_changes")["results"]:
        check_run(result)
        assert set(result["rows"]) == {"train", "validation"}
        assert "metrics" not in result
        assert len(result["validation_accuracies"]) == result["settings"]["epochs"]


def test_epochs_in_buckets_and_padded_took_turns():
    content = results("text_pipeline")
    assert content["seed"] == 0
    assert len(content["runs"]["ours"]) == len(content["runs"]["stock"]) >= 2
    assert content["rows"] == 25_000
    ours, stock = content["runs"]["ours"][0], content["runs"]["stock"][0]
    assert ours["parameters"] == stock["parameters"]
    assert stock["mean_length"] == 400
    assert stock["shapes_of_batches"] <= 2 < ours["shapes_of_batches"]


def test_the_page_of_texts_holds_the_numbers_of_the_demo():
    text = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")
    card = json.loads((ROOT / "saved_models" / "reviews" / "card.json").read_text())
    for name, row in {"this model": card["metrics"], "bag of words": card["baselines"]["bag_of_words"]}.items():
        cells = f"{row['accuracy']:.3f} | {row['macro_f1']:.3f}"
        assert re.search(rf"\| {name} \| {re.escape(cells)} \|", text), f"{name}: {cells}"


def test_the_tables_are_those_of_the_results():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "tables.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_recurrent_results_are_whole(backend):
    """Each layer at each shape, with all that it was compared with."""
    entries = results(f"recurrent_{backend}")["results"]
    cases = {(e["layer"], e["masked"]) for e in entries}
    shapes = {tuple(e["shape"]) for e in entries}
    assert len(entries) == len(cases) * len(shapes) == len({(e["layer"], e["masked"], *e["shape"]) for e in entries})
    assert len(shapes) >= 8
    for entry in entries:
        assert {"python", "keras", "backend", backend} <= set(entry["versions"])
        assert {"ours", "cell"} <= set(entry["training_milliseconds"])
        assert all(spent["wall"] > 0 for spent in entry["training_milliseconds"].values())


def test_the_thresholds_of_the_package_follow_from_what_was_measured(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    thresholds = importlib.import_module("thresholds")
    shipped = thresholds.FILE.read_text()
    monkeypatch.setattr(thresholds, "FILE", tmp_path / "thresholds.json")
    thresholds.write_limits()
    assert thresholds.FILE.read_text() == shipped


def test_a_limit_is_where_one_way_stops_to_win(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    limit = importlib.import_module("thresholds").limit
    otherwise = {1: 4.0, 8: 4.0, 32: 4.0}
    assert limit({1: 1.0, 8: 2.0, 32: 6.0}, otherwise) == 8
    assert limit({1: 5.0, 8: 1.0, 32: 2.0}, otherwise) == 32  # one bad batch size does not outweigh the others
    assert limit({1: 5.0, 8: 5.0, 32: 5.0}, otherwise) == 0


def test_layers_were_compared_alike():
    """Each at each task by the same seeds, with nearly as many weights, and what each costs."""
    entries = results("choose")["results"]
    runs = {(e["task"], e["layer"], e["seed"]): e for e in entries if e["task"] != "costs"}
    tasks, layers, seeds = (sorted(set(part)) for part in zip(*runs, strict=True))
    assert (tasks, len(layers)) == (["adding", "forecasting", "sentiment"], 10)
    assert len(seeds) > 1
    assert len(runs) == len(tasks) * len(layers) * len(seeds)
    assert {e["layer"] for e in entries if e["task"] == "costs"} == set(layers)
    for (task, _, _), entry in runs.items():
        assert abs(entry["layer_weights"] - 25_000) < 600
        one = runs[task, "GRU", seeds[0]]
        assert {**entry["settings"], "units": 0} == {**one["settings"], "units": 0}
        assert entry["baselines"] == one["baselines"]
        assert entry["versions"] == one["versions"]

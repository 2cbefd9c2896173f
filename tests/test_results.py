"""Results that are checked in are whole, and the tables of the README hold their numbers."""

import json
import re

import pytest

from tests.processes import ROOT

FILES = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
SENTIMENT = [path for path in FILES if path.name.startswith("sentiment_")]
KEYS = {"fold", "seed", "rows", "metrics", "baselines", "parameters", "train_seconds", "settings", "versions"}


def test_there_are_results():
    assert ROOT / "benchmarks" / "results" / "sentiment_mr.json" in SENTIMENT


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_json_without_odd_numbers(path):
    def refuse(name):
        raise AssertionError(f"{name} in {path.name}")

    assert json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("path", SENTIMENT, ids=lambda path: path.name)
def test_each_result_says_what_was_run_and_how_well_it_did(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert {"task", "protocol", "results"} <= set(content)
    assert path.name == f"sentiment_{content['task']}.json"
    runs = [(result["fold"], result["seed"]) for result in content["results"]]
    assert len(set(runs)) == len(runs) >= 1
    for result in content["results"]:
        assert set(result) >= KEYS
        assert set(result["rows"]) == {"train", "validation", "test"}
        for scores in (result["metrics"], *result["baselines"].values()):
            assert {"accuracy", "macro_f1"} <= set(scores)
            assert all(0 <= value <= 1 for value in scores.values())
        assert result["metrics"]["accuracy"] > result["baselines"]["majority"]["accuracy"]
        assert result["train_seconds"] > 0
        assert result["parameters"] > 0
        assert {"python", "keras", "numpy", "keras_seq"} <= set(result["versions"])


def test_the_folds_of_mr_are_those_of_the_whole_file():
    for result in json.loads((ROOT / "benchmarks" / "results" / "sentiment_mr.json").read_text())["results"]:
        assert sum(result["rows"].values()) == 10_662
        assert result["rows"]["test"] in (1066, 1067)


def test_the_readme_holds_the_numbers_of_the_demo():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    card = json.loads((ROOT / "saved_models" / "reviews" / "card.json").read_text())
    for name, row in {"this model": card["metrics"], "bag of words": card["baselines"]["bag_of_words"]}.items():
        cells = f"{row['accuracy']:.3f} | {row['macro_f1']:.3f}"
        assert re.search(rf"\| {name} \| {re.escape(cells)} \|", text), f"{name}: {cells}"

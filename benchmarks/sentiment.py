"""Sentiment on real reviews.

    python benchmarks/sentiment.py --task mr --folds 1     # the first of ten folds of Rotten Tomatoes MR

The result is merged into `benchmarks/results/sentiment_mr.json`, fold by fold; a fold that is there is not run again.
Protocol (TARGETS: Kim, 2014): ten-fold cross-validation, accuracy, no pretrained vectors. A tenth of the training rows
chooses the epoch; the test fold is looked at once.
"""

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from keras_seq import data, saving
from keras_seq.cli.sentiment import VALIDATION_SIZE, Settings, compose, fit, reported

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("KERAS_SEQ_DATA", ROOT.parent / "shared" / "data"))
RESULTS = ROOT / "benchmarks" / "results"
FOLDS = 10


def mr_frame():
    """The 10,662 sentences of MR, tokenised and in lower case as they come."""
    parts = []
    for ending, label in (("neg", "negative"), ("pos", "positive")):
        lines = (DATA / "rt_polarity" / f"rt-polarity.{ending}").read_text(encoding="utf-8").split("\n")
        parts.append(pd.DataFrame({"text": [line.strip() for line in lines if line.strip()], "label": label}))
    return pd.concat(parts, ignore_index=True)


def mr_parts(frame, fold, seed):
    """Training, validation and test rows of one fold; folds are drawn once, by seed 0."""
    of_row = np.random.default_rng(0).permutation(len(frame)) % FOLDS
    train, validation = data.split(frame[of_row != fold], VALIDATION_SIZE, stratify="label", seed=seed)
    return {"train": train, "validation": validation, "test": frame[of_row == fold]}


def run_fold(frame, fold, seed):
    parts = mr_parts(frame, fold, seed)
    settings = Settings(
        data="rt_polarity",
        model={
            "encoder": "gru",
            "bidirectional": True,
            "pooling": "max",
            "units": 64,
            "embedding_dim": 128,
            "dropout": 0.5,
            "learning_rate": 1e-3,
        },
        words={"max_tokens": 20_000, "min_count": 2, "max_length": 64},
        epochs=12,
        patience=3,
        seed=seed,
    )
    model, datasets = compose(settings, parts)
    with tempfile.TemporaryDirectory() as work:
        seconds = fit(settings, model, datasets, Path(work))
    predicted = model.predict(parts["test"]["text"], verbose=0).argmax(axis=1)
    report = reported(settings, parts, model, predicted)
    return {
        "fold": fold,
        "seed": seed,
        "rows": {name: len(rows) for name, rows in parts.items()},
        "metrics": report.pop("model"),
        "baselines": report,
        "parameters": model.count_params(),
        "train_seconds": round(seconds, 1),
        "settings": asdict(settings),
        "versions": saving.versions(),
    }


def merge(path, result):
    """Put a result into its file, in the place of an earlier one of the same fold and seed."""
    content = json.loads(path.read_text()) if path.exists() else {"task": "mr", "protocol": __doc__, "results": []}
    content["results"] = [r for r in content["results"] if (r["fold"], r["seed"]) != (result["fold"], result["seed"])]
    content["results"] = sorted([*content["results"], result], key=lambda r: (r["seed"], r["fold"]))
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["mr"], required=True)
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many of the ten folds to run")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    path = RESULTS / "sentiment_mr.json"
    done = json.loads(path.read_text())["results"] if path.exists() else []
    frame = mr_frame()
    for fold in range(arguments.folds):
        if any((r["fold"], r["seed"]) == (fold, arguments.seed) for r in done):
            continue
        result = run_fold(frame, fold, arguments.seed)
        merge(path, result)
        print(json.dumps({name: result[name] for name in ("fold", "metrics", "baselines", "train_seconds")}))


if __name__ == "__main__":
    main()

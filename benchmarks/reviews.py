"""The reviews of the shared data, from `KERAS_SEQ_DATA`, by default `../shared/data`."""

import gzip
import os
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("KERAS_SEQ_DATA", ROOT.parent / "shared" / "data"))


def imdb_frame(part):
    """The 25,000 reviews of `"train"` or `"test"`, read line by line: no second copy of the file stands in memory."""
    labels, texts = [], []
    with gzip.open(DATA / "imdb" / f"{part}.tsv.gz", "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            label, _, _, text = line.rstrip("\n").split("\t", 3)
            labels.append("positive" if label == "1" else "negative")
            texts.append(text)
    return pd.DataFrame({"text": texts, "label": labels})


def mr_frame():
    """The 10,662 sentences of MR, tokenised and in lower case as they come."""
    parts = []
    for ending, label in (("neg", "negative"), ("pos", "positive")):
        lines = (DATA / "rt_polarity" / f"rt-polarity.{ending}").read_text(encoding="utf-8").split("\n")
        parts.append(pd.DataFrame({"text": [line.strip() for line in lines if line.strip()], "label": label}))
    return pd.concat(parts, ignore_index=True)

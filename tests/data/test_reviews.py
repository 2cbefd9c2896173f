"""The embedded reviews: what they promise, and that they are not too easy."""

import json
import re
from pathlib import Path

import keras_seq as ks
from tests.processes import ROOT


def _normal(text):
    return " ".join(re.findall(r"[\w']+", text.lower()))


def test_there_are_enough_and_they_are_balanced():
    frame = ks.data.reviews()
    assert len(frame) >= 600
    assert frame["label"].value_counts().nunique() == 1
    for part in ("train", "test"):
        counts = frame.loc[frame["split"] == part, "label"].value_counts()
        assert sorted(counts.index) == ["negative", "positive"]
        assert counts.min() == counts.max()
    assert set(frame["topic"]) == {"film", "book", "device", "food", "place"}
    assert {"negation", "contrast", "irony"} < set(frame["style"])
    assert not frame.isna().any().any()


def test_no_text_comes_twice_also_not_in_other_dress():
    texts = ks.data.reviews()["text"].map(_normal)
    assert texts[texts.duplicated()].tolist() == []


def test_the_held_out_part_is_fixed():
    """A column of the file says which rows it is; reading it again changes nothing."""
    frame = ks.data.reviews()
    assert frame.equals(ks.data.reviews())
    path = Path(ks.data.__file__).with_name("reviews.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(line.endswith(",test") for line in lines) == (frame["split"] == "test").sum() > 0


def test_a_bag_of_words_does_worse_than_the_model_of_the_card():
    """Fitted here: negation and irony escape it."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    frame = ks.data.reviews()
    train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    baseline = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=500)).fit(train["text"], train["label"])
    accuracy = baseline.score(test["text"], test["label"])
    card = json.loads((ROOT / "saved_models" / "reviews" / "card.json").read_text())
    assert 0.5 < accuracy < card["metrics"]["accuracy"] - 0.05
    assert abs(card["baselines"]["bag_of_words"]["accuracy"] - accuracy) < 0.1
    assert card["baselines"]["majority"]["accuracy"] == 0.5

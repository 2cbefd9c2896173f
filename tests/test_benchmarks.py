"""Parts of the benchmarks that no result shows: the baseline is that of its paper, and validation rows are held out."""

import importlib
import itertools

import numpy as np
import pandas as pd
import pytest

from tests.processes import ROOT

WORDS = ["Good", "good", "bad", "dull", "the", "a", "film", "!", "not", "it's"]


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmarks by its name, as their scripts do."""
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def drawn_texts(rng, count):
    """Texts of 1 to 9 words, many of which are there twice, in capitals or single characters."""
    return [" ".join(rng.choice(WORDS, rng.integers(1, 10))) for _ in range(count)]


def words_and_bigrams(text):
    words = text.lower().split()
    return {*words, *map(" ".join, itertools.pairwise(words))}


def of_the_paper(texts, y, beta, c):
    """Wang and Manning (2012), section 2: the weight of each word and bigram. And the bias, which is the SVM's part."""
    from sklearn.svm import LinearSVC

    names = sorted(set().union(*map(words_and_bigrams, texts)))
    f = np.array([[float(name in words_and_bigrams(text)) for name in names] for text in texts])
    p, q = 1 + f[y == 1].sum(axis=0), 1 + f[y == 0].sum(axis=0)
    r = np.log((p / np.abs(p).sum()) / (q / np.abs(q).sum()))
    svm = LinearSVC(C=c, tol=1e-9, max_iter=1_000_000, random_state=1).fit(f * r, y)
    mean = np.abs(svm.coef_[0]).sum() / len(names)
    interpolated = [(1 - beta) * mean + beta * w for w in svm.coef_[0]]
    return dict(zip(names, r * interpolated, strict=True)), beta * svm.intercept_[0]


@pytest.mark.parametrize("arguments", [{}, {"beta": 0.0}, {"beta": 1.0, "c": 0.1}])
def test_nbsvm_is_that_of_the_paper(module, rng, arguments):
    """Between naive Bayes (`beta` 0) and the SVM (1)."""
    texts, new = drawn_texts(rng, 40), drawn_texts(rng, 200)
    y = np.array([int("good" in text.lower()) if i % 5 else i % 2 for i, text in enumerate(texts)])
    weights, bias = of_the_paper(texts, y, **{"beta": 0.25, "c": 1.0, **arguments})
    model = module("nbsvm").NBSVM(**arguments).fit(texts, y)
    found = dict(zip(model.features.get_feature_names_out(), model.w, strict=True))
    assert found == pytest.approx(weights, abs=1e-4)
    margins = np.array([sum(weights.get(name, 0) for name in words_and_bigrams(text)) + bias for text in new])
    clear = np.abs(margins) > 2e-3  # the others may fall on either side
    assert clear.mean() > 0.95
    assert 0.2 < (margins > 0).mean() < 0.8
    np.testing.assert_array_equal(model.predict(new)[clear], (margins > 0)[clear])
    assert model.predict(["", "unheard words"]).tolist() == [int(bias > 0)] * 2


@pytest.fixture
def rows(rng):
    """30 positive and 25 negative rows that are mixed, and an index that says nothing of their order."""
    label = rng.permutation(["positive"] * 30 + ["negative"] * 25)
    return pd.DataFrame({"text": [f"text {i}" for i in range(55)], "label": label}, index=rng.permutation(55) + 100)


def check_division(rows, rest, validation, counts):
    """No row in both parts, none lost, and all in their order."""
    pd.testing.assert_frame_equal(rest, rows.drop(index=validation.index))
    pd.testing.assert_frame_equal(validation, rows.drop(index=rest.index))
    assert validation["label"].value_counts().to_dict() == counts


def test_validation_rows_of_imdb_are_the_last_of_each_label(module, rows):
    rest, validation = module("sentiment").held_out("imdb", rows, seed=0)
    counts = {"positive": 3, "negative": 2}
    check_division(rows, rest, validation, counts)
    for label, count in counts.items():
        assert list(validation.index[validation["label"] == label]) == list(rows.index[rows["label"] == label])[-count:]


def test_validation_rows_of_mr_are_drawn_by_seed(module, rows):
    parts = [module("sentiment").held_out("mr", rows, seed=seed) for seed in (0, 0, 1)]
    for rest, validation in parts:
        check_division(rows, rest, validation, {"positive": 3, "negative": 2})
    first, again, other = (set(validation.index) for _, validation in parts)
    assert first == again != other

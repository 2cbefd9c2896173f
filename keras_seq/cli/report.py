"""How well a classifier does on rows it never saw, and what simpler ones do."""

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.pipeline import make_pipeline

from keras_seq.data.text import vectorized
from keras_seq.metrics import ExpectedCalibrationError


def scores(truth, predicted):
    """Accuracy, and the mean of the F1 of each class."""
    return {
        "accuracy": round(float(accuracy_score(truth, predicted)), 4),
        "macro_f1": round(float(f1_score(truth, predicted, average="macro")), 4),
    }


def calibration_error(truth, probabilities):
    """The expected calibration error of probabilities `(N, C)`; `truth` are indices."""
    metric = ExpectedCalibrationError()
    metric.update_state(truth, probabilities)
    return round(float(metric.result()), 4)


def best_threshold(truth, probability):
    """The threshold on the probability `(N,)` of label 1 that gives the highest macro F1; `truth` is 0 or 1.

    It is 0.5, or lies half way between two probabilities; of equally good ones it is that nearest to 0.5.
    """
    levels = np.unique(np.concatenate([[0.0, 1.0], probability]))
    middles = np.append((levels[:-1] + levels[1:]) / 2, 0.5)
    truth, order = np.asarray(truth), np.argsort(probability)
    below = np.searchsorted(probability[order], middles)  # how many rows are judged 0
    ones_below = np.append(0, np.cumsum(truth[order]))[below]
    ones, rows = truth.sum(), len(truth)
    f1_of_one = 2 * (ones - ones_below) / np.maximum(ones + rows - below, 1)
    f1_of_zero = 2 * (below - ones_below) / np.maximum(rows - ones + below, 1)
    quality = f1_of_one + f1_of_zero
    best = middles[quality >= quality.max() - 1e-9]  # ties, however they were rounded
    return float(best[np.abs(best - 0.5).argmin()])


def majority(labels, rows):
    """The most frequent label of the training rows, for each of `rows` rows."""
    return [labels.value_counts().idxmax()] * rows


def bag_of_words(train, test, text, label, vectorizer):
    """Labels by a logistic regression on word counts, with the words that the model knows."""
    baseline = make_pipeline(CountVectorizer(analyzer=np.ndarray.tolist), LogisticRegression(max_iter=1000))
    baseline.fit(vectorized(train[text].tolist(), vectorizer), train[label].tolist())
    return baseline.predict(vectorized(test[text].tolist(), vectorizer)).tolist()


def print_report(report, truth, predicted, labels):
    """Scores of the model beside the baselines, and its confusion matrix. `truth` and `predicted` are indices."""
    console = Console()
    table = Table("", "accuracy", "macro F1", title=f"On {len(truth)} held-out rows")
    names = {"model": "this model", "bag_of_words": "bag of words", "majority": "majority class"}
    for key, name in names.items():
        table.add_row(name, f"{report[key]['accuracy']:.3f}", f"{report[key]['macro_f1']:.3f}")
    console.print(table)
    for name, value in report["model"].items():
        if name in ("accuracy_composed", "accuracy_written"):
            console.print(f"  of those that are {name.removeprefix('accuracy_')}: {value:.3f}")
    console.print(f"Expected calibration error: {report['model']['ece']:.3f}")
    if "threshold" in report["model"]:
        console.print(
            Text(
                f"Judged {labels[1]} from a probability of {report['model']['threshold']:.3f} on (chosen on validation "
                f"rows): accuracy {report['model']['accuracy_at_threshold']:.3f}, "
                f"macro F1 {report['model']['macro_f1_at_threshold']:.3f}"
            )
        )
    confusion = Table("is \\ judged", *(Column(Text(str(label))) for label in labels), title="Confusion matrix")
    for label, row in zip(labels, confusion_matrix(truth, predicted, labels=range(len(labels))), strict=True):
        confusion.add_row(Text(str(label)), *map(str, row))
    console.print(confusion)

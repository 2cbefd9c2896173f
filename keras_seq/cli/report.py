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


def scores(truth, predicted):
    """Accuracy, and the mean of the F1 of each class."""
    return {
        "accuracy": round(float(accuracy_score(truth, predicted)), 4),
        "macro_f1": round(float(f1_score(truth, predicted, average="macro")), 4),
    }


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
        if name.startswith("accuracy_"):
            console.print(f"  of those that are {name.removeprefix('accuracy_')}: {value:.3f}")
    confusion = Table("is \\ judged", *(Column(Text(str(label))) for label in labels), title="Confusion matrix")
    for label, row in zip(labels, confusion_matrix(truth, predicted, labels=range(len(labels))), strict=True):
        confusion.add_row(Text(str(label)), *map(str, row))
    console.print(confusion)

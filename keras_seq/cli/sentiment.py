"""`keras-seq train sentiment`: from a table to an artefact, with a report on rows that the training never saw."""

import shutil
from dataclasses import dataclass, field

import keras
import numpy as np
import pandas as pd

from keras_seq import callbacks, data, models, saving
from keras_seq.callbacks.resuming import makes_averages
from keras_seq.cli.report import bag_of_words, best_threshold, calibration_error, majority, print_report, scores
from keras_seq.cli.training import alone_in, check_backend, digest, go_on, work_folder
from keras_seq.data.frames import column
from keras_seq.data.targets import encoded_labels
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError

VALIDATION_SIZE = 0.1  # of the rows that are not held out


@dataclass
class Settings:
    """All that a training depends on. `data` None is the embedded reviews."""

    data: str | None = None
    text: str = "text"
    label: str = "label"
    model: dict = field(default_factory=dict)  # arguments of sentiment_model
    words: dict = field(default_factory=dict)  # arguments of text_vectorizer
    epochs: int = 20
    patience: int = 4
    batch_size: int = 32
    decay: float = 0.1
    class_weight: str | None = None
    vectors: str | None = None  # a file for load_vectors
    test_size: float = 0.2
    seed: int = 0


def train_to_artefact(settings, out, force=False):
    """Train, write the artefact to the folder `out`, and print the report.

    While it trains, all that is needed to go on lies in the folder `out` + `.training`.
    """
    check_backend()
    saving.check_free(out, force)
    if settings.vectors is None and not settings.model.get("train_embeddings", True):
        raise InputError("Option --no-train-vectors needs vectors that it keeps as they are: give --vectors FILE.")
    parts = load_parts(settings)
    model, datasets = compose(settings, parts)
    rows = [frame[[settings.text, settings.label]] for frame in parts.values()]
    work = work_folder(out, settings, digest(rows, filter(None, [settings.vectors])))
    with alone_in(work):
        seconds = fit(settings, model, datasets, work)
    probabilities = predictions(settings, parts, model)
    report = reported(settings, parts, model, probabilities)
    card = {
        "kind": "sentiment",
        "data": settings.data or "embedded reviews",
        "split": {name: len(frame) for name, frame in parts.items()},
        "seed": settings.seed,
        "train_seconds": round(seconds, 1),
        "metrics": report["model"],
        "baselines": {name: values for name, values in report.items() if name != "model"},
    }
    saving.save(model, out, card, overwrite=force)
    shutil.rmtree(work)
    truth = np.array([model.labels.index(value) for value in parts["test"][settings.label]])
    print_report(report, truth, probabilities["test"].argmax(axis=1), model.labels)
    print(f"Wrote {out} ({seconds:.0f} s of training). Try: keras-seq predict {out} 'Your text.'")


def load_parts(settings):
    """The rows to train on, to validate on, and held out: `{"train": frame, "validation": …, "test": …}`."""
    if settings.data is None:
        frame = data.reviews()
        train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    else:
        frame = data.read_frame(settings.data)
        checked_texts(column(frame, settings.text), settings.text)
        _check_labels(frame, settings.label)
        train, test = data.split(frame, settings.test_size, stratify=settings.label, seed=settings.seed)
    train, validation = data.split(train, VALIDATION_SIZE, stratify=settings.label, seed=settings.seed)
    return {"train": train, "validation": validation, "test": test}


def _check_labels(frame, label):
    data.labels_of(frame, label)
    counts = pd.Series(encoded_labels(frame[label], name=label)).value_counts()
    if counts.min() < 3:
        raise InputError(
            f"Label {counts.idxmin()!r} has {counts.min()} row(s); three are needed (to train, to validate, held out): "
            "add rows, or drop the label."
        )


def compose(settings, parts):
    """The model to train, and its data: `(model, {"train": dataset, "validation": dataset})`."""
    keras.utils.set_random_seed(settings.seed)
    vectorizer = data.text_vectorizer(parts["train"][settings.text], **settings.words)
    labels = data.labels_of(pd.concat(parts.values()), settings.label)
    datasets = {
        part: data.text_dataset(
            parts[part],
            vectorizer,
            settings.text,
            settings.label,
            batch_size=settings.batch_size,
            shuffle=part == "train",
            seed=settings.seed,
        )
        for part in ("train", "validation")
    }
    vectors = {}
    if settings.vectors is not None:
        vectors = {"embeddings": data.load_vectors(settings.vectors, vectorizer, settings.seed)}
    return models.sentiment_model(vectorizer, labels, **settings.model, **vectors), datasets


def fit(settings, model, datasets, work):
    """Train a model, or go on with the training in the folder `work`. Returns the seconds that all of it took."""
    averages = [keras.callbacks.SwapEMAWeights()] if makes_averages(model.optimizer) else []
    decay = callbacks.InverseTimeDecay(settings.decay, learning_rate=settings.model.get("learning_rate", 1e-3))
    ending = callbacks.ResumableEarlyStopping(
        work / "best", monitor="val_accuracy", patience=settings.patience, restore_best_weights=True
    )
    return go_on(model, datasets, settings, work, ending, *averages, decay, class_weight=settings.class_weight)


def predictions(settings, parts, model):
    """Probabilities `(N, C)` of the labels of the validation and of the held-out rows."""
    return {name: model.predict(parts[name][settings.text], verbose=0) for name in ("validation", "test")}


def reported(settings, parts, model, probabilities):
    """Scores on the held-out rows, of the model and of two that know less.

    With two labels also a threshold, chosen on the validation rows: the second label is judged where its probability
    reaches it.
    """
    train, test = (parts[name] for name in ("train", "test"))
    truth = test[settings.label].tolist()
    judged = [model.labels[i] for i in probabilities["test"].argmax(axis=1)]
    indices = {name: encoded_labels(parts[name][settings.label], model.labels) for name in ("validation", "test")}
    calibration = {"ece": calibration_error(indices["test"], probabilities["test"])}
    if len(model.labels) == 2:
        threshold = best_threshold(indices["validation"], probabilities["validation"][:, 1])
        at_threshold = scores(indices["test"], (probabilities["test"][:, 1] >= threshold).astype(int))
        calibration["threshold"] = threshold
        calibration.update({f"{name}_at_threshold": value for name, value in at_threshold.items()})
    by_source = {}
    if settings.data is None:  # half easy, half hard: say how it does on each
        for source, rows in test.assign(judged=judged).groupby("source"):
            by_source[f"accuracy_{source}"] = scores(rows[settings.label], rows["judged"])["accuracy"]
    return {
        "model": {**scores(truth, judged), **by_source, **calibration},
        "bag_of_words": scores(truth, bag_of_words(train, test, settings.text, settings.label, model.vectorizer)),
        "majority": scores(truth, majority(train[settings.label], len(test))),
    }

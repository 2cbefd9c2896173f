"""The rows that `keras-seq diagnose` looks at: those that a model was trained on, or others of their form."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_seq import data
from keras_seq.data.frames import column
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError
from keras_seq.models.forecaster_state import parts_of

_GENERATED = {"embedded reviews": data.reviews, "generated dates": data.dates, "generated load": data.load}


@dataclass
class Batch:
    """Rows with their targets.

    Attributes:
        x, y, sample_weight: as `model.fit` takes them.
        names: what each row is called.
        told: where they are from, in words.
        inputs: as the model's call takes them, or strings.
        row: a function of the number of a row: `x`, `y` and `sample_weight` of it alone, and the tokens read, or None.
        at: which of several inputs is the sequence that is read.
        shared: whether sources and targets are embedded by one layer.
    """

    x: Any
    y: Any
    names: list
    told: str
    inputs: Any
    row: Callable
    sample_weight: Any = None
    at: Any = None
    shared: bool = False


def batch_of(model, card, directory, path, rows, **columns):
    """The batch.

    Args:
        model, card: of the artefact.
        directory: where it is.
        path: a file, or None for what the card names.
        rows: how many rows.
        columns: `text` and `label`, or `source` and `target`; None where one was not given.

    Raises:
        InputError: for a kind of model, or an option, that there is none for; for rows that are not to be had.
    """
    kind = card["kind"]
    if kind not in _KINDS:
        raise InputError(
            f"Folder {str(directory)!r} holds a model of kind {kind!r}, which the command line does not know: call the "
            "functions of ks.diagnostics on it."
        )
    defaults, reader = _KINDS[kind]
    for name, value in columns.items():
        if value is not None and name not in defaults:
            raise InputError(f"Option --{name} is not of models of kind {kind!r}: leave it out.")
    known = card.get("data")
    generated = path is None and known in _GENERATED
    if path is None and not generated and not (known and Path(known).is_file()):
        told = f"The model was trained on {known}, which is not there" if known else "Its card names no data"
        raise InputError(f"{told}: give labelled rows by --data.")
    frame = _GENERATED[known]() if generated else data.read_frame(path or known)
    names = dict(defaults)
    if generated and known == "generated dates":
        names = {"source": "text", "target": "iso"}
    names |= {name: value for name, value in columns.items() if value is not None}
    told = f"rows of the {known}" if generated else f"rows of {path or known}"
    return reader(model, frame, names, rows, told)


def _of_texts(model, frame, names, rows, told):
    if model.multi_label:
        raise InputError(
            "The model gives a text any number of labels, which no column holds: call the functions of ks.diagnostics."
        )
    frame = _sampled(frame, rows, names["text"])
    texts, labels = frame[names["text"]].tolist(), column(frame, names["label"]).tolist()

    def row(place):
        return [texts[place]], [labels[place]], None, None

    return Batch(texts, labels, texts, f"{len(texts)} {told}", texts, row)


def _of_pairs(model, frame, names, rows, told):
    frame = _sampled(frame, rows, names["source"], names["target"])
    sources, targets = frame[names["source"]].tolist(), frame[names["target"]].tolist()
    inputs, *_ = model.as_batch(sources, targets)

    def row(place):
        x, y, _ = model.as_batch([sources[place]], [targets[place]])  # of its own length
        return x, y, None, model.source_vectorizer.tokens(x["source"])

    shared = model.network.shared_embeddings is True
    at = None if shared else "source_embedding"
    return Batch(sources, targets, sources, f"{len(sources)} {told}", inputs, row, at=at, shared=shared)


def _sampled(frame, rows, *names):
    """Some rows whose columns of texts hold texts that are not blank."""
    there = np.ones(len(frame), bool)
    for name in names:
        texts = checked_texts(column(frame, name), name)
        there &= np.array([bool(text.strip()) for text in texts])
    if not there.any():
        raise InputError(f"Column {names[0]!r} holds blank texts alone: give rows with words.")
    return frame[there].sample(min(rows, there.sum()), random_state=0)


def _of_series(model, frame, names, rows, told):
    _, reading, scaler, _ = parts_of(model, ())
    panel = data.read_series(frame, **reading)
    how = {"mask": model.missing, "scale": scaler, "batch_size": rows, "seed": 0}
    windows = data.window_dataset(panel, model.lookback, model.horizon, **how)
    x, y, *weights = next(windows.as_numpy_iterator())
    called = [f"window {n + 1}" for n in range(len(y))]

    weights = weights[0] if weights else None

    def row(place):
        one = {name: value[[place]] for name, value in x.items()}
        return one, y[[place]], None if weights is None else weights[[place]], None

    return Batch(x, y, called, f"{len(y)} windows, {told}", x, row, weights, at="past")


_KINDS = {
    "sentiment": ({"text": "text", "label": "label"}, _of_texts),
    "seq2seq": ({"source": "source", "target": "target"}, _of_pairs),
    "forecast": ({}, _of_series),
}

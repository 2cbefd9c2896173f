"""`keras-seq predict`: texts in, a row for each out."""

import csv
import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_seq import saving
from keras_seq.data.frames import column, read_frame
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError


def predict_texts(directory, texts, data, text, form):
    """Print a row with text, label and probabilities for each text, in the order given.

    Of a model with `multi_label`: with all labels whose probability is above 1/2.
    """
    kind = saving.read_card(directory)["kind"]
    if kind != "sentiment":
        raise InputError(f"Folder {str(directory)!r} holds a model of kind {kind!r}, which judges no texts.")
    if data is not None and texts:
        raise InputError("Give texts or --data, not both.")
    if data is not None:
        texts = column(read_frame(data), text)
    elif not texts:
        texts = _lines(sys.stdin)
    texts = checked_texts(texts, text)
    model = saving.load(directory)
    rows = []
    for one, probabilities in zip(texts, model.predict(texts, verbose=0), strict=True):
        by_label = {label: float(p) for label, p in zip(model.labels, probabilities, strict=True)}
        judged = {"label": max(by_label, key=by_label.get)}
        if model.multi_label:
            judged = {"labels": [label for label, p in by_label.items() if p > 0.5]}
        rows.append({"text": one, **judged, "probabilities": by_label})
    _PRINTERS[form](rows)


def _lines(stream):
    if stream.isatty():
        raise InputError("No texts: give them as arguments, with --data FILE, or on standard input.")
    try:
        texts = stream.buffer.read().decode("utf-8").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"Standard input is not UTF-8 (byte at {error.start}): convert it first.") from None
    if not texts:
        raise InputError("No texts: standard input is empty.")
    return texts.split("\n")


def _as_table(rows):
    name = "labels" if "labels" in rows[0] else "label"
    table = Table(name, "probability", "text")
    for row in rows:
        judged = row["labels"] if name == "labels" else [row["label"]]
        probabilities = ", ".join(f"{row['probabilities'][label]:.3f}" for label in judged)
        table.add_row(Text(", ".join(map(str, judged))), probabilities, Text(row["text"]))
    Console().print(table)


def _as_csv(rows):
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _in_a_cell(value) for name, value in row.items()} for row in rows)


def _in_a_cell(value):
    """Lists and dicts as JSON, other values as they are."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _as_jsonl(rows):
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))


_PRINTERS = {"table": _as_table, "csv": _as_csv, "jsonl": _as_jsonl}

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
    """Print a row with text, label and probabilities for each text, in the order given."""
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
        rows.append({"text": one, "label": max(by_label, key=by_label.get), "probabilities": by_label})
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
    table = Table("label", "probability", "text")
    for row in rows:
        table.add_row(Text(str(row["label"])), f"{row['probabilities'][row['label']]:.3f}", Text(row["text"]))
    Console().print(table)


def _as_csv(rows):
    writer = csv.DictWriter(sys.stdout, ["text", "label", "probabilities"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "probabilities": json.dumps(row["probabilities"])} for row in rows)


def _as_jsonl(rows):
    for row in rows:
        print(json.dumps(row, ensure_ascii=False))


_PRINTERS = {"table": _as_table, "csv": _as_csv, "jsonl": _as_jsonl}

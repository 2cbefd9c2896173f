"""`keras-seq predict`: texts in, rows out."""

import csv
import json
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_seq import saving
from keras_seq.cli.translate import check_options, translated
from keras_seq.data.frames import column, read_frame
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError


def predict_texts(directory, texts, data, text, form, **options):
    """Print a row or more for each text, in the order given.

    Args:
        directory: an artefact.
        texts: strings, or none: then `data`, or the lines of standard input.
        data: a file with a table, or None.
        text: its column.
        form: "table", "csv" or "jsonl".
        **options: of models that translate: `beams`, `n_best` and `attention`, None where they were not given.
    """
    kind = saving.read_card(directory)["kind"]
    if kind not in _KINDS:
        raise InputError(f"Folder {str(directory)!r} holds a model of kind {kind!r}, which reads no texts.")
    if kind != "seq2seq":
        for name, value in options.items():
            if value is not None:
                name = name.replace("_", "-")
                raise InputError(f"Option --{name} is of models that translate, this one is of kind {kind!r}.")
    check_options(**options)
    if data is not None and texts:
        raise InputError("Give texts or --data, not both.")
    if data is not None:
        texts = column(read_frame(data), text)
    elif not texts:
        texts = _lines(sys.stdin)
    texts = checked_texts(texts, text)
    rows = _KINDS[kind](saving.load(directory), texts, **options)
    _PRINTERS[form](rows)


def _judged(model, texts, **_):
    """A row with text, label and probabilities for each text.

    Of a model with `multi_label`: with all labels whose probability is above 1/2.
    """
    rows = []
    for one, probabilities in zip(texts, model.predict(texts, verbose=0), strict=True):
        by_label = {label: float(p) for label, p in zip(model.labels, probabilities, strict=True)}
        judged = {"label": max(by_label, key=by_label.get)}
        if model.multi_label:
            judged = {"labels": [label for label, p in by_label.items() if p > 0.5]}
        rows.append({"text": one, **judged, "probabilities": by_label})
    return rows


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
    if "translation" in rows[0]:
        cells = [[f"{v:.3f}" if name == "score" else str(v) for name, v in row.items()] for row in rows]
        _print_table(list(rows[0]), cells)
        return
    name = "labels" if "labels" in rows[0] else "label"
    cells = []
    for row in rows:
        judged = row["labels"] if name == "labels" else [row["label"]]
        probabilities = ", ".join(f"{row['probabilities'][label]:.3f}" for label in judged)
        cells.append([", ".join(map(str, judged)), probabilities, row["text"]])
    _print_table([name, "probability", "text"], cells)


def _print_table(names, rows):
    table = Table(*names)
    for row in rows:
        table.add_row(*map(Text, row))
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
_KINDS = {"sentiment": _judged, "seq2seq": translated}

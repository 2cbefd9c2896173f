"""`keras-seq predict`: texts or series in, rows out."""

import csv
import json
import sys

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from keras_seq import saving
from keras_seq.cli.predict_forecast import forecast_rows
from keras_seq.cli.translate import check_options, translated
from keras_seq.data.frames import column, read_frame
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError
from keras_seq.files import written_whole


def predict_with(directory, form=None, out=None, **given):
    """Print what a model says, or write it to a file.

    Args:
        directory: an artefact.
        form: how to print: "table" (None), "csv" or "jsonl".
        out: a file that ends in .csv or .jsonl, or None to print.
        given: options by name; None, or nothing, where one was not given.
    """
    kind = saving.read_card(directory)["kind"]
    own = _options_of(kind, directory, {**given, "out": out})
    if form is not None and out is not None:
        raise InputError("Option --format says how to print, and --out writes by its ending: give one of them.")
    rows = forecast_rows(directory, **own) if kind == "forecast" else _of_texts(kind, directory, **own)
    if out is None:
        _PRINTERS[form or "table"](rows, sys.stdout)
        return
    with written_whole(out, "w") as file:
        _PRINTERS[out.suffix.lower().removeprefix(".")](rows, file)
    print(f"Wrote {out}: {len(rows)} rows.")


def _options_of(kind, directory, given):
    """The options that belong to a kind of model, or an error for one that was given and does not."""
    if not any(kind in kinds for kinds, _ in _OPTIONS.values()):
        raise InputError(
            f"Folder {str(directory)!r} holds a model of kind {kind!r}, which is not for `predict`: load it by "
            "ks.saving.load, and call its own methods."
        )
    own = {"data": given["data"]}
    for models, (kinds, names) in _OPTIONS.items():
        for name in names:
            if kind in kinds:
                own[name] = given[name]
            elif given[name]:
                what = "Texts are for" if name == "texts" else f"Option --{name.replace('_', '-')} is of"
                raise InputError(f"{what} {models}, this one is of kind {kind!r}.")
    return own


def _of_texts(kind, directory, data, texts, text, **options):
    """A row or more for each text, in the order given, or for each line of standard input."""
    check_options(**options)
    if data is not None and texts:
        raise InputError("Give texts or --data, not both.")
    text = text or "text"
    if data is not None:
        texts = column(read_frame(data), text)
    elif not texts:
        texts = _lines(sys.stdin)
    texts = checked_texts(texts, text)
    return _TEXT_KINDS[kind](saving.load(directory), texts, **options)


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


def _as_table(rows, stream):
    if "probabilities" not in rows[0]:
        cells = [[f"{v:.3f}" if name == "score" else str(v) for name, v in row.items()] for row in rows]
        _print_table(list(rows[0]), cells, stream)
        return
    name = "labels" if "labels" in rows[0] else "label"
    cells = []
    for row in rows:
        judged = row["labels"] if name == "labels" else [row["label"]]
        probabilities = ", ".join(f"{row['probabilities'][label]:.3f}" for label in judged)
        cells.append([", ".join(map(str, judged)), probabilities, row["text"]])
    _print_table([name, "probability", "text"], cells, stream)


def _print_table(names, rows, stream):
    table = Table(*(Column(Text(name)) for name in names))
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=stream).print(table)


def _as_csv(rows, stream):
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _in_a_cell(value) for name, value in row.items()} for row in rows)


def _in_a_cell(value):
    """Lists and dicts as JSON, other values as they are."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _as_jsonl(rows, stream):
    for row in rows:
        print(json.dumps(row, ensure_ascii=False), file=stream)


_PRINTERS = {"table": _as_table, "csv": _as_csv, "jsonl": _as_jsonl}
_TEXT_KINDS = {"sentiment": _judged, "seq2seq": translated}
# Which kinds of models options belong to.
_OPTIONS = {
    "models that read texts": (list(_TEXT_KINDS), ["texts", "text"]),
    "models that translate": (["seq2seq"], ["beams", "n_best", "attention"]),
    "models that forecast": (["forecast"], ["future", "horizon", "out", "plot"]),
}

"""How well a model translates texts it never saw, and what a plain copy of them is worth."""

import importlib.util

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_seq.errors import MissingExtraError

EXAMPLES = 5
BATCH = 64  # texts that are translated together
COLUMNS = {
    "exact": ("exact", 3),
    "bleu": ("BLEU", 2),
    "token_accuracy": ("token accuracy", 3),
    "perplexity": ("perplexity", 3),
}


def scores(said, references):
    """The share of texts that are said as in the reference, and, where sacreBLEU is installed, BLEU."""
    result = {"exact": round(float(np.mean([a == b for a, b in zip(said, references, strict=True)])), 4)}
    if importlib.util.find_spec("sacrebleu"):
        from sacrebleu.metrics import BLEU

        result["bleu"] = round(BLEU().corpus_score(said, [references]).score, 2)
    return result


def reported(model, frame, dataset, source, target):
    """Scores on held-out pairs, of the model by beam search and of a copy of the source; and examples.

    Runs of spaces count as one, and case does not where the model has given it up.

    Args:
        model: a `Seq2Seq`.
        frame: the pairs.
        dataset: the same as a `pair_dataset`.
        source, target: columns with the texts.

    Returns:
        `({"model": scores, "copy": scores}, [(source, said, reference), …])`.
    """
    texts = frame[source].tolist()
    said = model.translate(texts, batch_size=BATCH)
    measured = model.evaluate(dataset, verbose=0, return_dict=True)
    by_token = {name: round(float(measured[name]), 4) for name in ("token_accuracy", "perplexity")}
    lowercase = model.target_vectorizer.lowercase
    references, copies = ([_plain(text, lowercase) for text in side] for side in (frame[target], texts))
    report = {
        "model": {**scores([_plain(text, lowercase) for text in said], references), **by_token},
        "copy": scores(copies, references),
    }
    return report, list(zip(texts, said, frame[target], strict=True))[:EXAMPLES]


def _plain(text, lowercase):
    text = " ".join(text.split())
    return text.lower() if lowercase else text


def print_report(report, rows, examples):
    """Scores of the model beside those of the copy, and how it translates some texts."""
    console = Console()
    shown = {name: how for name, how in COLUMNS.items() if name in report["model"]}
    table = Table("", *(title for title, _ in shown.values()), title=f"On {rows} held-out pairs")
    for key, name in {"model": "this model", "copy": "the source as it is"}.items():
        values = report[key]
        cells = (f"{values[k]:.{digits}f}" if k in values else "" for k, (_, digits) in shown.items())
        table.add_row(name, *cells)
    console.print(table)
    if "bleu" not in shown:
        print(MissingExtraError("BLEU", "translation"))
    table = Table("source", "translation", "reference", title="Some of them")
    for example in examples:
        table.add_row(*map(Text, example))
    console.print(table)

"""`keras-seq predict` with a model that translates: translations, their scores, and a picture of its attention."""

import sys

from keras_seq import diagnostics
from keras_seq.cli.outputs import check_picture
from keras_seq.errors import InputError
from keras_seq.layers import Tokenizer

BEAMS = 4


def check_options(beams=None, n_best=None, attention=None):
    """Raise for options that cannot be, before a model is loaded."""
    if n_best is not None and n_best > (beams or BEAMS):
        raise InputError(f"Option --n-best must be at most --beams, {beams or BEAMS}, got {n_best}.")
    check_picture("--attention", attention)


def translated(model, texts, beams=None, n_best=None, attention=None):
    """A row for each translation: text, translation, score; with `n_best` several of each text, and their rank.

    Args:
        model: a `Seq2Seq`.
        texts: strings.
        beams: how many hypotheses are followed, by default 4.
        n_best: how many translations of each text are wanted; None for one.
        attention: where to write a picture of what the best translation of the one text attends to, or None.
    """
    if attention is not None and len(texts) != 1:
        raise InputError(f"Option --attention draws a single text, got {len(texts)}: give one.")
    if attention is not None and model.network.attention is None:
        raise InputError("Option --attention needs a model that attends, this one was trained without: leave it out.")
    say_what_is_cut(texts, model.source_vectorizer)
    how = {"beam_width": beams or BEAMS, "n_best": n_best or 1, "return_attention": attention is not None}
    found = model.translate(texts, **how)
    if attention is not None:
        _draw(found[0][0], texts[0], attention)
    rows = []
    for text, translations in zip(texts, found, strict=True):
        for rank, one in enumerate(translations, 1):
            ranked = {} if n_best is None else {"rank": rank}
            rows.append({"text": text, **ranked, "translation": one.text, "score": one.score})
    return rows


def _draw(translation, text, path):
    if not translation.source_tokens or not translation.tokens:
        raise InputError(f"Option --attention has nothing to draw: text {text!r} has no token, or no translation.")
    diagnostics.attention_map(translation.attention, translation.source_tokens, translation.tokens, path=path)


def say_what_is_cut(texts, vectorizer, which=""):
    """A line on standard error if texts have more tokens than their vectoriser keeps."""
    from keras_seq.data.text import vectorized

    limit = vectorizer.max_length
    longer = Tokenizer.from_config({**vectorizer.get_config(), "max_length": limit + 1})
    long = [text for text in texts if 3 * len(text) > limit]  # a token has a letter; in lower case one may be three
    cut = sum(len(row) > limit for row in vectorized(long, longer)) if long else 0
    if cut:
        which = f" {which}" if which else ""
        print(
            f"{cut} of {len(texts)} texts{which} have more than {limit} tokens: the rest is not read.", file=sys.stderr
        )

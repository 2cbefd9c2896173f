"""Strings to strings by a trained `EncoderDecoder`: the search, in a graph, and what is around it."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_seq.checks import natural_number, positive_integer
from keras_seq.decoding import Decoded, beam_search, greedy, tile_beams
from keras_seq.decoding.beam import penalties
from keras_seq.errors import InputError
from keras_seq.layers.tokenizer import END, PADDING, START
from keras_seq.models.programs import Programs


class Translation(NamedTuple):
    """One translation of a text.

    Attributes:
        text: the string.
        score: its log-probability, divided by the penalty of its length.
        source_tokens: the `S` tokens that were read.
        tokens: the `T` tokens that were said, the end among them if it came.
        attention: weights `(T, S)`, of which each row sums to 1; None if they were not asked for.
    """

    text: str
    score: float
    source_tokens: list
    tokens: list
    attention: Any = None


def search(network, source, limits, width, n_best, length_penalty):
    """`Decoded` with axes `(B, n)`, of sources `(B, S)`, at most `limits` `(B,)` tokens long; none for no source."""
    limits = ops.where(ops.any(source != PADDING, axis=1), limits, 0)
    step, state = network.stepper(network.encode(source), width)
    start = ops.full(ops.shape(limits), START, "int32")
    how = {"end": END, "max_length": network.max_length, "limits": limits, "pad": PADDING}
    if width > 1:
        return beam_search(step, start, state, **how, width=width, n_best=n_best, length_penalty=length_penalty)
    found = greedy(step, start, state, **how)
    scores = found.scores / ops.take(penalties(length_penalty, network.max_length), found.lengths)
    return Decoded(*(ops.expand_dims(part, 1) for part in (found.tokens, found.lengths, scores)))


def attention(network, source, tokens, n):
    """The weights `(B n, T, S)` with which tokens `(B n, T)` are said, `n` of each source; zeros behind their ends."""
    said = ops.pad(tokens[:, :-1], [[0, 0], [1, 0]], constant_values=START)
    _, weights = network.decode(said, tile_beams(network.encode(source), n))
    return ops.where(ops.expand_dims(tokens != PADDING, -1), ops.cast(weights, "float32"), 0.0)


def serving(model, width, n_best, length_penalty, max_length, with_attention):
    """A function of strings `(B,)` for a SavedModel: a dict of texts, scores and, if wanted, weights."""
    network, shown = model.network, n_best or 1

    def serve(text):
        source = model.source_vectorizer(text)
        limits = ops.full(ops.shape(source)[:1], max_length, "int32")
        tokens, lengths, scores = search(network, source, limits, width, shown, length_penalty)
        longest = ops.max(lengths, initial=0)
        tokens = tokens[:, :, :longest]
        results = {"text": model.target_vectorizer.detokenize(tokens), "score": scores}
        if with_attention:
            batch, steps = ops.shape(source)
            said = ops.reshape(tokens, (batch * shown, longest))
            weights = attention(network, source, said, shown)
            results["attention"] = ops.reshape(weights, (batch, shown, longest, steps))
        return results if n_best else {name: value[:, 0] for name, value in results.items()}

    return serve


class Translator:
    """Translates lists of strings by a model, in batches of like length."""

    def __init__(self, model):
        self.model = model
        self.programs = Programs(model.network)

    def __call__(self, texts, width, n_best, length_penalty, max_length, with_attention, batch_size):
        """For each text a list of `Translation`s, the best first."""
        from keras_seq.data.text import vectorized

        rows = vectorized(texts, self.model.source_vectorizer) if texts else []
        results = [None] * len(rows)
        order = np.argsort([len(row) for row in rows], kind="stable")
        how = (width, n_best or 1, length_penalty)
        for start in range(0, len(rows), batch_size):
            places = order[start : start + batch_size]
            found = self._batch([rows[i] for i in places], batch_size, how, max_length, with_attention)
            for i, translations in zip(places, found, strict=True):
                results[i] = translations
        return results

    def _batch(self, rows, batch_size, how, max_length, with_attention):
        source = self._padded(rows, self.model.source_vectorizer.max_length, batch_size)
        limits = np.full(len(source), max_length, "int32")
        found = self.programs.run(search, (source, limits), how)
        tokens, lengths, scores = (np.asarray(part)[: len(rows)] for part in found)
        texts = self._texts(tokens)
        weights = self._attention(source, tokens, lengths) if with_attention else None
        read = self.model.source_vectorizer.tokens(source[: len(rows)])
        n = tokens.shape[1]
        said = self.model.target_vectorizer.tokens(tokens.reshape(len(rows) * n, -1))
        if not np.isfinite(scores).any(axis=1).all():
            raise ValueError(f"Model {self.model.name!r} says nothing that has a probability: are its weights NaN?")
        return [
            [
                Translation(
                    texts[i][k],
                    float(scores[i, k]),
                    read[i],
                    said[i * n + k],
                    weights[i, k, : lengths[i, k], : len(rows[i])] if with_attention else None,
                )
                for k in np.flatnonzero(np.isfinite(scores[i]))
            ]
            for i in range(len(rows))
        ]

    def _texts(self, tokens):
        return [[text.decode() for text in row] for row in np.asarray(self.model.target_vectorizer.detokenize(tokens))]

    def _attention(self, source, tokens, lengths):
        """The weights `(B, n, T, S)` of tokens `(B, n, L)`; sources may have rows behind theirs."""
        batch, n, _ = tokens.shape
        rows = [one[:length] for one, length in zip(tokens.reshape(batch * n, -1), lengths.flat, strict=True)]
        said = self._padded(rows, self.model.network.max_length, len(source) * n)
        weights = self.programs.run(attention, (source, said), (n,))
        return np.asarray(weights)[: batch * n].reshape(batch, n, *weights.shape[1:])

    def _padded(self, rows, max_length, batch_size):
        """Rows of ids as one array. On JAX, which compiles each shape, of few shapes, with empty rows."""
        from keras_seq.data.batches import length_buckets, padded

        width = max(1, *(len(row) for row in rows))
        if keras.backend.backend() != "jax":
            return padded(rows, width)
        width = next(edge for edge in length_buckets(max_length) if edge >= width)
        return padded([*rows, *[()] * (batch_size - len(rows))], width)


def checked_search(network, beam_width, n_best, length_penalty, max_length):
    """`(width, n_best, length_penalty, max_length)`, or an error that says what is wrong with them."""
    width = positive_integer("beam_width", beam_width)
    if n_best is not None and positive_integer("n_best", n_best) > width:
        raise InputError(f"Argument `n_best` must be at most `beam_width`, {width}, got {n_best}.")
    penalties(length_penalty, network.max_length)
    limit = network.max_length
    limit = limit if max_length is None else min(natural_number("max_length", max_length), limit)
    return width, n_best, length_penalty, limit

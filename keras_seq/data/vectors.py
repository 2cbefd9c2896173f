"""Vectors of words from text files, as GloVe and word2vec write them."""

import bz2
import codecs
import gzip
import lzma
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_seq.errors import InputError

_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True, eq=False)
class WordVectors:
    """A vector for each id of a vectoriser.

    Args:
        matrix: float32 `(V, E)`; row 0 (padding) is zero.
        found: booleans `(V,)`: whether the file had the word.
        words: the words of the vectoriser, for the ids from 2 on.
    """

    matrix: np.ndarray
    found: np.ndarray
    words: tuple

    @property
    def coverage(self):
        """Share of the words of the vectoriser that the file had."""
        return float(self.found[2:].mean())


def load_vectors(path, vectorizer, seed=0):
    """The vectors of a vectoriser's words from a text file: what `sentiment_model` takes as `embeddings`.

    A line of the file is a word and its numbers, with one space between them (GloVe, fastText, word2vec's text form);
    a first line with two integers, which word2vec writes, says how many words and numbers follow. Only the words of the
    vectoriser are kept, so memory grows with its vocabulary, not with the file. Of a word that stands there twice the
    first vector counts.

    Words that the file has not, and the unknown word (id 1), get normal random vectors, of the mean and deviation that
    the ones found have in each component.

    Args:
        path: the file, UTF-8; `.gz`, `.bz2` and `.xz` are unpacked.
        vectorizer: a `ks.layers.TextVectorizer`.
        seed: of the random vectors.

    Returns:
        `WordVectors`: `matrix` `(V, E)`, `found` and `coverage`.

    Raises:
        InputError: where the file is missing or damaged, the line of a word that is wanted does not hold as many
            numbers as the first line, or no word is found.

    Example:

    >>> vectors = ks.data.load_vectors("glove.6B.100d.txt", vectorizer)          # doctest: +SKIP
    >>> model = ks.models.sentiment_model(vectorizer, [0, 1], embeddings=vectors)  # doctest: +SKIP
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}: check the path.")
    ids = {word.encode("utf-8"): i + 2 for i, word in enumerate(vectorizer.vocabulary)}
    rows, size = {}, None
    try:
        with _OPENERS.get(path.suffix.lower(), open)(path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip() if number > 1 else line.rstrip().removeprefix(codecs.BOM_UTF8)
                if number == 1 and _is_header(line):
                    size = int(line.split()[1])
                    continue
                if not line:
                    continue
                size = size or line.count(b" ")
                word = line.rsplit(b" ", size)[0]  # the words of some files hold spaces
                if word in ids:
                    rows.setdefault(ids[word], _numbers(line[len(word) :], size, number, path))
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"File {str(path)!r} cannot be read: {error}. Mend or unpack it.") from error
    if not rows:
        raise InputError(
            f"File {str(path)!r} has none of the {len(ids)} words of the vectoriser: check that it is a text file of "
            "vectors, in the language and the case (`lowercase=`) of the texts."
        )
    return _in_order(rows, tuple(vectorizer.vocabulary), seed)


def _is_header(line):
    fields = line.split()
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _numbers(text, size, number, path):
    try:
        vector = np.array(text.split(), "float32")
    except ValueError:
        vector = np.array([])
    if not size or len(vector) != size or not np.isfinite(vector).all():
        raise InputError(
            f"Line {number} of {str(path)!r} must be a word and {size or 'some'} numbers, as the first line says."
        )
    return vector


def _in_order(rows, words, seed):
    vocabulary = len(words) + 2
    known = np.stack(list(rows.values()))
    matrix = np.random.default_rng(seed).normal(known.mean(0), known.std(0), (vocabulary, known.shape[1]))
    matrix[list(rows)] = known
    matrix[0] = 0
    found = np.zeros(vocabulary, bool)
    found[list(rows)] = True
    return WordVectors(matrix.astype("float32"), found, words)

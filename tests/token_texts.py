"""What tests of `Tokenizer` share."""

import numpy as np
import pytest

from keras_seq.layers.tokenizer import PADDING, Tokenizer

SPLITS = ["words", "characters", "subwords"]
every_split = pytest.mark.parametrize("split", SPLITS)


def rows_of(ids):
    """Lists of ids without their padding."""
    return [[int(i) for i in row if i != PADDING] for row in np.asarray(ids)]


def strings_of(tensor):
    return [text.decode() for text in np.asarray(tensor).ravel()]


def knowing(texts, split, rng=None, **arguments):
    """A tokenizer that knows all tokens of texts; of subwords the letters, and pieces at random."""
    tokens = {token.decode() for token in Tokenizer(["x"], split).tokenize(texts).flat_values.numpy()}
    if split == "subwords":
        ends = [(word, *sorted(rng.integers(0, len(word) + 1, 2))) for word in tokens for _ in range(2)]
        tokens = {letter for word in tokens for letter in word} | {word[a:b] for word, a, b in ends if a < b}
    return Tokenizer(sorted(tokens | {"x"}), split, **arguments)

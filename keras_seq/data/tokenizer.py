"""Tokenisers made from texts: which tokens they know."""

from collections import Counter

import numpy as np
import tensorflow as tf

from keras_seq.checks import positive_integer
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError, MissingExtraError
from keras_seq.layers.tokenizer import END, FIRST, Tokenizer, check_tokenizer

_AT_ONCE = 1024  # texts that are split together


def tokenizer(texts, split="words", max_tokens=20_000, min_count=1, max_length=128, lowercase=False, keep_spaces=False):
    """A `ks.layers.Tokenizer` that knows the tokens of `texts`: for a joint vocabulary, those of both languages.

    Args:
        texts: strings (a column of a frame, a list).
        split: "words", "characters" or "subwords", see `ks.layers.Tokenizer`. Subwords are found by byte-pair encoding
            (Sennrich et al., 2016, arXiv 1508.07909) in the words of `texts`; they need the extra `subwords`.
        max_tokens: how many ids there are at most, among them padding, unknown, start and end; the most frequent tokens
            are kept, of equally frequent ones the first in the alphabet. Subwords keep all characters of `texts` that
            have room; the others come by frequency.
        min_count: how often a token must occur to be known. With 2 or more, a model sees the unknown token while it
            trains. For subwords: how often a character, and a pair of pieces that are joined.
        max_length: how many tokens of a text the tokeniser keeps.
        lowercase: whether case is given up.
        keep_spaces: whether the ends of lines and all other whitespace are kept, for characters.

    Returns:
        A `Tokenizer`.

    Raises:
        InputError: for missing texts, or where no token is left.
        MissingExtraError: for subwords without tokenizers (`pip install keras_seq[subwords]`).

    Example:

    >>> tokenizer = ks.data.tokenizer(["A film, a book.", "Ein Film, ein Buch."], lowercase=True)
    >>> tokenizer.vocabulary
    [',', '.', '▁a', '▁ein', '▁film', '▁book', '▁buch']
    """
    texts = checked_texts(texts)
    min_count = positive_integer("min_count", min_count)
    if positive_integer("max_tokens", max_tokens) <= FIRST:
        raise InputError(
            f"Argument `max_tokens` must be at least {FIRST + 1} (padding, unknown, start, end, one token), "
            f"got {max_tokens!r}."
        )
    arguments = {"split": split, "lowercase": lowercase, "max_length": max_length, "keep_spaces": keep_spaces}
    splitter = Tokenizer([" "], **arguments)
    counts = Counter()
    for start in range(0, len(texts), _AT_ONCE):
        tokens = splitter.tokenize(texts[start : start + _AT_ONCE]).flat_values
        tokens, _, occurrences = tf.unique_with_counts(tokens)
        counts.update(dict(zip(tokens.numpy().tolist(), occurrences.numpy().tolist(), strict=True)))
    counts = {token.decode(): n for token, n in counts.items()}
    find = _pieces if split == "subwords" else _by_frequency
    vocabulary = find(counts, max_tokens - FIRST, min_count)
    if not vocabulary:
        raise InputError(
            f"The vocabulary is empty: {len(texts)} text(s) hold no token that occurs {min_count} time(s) or more. "
            "Give more texts, or a lower `min_count`."
        )
    return Tokenizer(vocabulary, **arguments)


def token_stream(texts, tokenizer):
    """The ids of a long text, one after the other, however long it is: what `ks.data.stream_dataset` cuts into windows.

    Args:
        texts: a string; or several of them (a column of a frame, a list), each of which is followed by the id of the
            end, so that a model learns where texts end.
        tokenizer: a `ks.layers.Tokenizer`.

    Returns:
        An array `(N,)` of int32.

    Raises:
        InputError: for missing texts, something else than strings, or no tokenizer.

    Example:

    >>> tokenizer = ks.data.tokenizer(["ab"], split="characters")
    >>> ks.data.token_stream("abba", tokenizer).tolist(), ks.data.token_stream(["ab", "b"], tokenizer).tolist()
    ([4, 5, 5, 4], [4, 5, 3, 5, 3])
    """
    check_tokenizer("tokenizer", tokenizer)
    if isinstance(texts, str):
        return tokenizer.uncut([texts]).flat_values.numpy()
    texts = checked_texts(texts)
    parts = []
    for start in range(0, len(texts), _AT_ONCE):
        ids = tokenizer.uncut(texts[start : start + _AT_ONCE])
        ends = tf.fill([ids.nrows(), 1], END)
        parts.append(tf.concat([ids, tf.cast(ends, ids.dtype)], axis=1).flat_values.numpy())
    return np.concatenate(parts)


def _by_frequency(counts, limit, min_count):
    ranked = sorted((-n, token) for token, n in counts.items() if n >= min_count)
    return [token for _, token in ranked[:limit]]


def _pieces(counts, limit, min_count):
    """The characters and the pieces that byte-pair encoding joins them to, from how often each word occurs."""
    try:
        from tokenizers import Tokenizer as Trained
        from tokenizers.models import BPE
        from tokenizers.pre_tokenizers import WhitespaceSplit
        from tokenizers.trainers import BpeTrainer
    except ImportError as error:
        raise MissingExtraError("Subwords", "subwords") from error
    letters = Counter()
    for word, n in counts.items():
        for letter in word:
            letters[letter] += n
    alphabet = _by_frequency(letters, limit, min_count)
    kept = set(alphabet)
    trained = Trained(BPE())
    trained.pre_tokenizer = WhitespaceSplit()
    trainer = BpeTrainer(vocab_size=limit, min_frequency=min_count, show_progress=False)
    # A character that is not kept parts its word: no piece reaches over it.
    words = ("".join(letter if letter in kept else " " for letter in word) for word in sorted(counts))
    repeated = (f"{known} " * counts[word] for word, known in zip(sorted(counts), words, strict=True))
    trained.train_from_iterator(repeated, trainer)
    pieces = trained.get_vocab()
    return alphabet + [piece for piece in sorted(pieces, key=pieces.get) if piece not in kept]

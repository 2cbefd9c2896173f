"""Texts to ids and back: against oracles in plain Python, for odd texts, cut, and in any case."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_seq.layers.tokenizer import FIRST, PADDING, UNKNOWN, Tokenizer
from tests.token_texts import every_split, knowing, rows_of, strings_of

# Spaces of all kinds, the sign for them, apostrophes, marks that combine, letters and symbols of one to four bytes, a
# byte order mark, controls, letters whose lower case is longer.
ODD = " \t\n\x00\x85\u00a0\u2028▁_'’.,!?()<-aAbB3ßÉéİ\u0301\u0308ΣщЩ映画한👩\u200d👧🏽⚡\ufe0f\ufeff\ufffd½"
odd_texts = st.text(st.sampled_from(ODD), max_size=15)
any_texts = st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"])), max_size=15)


def normal(text, split):
    """What of a text comes back: one space for each run of spaces and controls, none at its ends."""
    text = "".join(" " if unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc") else c for c in text)
    text = " ".join(filter(None, text.split(" ")))
    return text if split == "characters" else text.replace("▁", "_")


def words_of(text):
    """The words of a text, character by character: an oracle without regular expressions."""
    words, space, inside = [], True, False  # inside: the last word is one of letters, and goes on
    text = normal(text, "words")
    for i, c in enumerate(text):
        kind = unicodedata.category(c)
        letter = kind[0] in "LNM" or c == "_"
        following = unicodedata.category(text[i + 1])[0] in "LNM" or text[i + 1] == "_" if text[i + 1 :] else False
        if c == " ":
            space, inside = True, False
            continue
        if not space and (kind[0] == "M" or (inside and (letter or (c in "'’" and following)))):
            words[-1] += c
        else:
            words.append("▁" * space + c)
            inside = letter
        space = False
    return words


def cut(words, vocabulary):
    """Ids of the pieces of words: from the start of each the longest that is known."""
    ids = []
    for word in words:
        while word:
            fitting = [piece for piece in vocabulary if word.startswith(piece)]
            piece = max(fitting, key=len, default=None)
            ids.append(UNKNOWN if piece is None else vocabulary.index(piece) + FIRST)
            word = word[len(piece or "-") :]
    return ids


@every_split
@settings(max_examples=8, deadline=None)  # each makes a tokenizer, and traces it
@given(texts=st.lists(any_texts, min_size=1, max_size=60), seed=st.integers(0, 99))
def test_texts_come_back(split, texts, seed):
    tokenizer = knowing(texts, split, np.random.default_rng(seed), max_length=500)
    ids = np.asarray(tokenizer(texts))
    assert ids.dtype == "int32"
    assert not (ids == UNKNOWN).any()
    assert strings_of(tokenizer.detokenize(ids)) == [normal(text, split) for text in texts]


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(odd_texts, min_size=1, max_size=30))
def test_words_against_an_oracle(texts):
    tokens = Tokenizer(["x"]).tokenize(texts).to_list()
    assert [[token.decode() for token in row] for row in tokens] == [words_of(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, (world)!", ["▁Hello", ",", "▁(", "world", ")", "!"]),
        ("a ( b )--c", ["▁a", "▁(", "▁b", "▁)", "-", "-", "c"]),
        ("don't l’été", ["▁don't", "▁l’été"]),
        ("'tis rock'n'roll' 'n", ["▁'", "tis", "▁rock'n'roll", "'", "▁'", "n"]),
        ("3.5 kg, snake_case", ["▁3", ".", "5", "▁kg", ",", "▁snake_case"]),
        ("a▁b ▁", ["▁a_b", "▁_"]),
        ("e\u0301t !\u0301a \u0301", ["▁e\u0301t", "▁!\u0301", "a", "▁\u0301"]),
        ("映画 🎬🎬", ["▁映画", "▁🎬", "🎬"]),
        ("👩\u200d👧", ["▁👩", "\u200d", "👧"]),
        ("\ufeffa\x00b", ["▁\ufeff", "a", "▁b"]),
        (b"\xffa\xc3(", ["▁\ufffd", "a", "\ufffd", "("]),
        ("", []),
        (" \t\u2028\r\n", []),
    ],
)
def test_what_a_word_is(text, words):
    if isinstance(text, str):
        assert words_of(text) == words  # the oracle itself
    assert [token.decode() for token in Tokenizer(["x"]).tokenize([text]).to_list()[0]] == words


def test_characters_are_the_text():
    tokens = Tokenizer(["x"], "characters").tokenize([" a\u0301  ▁b🎬\n", "", b"\xff"]).to_list()
    assert [b"".join(row).decode() for row in tokens] == ["a\u0301 ▁b🎬", "", "\ufffd"]
    assert [len(row) for row in tokens] == [6, 0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_pieces_are_the_longest_of_the_vocabulary(seed):
    """Random vocabularies: with and without the pieces that a longer one begins with, and with letters unknown."""
    rng = np.random.default_rng(seed)
    letters = [*"ab▁é🎬"]
    drawn = {"".join(rng.choice(letters, rng.integers(1, 7))) for _ in range(rng.integers(3, 60))}
    vocabulary = [str(piece) for piece in rng.permutation(sorted(drawn))]
    texts = ["".join(rng.choice([*"aabbé🎬! "], rng.integers(0, 25))) for _ in range(150)]
    tokenizer = Tokenizer(vocabulary, "subwords", max_length=60)
    assert rows_of(tokenizer(texts)) == [cut(words_of(text), vocabulary) for text in texts]


def test_pieces_by_hand():
    """`abc` is found though `ab` is none; where `abcd` comes to nothing, `abc` it is; `▁` is a letter as others are."""
    vocabulary = ["▁", "a", "abc", "abcdef", "▁b", "d"]
    tokenizer = Tokenizer(vocabulary, "subwords")
    assert [tokenizer.tokens([row])[0] for row in np.asarray(tokenizer(["abcdabcdef", "ba ab", "eb"]))] == [
        ["▁", "abc", "d", "abcdef"],
        ["▁b", "a", "▁", "a", "<unknown>"],
        ["▁", "<unknown>", "<unknown>"],
    ]


@every_split
def test_empty_texts_and_batches(split):
    import tensorflow as tf

    tokenizer = knowing(["ab c"], split, np.random.default_rng(1))
    assert np.asarray(tokenizer(["", "ab c", " \n"]))[[0, 2]].max() == PADDING
    assert np.asarray(tokenizer([""])).shape == (1, 0)
    assert np.asarray(tokenizer(["", "  "])).shape == (2, 0)
    for none in ([], np.array([], object), tf.zeros([0], tf.string)):
        assert np.asarray(tokenizer(none)).shape == (0, 0)
    assert strings_of(tokenizer.detokenize(np.zeros((2, 0), "int32"))) == ["", ""]
    assert tuple(tokenizer.detokenize(np.zeros((0, 3), "int32")).shape) == (0,)
    assert tokenizer.tokens(np.zeros((2, 0), "int32")) == [[], []]


@every_split
@pytest.mark.parametrize("length", [1, 3])
def test_long_texts_are_cut(split, length):
    texts = ["a bb ccc, dddd eeeee", "eeeeeeeeeee", "a", ""]
    whole = knowing(texts, split, np.random.default_rng(3))
    assert np.asarray(whole(texts)).shape[1] > 3
    short = Tokenizer(whole.vocabulary, split, max_length=length)
    expected = np.asarray(whole(texts))[:, :length]
    np.testing.assert_array_equal(np.asarray(short(texts)), expected)


def test_a_text_is_longer_than_all_bounds():
    """A word of many pieces ends where its text is cut, however long it is."""
    tokenizer = Tokenizer(["▁", "aa"], "subwords", max_length=5)
    assert np.asarray(tokenizer(["a" * 30_001, "aaa"])).tolist() == [[4, 5, 5, 5, 5], [4, 5, UNKNOWN, 0, 0]]


@every_split
def test_case(split):
    texts = ["Straße ÉTÉ", "Ирис ЩИ 3A"]
    lower = [text.lower() for text in texts]
    rng = np.random.default_rng(1)
    tokenizer = knowing(lower, split, rng, lowercase=True)
    assert strings_of(tokenizer.detokenize(tokenizer(texts))) == lower
    np.testing.assert_array_equal(np.asarray(tokenizer(texts)), np.asarray(tokenizer(lower)))
    kept = knowing(texts, split, rng)
    assert strings_of(kept.detokenize(kept(texts))) == texts
    assert UNKNOWN in np.asarray(kept(["x É q"]))

"""Which tokens a tokenizer made from texts knows, in which order, and that texts come back."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.errors import InputError
from tests.processes import run_code

SPLITS = ["words", "characters", "subwords"]
every_split = pytest.mark.parametrize("split", SPLITS)

# ▁film and , twice; then once each, by the alphabet: . ▁a ▁book ▁the.
TEXTS = ["film, the book.", "a film,"]
WORDS = [",", "▁film", ".", "▁a", "▁book", "▁the"]


@pytest.fixture
def _needs_tokenizers():
    pytest.importorskip("tokenizers", reason="needs tokenizers: pip install 'keras_seq[subwords]'")


needs_tokenizers = pytest.mark.usefixtures("_needs_tokenizers")


def detokenized(tokenizer, texts):
    return [text.decode() for text in tokenizer.detokenize(tokenizer(texts)).numpy()]


@needs_tokenizers
@every_split
@settings(max_examples=5, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1), min_size=1, max_size=20)
)
def test_texts_come_back(split, texts):
    texts = [*texts, " ".join(texts)]
    tokenizer = ks.data.tokenizer(texts, split, max_length=5000)
    assert not (np.asarray(tokenizer(texts)) == 1).any()
    assert detokenized(tokenizer, texts) == [t if split == "characters" else t.replace("▁", "_") for t in texts]


@pytest.mark.data
@needs_tokenizers
@every_split
@pytest.mark.parametrize("lowercase", [False, True])
def test_captions_come_back(split, lowercase, data_dir):
    folder = data_dir / "multi30k"
    texts = [*ks.data.read_pairs(folder / "val.en.gz", folder / "val.de.gz")["target"]]
    tokenizer = ks.data.tokenizer(texts, split, max_length=500, lowercase=lowercase)
    expected = [re.sub(r"\s+", " ", text).strip() for text in texts]
    assert detokenized(tokenizer, texts) == [text.lower() if lowercase else text for text in expected]


def test_words_come_by_frequency_and_the_alphabet():
    tokenizer = ks.data.tokenizer(TEXTS)
    assert tokenizer.vocabulary == WORDS
    assert np.asarray(tokenizer(["the film.", "A quiet book", ""])).tolist() == [[9, 5, 6], [1, 1, 8], [0, 0, 0]]


def test_characters_come_by_frequency_and_the_alphabet():
    assert ks.data.tokenizer(["ba b", "éb a"], "characters").vocabulary == ["b", " ", "a", "é"]


def test_the_order_of_texts_does_not_matter():
    for texts in (["c b a", "b"], ["b", "a c b"], ["b a", "c b"]):
        assert ks.data.tokenizer(texts).vocabulary == ["▁b", "▁a", "▁c"]


def test_counts_go_over_all_chunks_of_a_long_column():
    texts = ["rare often", *["often"] * 3000, "rare seldom"]
    assert ks.data.tokenizer(texts, max_tokens=6).vocabulary == ["▁often", "▁rare"]
    assert ks.data.tokenizer(texts, min_count=2).vocabulary == ["▁often", "▁rare"]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ({"min_count": 2}, WORDS[:2]),
        ({"max_tokens": 7}, WORDS[:3]),
        ({"max_tokens": 10}, WORDS),
        ({"max_tokens": 5}, WORDS[:1]),
        ({"min_count": 2, "max_tokens": 5}, WORDS[:1]),
    ],
)
def test_which_words_are_kept(arguments, kept):
    tokenizer = ks.data.tokenizer(TEXTS, **arguments)
    assert tokenizer.vocabulary == kept
    assert tokenizer.size == len(kept) + 4
    assert np.asarray(tokenizer(["film, the book."])).max() == (len(kept) + 3 if len(kept) < 4 else 9)


@every_split
def test_arguments_reach_the_tokenizer(split):
    if split == "subwords":
        pytest.importorskip("tokenizers")
    tokenizer = ks.data.tokenizer(["Ab AB"], split, max_length=3, lowercase=True)
    assert (tokenizer.split, tokenizer.max_length, tokenizer.lowercase) == (split, 3, True)
    assert not any(token != token.lower() for token in tokenizer.vocabulary)
    assert any(token != token.lower() for token in ks.data.tokenizer(["Ab AB"], split).vocabulary)


@needs_tokenizers
def test_subwords_by_hand():
    """Pairs by count: `bc` 5; then `▁a` and `▁abc` 4, which leave `▁x` and `bc` of `▁xbc`, once, alone."""
    tokenizer = ks.data.tokenizer(["abc abc", "abc abc xbc"], "subwords", min_count=2)
    assert tokenizer.vocabulary == ["b", "c", "▁", "a", "bc", "abc", "▁abc"]
    assert tokenizer.tokens(np.asarray(tokenizer(["abc xbc cab"]))) == [
        ["▁abc", "▁", "<unknown>", "bc", "▁", "c", "a", "b"]
    ]


@needs_tokenizers
@pytest.mark.parametrize(("max_tokens", "min_count"), [(20_000, 1), (60, 1), (60, 3), (12, 1), (20_000, 4)])
def test_what_subwords_promise(max_tokens, min_count):
    """Letters first, by frequency; each longer piece joins two earlier ones, and occurs as often as it must."""
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice([*"abcdefgh"], rng.integers(1, 6))) for _ in range(40)]
    texts = [" ".join(rng.choice(words, 9)) for _ in range(30)] + ["zz y"]
    vocabulary = ks.data.tokenizer(texts, "subwords", max_tokens, min_count).vocabulary
    assert len(vocabulary) <= max_tokens - 4
    written = [f"▁{word}" for text in texts for word in text.split()]
    counts = {letter: sum(word.count(letter) for word in written) for letter in {*"".join(written)}}
    letters = sorted((c for c in counts if counts[c] >= min_count), key=lambda c: (-counts[c], c))[: max_tokens - 4]
    assert vocabulary[: len(letters)] == letters
    if max_tokens > 50:
        assert len(vocabulary) > len(letters) + 10
    for i, piece in enumerate(vocabulary[len(letters) :], len(letters)):
        halves = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        assert any(a in vocabulary[:i] and b in vocabulary[:i] for a, b in halves), piece
        assert sum(word.count(piece) for word in written) >= min_count, piece
    if max_tokens == 20_000 and min_count == 1:
        assert set(written) <= set(vocabulary)


@needs_tokenizers
def test_subwords_are_the_same_each_time_in_any_order_of_texts():
    rng = np.random.default_rng(6)
    texts = ["".join(rng.choice([*"abcde  "], 20)) for _ in range(300)]
    first = ks.data.tokenizer(texts, "subwords", 150).vocabulary
    assert len(first) == 146
    for _ in range(3):
        assert ks.data.tokenizer([*rng.permutation(texts)], "subwords", 150).vocabulary == first


@needs_tokenizers
def test_no_piece_reaches_over_a_letter_that_is_not_known():
    vocabulary = ks.data.tokenizer(["xaaqaax"] + ["ab"] * 3, "subwords", min_count=2).vocabulary
    assert not any("q" in piece for piece in vocabulary)
    assert "aaaa" not in vocabulary
    assert "aa" in vocabulary


def test_without_tokenizers_the_extra_is_named(tmp_path):
    code = """
import keras_seq as ks
print(ks.data.tokenizer(["a b"]).vocabulary)
try: ks.data.tokenizer(["a b"], "subwords")
except ImportError as error: print(type(error).__name__, error)
"""
    printed = run_code(code, tmp_path, block=["tokenizers"], PYTHONIOENCODING="utf-8")
    assert "['▁a', '▁b']" in printed
    assert re.search(r"MissingExtraError.*keras_seq\[subwords\]", printed)


@every_split
@pytest.mark.parametrize("texts", [[""], ["", "  "], [" \n"]])
def test_a_vocabulary_of_no_tokens_is_an_error(split, texts):
    if split == "subwords":
        pytest.importorskip("tokenizers")
    with pytest.raises(InputError, match="vocabulary is empty"):
        ks.data.tokenizer(texts, split)


def test_no_token_is_frequent_enough():
    with pytest.raises(InputError, match=r"3 time.*min_count"):
        ks.data.tokenizer(["each word once"], min_count=3)


@pytest.mark.parametrize("bad", [float("nan"), None, pd.NA, 3, "\ud800"])
def test_a_text_that_is_none_is_named_with_its_row(bad):
    with pytest.raises(InputError, match="row 1"):
        ks.data.tokenizer(["a film", bad])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_tokens": 4}, "max_tokens.*at least 5.*4"),
        ({"max_tokens": 0}, "max_tokens.*0"),
        ({"max_tokens": 9.5}, "max_tokens.*9.5"),
        ({"min_count": 0}, "min_count.*0"),
        ({"max_length": 0}, "max_length.*0"),
        ({"split": "letters"}, "split.*letters"),
        ({"lowercase": None}, "lowercase.*None"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.data.tokenizer(TEXTS, **arguments)


def test_no_texts():
    with pytest.raises(InputError, match="no rows"):
        ks.data.tokenizer([])


@pytest.mark.parametrize(
    "texts",
    [TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS, index=[9, 4])],
    ids=["list", "tuple", "array", "column"],
)
def test_texts_come_in_any_container(texts):
    assert ks.data.tokenizer(texts).vocabulary == WORDS

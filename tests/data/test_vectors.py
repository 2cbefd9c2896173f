"""Vectors of words from files: each at the id of its word, in all the ways that such files are written."""

import bz2
import gzip
import lzma

import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError

WORDS = ["film", "the", "größer", "new york", "!", "1999"]  # ids 2 to 7
VECTORIZER = ks.layers.TextVectorizer(WORDS)
E = 5


@pytest.fixture
def known(rng):
    """Vectors of all words and of others between them, as they can be written and read again without a change."""
    words = ["the", ",", "film", "Film", "!", "größer", "new york", "new", "1999", "<unk>", "\u00a0"]
    return {word: rng.normal(size=E).round(4).astype("float32") for word in words}


def lines_of(vectors, end="\n"):
    return "".join(word + " " + " ".join(map(str, vector.tolist())) + end for word, vector in vectors.items())


def load(path, content, vectorizer=VECTORIZER, **arguments):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return ks.data.load_vectors(str(path), vectorizer, **arguments)


def check(vectors, known):
    assert type(vectors) is ks.data.WordVectors
    assert vectors.matrix.shape == (len(WORDS) + 2, E)
    assert vectors.matrix.dtype == "float32"
    for i, word in enumerate(WORDS, 2):
        np.testing.assert_array_equal(vectors.matrix[i], known[word], err_msg=word)
    assert not vectors.matrix[0].any()
    assert vectors.words == tuple(WORDS)
    assert vectors.found.tolist() == [False, False] + [True] * len(WORDS)
    assert vectors.coverage == 1


WRITINGS = {
    "glove": lines_of,
    "word2vec": lambda known: f"{len(known)} {E}\n" + lines_of(known, end=" \n"),
    "trailing space": lambda known: lines_of(known, end=" \n"),
    "byte order mark": lambda known: "\ufeff" + lines_of(known),
    "byte order mark and header": lambda known: f"\ufeff{len(known)} {E}\n" + lines_of(known),
    "windows": lambda known: lines_of(known, end="\r\n"),
    "no last newline": lambda known: lines_of(known).rstrip(),
    "blank lines": lambda known: lines_of(known, end="\n\n"),
    "exponents": lambda known: "".join(f"{w} " + " ".join(f"{x:.9e}" for x in v) + "\n" for w, v in known.items()),
}


@pytest.mark.parametrize("written", WRITINGS.values(), ids=WRITINGS)
def test_each_word_gets_its_vector(known, tmp_path, written):
    check(load(tmp_path / "vectors.txt", written(known)), known)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".XZ", lzma.compress)])
def test_packed_files(known, tmp_path, suffix, pack):
    check(load(tmp_path / f"vectors.txt{suffix}", pack(lines_of(known).encode())), known)


def test_of_a_word_that_stands_twice_the_first_counts(known, tmp_path):
    again = {word: vector + 1 for word, vector in known.items()}
    check(load(tmp_path / "vectors.txt", lines_of(known) + lines_of(again)), known)


def test_words_are_found_in_the_case_of_the_texts(known, tmp_path):
    vectorizer = ks.layers.TextVectorizer(["Film", "The", "film"], lowercase=False)
    vectors = load(tmp_path / "vectors.txt", lines_of(known), vectorizer)
    assert vectors.found.tolist() == [False, False, True, False, True]
    np.testing.assert_array_equal(vectors.matrix[[2, 4]], [known["Film"], known["film"]])


def test_words_that_the_file_has_not_get_vectors_like_the_others(rng, tmp_path):
    """Each component of its own mean and deviation, that of the found ones; the unknown word too."""
    mean, deviation = np.array([3.0, -2, 0.5]), np.array([1.0, 0.01, 0])
    words = [f"w{i}" for i in range(4000)]
    known = {word: rng.normal(mean, deviation) for word in words[::2]}
    del known["w0"]
    vectors = load(tmp_path / "v.txt", lines_of(known), ks.layers.TextVectorizer(words))
    assert vectors.found[2:].tolist() == [word in known for word in words]
    assert vectors.coverage == 1999 / 4000
    given = np.array(list(known.values()))
    np.testing.assert_allclose(vectors.matrix[vectors.found], given, rtol=1e-6)
    drawn = vectors.matrix[1:][~vectors.found[1:]].astype("float64")
    n = len(drawn)
    assert n == 2002
    spread = given.std(0)
    assert (np.abs(drawn.mean(0) - given.mean(0)) <= 5 * spread / np.sqrt(n) + 1e-6).all()
    assert (np.abs(drawn.std(0) - spread) <= 5 * spread / np.sqrt(2 * n) + 1e-6).all()
    assert (drawn[:, 2] == 0.5).all()
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 5 / np.sqrt(n)
    assert len(np.unique(drawn[:, 0])) > n - 10  # but for rounding


def test_the_seed_decides_on_random_vectors_and_on_nothing_else(known, tmp_path):
    del known["film"]
    first, same, other = (load(tmp_path / "v.txt", lines_of(known), seed=seed).matrix for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any(axis=1).tolist() == [False, True, True] + [False] * 5


def test_a_first_word_that_holds_a_space(tmp_path):
    """Where a header says how many numbers there are."""
    vectors = load(tmp_path / "v.txt", "2 3\nnew york 1 2 3\nfilm 4 5 6\n")
    np.testing.assert_array_equal(vectors.matrix[[5, 2]], [[1, 2, 3], [4, 5, 6]])


def test_a_single_found_word_is_enough(tmp_path):
    vectors = load(tmp_path / "v.txt", "film 1 2 3\n")
    np.testing.assert_array_equal(vectors.matrix[1:], [[1, 2, 3]] * 7)
    assert vectors.coverage == pytest.approx(1 / 6)


CONTENTS = {
    "too few": ("film 1 2 3\nthe 4 5\n", "Line 2 of .*v.txt.*3 numbers"),
    "too few after a header": ("2 3\n\nfilm 1 2 3\nthe 4 5\n", "Line 4 .*3 numbers"),
    "other than the header says": ("2 7\nfilm 1 2 3\n", "Line 2 .*7 numbers, as the first line says"),
    "words": ("film 1 2 3\nthe 4 five 6\n", "Line 2 .*3 numbers"),
    "not a number": ("film 1 2 3\nthe 4 nan 6\n", "Line 2 "),
    "infinite": ("film 1 2 3\nthe 4 1e999 6\n", "Line 2 "),
    "no numbers": ("film\nthe\n", "Line 1 .*some numbers"),
    "no known word": ("book 1 2 3\nFilm 4 5 6\n", r"none of the 6 words.*lowercase="),
    "tabs": ("film\t1\t2\n", "none of the 6 words"),
    "header alone": ("2 3\n", "none of the 6 words"),
    "empty": ("", "none of the 6 words"),
    "bytes": (bytes(range(256)) * 50, "none of the 6 words"),
}


@pytest.mark.parametrize(("content", "message"), CONTENTS.values(), ids=CONTENTS)
def test_files_that_cannot_be_used(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path / "v.txt", content)


def test_files_that_are_not_there_or_folders(tmp_path):
    with pytest.raises(InputError, match=r"no file.*nowhere\.txt"):
        ks.data.load_vectors(tmp_path / "nowhere.txt", VECTORIZER)
    with pytest.raises(InputError, match="no file"):
        ks.data.load_vectors(tmp_path, VECTORIZER)


PACKED = gzip.compress("".join(f"w{i} {i % 7} {i % 11}\n" for i in range(3000)).encode())
BROKEN = {
    "no gzip": (".gz", b"film 1 2\n"),
    "cut gzip": (".gz", PACKED[: len(PACKED) // 2]),
    "no bzip": (".bz2", b"film 1 2\n"),
    "no xz": (".xz", b"film 1 2\n"),
    "cut xz": (".xz", lzma.compress(b"film 1 2\n" * 50)[:-20]),
    "damaged gzip": (".gz", PACKED[:40] + b"\xff\xff\xff\xff" + PACKED[44:]),
}


@pytest.mark.parametrize(("suffix", "content"), BROKEN.values(), ids=BROKEN)
def test_packed_files_that_are_broken(tmp_path, suffix, content):
    with pytest.raises(InputError, match=f"v.txt{suffix}.*cannot be read.*unpack"):
        load(tmp_path / f"v.txt{suffix}", content)

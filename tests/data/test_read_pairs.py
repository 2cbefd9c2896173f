"""Pairs of texts from files: each line as it stands, beside its own, and what is said of files that cannot be used."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.errors import InputError

# Separators that are none here, empty lines, spaces, what a CSV reader would take for quotes or missing values.
SOURCES = ["a\u2028b", "", "c\x0bd\x0ce\x85f", " NA ", '"quoted', "tab\tinside", "null"]
TARGETS = ["Käse", "日本語", "", "g\rh", "x", "y", ""]


def lines_of(texts, end="\n"):
    return "".join(text + end for text in texts).encode()


WRITINGS = {
    "a.txt": lines_of,
    "a": lines_of,
    "windows.en": lambda texts: lines_of(texts, end="\r\n"),
    "mark.en": lambda texts: b"\xef\xbb\xbf" + lines_of(texts),
    "packed.en.gz": lambda texts: gzip.compress(lines_of(texts)),
    "packed.EN.GZ": lambda texts: gzip.compress(lines_of(texts, end="\r\n")),
}


@pytest.mark.parametrize("name", WRITINGS)
@pytest.mark.parametrize("as_string", [False, True], ids=["Path", "str"])
def test_two_files_line_by_line(tmp_path, name, as_string):
    source, target = tmp_path / name, tmp_path / "target.de"
    source.write_bytes(WRITINGS[name](SOURCES))
    target.write_bytes(lines_of(TARGETS))
    frame = ks.data.read_pairs(str(source), str(target)) if as_string else ks.data.read_pairs(source, target)
    assert list(frame.columns) == ["source", "target"]
    assert frame["source"].tolist() == SOURCES
    assert frame["target"].tolist() == TARGETS


def test_the_last_line_may_lack_its_end(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"a\nb")
    target.write_bytes(b"x\n\n")
    assert ks.data.read_pairs(source, target).to_numpy().tolist() == [["a", "x"], ["b", ""]]


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff")), min_size=1, max_size=9))
def test_any_lines_come_back(tmp_path_factory, texts):
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(lines_of(texts))
    assert ks.data.read_pairs(path, path).to_numpy().tolist() == [[text, text] for text in texts]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.jsonl"])
def test_a_table(tmp_path, name):
    texts = ["a, b", 'say "c"', "NA"], ["x", "two\nlines", "Käse"]
    table = pd.DataFrame({"id": [1, 2, 3], "en": texts[0], "target": texts[1]})
    if name.endswith("jsonl"):
        table.to_json(tmp_path / name, orient="records", lines=True)
    else:
        table.to_csv(tmp_path / name, index=False, sep="\t" if "tsv" in name else ",")
    frame = ks.data.read_pairs(tmp_path / name, source_column="en")
    assert list(frame.columns) == ["source", "target"]
    assert (frame["source"].tolist(), frame["target"].tolist()) == texts
    with pytest.raises(InputError, match=r"'source'.*'id', 'en', 'target'"):
        ks.data.read_pairs(tmp_path / name)


def test_an_empty_cell_is_missing_and_named_by_the_pipeline(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("source,target\na,x\nb,\n")
    frame = ks.data.read_pairs(path)
    assert frame.isna().to_numpy().tolist() == [[False, False], [False, True]]
    tokenizer = ks.layers.Tokenizer(["▁a"])
    with pytest.raises(InputError, match=r"'target' .*row 1"):
        ks.data.pair_dataset(frame, tokenizer, tokenizer)


GZIPPED = gzip.compress(np.random.default_rng(0).bytes(999).hex().encode())

# name of the file, its content (None: no file), what the message must hold besides the file's name
BAD = {
    "missing": ("no.en", None, "check the path"),
    "empty": ("empty.en", b"", "is empty: give"),
    "empty but for a mark": ("mark.en", b"\xef\xbb\xbf", "is empty: give"),
    "empty, packed": ("empty.en.gz", gzip.compress(b""), "is empty: give"),
    "not UTF-8": ("latin.en", "a\ncafé\n".encode("latin-1"), "(byte 0xe9 at 5): convert it"),
    "not UTF-8, packed": ("latin.en.gz", gzip.compress(b"\xff"), "(byte 0xff at 0): convert it"),
    "UTF-16": ("utf16.en", "a\n".encode("utf-16"), "iconv"),
    "not gzip": ("plain.en.gz", b"a\nb\n", "Mend or unpack it"),
    "half of a gzip": ("half.en.gz", GZIPPED[:-30], "Mend or unpack it"),
    "damaged gzip": ("damaged.en.gz", GZIPPED[:10] + b"\xff" * 100 + GZIPPED[110:], "Mend or unpack it"),
    "wrong sum": ("sum.en.gz", GZIPPED[:-8] + b"\0" * 4 + GZIPPED[-4:], "Mend or unpack it"),
}


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(("name", "content", "words"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_is_named(tmp_path, name, content, words, side):
    good, path = tmp_path / "good", tmp_path / name
    good.write_text("a\nb\n")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        ks.data.read_pairs(*((path, good) if side == "source" else (good, path)))
    assert repr(str(path)) in str(caught.value)
    assert words in str(caught.value)


def test_files_of_unequal_length_are_named_with_their_lengths(tmp_path):
    source, target = tmp_path / "train.en", tmp_path / "train.de"
    source.write_text("a\n\nb\n")
    target.write_text("x\ny\n")
    with pytest.raises(InputError, match=r"train\.en' has 3, .*train\.de' has 2\. Find the line"):
        ks.data.read_pairs(source, target)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="no file"):
        ks.data.read_pairs(tmp_path, tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(
    ("part", "count", "first", "last"),
    [
        ("train", 29_000, "Two young, White males", "vieler Büsche."),
        ("val", 1_014, "A group of men", "einen Lastwagen"),
        ("test_2016_flickr", 1_000, "A man in an orange hat", "etwas anstarrt."),
    ],
)
def test_multi30k(data_dir, part, count, first, last):
    folder = data_dir / "multi30k"
    frame = ks.data.read_pairs(folder / f"{part}.en.gz", folder / f"{part}.de.gz")
    assert len(frame) == count
    assert frame["source"][0].startswith(first)
    assert frame["target"][0].endswith(last)
    assert not (frame == "").any(axis=None)

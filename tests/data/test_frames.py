"""Tables from files of each kind, what is said of files that cannot be used, and the division of rows."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.errors import InputError

# Words that pandas would take for missing values, a comma, quotes, a line break, an umlaut.
TEXTS = ["NA", "null", "nan", "None", 'a "quiet", funny film', "two\nlines", "Käse für alle", "1984"]
FRAME = pd.DataFrame({"text": TEXTS, "label": ["pos", "neg"] * 4, "stars": range(8)})


def _lines(frame):
    return "".join(json.dumps(row) + "\n" for row in frame.to_dict("records")).encode()


WRITERS = {
    "a.csv": lambda path: FRAME.to_csv(path, index=False),
    "a.CSV": lambda path: FRAME.to_csv(path, index=False),
    "bom.csv": lambda path: FRAME.to_csv(path, index=False, encoding="utf-8-sig"),
    "a.b.tsv": lambda path: FRAME.to_csv(path, sep="\t", index=False),
    "a.jsonl": lambda path: path.write_bytes(_lines(FRAME)),
    "a.ndjson": lambda path: path.write_bytes(_lines(FRAME)),
    "a.parquet": lambda path: FRAME.to_parquet(path),
    "a.csv.gz": lambda path: FRAME.to_csv(path, index=False, compression="gzip"),
    "a.csv.zip": lambda path: FRAME.to_csv(path, index=False, compression="zip"),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(_lines(FRAME))),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("as_string", [False, True], ids=["Path", "str"])
def test_each_kind_of_file_gives_the_same_table(tmp_path, name, as_string):
    path = tmp_path / name
    WRITERS[name](path)
    frame = ks.data.read_frame(str(path) if as_string else path)
    assert list(frame.columns) == ["text", "label", "stars"]
    assert frame["text"].tolist() == TEXTS
    assert frame["label"].tolist() == FRAME["label"].tolist()
    assert frame["stars"].tolist() == list(range(8))


def test_json_strings_that_look_like_numbers_stay_strings(tmp_path):
    """CSV has no types; JSON has, and a column of titles such as "1984" holds texts."""
    path = tmp_path / "titles.jsonl"
    path.write_text('{"text": "1984", "label": "1", "stars": 5}\n{"text": "2001", "label": "0", "stars": 4}\n')
    frame = ks.data.read_frame(path)
    assert frame["text"].tolist() == ["1984", "2001"]
    assert frame["label"].tolist() == ["1", "0"]
    assert frame["stars"].tolist() == [5, 4]


def test_an_empty_cell_is_a_missing_value(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\n,pos\na film,\n")
    assert ks.data.read_frame(path).isna().to_numpy().tolist() == [[True, False], [False, True]]


GZIPPED = gzip.compress(b"text,label\n" + b"a film,pos\n" * 999)

# name of the file, its content (None: no file), what the message must hold besides the file's name
BAD = {
    "missing": ("no.csv", None, "check the path"),
    "unknown ending": ("reviews.txt", b"text,label\na,b\n", "rename or convert"),
    "no ending": ("reviews", b"text,label\na,b\n", "rename or convert"),
    "only packed": ("reviews.gz", GZIPPED, "rename or convert"),
    "empty": ("empty.csv", b"", "needs a header line and rows"),
    "empty lines": ("empty.jsonl", b"", "no rows"),
    "header alone": ("header.csv", b"text,label\n", "no rows"),
    "not UTF-8": ("latin.csv", "text,label\ncafé,pos\n".encode("latin-1"), "iconv"),
    "not UTF-8 TSV": ("latin.tsv", "text\tlabel\ncafé\tpos\n".encode("latin-1"), "iconv"),
    "not UTF-8 JSON": ("latin.jsonl", '{"text": "café"}\n'.encode("latin-1"), "iconv"),
    "UTF-16": ("utf16.csv", "text,label\na,pos\n".encode("utf-16"), "iconv"),
    "one ragged row": ("ragged.csv", b"text,label\na,pos\na, b, c,neg\n", "line 3"),
    "all rows ragged": ("ragged.csv", b"text,label\na good, film,pos\na bad, film,neg\n", "ragged.csv"),
    "open quote": ("quote.csv", b'text,label\n"a film,pos\nb,neg\n', "quote.csv"),
    "broken line": ("broken.jsonl", b'{"text": "a", "label": 1}\n{"text": "b", "la\n', "broken.jsonl"),
    "broken Parquet": ("broken.parquet", b"text,label\na,pos\n", "broken.parquet"),
    "not gzip": ("plain.csv.gz", b"text,label\na,pos\n", "plain.csv.gz"),
    "half of a gzip": ("half.csv.gz", GZIPPED[:-30], "half.csv.gz"),
    "not zip": ("plain.csv.zip", b"text,label\na,pos\n", "plain.csv.zip"),
}


@pytest.mark.parametrize(("name", "content", "words"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_is_named(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        ks.data.read_frame(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["header.csv", "empty.jsonl", "broken.jsonl", "ragged.csv", "broken.parquet"])
def test_the_message_says_what_to_do(tmp_path, name):
    """After the fault comes the remedy: a verb of doing."""
    path = tmp_path / name
    path.write_bytes({content[0]: content[1] for content in BAD.values()}[name])
    with pytest.raises(
        InputError, match=r"(?i)\b(add|check|convert|give|needs?|quote|rename|repair|mend|correct|fix)\b"
    ):
        ks.data.read_frame(path)


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "reviews.csv"
    folder.mkdir()
    with pytest.raises(InputError, match=r"reviews\.csv"):
        ks.data.read_frame(folder)


def _frame(counts):
    labels = [f"class {i}" for i, count in enumerate(counts) for _ in range(count)]
    shuffled = np.random.default_rng(5).permutation(labels)
    return pd.DataFrame({"label": shuffled, "row": range(len(labels))}, index=range(100, 100 + len(labels)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.floats(0.01, 0.99), st.integers(0, 9))
def test_split_is_complete_disjoint_stratified_and_seeded(counts, test_size, seed):
    frame = _frame(counts)
    train, test = ks.data.split(frame, test_size, stratify="label", seed=seed)
    assert sorted([*train["row"], *test["row"]]) == list(range(len(frame)))
    for part in (train, test):
        assert part["row"].is_monotonic_increasing  # rows keep their order and index
        assert part.index.tolist() == [100 + row for row in part["row"]]
    for i, count in enumerate(counts):
        in_test = int((test["label"] == f"class {i}").sum())
        assert 1 <= in_test <= count - 1
        assert abs(in_test - np.clip(test_size * count, 1, count - 1)) <= 0.5
    again = ks.data.split(frame, test_size, stratify="label", seed=seed)
    assert again[0].equals(train)
    assert again[1].equals(test)


@pytest.mark.parametrize("stratify", [None, "label"])
def test_another_seed_gives_other_parts_of_the_same_size(stratify):
    frame = _frame([50, 50])
    parts = [ks.data.split(frame, 0.3, stratify=stratify, seed=seed)[1] for seed in range(4)]
    assert [len(part) for part in parts] == [30] * 4
    assert len({tuple(part["row"]) for part in parts}) == 4


def test_a_class_with_one_row_cannot_be_divided():
    frame = pd.DataFrame({"label": ["pos", "pos", "lonely"]})
    with pytest.raises(InputError, match=r"'lonely'.*1 row"):
        ks.data.split(frame, stratify="label")
    with pytest.raises(InputError, match="the frame"):
        ks.data.split(frame[:1])


@pytest.mark.parametrize("test_size", [0, 1, -0.1, 1.5, 20, float("nan")])
def test_test_size_lies_between_0_and_1(test_size):
    with pytest.raises(InputError, match="test_size"):
        ks.data.split(_frame([5, 5]), test_size)


def test_a_missing_column_is_named_beside_those_there_are():
    with pytest.raises(InputError, match=r"'mark'.*'label', 'row'"):
        ks.data.split(_frame([5, 5]), stratify="mark")

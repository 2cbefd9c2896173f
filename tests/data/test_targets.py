"""Targets of several labels: zeros and ones from lists and columns, the same in `text_dataset`; balanced weights."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_seq as ks
from keras_seq.data.targets import balanced_weights, many_hot
from keras_seq.errors import InputError

LABELS = ["warm", "dull", "größer"]
LISTS = [["dull"], [], ["größer", "warm"], ["warm"], ["warm", "dull", "größer"]]
HOT = [[0, 1, 0], [0, 0, 0], [1, 0, 1], [1, 0, 0], [1, 1, 1]]

FORMS = {
    "lists": LISTS,
    "tuples": tuple(map(tuple, LISTS)),
    "sets": [set(row) for row in LISTS],
    "frozen sets": [frozenset(row) for row in LISTS],
    "arrays": [np.array(row, object) for row in LISTS],
    "arrays of strings": [np.array(row, "U9") for row in LISTS],
    "bytes": [[label.encode() for label in row] for row in LISTS],
    "column": pd.Series(LISTS, index=range(5, 10)),
    "array": np.array(HOT),
    "booleans": np.array(HOT, bool),
    "floats": np.array(HOT, "float32"),
    "lists of zeros and ones": HOT,
    "tuples of booleans": [tuple(map(bool, row)) for row in HOT],
    "arrays of zeros and ones": [np.array(row) for row in HOT],
    "column of zeros and ones": pd.Series(HOT, index=range(5, 10)),
    "frame": pd.DataFrame(HOT, columns=LABELS, index=range(5, 10)),
    "frame in another order": pd.DataFrame(HOT, columns=LABELS)[["dull", "größer", "warm"]],
    "frame without names": pd.DataFrame(HOT),
    "tensor": tf.constant(HOT),
}


@pytest.mark.parametrize("values", FORMS.values(), ids=FORMS)
def test_zeros_and_ones_in_the_order_of_the_labels(values):
    hot = many_hot(values, LABELS)
    assert hot.dtype == "int32"
    assert hot.tolist() == HOT


def test_integer_labels_mean_themselves():
    for rows in ([[7], [], [0, 7]], [np.array([7]), np.array([], int), {0, 7}], [[np.int64(7)], (), [0, 7]]):
        assert many_hot(rows, [7, 2, 0]).tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]
    with pytest.raises(InputError, match=r"Row 1 of 'y' has a label twice, \[0, 0\].*array"):
        many_hot([[0, 1], [0, 0]], [1, 0])
    assert many_hot([[1, 0], [0], []], [1, 0]).tolist() == [[1, 1], [0, 1], [0, 0]]  # nor are lists zeros and ones
    assert many_hot(np.array([[0, 1]]), [1, 0]).tolist() == [[0, 1]]  # an array says which, it does not name them


def test_no_rows():
    assert many_hot([], LABELS).shape == (0, 3)
    assert many_hot(np.zeros((0, 3)), LABELS).shape == (0, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([["warm"], ["cold"]], r"'cold'.*\['warm', 'dull', 'größer'\]"),
        ([["warm"], ["dull", "dull"]], r"Row 1 of 'marks' has a label twice, \['dull', 'dull'\]"),
        ([["warm", None]], r"\['warm', None\] in row 0"),
        ([["warm"], [["dull"]]], r"'marks' must be strings or integers.*\[\['dull'\]\] in row 1"),
        ([[0.5, 1.0, 0.0]], r"strings or integers.*\[0.5, 1.0, 0.0\] in row 0"),
        (np.zeros((2, 3, 1)), "strings or integers.*row 0"),
        ([["warm"], "dull"], r"list.*'marks'.*'dull' in row 1.*\['dull'\]"),
        ([["warm"], None], "'marks'.*None in row 1"),
        (["warm", "dull"], r"'warm' in row 0: write \['warm'\]"),
        ([1, 0, 1], "1 in row 0"),
        (np.array([[1, 0]]), r"`marks`.*\(N, 3\).*\(1, 2\)"),
        pytest.param(np.array([[1, 3, 2]]), r"`marks`.*zeros and ones.*\(1, 3\) with 3 in it"),
        pytest.param([[1, 0, 1], [0, "warm", 5]], r"`marks`.*\(2, 3\) with 'warm' in it"),
        ([[1, 0]], r"`marks` holds numbers.*\['warm', 'dull', 'größer'\].*all 3"),
        ([[1, 0, 0], [1]], "`marks` holds numbers"),
        ([["warm"], [1, 0, 0]], "`marks` holds numbers"),
        (np.array([[1, 0, np.nan]]), "`marks`.*nan"),
        (np.array([["warm", "dull", "dull"]]), "`marks`.*zeros and ones"),
        (pd.DataFrame([[1, 0, 1]], columns=["warm", "dull", "cold"]), r"columns.*'größer'\].*'cold'\]"),
        (np.array([[1, None, 0]], object), r"`marks`.*\(1, 3\) with None in it"),
        (pd.DataFrame({n: pd.array([1, None], "Int64") for n in LABELS}), "`marks`.*NA"),
        (pd.DataFrame({"warm": ["x"], "dull": [1], "größer": [0]}), "`marks`.*'x' in it"),
    ],
)
def test_targets_that_cannot_be_used(values, message):
    with pytest.raises(InputError, match=message):
        many_hot(values, LABELS, "marks")


VECTORIZER = ks.layers.TextVectorizer(["w0", "w1", "w2", "w3", "w4"])
FRAME = pd.DataFrame(
    {"text": ["w0", "w1 w1", "w2", "w3", "w4 w0"], "tags": LISTS, **dict(zip(LABELS, np.transpose(HOT), strict=True))},
    index=range(5, 10),
)


def targets_of(dataset):
    """The targets of all batches in the order of the rows, which the first word says."""
    batches = [(ids.numpy()[:, 0] - 2, targets.numpy()) for ids, targets in dataset]
    rows, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert sorted(rows) == list(range(5))
    return targets[np.argsort(rows)].tolist()


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"label": LABELS}, HOT),
        ({"label": ("größer", "warm")}, [[row[2], row[0]] for row in HOT]),
        ({"label": ["dull"]}, [[row[1]] for row in HOT]),
        ({"label": LABELS, "labels": tuple(LABELS)}, HOT),
        ({"label": "tags", "labels": LABELS}, HOT),
        ({"label": "tags", "labels": LABELS[::-1]}, [row[::-1] for row in HOT]),
    ],
)
def test_a_dataset_of_several_labels(arguments, expected, shuffle):
    dataset = ks.data.text_dataset(FRAME, VECTORIZER, batch_size=2, shuffle=shuffle, **arguments)
    assert dataset.element_spec[1].dtype == tf.int32
    assert dataset.element_spec[1].shape.as_list() == [None, len(expected[0])]
    for _ in range(2):
        assert targets_of(dataset) == expected


def of_bits(function):
    return FRAME.assign(**{name: function(FRAME[name]) for name in LABELS})


@pytest.mark.parametrize("kind", ["bool", "float32", "Int64", "boolean"])
def test_columns_of_other_kinds(kind):
    dataset = ks.data.text_dataset(of_bits(lambda column: column.astype(kind)), VECTORIZER, label=LABELS)
    assert targets_of(dataset) == HOT


@pytest.mark.parametrize("kind", [tuple, set, np.array, frozenset])
def test_columns_of_tuples_sets_and_arrays(kind):
    frame = FRAME.assign(tags=[kind(row) for row in LISTS])
    assert targets_of(ks.data.text_dataset(frame, VECTORIZER, label="tags", labels=LABELS)) == HOT


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (FRAME, {"label": ["warm", "cold"]}, "no column 'cold'"),
        (FRAME, {"label": ["warm", "text"]}, "`label`.*zeros and ones.*'w0' in it"),
        (FRAME.assign(warm=[1, 0, 1, 2, 0]), {"label": LABELS}, r"`label`.*zeros and ones.*2"),
        (FRAME.assign(warm=[1, 0, 1, np.nan, 0]), {"label": LABELS}, "`label`.*nan"),
        (FRAME, {"label": LABELS, "labels": LABELS[::-1]}, r"`label`.*'größer', 'dull', 'warm'.*got \['warm', 'dull'"),
        (FRAME, {"label": LABELS[:2], "labels": LABELS}, r"`label`.*got \['warm', 'dull'\]"),
        (FRAME, {"label": []}, r"`label`.*columns of the labels.*got \[\]"),
        (FRAME, {"label": (), "labels": LABELS}, r"`label`.*got \(\)"),
        (FRAME, {"label": "tags", "labels": ["warm", "dull"]}, "'größer'"),
        (FRAME, {"label": "tags"}, "'tags'.*got list"),
        (FRAME.assign(tags=[["warm"], None, [], [], []]), {"label": "tags", "labels": LABELS}, "'tags'.*None in row 1"),
    ],
)
def test_columns_that_cannot_be_used(frame, arguments, message):
    with pytest.raises(InputError, match=message):
        ks.data.text_dataset(frame, VECTORIZER, **arguments)


def test_weights_that_balance_labels(rng):
    indices = rng.choice(5, 97, p=[0.5, 0.3, 0.1, 0, 0.1])
    counts = np.bincount(indices, minlength=5)
    assert counts[3] == 0
    weights = balanced_weights(indices.astype("int32"), 5)
    assert set(weights) == {0, 1, 2, 4}
    assert {type(key) for key in weights} == {int}
    for index, weight in weights.items():
        assert weight == pytest.approx(97 / (5 * counts[index]))  # together each label weighs N / C
    assert balanced_weights(np.array([1, 0, 1, 0]), 2) == {0: 1.0, 1: 1.0}

"""The pipeline: each row once an epoch with its own label, padded to few lengths, in an order that can be resumed."""

import itertools
import math

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.data.batches import length_buckets
from keras_seq.errors import InputError

ROWS = 60
# Row i is the word "w<i>" i's length times: what is in a batch tells which row it came from.
VECTORIZER = ks.layers.TextVectorizer([f"w{i}" for i in range(ROWS)], max_length=20)


def frame_of(lengths):
    texts = [" ".join([f"w{i}"] * length) for i, length in enumerate(lengths)]
    return pd.DataFrame({"text": texts, "label": range(len(lengths))}, index=range(7, 7 + len(lengths)))


def epoch_of(dataset):
    return [(ids.numpy(), labels.numpy()) for ids, labels in dataset]


def rows_of(epoch):
    return [int(label) for _, labels in epoch for label in labels]


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 25), min_size=1, max_size=ROWS),
    batch_size=st.integers(1, 17),
    buckets=st.sets(st.integers(1, 30), max_size=4),
    shuffle=st.booleans(),
)
def test_each_row_comes_once_with_its_label_padded_to_an_edge(lengths, batch_size, buckets, shuffle):
    dataset = ks.data.text_dataset(
        frame_of(lengths), VECTORIZER, batch_size=batch_size, buckets=tuple(buckets), shuffle=shuffle
    )
    edges = sorted({edge for edge in buckets if edge < 20} | {20})  # the vectoriser keeps 20 words
    for epoch in (epoch_of(dataset), epoch_of(dataset)):
        rows = rows_of(epoch)
        assert sorted(rows) == list(range(len(lengths)))
        if not shuffle:
            assert rows == list(range(len(lengths)))
        for ids, labels in epoch:
            kept = [min(lengths[row], 20) for row in labels]
            for row, length, line in zip(labels, kept, ids, strict=True):
                assert line.tolist() == [row + 2] * length + [0] * (len(line) - length)
            assert ids.shape[1] == min(edge for edge in edges if edge >= max(kept))  # no more than is needed
        sizes = [len(labels) for _, labels in epoch]
        assert len(sizes) == len(dataset) == math.ceil(len(lengths) / batch_size)
        assert max(sizes) <= batch_size
        assert sum(size < batch_size for size in sizes) <= 1


LENGTHS = [1 + (7 * i) % 19 for i in range(ROWS)]


def orders(seed, epochs, shuffle=True, **arguments):
    dataset = ks.data.text_dataset(frame_of(LENGTHS), VECTORIZER, batch_size=8, shuffle=shuffle, seed=seed, **arguments)
    return [rows_of(epoch_of(dataset)) for _ in range(epochs)], dataset


def test_the_order_is_a_function_of_seed_and_epoch():
    first, dataset = orders(seed=3, epochs=4)
    assert len(set(map(tuple, first))) == 4
    assert orders(seed=3, epochs=4)[0] == first
    assert all(a != b for a, b in zip(orders(seed=4, epochs=4)[0], first, strict=True))
    dataset.batches.epoch = 2  # go on from the third epoch
    assert [rows_of(epoch_of(dataset)) for _ in range(2)] == first[2:]


def test_shuffling_mixes_rows_over_batches_not_only_batches():
    first, _ = orders(seed=0, epochs=2)
    together = [{frozenset(rows[i : i + 8]) for i in range(0, ROWS, 8)} for rows in first]
    assert not together[0] & together[1]


def test_without_shuffle_the_order_is_that_of_the_rows():
    assert orders(seed=3, epochs=2, shuffle=False)[0] == [list(range(ROWS))] * 2


def test_a_batch_holds_texts_of_like_length():
    """With buckets of 4, 8 and 20, a batch of short texts is not padded to the longest text of all."""
    _, dataset = orders(seed=0, epochs=0, buckets=(4, 8))
    widths = [ids.shape[1] for ids, _ in epoch_of(dataset)]
    assert set(widths) == {4, 8, 20}
    padding = sum(ids.size - np.count_nonzero(ids) for ids, _ in epoch_of(dataset))
    assert padding < 0.5 * (20 * ROWS - sum(LENGTHS))


@pytest.mark.parametrize(
    ("backend", "share", "most"),
    [("tensorflow", 0.05, {10: 2, 400: 26, 2000: 70}), ("jax", 0.5, {10: 1, 400: 9, 2000: 13})],
)
def test_default_buckets_pad_little_and_are_fewer_on_jax(monkeypatch, backend, share, most):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    for max_length, count in most.items():
        edges = length_buckets(max_length)
        assert edges == sorted(set(edges))
        assert edges[-1] == max_length
        assert len(edges) <= count
        assert all(b - a <= max(16, share * a) for a, b in itertools.pairwise(edges))


def test_no_thread_tunes_the_pipeline():
    """`fit` may wait for it at its end."""
    dataset = ks.data.text_dataset(frame_of(LENGTHS), VECTORIZER)
    assert dataset.options().autotune.enabled is False
    assert dataset.take(1).options().autotune.enabled is False


def test_a_long_text_is_not_padded_to_the_longest_that_there_may_be():
    long = ks.layers.TextVectorizer(["a"], max_length=2000)
    dataset = ks.data.text_dataset(pd.DataFrame({"text": ["a " * 700]}), long, label=None)
    assert 700 <= next(iter(dataset)).shape[1] < 1000


TWO = pd.DataFrame({"review": ["w1", "w2 w3", ""], "mark": ["pos", "neg", "pos"]})


def labels_in(frame, **arguments):
    dataset = ks.data.text_dataset(frame, VECTORIZER, text="review", label="mark", shuffle=False, **arguments)
    labels = next(iter(dataset))[1]
    return labels.dtype, labels.numpy().tolist()


@pytest.mark.parametrize(
    ("marks", "labels", "dtype", "expected"),
    [
        (["pos", "neg", "pos"], None, tf.string, [b"pos", b"neg", b"pos"]),
        (["pos", "neg", "pos"], ["neg", "pos"], tf.int32, [1, 0, 1]),
        (["pos", "neg", "pos"], ["pos", "ok", "neg"], tf.int32, [0, 2, 0]),
        (np.array([2, 0, 5], "int32"), None, tf.int64, [2, 0, 5]),
        (pd.array([2, 0, 5], "Int64"), None, tf.int64, [2, 0, 5]),
        (pd.array([2, 0, 5], object), None, tf.int64, [2, 0, 5]),
        ([2, 0, 5], [5, 2, 0], tf.int32, [1, 2, 0]),
        ([1, 0, 1], ["neg", "pos"], tf.int32, [1, 0, 1]),
        (pd.Categorical(["pos", "neg", "pos"]), ["neg", "pos"], tf.int32, [1, 0, 1]),
        (["größer", "neg", "neg"], None, tf.string, ["größer".encode(), b"neg", b"neg"]),
    ],
)
def test_labels_as_they_are_or_as_indices(marks, labels, dtype, expected):
    """int64 are labels that are integers, int32 are indices: models tell them apart by that."""
    assert labels_in(TWO.assign(mark=marks), labels=labels) == (dtype, expected)


def test_no_labels():
    ids = next(iter(ks.data.text_dataset(TWO, VECTORIZER, text="review", label=None, shuffle=False)))
    assert ids.numpy()[:, :3].tolist() == [[3, 0, 0], [4, 5, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("marks", "labels", "message"),
    [
        (["pos", None, "neg"], None, "row 1"),
        ([1.0, float("nan"), 0.0], None, "row 1"),
        ([1.0, 0.5, 0.0], None, "float"),
        (["pos", 1, "neg"], None, "int, str"),
        ([True, False, True], None, "bool"),
        (["pos", "neg", "so so"], ["neg", "pos"], "'so so'"),
        ([0, 1, 2], ["neg", "pos"], "2"),
        ([0, 1, -1], ["neg", "pos"], "-1"),
    ],
)
def test_labels_that_cannot_be_used(marks, labels, message):
    with pytest.raises(InputError, match=message):
        labels_in(TWO.assign(mark=pd.Series(marks)), labels=labels)


def test_labels_of_a_column():
    assert ks.data.labels_of(TWO, "mark") == ["neg", "pos"]
    assert ks.data.labels_of(TWO.assign(mark=[10, 9, 10]), "mark") == [9, 10]
    with pytest.raises(InputError, match="single label, 'pos'"):
        ks.data.labels_of(TWO.assign(mark="pos"), "mark")
    with pytest.raises(InputError, match=r"'stars'.*'review', 'mark'"):
        ks.data.labels_of(TWO, "stars")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"text": "words"}, "'words'.*'review', 'mark'"),
        ({}, {"label": "stars"}, "'stars'.*'review', 'mark'"),
        ({"review": ["a", None, "b"]}, {}, "'review'.*row 1"),
        ({"review": ["a", float("nan"), float("nan")]}, {}, "2 such row"),
        ({"review": [1, 2, 3]}, {}, "'review' must hold strings"),
        ({}, {"batch_size": 0}, "batch_size"),
    ],
)
def test_columns_that_cannot_be_used(change, arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.data.text_dataset(TWO.assign(**change), VECTORIZER, **{"text": "review", "label": "mark", **arguments})


def test_a_frame_without_rows():
    with pytest.raises(InputError, match="no rows"):
        ks.data.text_dataset(TWO[:0], VECTORIZER, text="review", label="mark")

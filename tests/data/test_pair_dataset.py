"""Pairs of texts as batches: each pair whole, shifted by one, padded little, in an order that can be resumed."""

import re
from collections import Counter

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.data.pairs import PairBatches, encoded_side
from keras_seq.errors import InputError

START, END = 2, 3

# ---- batches ----

LONGEST = 53, 41  # of a source and of a target, without start and end


def rows_of_lengths(lengths, first=4):
    """Row i is the id 4 + i as often as its length: what is in a batch tells which row it came from."""
    return [np.full(length, first + i, "int32") for i, length in enumerate(lengths)]


def batches_of(lengths, backend="tensorflow", **arguments):
    sources, targets = rows_of_lengths([s for s, _ in lengths]), rows_of_lengths([t for _, t in lengths])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.backend, "backend", lambda: backend)
        return PairBatches(sources, targets, LONGEST, **arguments)


def pairs_in(epoch):
    """The pairs `(row, source length, target length)` in their order; their ids, shifts and padding are checked."""
    pairs = []
    for ids, labels in epoch:
        assert set(ids) == {"source", "target"}
        assert ids["source"].dtype == ids["target"].dtype == labels.dtype == "int32"
        for source, target, label in zip(ids["source"], ids["target"], labels, strict=True):
            n, m = np.count_nonzero(source), np.count_nonzero(target) - 1
            word = source[0]
            assert source.tolist() == [word] * n + [0] * (len(source) - n)
            assert target.tolist() == [START] + [word] * m + [0] * (len(target) - m - 1)
            assert label.tolist() == [word] * m + [END] + [0] * (len(target) - m - 1)
            pairs.append((int(word) - 4, n, m))
    return pairs


def rows_in(epoch):
    return [row for row, _, _ in pairs_in(epoch)]


def shapes_in(epoch):
    """For each batch its rows, S and T."""
    return [(*ids["source"].shape, labels.shape[1]) for ids, labels in epoch]


def rounded(length, most):
    return min(-(-length // 4) * 4, most)


LENGTHS = st.lists(st.tuples(st.integers(1, LONGEST[0]), st.integers(1, LONGEST[1])), min_size=1, max_size=60)
SIZE = st.one_of(st.builds(dict, tokens_per_batch=st.integers(1, 200)), st.builds(dict, batch_size=st.integers(1, 17)))
BACKEND = st.sampled_from(["tensorflow", "jax"])


@settings(max_examples=150, deadline=None)
@given(LENGTHS, SIZE, BACKEND, st.booleans())
def test_each_pair_comes_once_an_epoch_within_the_bound(lengths, size, backend, shuffle):
    batches = batches_of(lengths, backend, shuffle=shuffle, **size)
    expected = [(row, *pair) for row, pair in enumerate(lengths)]
    for epoch in (list(batches), list(batches)):
        assert len(epoch) == len(batches)
        pairs = pairs_in(epoch)
        assert sorted(pairs) == expected
        if not shuffle:
            assert pairs == expected
        for rows, s, t in shapes_in(epoch):
            assert rows <= size.get("batch_size", rows)
            assert rows == 1 or rows * max(s, t) <= size.get("tokens_per_batch", rows * max(s, t))
        if "batch_size" in size:
            assert sum(rows < size["batch_size"] for rows, _, _ in shapes_in(epoch)) <= 1


@settings(max_examples=50, deadline=None)
@given(LENGTHS, SIZE, st.booleans())
def test_each_side_is_as_wide_as_its_longest_text_wants(lengths, size, shuffle):
    for batch in batches_of(lengths, shuffle=shuffle, **size):
        pairs = pairs_in([batch])
        ((_, s, t),) = shapes_in([batch])
        assert s == rounded(max(n for _, n, _ in pairs), LONGEST[0])
        assert t == rounded(max(m for _, _, m in pairs) + 1, LONGEST[1] + 1)


@settings(max_examples=50, deadline=None)
@given(LENGTHS, SIZE, st.booleans())
def test_on_jax_all_batches_but_one_have_the_shape_of_their_bucket(lengths, size, shuffle):
    batches = batches_of(lengths, "jax", shuffle=shuffle, **size)
    for epoch in (list(batches), list(batches)):
        assert sorted(rows_in(epoch)) == list(range(len(lengths)))
        shapes = Counter(shapes_in(epoch))
        widths = {(s, t) for _, s, t in shapes}
        assert widths <= {(16, 16), (32, 32), (48, 42), (53, 42)}  # buckets, and the longest that there are
        usual = sum(max(n for shape, n in shapes.items() if shape[1:] == width) for width in widths)
        assert len(epoch) - usual <= 1


def many(count=2000, seed=5):
    """Pairs as in translation: the sides are of like length."""
    rng = np.random.default_rng(seed)
    s = rng.integers(2, 20, count)
    t = np.clip(s * 0.6 + rng.normal(0, 1.5, count), 1, 13).astype(int)
    return list(zip(s.tolist(), t.tolist(), strict=True))


def test_batches_are_full_and_little_is_padded():
    lengths = many()
    shapes = shapes_in(batches_of(lengths, tokens_per_batch=256, shuffle=True))
    tokens = sum(s + t + 1 for s, t in lengths)
    assert np.mean([rows * max(s, t) for rows, s, t in shapes]) > 0.9 * 256
    assert sum(rows * (s + t) for rows, s, t in shapes) < 1.2 * tokens


def test_without_shuffle_batches_of_short_pairs_have_more_rows():
    lengths = sorted(many(), key=lambda pair: max(pair[0], pair[1] + 1))
    shapes = shapes_in(batches_of(lengths, tokens_per_batch=256))
    rows = [rows for rows, _, _ in shapes][:-1]
    assert rows == sorted(rows, reverse=True)
    assert (rows[0], rows[-1]) == (256 // 4, 256 // 20)


def test_the_order_is_a_function_of_seed_and_epoch():
    def epochs(seed, first, count):
        batches = batches_of(many(200), tokens_per_batch=256, shuffle=True, seed=seed)
        batches.epoch = first
        return [rows_in(list(batches)) for _ in range(count)]

    orders = epochs(3, 0, 4)
    assert len(set(map(tuple, orders))) == 4
    assert epochs(3, 0, 4) == orders
    assert epochs(3, 2, 2) == orders[2:]
    assert not any(a == b for a, b in zip(epochs(4, 0, 4), orders, strict=True))


def test_shuffling_deals_rows_out_to_other_batches_each_epoch():
    batches = batches_of(many(), tokens_per_batch=256, shuffle=True)
    epochs = [list(batches), list(batches)]
    first, second = ({frozenset(rows_in([batch])) for batch in epoch} for epoch in epochs)
    assert len(first & second) < 0.02 * len(first)
    for epoch in epochs:
        widths = [max(s, t) for _, s, t in shapes_in(epoch)]
        assert abs(np.corrcoef(widths, np.arange(len(widths)))[0, 1]) < 0.3  # short and long ones in turn


# ---- pipeline ----

FRAME = pd.DataFrame(
    {"en": ["a b c d e", "b", "a  b"], "de": ["x", "z y x z y x z y", "y z"], "id": [7, 8, 9]}, index=[3, 1, 2]
)
EN = ks.layers.Tokenizer(["▁a", "▁b", "▁c", "▁d"], max_length=19)
DE = ks.layers.Tokenizer(["▁x", "▁y", "▁z"], max_length=6)


def dataset_of(frame=FRAME, source_vectorizer=EN, target_vectorizer=DE, source="en", target="de", **arguments):
    return ks.data.pair_dataset(frame, source_vectorizer, target_vectorizer, source, target, **arguments)


def test_sources_targets_and_labels(monkeypatch):
    """In the second row the target is cut to 6 tokens, and ends all the same."""
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    ((ids, labels),) = dataset_of(shuffle=False)
    assert ids["source"].numpy().tolist() == [[4, 5, 6, 7, 1, 0, 0, 0], [5] + [0] * 7, [4, 5] + [0] * 6]
    assert ids["target"].numpy().tolist() == [[2, 4, 0, 0, 0, 0, 0], [2, 6, 5, 4, 6, 5, 4], [2, 5, 6, 0, 0, 0, 0]]
    assert labels.numpy().tolist() == [[4, 3, 0, 0, 0, 0, 0], [6, 5, 4, 6, 5, 4, 3], [5, 6, 3, 0, 0, 0, 0]]


def test_a_pipeline_of_int32_that_knows_its_length_and_is_not_tuned():
    dataset = dataset_of(batch_size=2)
    ids = keras.tree.map_structure(lambda spec: (spec.shape.as_list(), spec.dtype.name), dataset.element_spec)
    assert ids == ({"source": ([None, None], "int32"), "target": ([None, None], "int32")}, ([None, None], "int32"))
    assert len(dataset) == len(list(dataset)) == 2
    assert dataset.options().autotune.enabled is False


def test_the_epochs_of_a_pipeline_can_be_resumed():
    def orders(dataset, count):
        return [[row for ids, _ in dataset for row in ids["source"][:, 0].numpy()] for _ in range(count)]

    words = [f"w{i}" for i in range(40)]
    tokenizer = ks.data.tokenizer(words)
    frame = pd.DataFrame({"source": words, "target": words})
    dataset = ks.data.pair_dataset(frame, tokenizer, tokenizer, batch_size=8, seed=3)
    first = orders(dataset, 4)
    assert len(set(map(tuple, first))) == 4
    dataset.batches.epoch = 2
    assert orders(dataset, 2) == first[2:]


def test_characters_of_the_frame_come_back_from_the_ids():
    frame = ks.data.dates(rows=60)
    tokenizer = ks.data.tokenizer([*frame["text"], *frame["iso"]], split="characters")
    dataset = ks.data.pair_dataset(frame, tokenizer, tokenizer, source="text", target="iso", batch_size=16)
    pairs = [
        (source.decode(), target.decode())
        for ids, labels in dataset
        for source, target in zip(
            tokenizer.detokenize(ids["source"]).numpy(), tokenizer.detokenize(labels).numpy(), strict=True
        )
    ]
    assert sorted(pairs) == sorted(zip(frame["text"], frame["iso"], strict=True))


def test_an_encoded_side_has_neither_padding_nor_start_nor_end():
    rows = encoded_side(["a b a", "d"], EN)
    assert [row.tolist() for row in rows] == [[4, 5, 4], [7]]


@pytest.mark.parametrize("column", ["en", "de"])
@pytest.mark.parametrize("text", ["", "  ", "\u3000", "\x07"])
def test_an_empty_text_is_named(column, text):
    frame = FRAME.assign(**{column: ["a", text, text]})
    with pytest.raises(InputError, match=rf"'{column}' .*{re.escape(repr(text))} in row 1 \(2 such .*drop"):
        dataset_of(frame)


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (FRAME, {"source": "fr"}, "'fr'.*'en', 'de', 'id'"),
        (FRAME, {"target": "fr"}, "'fr'.*'en', 'de', 'id'"),
        (FRAME, {"target": "id"}, "'id' must hold strings.* 7 in row 0"),
        (FRAME.assign(en=["a", None, "b"]), {}, "'en' must hold strings.*row 1"),
        (FRAME[:0], {}, "'en' has no rows"),
        ("pairs.tsv", {}, r"`pairs` .* got str: .*ks\.data\.read_pairs"),
        ([("a", "x")], {}, r"`pairs` .* got list: .*pd\.DataFrame"),
        (
            FRAME,
            {"source_vectorizer": ks.layers.TextVectorizer(["a"])},
            "`source_vectorizer` .*got TextVectorizer: make",
        ),
        (FRAME, {"target_vectorizer": None}, "`target_vectorizer` .*got NoneType"),
        (FRAME, {"tokens_per_batch": 0}, "`tokens_per_batch` must be a positive integer, got 0"),
        (FRAME, {"batch_size": -1}, "`batch_size` must be a positive integer, got -1"),
    ],
)
def test_what_cannot_be_used_is_named(frame, arguments, message):
    with pytest.raises(ValueError, match=message):
        dataset_of(frame, **arguments)

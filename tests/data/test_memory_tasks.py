"""The tasks on memory: inputs are read here by themselves, as a model must, and the answer is worked out from them."""

import numpy as np
import pytest

import keras_seq as ks

tasks = ks.data.tasks
BITS = 5


def answer_of_copy(x):
    """First step of the answer, and the answer `(steps, bits)`."""
    (end,) = np.flatnonzero(x[:, BITS])
    assert x[end].sum() == 1  # nothing but the marker
    return end + 1, x[:end, :BITS]


def answer_of_repeat_copy(x, norm):
    (start,), (end,) = np.flatnonzero(x[:, BITS]), np.flatnonzero(x[:, BITS + 1])
    assert start == 0
    assert x[start].sum() == 1
    assert not x[end, : BITS + 1].any()
    count = float(x[end, BITS + 1]) * norm
    assert count == pytest.approx(round(count), abs=1e-4)
    lines = [[*line, 0] for line in x[1:end, :BITS].tolist()] * round(count)
    return end + 1, np.array([*lines, [0] * BITS + [1]])


def answer_of_associative_recall(x, item_length):
    asked, end = np.flatnonzero(x[:, BITS + 1])
    starts = [*np.flatnonzero(x[:, BITS]), asked]
    assert np.diff([*starts, end]).tolist() == [item_length + 1] * len(starts)
    assert all(x[at].sum() == 1 for at in (*starts, end))
    *items, query = [x[at + 1 : at + 1 + item_length, :BITS] for at in starts]
    found = [i for i, item in enumerate(items) if (item == query).all()]
    assert len(found) == 1  # seeds of these tests draw no item twice
    return end + 1, items[found[0] + 1]


READERS = {
    "copy": (answer_of_copy, {"length": (2, 7)}),
    "repeat_copy": (lambda x: answer_of_repeat_copy(x, norm=7), {"length": (1, 3), "repeats": (2, 5), "norm": 7}),
    "associative_recall": (lambda x: answer_of_associative_recall(x, 4), {"items": (2, 5), "item_length": 4}),
}


def check_row(read, x, y, w):
    """The answer stands in the targets, where the weights are 1, and the rest is zeros."""
    begin, answer = read(x)
    steps = np.arange(len(x))
    inside = (begin <= steps) & (steps < begin + len(answer))
    np.testing.assert_array_equal(w, inside)
    np.testing.assert_array_equal(y[inside], answer)
    assert not y[~inside].any()
    assert not x[begin:].any()
    return len(answer)


@pytest.mark.parametrize("task", READERS)
def test_the_answer_follows_from_the_inputs(task):
    read, sizes = READERS[task]
    x, y, w = getattr(tasks, task)(rows=200, bits=BITS, seed=3, **sizes)
    assert {a.dtype.name for a in (x, y, w)} == {"float32"}
    for row in zip(x, y, w, strict=True):
        check_row(read, *row)
    assert w[:, -1].any()  # some row is as long as the arrays are
    bits = np.concatenate([one[steps > 0, :BITS] for one, steps in zip(y, w, strict=True)])
    assert 0.45 < bits[~(bits == 0).all(axis=1)].mean() < 0.58


def test_sizes_are_drawn_evenly():
    _, _, w = tasks.copy(rows=3000, length=(2, 7), seed=1)
    _, counts = np.unique(w.sum(axis=1), return_counts=True)
    assert len(counts) == 6
    assert 400 < counts.min() <= counts.max() < 600
    x, _, _ = tasks.repeat_copy(rows=3000, length=(1, 2), repeats=(1, 3), bits=BITS, seed=1)
    count = x[..., BITS + 1]
    pairs, counts = np.unique([count.argmax(axis=1), 10 * count.max(axis=1)], axis=1, return_counts=True)
    assert pairs.T.round(4).tolist() == [[length + 1, n] for length in (1, 2) for n in (1, 2, 3)]
    assert 400 < counts.min() <= counts.max() < 600


def test_every_item_but_the_last_is_asked_for():
    x, _, _ = tasks.associative_recall(rows=300, items=4, bits=12, seed=1)
    shown, query = x[:, :16, :12].reshape(300, 4, 4, 12)[:, :, 1:], x[:, 17:20, :12]
    which = (shown == query[:, None]).all(axis=(2, 3))
    assert (which.sum(axis=1) == 1).all()
    assert which.sum(axis=0)[:3].min() > 80
    assert which.sum(axis=0)[3] == 0


@pytest.mark.parametrize("task", READERS)
def test_arrays_depend_on_the_seed_alone(task):
    make = getattr(tasks, task)
    first, again, other = (make(rows=4, bits=BITS, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def epochs_of(dataset, count):
    return [[[a.numpy() for a in batch] for batch in dataset] for _ in range(count)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("task", READERS)
def test_batches_have_few_lengths_and_no_more_padding_than_these_need(task):
    read, sizes = READERS[task]
    dataset = tasks.memory_dataset(task, batch_size=3, batches=60, buckets=2, bits=BITS, seed=5, **sizes)
    assert dataset.cardinality().numpy() == len(dataset.batches) == 60
    (epoch,) = epochs_of(dataset, 1)
    lengths = {}
    for x, y, w in epoch:
        assert len(x) == len(y) == len(w) == 3
        answers = [check_row(read, *row) for row in zip(x, y, w, strict=True)]
        used = np.flatnonzero(w.any(axis=0)).max() + 1
        lengths.setdefault(x.shape[1], []).append((used, answers))
    assert len(lengths) == 2
    short, long = sorted(lengths)
    assert max(used for used, _ in lengths[short]) == short
    assert max(used for used, _ in lengths[long]) == long


def test_all_sizes_are_as_likely_in_batches():
    dataset = tasks.memory_dataset("copy", batch_size=4, batches=500, buckets=3, length=(1, 7), bits=2)
    (epoch,) = epochs_of(dataset, 1)
    sizes, counts = np.unique(np.concatenate([w.sum(axis=1) for _, _, w in epoch]), return_counts=True)
    assert sizes.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert 200 < counts.min() <= counts.max() < 380  # of 2,000, and batches stay within a bucket
    assert {x.shape[1] for x, _, _ in epoch} == {5, 11, 15}


def test_epochs_differ_and_any_of_them_can_be_drawn_again():
    def dataset(seed=5):
        return tasks.memory_dataset("copy", batch_size=2, batches=7, length=(1, 4), seed=seed)

    first, second = epochs_of(dataset(), 2)
    assert not any(same(a, b) for a, b in zip(first, second, strict=True))
    resumed = dataset()
    resumed.batches.epoch = 1
    assert all(same(a, b) for a, b in zip(epochs_of(resumed, 1)[0], second, strict=True))
    assert not all(same(a, b) for a, b in zip(epochs_of(dataset(6), 1)[0], first, strict=True))
    longer = tasks.memory_dataset("copy", batch_size=2, batches=9, length=(1, 4), seed=5)
    assert all(same(a, b) for a, b in zip(epochs_of(longer, 1)[0][:7], first, strict=True))


def test_more_buckets_than_sizes():
    dataset = tasks.memory_dataset("associative_recall", batch_size=1, batches=60, buckets=9, items=(2, 4))
    assert {x.shape[1] for x, _, _ in dataset} == {16, 20, 24}


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("copy", {"length": 0}, "`length` must be an integer of at least 1, or a pair .*, got 0"),
        ("copy", {"length": (5, 2)}, r"`length` .*, got \(5, 2\)"),
        ("copy", {"length": (1, 2, 3)}, r"`length` .*, got \(1, 2, 3\)"),
        ("copy", {"length": 2.5}, "`length` .*, got 2.5"),
        ("copy", {"bits": 0}, "`bits` must be a positive integer, got 0"),
        ("copy", {"rows": 0}, "`rows` must be a positive integer, got 0"),
        ("copy", {"seed": -1}, "`seed` must be an integer, 0 or more, got -1"),
        ("repeat_copy", {"repeats": (0, 3)}, "`repeats` .*at least 1"),
        ("repeat_copy", {"norm": 0}, "`norm` must be a positive number, got 0"),
        ("associative_recall", {"items": (1, 6)}, "`items` must be an integer of at least 2"),
        ("associative_recall", {"item_length": 0}, "`item_length` must be a positive integer, got 0"),
    ],
    ids=str,
)
def test_numbers_that_cannot_be(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(tasks, task)(**{"rows": 2, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "sort"}, "`task` must be one of 'copy', 'repeat_copy', 'associative_recall', got 'sort'"),
        ({"buckets": 0}, "`buckets` must be a positive integer, got 0"),
        ({"batches": 0}, "`batches` must be a positive integer, got 0"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer, got 0"),
        ({"length": 0}, "`length` must be an integer of at least 1"),
    ],
    ids=str,
)
def test_batches_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        tasks.memory_dataset(**{"task": "copy", **arguments})

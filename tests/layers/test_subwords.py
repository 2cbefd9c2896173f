"""Vectors of words from runs of letters: against an oracle in plain Python, what is shared, what is trained."""

import math
import zlib

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import H, arrays, close, randomize

SubwordEmbedding = ks.layers.SubwordEmbedding
quick = pytest.mark.usefixtures("steps_in_python")
# Repeated letters, punctuation, letters of two, three and four bytes, one letter, more letters than runs count.
VOCABULARY = ["funny", "unfunny", "a", "aaaa", "!", "größer", "映画", "don't", "🎬x", "incomprehensibilities", "is"]
IDS = np.array([[2, 3, 4, 0, 5, 1, 6], [12, 11, 10, 9, 8, 7, 0], [0, 0, 1, 1, 0, 2, 2]])


def runs_of(word, shortest, longest, most):
    """All runs of a marked word, the short ones first, as far as they count."""
    letters, runs = ["<", *word, ">"], []
    for size in range(shortest, longest + 1):
        start = 0
        while start + size <= len(letters):
            runs.append("".join(letters[start : start + size]))
            start += 1
    return runs[:most]


def vector_of(i, table, shortest=3, longest=4, most=14):
    """The vector of an id."""
    runs = runs_of(VOCABULARY[i - 2], shortest, longest, most) if i > 1 else []
    total = np.zeros(table.shape[1])
    for run in runs:
        total += table[zlib.crc32(bytes(run, "utf-8")) % (len(table) - 1) + 1]
    return total / math.sqrt(len(runs)) if runs else total


def made(rng, vocabulary=VOCABULARY, buckets=101, dim=H, **arguments):
    """A layer of random vectors, and those."""
    layer = SubwordEmbedding(vocabulary, buckets, dim, **arguments)
    layer.build((None, None))
    randomize(layer, rng)
    return layer, layer.get_weights()[0].astype("float64")


def test_the_oracle_itself():
    assert runs_of("is", 3, 4, 14) == ["<is", "is>", "<is>"]
    assert runs_of("aaaa", 3, 4, 5) == ["<aa", "aaa", "aaa", "aa>", "<aaa"]
    assert runs_of("a", 4, 5, 14) == []


@pytest.mark.parametrize(
    ("shortest", "longest", "most"), [(3, 4, 14), (1, 2, 50), (3, 3, 2), (4, 9, 31), (6, 6, 1), (2, 40, 500)]
)
def test_vectors_are_the_sums_of_their_runs(rng, shortest, longest, most):
    layer, table = made(rng, shortest=shortest, longest=longest, max_runs=most)
    assert table.shape == (102, H)
    expected = [[vector_of(i, table, shortest, longest, most) for i in row] for row in IDS]
    close(layer(IDS), np.array(expected), atol=3e-6)


def test_defaults(rng):
    layer, table = made(rng)
    close(layer(IDS), np.array([[vector_of(i, table) for i in row] for row in IDS]), atol=3e-6)


def test_padding_the_unknown_word_and_words_without_a_run_get_zeros(rng):
    layer, _ = made(rng, shortest=5, longest=6)
    y = arrays(layer(IDS))[0]
    short = [i for i, word in enumerate(VOCABULARY, 2) if len(word) < 3]
    assert len(short) == 5
    assert not y[np.isin(IDS, [0, 1, *short])].any()
    assert np.abs(y[~np.isin(IDS, [0, 1, *short])]).min(axis=1).max() > 0


def test_the_buckets_stay_what_they_are(rng):
    """On every backend, in every version: saved vectors belong to these rows. Vectors here are the numbers of rows."""
    words = ["film", "größer", "映画", "!", "a"]
    layer, _ = made(rng, words, buckets=20_000, dim=1, max_runs=1)
    layer.set_weights([np.arange(20_001.0)[:, None]])
    rows = arrays(layer(np.arange(2, 7)[None]))[0].ravel().tolist()
    assert rows == [18780, 2871, 13485, 10415, 17516]  # of <fi, <gr, <映画, <!> and <a>, by the CRC-32 of their bytes


def test_letters_in_common_are_vectors_in_common(rng):
    """`unfunny` less `funny` is what the runs make that only one of them has: a change to another run moves both."""
    layer, table = made(rng, buckets=5003)
    shared = zlib.crc32(b"unny") % 5003 + 1
    changed = table.copy()
    changed[shared] += 1
    before = arrays(layer(np.array([[2, 3, 4, 12]])))[0][0]
    layer.set_weights([changed])
    after = arrays(layer(np.array([[2, 3, 4, 12]])))[0][0]
    moved = [1 / math.sqrt(len(runs_of(word, 3, 4, 14))) for word in ("funny", "unfunny")]
    np.testing.assert_allclose(after - before, np.array([*moved, 0, 0])[:, None] * np.ones(H), atol=1e-6)


def test_size_does_not_grow_with_the_length_of_words(rng):
    """Where vectors are independent, of deviation 1, so is the sum over the root of their number."""
    words = ["".join(rng.choice([*"abcdefghijklmnopqrst"], size)) for size in [2] * 300 + [15] * 300]
    layer, _ = made(rng, words, buckets=100_003, dim=7, max_runs=40)
    layer.set_weights([rng.normal(size=(100_004, 7))])
    deviation = arrays(layer(np.arange(2, 602)[None]))[0].reshape(2, -1).std(axis=1)
    assert np.abs(deviation - 1).max() < 5 / math.sqrt(2 * 2100)


@quick
def test_the_mask_goes_on_to_a_recurrent_layer(rng):
    """It passes over padding, not over unknown words and words without runs, though all have zeros for vectors."""
    words = keras.Input((None,), dtype="int32")
    embedding = SubwordEmbedding(VOCABULARY, 101, 5, shortest=5, longest=6)
    recurrent = ks.layers.SimpleRNN(H)
    model = randomize(keras.Model(words, recurrent(embedding(words))), rng)
    ids = np.concatenate([IDS, [[2, 1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0]]])
    found = arrays(model(np.pad(ids, ((0, 0), (0, 2)))))[0]
    close(found, recurrent(embedding(ids), mask=ops.convert_to_tensor(ids != 0)))
    assert np.abs(found[3] - found[4]).max() > 1e-3
    without = arrays(recurrent(arrays(embedding(ids))[0]))[0]
    assert (np.abs(found - without).max(axis=1) > 1e-3).all()
    assert arrays(embedding.compute_mask(ids))[0].tolist() == (ids != 0).tolist()


def test_training_moves_the_rows_in_use_and_never_that_of_no_run(rng):
    words = keras.Input((None,), dtype="int32")
    layer = SubwordEmbedding(VOCABULARY, 1009, H)
    model = randomize(keras.Model(words, layer(words)), rng)
    before = layer.get_weights()[0]
    model.compile(keras.optimizers.SGD(0.5), lambda _, y: ops.mean(ops.square(y)), jit_compile=True)
    ids = np.array([[2, 4, 1, 0], [11, 2, 0, 0]])  # the third word has runs past those that count
    model.train_on_batch(ids, np.zeros((2, 1)))
    moved = np.flatnonzero(np.abs(layer.get_weights()[0] - before).max(axis=1) > 1e-7)
    runs = [run for i in (2, 4, 11) for run in runs_of(VOCABULARY[i - 2], 3, 4, 14)]
    assert set(moved) == {zlib.crc32(run.encode()) % 1009 + 1 for run in runs}
    assert 0 not in moved


def test_gradients_are_those_of_the_sum(rng):
    """One step of SGD under the loss `sum c y` moves each run of a word by `-rate c / sqrt(n)`, twice if it is there
    twice."""
    words = keras.Input((3,), dtype="int32")
    layer = SubwordEmbedding(VOCABULARY, 1009, 1)
    model = randomize(keras.Model(words, layer(words)), rng)
    before = layer.get_weights()[0]
    model.compile(keras.optimizers.SGD(0.1), lambda c, y: ops.sum(c * y), run_eagerly=True)
    coefficients = {2: 3.0, 5: -2.0, 1: 7.0}
    model.train_on_batch(np.array([list(coefficients)]), np.array([[[c] for c in coefficients.values()]]))
    expected = before.copy()
    for i in (2, 5):
        runs = runs_of(VOCABULARY[i - 2], 3, 4, 14)
        for run in runs:
            expected[zlib.crc32(run.encode()) % 1009 + 1] -= 0.1 * coefficients[i] / math.sqrt(len(runs))
    np.testing.assert_allclose(layer.get_weights()[0], expected, atol=1e-6)


def test_the_initializer(rng):
    layer = SubwordEmbedding(["a"], 5, 2, embeddings_initializer=keras.initializers.Constant(0.25))
    layer(np.array([[2]]))
    np.testing.assert_array_equal(layer.get_weights()[0], np.full((6, 2), 0.25))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"buckets": 0}, "buckets.*0"),
        ({"output_dim": 2.5}, "output_dim.*2.5"),
        ({"shortest": 0}, "shortest.*0"),
        ({"longest": True}, "longest.*True"),
        ({"shortest": 5}, "longest.*at least `shortest`, 5, got 4"),
        ({"longest": 2}, "longest.*at least `shortest`, 3, got 2"),
        ({"max_runs": -1}, "max_runs.*-1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SubwordEmbedding(**{"vocabulary": ["a"], "buckets": 5, "output_dim": 3, **arguments})

"""The factory: every encoder and pooling gives probabilities that padding does not change; bad arguments are named."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_seq as ks
from keras_seq.errors import InputError

L = keras.layers
ENCODERS = {
    "simple_rnn": {"encoder": "simple_rnn"},
    "lstm": {"encoder": "lstm"},
    "gru": {"encoder": "gru"},
    "clockwork": {"encoder": "clockwork", "units": 8},
    "cell": {"encoder": lambda: ks.layers.GRUCell(7, reset_after=False)},
    "cell of keras": {"encoder": lambda: L.LSTMCell(7)},
    "stack of cells": {"encoder": lambda: ks.layers.StackedRNNCells([ks.layers.GRUCell(3), ks.layers.LSTMCell(7)])},
    "layer": {"encoder": lambda: ks.layers.LSTM(7, dropout=0.2, recurrent_dropout=0.2)},
    "layer of keras": {"encoder": lambda: L.SimpleRNN(7)},
    "both ways": {"encoder": lambda: ks.layers.Bidirectional(ks.layers.LSTM(7))},
    "both ways of keras": {"encoder": lambda: L.Bidirectional(L.GRU(7), merge_mode="sum")},
    "not recurrent": {"encoder": lambda: L.Dense(7, activation="tanh")},
    "deep": {"encoder": "gru", "depth": 2},
    "deep cell": {"encoder": lambda: ks.layers.LSTMCell(7), "depth": 3},
    "bidirectional": {"encoder": "lstm", "bidirectional": True},
    "bidirectional cell": {"encoder": lambda: ks.layers.SimpleRNNCell(7), "bidirectional": True},
    "deep bidirectional": {"encoder": "simple_rnn", "bidirectional": True, "depth": 2},
}
POOLINGS = ("last", "mean", "max", "attention")
# every encoder once, the poolings in turn; and every pooling with one encoder
COMBINATIONS = [(name, POOLINGS[i % 4]) for i, name in enumerate(ENCODERS)]
COMBINATIONS += [("bidirectional", pooling) for pooling in POOLINGS if ("bidirectional", pooling) not in COMBINATIONS]
COMBINATIONS += [("both ways", "last"), ("layer", "mean"), ("not recurrent", "last")]


def arguments_of(name):
    arguments = dict(ENCODERS[name])
    if callable(arguments["encoder"]):
        arguments["encoder"] = arguments["encoder"]()
    return arguments


@pytest.fixture
def randomised(model_of, rng):
    """A model whose biases too are random: an all-zero bias could hide a mask that is lost."""

    def make(**arguments):
        model = model_of(**arguments)
        for weight in model.network.trainable_variables:
            weight.assign(rng.normal(scale=0.6, size=weight.shape))
        return model

    return make


@pytest.mark.parametrize(("name", "pooling"), COMBINATIONS)
def test_probabilities_that_padding_does_not_change(randomised, vectorizer, name, pooling):
    model = randomised(labels=["good", "bad", "so so"], pooling=pooling, **arguments_of(name))
    texts = ["a lovely film", "", "warm", "entirely unheard sentence", "bad " * 40, "bad " * 11, "I hated it, so bad"]
    ids = np.asarray(vectorizer(texts))
    probabilities = np.asarray(model(ids))
    assert probabilities.shape == (7, 3)
    assert model.network.output_shape == (None, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (probabilities > 0).all()
    np.testing.assert_allclose(model(np.pad(ids, ((0, 0), (0, 5)))), probabilities, rtol=1e-5)
    for i, row in enumerate(ids):
        alone = row[None, : max(1, np.count_nonzero(row))]  # a layer of Keras wants one step at least
        np.testing.assert_allclose(model(alone), probabilities[i : i + 1], rtol=1e-5)
    assert np.array_equal(probabilities[4], probabilities[5])  # what is too long is cut
    # Texts differ, and an unknown word is not nothing.
    distinct = probabilities[[0, 1, 2, 3, 4]].round(6)
    assert len(np.unique(distinct, axis=0)) == 5


def test_an_empty_text_gets_what_the_last_bias_gives(randomised):
    for pooling in POOLINGS:
        model = randomised(pooling=pooling, encoder="gru", bidirectional=True)
        bias = model.network.get_layer("probabilities").bias.numpy()
        expected = np.exp(bias) / np.exp(bias).sum()
        np.testing.assert_allclose(model.predict(["", "  "], verbose=0), [expected, expected], rtol=1e-5)
        np.testing.assert_allclose(model(np.zeros((1, 0), "int32")), [expected], rtol=1e-5)


def test_depth_direction_and_size_are_what_was_asked_for(model_of):
    network = model_of(encoder="lstm", units=5, depth=2, bidirectional=True, embedding_dim=3).network
    layers = [network.get_layer(f"encoder_{level}") for level in (1, 2)]
    assert [type(layer) for layer in layers] == [ks.layers.Bidirectional] * 2
    assert [layer.forward_layer.cell.kernel.shape for layer in layers] == [(3, 20), (10, 20)]
    assert network.get_layer("probabilities").kernel.shape == (10, 2)


def test_each_level_of_a_cell_has_weights_of_its_own(model_of):
    cell = ks.layers.LSTMCell(3)
    network = model_of(encoder=cell, depth=2).network
    kernels = [network.get_layer(f"encoder_{level}").cell.kernel.numpy() for level in (1, 2)]
    assert not np.array_equal(*kernels)
    assert not cell.built  # it was copied: another model may be made from it


def test_the_last_output_of_both_directions_has_seen_the_whole_text(randomised):
    """The backward half of "last" is its final output, at the first word, not its output at the last word."""
    model = randomised(encoder="lstm", bidirectional=True)
    changed_first, changed_last = model.predict(["bad food was good", "so food was good"], verbose=0)
    assert np.abs(changed_first - changed_last).max() > 1e-4
    hidden = keras.Model(model.network.inputs[0], model.network.get_layer("encoder_1").output)
    pair = np.asarray(hidden(np.asarray(model.vectorizer(["bad food was good", "bad food was dull"]))))
    assert (np.abs(pair[0] - pair[1]) > 1e-6).all()  # all ten numbers, forward and backward


def test_it_comes_compiled_as_the_docstring_says(model_of):
    model = model_of(learning_rate=0.005, clipnorm=0.5)
    assert type(model.optimizer) is keras.optimizers.Adam
    assert model.optimizer.clipnorm == 0.5
    assert float(model.optimizer.learning_rate) == pytest.approx(0.005)
    assert model.loss == "sparse_categorical_crossentropy"
    assert model_of(clipnorm=None).optimizer.clipnorm is None


def test_the_same_seed_gives_the_same_model(model_of):
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        models.append(model_of(encoder="gru"))
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "depth"),
        ({"depth": 1.5}, "depth"),
        ({"units": 0}, "units"),
        ({"pooling": "x"}, "pooling.*attention.*'x'"),
        ({"encoder": "x"}, "encoder.*gru.*'x'"),
        ({"encoder": 3}, "encoder.*int"),
        ({"encoder": ks.layers.LSTM}, "encoder"),
        ({"labels": ["good"]}, "labels.*two or more"),
        ({"labels": []}, "labels"),
        ({"labels": ["good", "good"]}, "labels.*different"),
        ({"labels": ["good", 1]}, "labels"),
        ({"labels": [0.0, 1.0]}, "labels"),
        ({"labels": [True, False]}, "labels"),
    ],
)
def test_bad_arguments_are_named(model_of, arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "array of objects": lambda texts: np.array(texts, object),
    "array of bytes": lambda texts: np.array([text.encode() for text in texts]),
    "column": lambda texts: pd.Series(texts, index=range(50, 50 + len(texts))),
    "column of objects": lambda texts: pd.Series(texts, dtype=object),
    "column of categories": lambda texts: pd.Series(texts, dtype="category"),
    "tensor": tf.constant,
}


@pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
def test_texts_come_in_any_container_and_keep_their_order(randomised, vectorizer, frame, container):
    model = randomised(encoder="simple_rnn")
    texts = frame["text"].tolist()
    expected = np.asarray(model(np.asarray(vectorizer(texts))))
    assert len(np.unique(expected.round(6), axis=0)) == len(texts)
    np.testing.assert_allclose(model.predict(container(texts), batch_size=3, verbose=0), expected, rtol=1e-5)


def test_ids_and_datasets_give_what_strings_give(randomised, vectorizer, frame):
    model = randomised(encoder="gru", pooling="max")
    expected = model.predict(frame["text"], verbose=0)
    np.testing.assert_allclose(model.predict(np.asarray(vectorizer(frame["text"])), verbose=0), expected, rtol=1e-5)
    for label in ("label", None):
        dataset = ks.data.text_dataset(frame, vectorizer, label=label, batch_size=4, shuffle=False)
        np.testing.assert_allclose(model.predict(dataset, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize("single", ["a lovely film", b"a lovely film", np.str_("a lovely film")], ids=repr)
def test_a_bare_text_is_an_error_that_says_how_to_write_it(model_of, single):
    with pytest.raises(InputError, match="list"):
        model_of().predict(single, verbose=0)


@pytest.mark.parametrize("texts", [["a", None], ["a", float("nan")], ["a", 3], ["a", "\udcff"], []], ids=ascii)
def test_texts_that_are_none(model_of, texts):
    with pytest.raises(InputError):
        model_of().predict(texts, verbose=0)

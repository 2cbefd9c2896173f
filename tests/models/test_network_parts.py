"""What the network of a sequence-to-sequence model is made of: first states, embeddings, attention, bad arguments."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.models.encoder_decoder import EncoderDecoder
from tests.models.networks import SOURCE, TARGET, UNITS, B, S, T, network_of

# First states


def test_states_of_the_same_sizes_are_handed_over(ids):
    network = network_of("no attention")
    encoded = network.encode(ids[0])
    start = network.decoding.begin(encoded)
    assert len(start) == 2
    for level, states in enumerate(start):
        for state, summary in zip(states, encoded.summaries[level], strict=True):
            np.testing.assert_array_equal(state, summary)
    embedded = np.asarray(network.source_embedding(ids[0])) * UNITS**0.5
    _, h, c = network.encoder_parts[0](embedded, mask=ids[0] != 0)
    np.testing.assert_allclose(start[0][0], h, atol=1e-6)
    np.testing.assert_allclose(start[0][1], c, atol=1e-6)


def test_others_go_through_a_layer(ids):
    network = network_of("no attention, both ways")
    encoded = network.encode(ids[0])
    forward, backward = (np.asarray(summary) for summary in encoded.summaries[0])
    memory = np.asarray(encoded.memory)
    np.testing.assert_allclose(forward, memory[np.arange(B), (ids[0] != 0).sum(axis=1) - 1, :UNITS], atol=1e-6)
    np.testing.assert_allclose(backward, memory[:, 0, UNITS:], atol=1e-6)
    ((bridge,),) = network.decoding.bridges
    kernel, bias = (np.asarray(weight) for weight in bridge.weights)
    ((state,),) = network.decoding.begin(encoded)
    np.testing.assert_allclose(state, np.tanh(np.concatenate([forward, backward], axis=1) @ kernel + bias), atol=1e-5)


def test_no_output_is_taken_for_a_memory_cell(ids):
    """Two directions of a GRU leave as many states as an LSTM has."""
    network = network_of(bidirectional=True, decoder="lstm")
    (bridge,) = network.decoding.bridges
    assert [layer.units for layer in bridge] == [UNITS, UNITS]
    assert network_of(encoder="simple_rnn", decoder="gru").decoding.bridges != [None]
    assert network_of(encoder="gru", decoder="gru").decoding.bridges == [None]


def test_the_summary_of_an_encoder_without_states_is_the_mean(ids):
    network = network_of("transformer to gru")
    encoded = network.encode(ids[0])
    keep = ids[0] != 0
    mean = (np.asarray(encoded.memory) * keep[..., None]).sum(axis=1) / keep.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(encoded.summaries[0][0], mean, atol=1e-5)


# Embeddings


def test_one_matrix_for_both_sides_and_the_scores(ids):
    network = EncoderDecoder(SOURCE, SOURCE, T, units=UNITS, shared_embeddings=True, dropout=0.0)
    shapes = [tuple(w.shape) for w in network.weights]
    assert shapes.count((SOURCE, UNITS)) == 1
    network.bias.assign(np.arange(SOURCE) * 0.1)
    h, _ = network.decode(ids[1] % SOURCE, network.encode(ids[0]))
    expected = np.asarray(h) @ np.asarray(network.source_embedding.embeddings).T + np.arange(SOURCE) * 0.1
    np.testing.assert_allclose(network.logits(h), expected, atol=1e-5)


def test_the_output_is_brought_to_the_size_of_the_embeddings(ids):
    network = network_of(shared_embeddings="target", embedding_dim=4)
    assert network.readout.kernel.shape == (UNITS, 4)
    assert network(*ids).shape == (B, T, TARGET)


# Attention


def test_weights_of_attention(ids):
    for kind in ("gru", "lstm", "transformer", "transformer to gru"):
        network = network_of(kind)
        _, a = network.decode(ids[1], network.encode(ids[0]))
        a = np.asarray(a)
        assert a.shape == (B, T, S)
        np.testing.assert_allclose(a.sum(axis=-1), 1, atol=1e-5)
        assert np.all(a[1, :, 4:] == 0)
        assert np.all(a[2, :, 1:] == 0)


@pytest.mark.parametrize(
    ("attention", "attend"),
    [
        ("additive", "before"),
        ("normalized_additive", "before"),
        (ks.layers.AdditiveScore(4), "before"),
        ("dot", "after"),
        ("scaled_dot", "after"),
        ("general", "after"),
        (ks.layers.GeneralScore(), "after"),
    ],
)
def test_additive_scores_attend_before_the_step(attention, attend):
    network = network_of(attention=attention)
    assert network.decoding.rnn.cell.attend == attend
    other = network_of(attention=attention)
    assert not {id(w) for w in network.weights} & {id(w) for w in other.weights}  # a score layer is copied


def test_weights_of_what_is_given_are_no_weights_of_the_network():
    """A layer that is built already is copied like any other."""
    given = {
        "encoder": ks.layers.GRU(UNITS),
        "decoder": ks.layers.LSTMCell(UNITS),
        "attention": ks.layers.GeneralScore(),
    }
    fresh = network_of(**given)
    ids_of_fresh = {id(w) for w in fresh.weights}
    given["encoder"].build((None, None, UNITS))
    given["decoder"].build((None, UNITS))
    given["attention"].build((None, UNITS), (None, None, UNITS))
    theirs = {id(w) for layer in given.values() for w in layer.weights}
    assert len(theirs) == 3 + 3 + 1
    network = network_of(**given)
    assert len(network.weights) == len(fresh.weights) == len(ids_of_fresh)
    assert not theirs & ({id(w) for w in network.weights} | ids_of_fresh)


def test_the_weights_of_a_transformer_are_the_mean_of_its_top_block(ids):
    network = network_of("transformer")
    encoded = network.encode(ids[0])
    x = network.target_embedding(ids[1]) * UNITS**0.5
    for block in network.decoding.blocks:
        x, _, of_heads = block(x, encoded.memory, memory_mask=encoded.keep, return_attention_scores=True)
    assert of_heads.shape == (B, 3, T, S)
    np.testing.assert_allclose(network.decode(ids[1], encoded)[1], np.asarray(of_heads).mean(axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"encoder": "elman"},
            "`encoder` must be a cell, a layer or one of simple_rnn, lstm, gru, clockwork, transformer, got",
        ),
        ({"decoder": 3}, "`decoder` must be a name, a cell or a layer, got int"),
        (
            {"encoder": keras.layers.Conv1D(5, 3, padding="same")},
            "is a layer without a cell, Conv1D: give as `decoder`",
        ),
        (
            {"encoder": keras.layers.LSTM(5)},
            "a layer with a cell that cannot attend, LSTMCell, LSTM: give as `decoder`",
        ),
        (
            {"encoder": keras.layers.GlobalAveragePooling1D(), "decoder": "gru"},
            "`encoder` must return a sequence as lo",
        ),
        (
            {"encoder": keras.layers.Conv1D(5, 3), "decoder": "gru"},
            r"got shape \(None, 62, 5\): give a convolution pad",
        ),
        ({"encoder": "transformer", "attention": None}, "`attention` is for a recurrent decoder, and there is none"),
        ({"decoder": "transformer", "attention": "dot"}, "`attention` is for a recurrent decoder, and there is none"),
        ({"encoder": "transformer", "bidirectional": True}, "`bidirectional` is for a recurrent encoder"),
        ({"decoder": "transformer", "input_feeding": True}, "`input_feeding` is for a recurrent decoder"),
        ({"encoder": "transformer", "recurrent_dropout": 0.1}, "`recurrent_dropout` is for recurrent layers"),
        ({"num_heads": 2}, "`num_heads` is for a transformer, and there is none"),
        ({"hidden_units": 2}, "`hidden_units` is for a transformer, and there is none"),
        ({"bidirectional": "no"}, "`bidirectional` must be True or False, got 'no'"),
        ({"shared_embeddings": 1}, "`shared_embeddings` must be False, True or 'target', got 1"),
        (
            {"encoder": "transformer", "embedding_dim": 4, "num_heads": 3},
            "`embedding_dim` must be that of a transformer, `units`, 6",
        ),
        ({"shared_embeddings": True}, "`shared_embeddings` needs one vocabulary for both sides"),
        ({"shared_embeddings": "source"}, "`shared_embeddings` must be False, True or 'target', got 'source'"),
        ({"attention": None, "input_feeding": True}, "`input_feeding` feeds what attention has read"),
        ({"attention": "cosine"}, "`attention` must be None, a score layer or one of dot, .*, got 'cosine'"),
        ({"dropout": 1.0}, "`dropout` must be a number at least 0 and below 1"),
        ({"units": 0}, "`units` must be a positive integer"),
        ({"depth": 0}, "`depth` must be a positive integer"),
        (
            {"encoder": "transformer", "num_heads": 4},
            "`units` must be a multiple of twice `num_heads` in a transformer, of 8, got 6",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(SOURCE, TARGET, T, **{"units": UNITS, **arguments})

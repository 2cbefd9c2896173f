"""The network of a sequence-to-sequence model: the same in training as in decoding, whatever it is made of."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.models.encoder_decoder import EncoderDecoder

SOURCE, TARGET, UNITS = 17, 19, 6  # sizes of the vocabularies
B, S, T = 3, 7, 5
EAGERLY = keras.backend.backend() == "tensorflow"  # which there is faster than to compile

KINDS = {
    "gru": {},
    "lstm": {"encoder": "lstm", "depth": 2, "bidirectional": True, "attention": "general", "input_feeding": True},
    "simple_rnn": {"encoder": "simple_rnn", "attention": "normalized_additive", "input_feeding": True},
    "no attention": {"encoder": "lstm", "attention": None, "depth": 2, "shared_embeddings": "target"},
    "no attention, both ways": {"encoder": "gru", "attention": None, "bidirectional": True, "embedding_dim": 4},
    "transformer": {"encoder": "transformer", "depth": 2, "shared_embeddings": "target", "hidden_units": 11},
    "transformer to gru": {"encoder": "transformer", "decoder": "gru", "attention": "scaled_dot"},
    "gru to transformer": {"decoder": "transformer", "bidirectional": True},
    "convolution": {"encoder": keras.layers.Conv1D(5, 3, padding="same"), "decoder": "gru", "depth": 2},
    "cell": {"encoder": ks.layers.LayerNormLSTMCell(5), "attention": ks.layers.AdditiveScore(3)},
    "layer": {"encoder": ks.layers.Bidirectional(ks.layers.GRU(5)), "shared_embeddings": "target"},
    "of keras": {"encoder": keras.layers.LSTM(5), "decoder": ks.layers.GRUCell(4), "attention": "additive"},
}


def network_of(kind=None, **arguments):
    arguments = {"units": UNITS, "dropout": 0.3, **(KINDS[kind] if kind else {}), **arguments}
    if "transformer" in (arguments.get("encoder"), arguments.get("decoder")):
        arguments.setdefault("num_heads", 3)
    network = EncoderDecoder(SOURCE, TARGET, T, **arguments)
    rng = np.random.default_rng(5)
    for weight in network.weights:  # biases too
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(rng.normal(size=weight.shape) * 0.4)
    return network


@pytest.fixture
def ids(rng):
    source = rng.integers(4, SOURCE, (B, S))
    source[1, 4:] = 0
    source[2, 1:] = 0
    target = rng.integers(4, TARGET, (B, T))
    target[:, 0] = 2
    return source.astype("int32"), target.astype("int32")


def stepwise(network, source, target):
    """Logits `(B, T, V)` of the decoder run token by token."""
    step, state = network.stepper(network.encode(source))
    logits = []
    for t in range(target.shape[1]):
        one, state = step(ops.convert_to_tensor(target[:, t]), state)
        logits.append(np.asarray(one))
    return np.stack(logits, axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_says_what_training_saw(kind, ids):
    network = network_of(kind)
    whole, steps = np.asarray(network(*ids)), stepwise(network, *ids)
    np.testing.assert_allclose(steps[..., 3:], whole[..., 3:], atol=2e-5)
    assert np.all(np.isneginf(steps[..., :3]))  # padding, unknown and start are never said
    assert np.abs(whole[:, 1:] - whole[:, :-1]).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_the_future_and_the_padding_change_nothing(kind, ids):
    network, (source, target) = network_of(kind), ids
    logits = np.asarray(network(source, target))
    alone = np.asarray(network(source[1:2, :4], target[1:2]))
    np.testing.assert_allclose(alone[0], logits[1], atol=2e-5)
    other = target.copy()
    other[:, 3:] = 4 + (other[:, 3:] - 3) % (TARGET - 4)
    changed = np.asarray(network(source, other))
    np.testing.assert_allclose(changed[:, :3], logits[:, :3], atol=2e-5)
    assert np.abs(changed[:, 3:] - logits[:, 3:]).max() > 0.01
    read = source.copy()
    read[:, 0] = 4 + (read[:, 0] - 3) % (SOURCE - 4)
    assert np.abs(np.asarray(network(read, target)) - logits).max(axis=(1, 2)).min() > 1e-4  # the source is read


@pytest.mark.parametrize("kind", KINDS)
def test_config_round_trip(kind, ids):
    network = network_of(kind)
    saved = keras.saving.serialize_keras_object(network)
    copy = keras.saving.deserialize_keras_object(saved)
    assert copy.get_config() == network.get_config()
    arguments = inspect.signature(EncoderDecoder.__init__).parameters
    assert set(arguments) - {"self", "kwargs"} <= set(network.get_config())
    copy.set_weights(network.get_weights())
    np.testing.assert_allclose(copy(*ids), network(*ids), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_all_weights_are_trained(kind, ids):
    """Each has a gradient, and none is there twice."""
    network = network_of(kind, dropout=0.0)
    inputs = [keras.Input((None,), dtype="int32") for _ in range(2)]
    model = keras.Model(inputs, network(*inputs))
    model.compile(keras.optimizers.SGD(1.0), ks.losses.TokenCrossentropy(), run_eagerly=EAGERLY)
    before = model.get_weights()
    model.fit(list(ids), np.roll(ids[1], -1, axis=1), verbose=0)
    moved = {w.path: np.abs(a - b).max() for w, a, b in zip(model.weights, before, model.get_weights(), strict=True)}
    # Moving all keys or scores alike changes no softmax.
    still = [p for p, moved_by in moved.items() if moved_by < 1e-7 and "attention/key/bias" not in p]
    assert still == []
    assert len(moved) == len({id(w) for w in network.weights})


def test_weights_of_attention(ids):
    for kind in ("gru", "lstm", "transformer", "transformer to gru"):
        network = network_of(kind)
        _, a = network.decode(ids[1], network.encode(ids[0]))
        a = np.asarray(a)
        assert a.shape == (B, T, S)
        np.testing.assert_allclose(a.sum(axis=-1), 1, atol=1e-5)
        assert np.all(a[1, :, 4:] == 0)
        assert np.all(a[2, :, 1:] == 0)


def test_a_source_that_is_empty_is_finite(ids):
    for kind in KINDS:
        network = network_of(kind)
        assert np.all(np.isfinite(network(np.zeros((2, 3), "int32"), ids[1][:2])))


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


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_alone(kind, ids):
    network = network_of(kind)
    encoded = network.encode(ids[0])
    h, _ = network.decode(ids[1], encoded)
    for part in (
        lambda training: network.encode(ids[0], training=training).memory,
        lambda training: network.decode(ids[1], encoded, training=training)[0],
        lambda training: network.logits(h, training=training),
    ):
        np.testing.assert_array_equal(part(False), part(False))
        assert np.abs(np.asarray(part(True)) - np.asarray(part(False))).max() > 0.01


def test_recurrent_dropout_reaches_all_cells():
    network = network_of("lstm", recurrent_dropout=0.4)
    directions = [one for layer in network.encoder_parts for one in (layer.forward_layer, layer.backward_layer)]
    assert [one.cell.recurrent_dropout for one in directions] == [0.4] * 4
    assert [cell.recurrent_dropout for cell in network.decoding.cells] == [0.4] * 2
    assert [cell.dropout for cell in network.decoding.cells] == [0, 0.3]


# Attention


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


def test_the_weights_of_a_transformer_are_the_mean_of_its_top_block(ids):
    network = network_of("transformer")
    encoded = network.encode(ids[0])
    x = network.target_embedding(ids[1]) * UNITS**0.5
    for block in network.decoding.blocks:
        x, _, of_heads = block(x, encoded.memory, memory_mask=encoded.keep, return_attention_scores=True)
    assert of_heads.shape == (B, 3, T, S)
    np.testing.assert_allclose(network.decode(ids[1], encoded)[1], np.asarray(of_heads).mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision(kind, ids):
    """All of it, by its own policy or by the global one; a copy has the policy of its config."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layers = {name: _fresh(value) for name, value in KINDS[kind].items()}
        network = network_of(**layers)
    finally:
        keras.config.set_dtype_policy("float32")
    copies = [keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))]
    if not any(isinstance(value, keras.layers.Layer) for value in KINDS[kind].values()):  # those have their own
        copies.append(network_of(kind, dtype="mixed_float16"))
    single = network_of(kind)
    for copy in (network, *copies):
        copy.set_weights(single.get_weights())
        others = [one for one in copy._flatten_layers() if one.compute_dtype != "float16"]
        assert [one.name for one in others] == []
        logits = copy(*ids)
        assert keras.backend.standardize_dtype(logits.dtype) == "float32"
        np.testing.assert_allclose(logits, single(*ids), atol=0.1)
        np.testing.assert_allclose(stepwise(copy, *ids)[..., 3:], np.asarray(logits)[..., 3:], atol=0.05)


def _fresh(value):
    """A layer made anew, under the policy of now."""
    if not isinstance(value, keras.layers.Layer):
        return value
    config = {name: part for name, part in value.get_config().items() if name != "dtype"}
    if "layer" in config:
        return type(value)(_fresh(value.forward_layer))
    return type(value).from_config(config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "elman"}, "`encoder` must be a cell, a layer or one of simple_rnn, lstm, gru, transformer, got"),
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
        ({"num_heads": 2}, "`num_heads` and `hidden_units` is for a transformer, and there is none"),
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

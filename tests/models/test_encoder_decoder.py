"""The network of a sequence-to-sequence model: the same in training as in decoding, whatever it is made of."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.models.encoder_decoder import EncoderDecoder
from tests.models.networks import KINDS, SOURCE, TARGET, network_of

EAGERLY = keras.backend.backend() == "tensorflow"  # which there is faster than to compile


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


def test_a_source_that_is_empty_is_finite(ids):
    for kind in KINDS:
        network = network_of(kind)
        assert np.all(np.isfinite(network(np.zeros((2, 3), "int32"), ids[1][:2])))


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

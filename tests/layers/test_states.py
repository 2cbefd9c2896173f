"""States: kept by stateful layers, given back to both directions, beside nested inputs and outputs."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import B, D, H, T, arrays, close, randomize
from tests.layers.exotic import N, PairCell, ReadingCell, normal, reading_layer

L = ks.layers


def test_a_stateful_layer_changes_its_batch_size_when_told(rng):
    layer = L.LSTM(H, stateful=True)
    x = normal(rng, 3, T, D)
    first = layer(x)
    with pytest.raises(ValueError, match=r"batch size 3.*reset_state\(batch_size=2\)"):
        layer(x[:2])
    layer.reset_state(batch_size=2)
    close(layer(x[:2]), arrays(first)[0][:2])
    again = layer(x[:2])
    assert not np.allclose(arrays(again)[0], arrays(first)[0][:2])
    layer.reset_state(batch_size=3)
    close(layer(x), first)


def test_reset_state_goes_back_to_the_start_of_the_cell_not_to_zero(rng):
    layer = reading_layer(rng, memory=False, stateful=False)
    stateful = L.RNN(ReadingCell(), return_sequences=True, return_state=True, stateful=True)
    x = normal(rng, B, T, D)
    stateful(x)
    stateful.set_weights(layer.get_weights())
    stateful.reset_state()
    close(stateful(x), layer(x))
    assert not np.allclose(arrays(stateful(x))[0], arrays(layer(x))[0])


@pytest.mark.parametrize(
    "make", [lambda: L.LSTM(H, return_state=True), lambda: L.RNN(ReadingCell(), return_state=True)]
)
def test_states_of_both_directions_are_accepted_again(make, rng):
    layer = L.Bidirectional(make())
    x = normal(rng, B, T, D)
    layer(x)
    randomize(layer, rng)
    _, *states = layer(x)
    half = len(states) // 2
    y, *_ = layer(x, initial_state=states)
    forward = layer.forward_layer(x, initial_state=states[:half])[0]
    backward = layer.backward_layer(x, initial_state=states[half:])[0]
    close(y, ops.concatenate([forward, backward], -1))


def test_nested_inputs_and_outputs(rng):
    a, b = keras.Input((None, D)), keras.Input((None, N))
    outputs = L.RNN(PairCell(), return_sequences=True)({"a": a, "b": b})
    assert [y.shape for y in outputs] == [(None, None, H), (None, None, H, N)]
    model = keras.Model([a, b], outputs)
    randomize(model, rng)
    x = {"a": normal(rng, B, T, D), "b": normal(rng, B, T, N)}
    vectors, matrices = model.predict([x["a"], x["b"]], verbose=0)
    h = np.zeros((B, H))
    for t in range(T):
        h = np.tanh(x["a"][:, t] @ model.get_weights()[0] + h)
        np.testing.assert_allclose(vectors[:, t], h, atol=1e-5)
        np.testing.assert_allclose(matrices[:, t], h[:, :, None] * x["b"][:, t, None], atol=1e-5)

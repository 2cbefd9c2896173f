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


@keras.saving.register_keras_serializable("tests")
class MatrixFirst(keras.layers.Layer):
    """A cell that says its states by sizes alone: a matrix, which is its output, and a vector."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [(D, 2), H]

    def call(self, inputs, states):
        matrix = states[0] + ops.expand_dims(inputs, -1)
        return matrix, [matrix, states[1] + 1]


@pytest.mark.parametrize("cells", [MatrixFirst, lambda: [MatrixFirst()]], ids=["alone", "stacked"])
def test_sizes_of_matrices_are_enough(cells, rng):
    """No `get_initial_state`, no `output_size`: the output has the shape of the first state."""
    layer = L.RNN(cells(), return_sequences=True, return_state=True)
    symbolic, *_ = layer(keras.Input((T, D)))
    assert symbolic.shape == (None, T, D, 2)
    x = normal(rng, B, T, D)
    output, *states = layer(x)
    close(output, np.repeat(np.cumsum(x, axis=1)[..., None], 2, axis=-1))
    assert [tuple(s.shape) for s in keras.tree.flatten(states)] == [(B, D, 2), (B, H)]


def test_a_cell_of_ours_starts_from_zeros_of_any_shape():
    cell = ReadingCell()
    cell.state_size = [(D, 2), [H, 4]]
    start = super(ReadingCell, cell).get_initial_state(B)
    assert [tuple(s.shape) for s in keras.tree.flatten(start)] == [(B, D, 2), (B, H), (B, 4)]


def test_reset_mask_reaches_the_next_batch_of_a_stateful_layer_that_reads_backwards(rng):
    """Read backwards, a sequence ends where it begins: the step before that, in the next batch, starts anew."""
    x = normal(rng, B, T, D)
    begins = np.zeros((B, T), bool)
    begins[0, 4] = True
    whole, halves = (L.GRU(H, return_sequences=True, go_backwards=True, stateful=s) for s in (False, True))
    whole(x), halves(x[:, 4:])
    randomize(whole, rng)
    halves.set_weights(whole.get_weights())
    halves.reset_state()
    parts = [halves(x[:, part], reset_mask=begins[:, part]) for part in (slice(4, None), slice(None, 4))]
    close(ops.concatenate(parts, axis=1), whole(x, reset_mask=begins))
    assert np.abs(arrays(whole(x))[0] - arrays(whole(x, reset_mask=begins))[0]).max() > 1e-3


def test_a_stateful_bidirectional_layer_changes_its_batch_size_when_told(rng):
    layer = L.Bidirectional(L.GRU(H, stateful=True))
    x = normal(rng, 3, T, D)
    first = layer(x)
    layer.reset_state(batch_size=2)
    close(layer(x[:2]), arrays(first)[0][:2])
    layer.reset_state()
    close(layer(x[:2]), arrays(first)[0][:2])


@pytest.mark.parametrize("merge_mode", ["concat", None])
@pytest.mark.parametrize("return_state", [False, True])
def test_directions_of_unequal_size_say_their_shapes(merge_mode, return_state, rng):
    backward = L.GRU(2, return_state=return_state, go_backwards=True)
    layer = L.Bidirectional(L.LSTM(H, return_state=return_state), merge_mode, backward_layer=backward)
    real = layer(normal(rng, B, T, D))
    said = layer.compute_output_shape((B, T, D))
    shapes = keras.tree.map_structure(lambda y: tuple(y.shape), real)
    assert keras.tree.flatten(said) == keras.tree.flatten(shapes)

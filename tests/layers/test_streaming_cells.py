"""Streaming with cells of users: states that start at something, a memory, several inputs; vouched-for layers."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.cells import Cell
from tests.cases import D, H, T, arrays, close, padded, randomize
from tests.streams import check, sequential, streamed

K, L = keras.layers, ks.layers
quick = pytest.mark.usefixtures("steps_in_python")


@keras.saving.register_keras_serializable("tests")
class LearnedStart(L.GRUCell):
    """A GRU whose states start from what it has learned."""

    def build(self, input_shape):
        super().build(input_shape)
        self.start = self.add_weight(shape=(self.units,), name="start")

    def get_initial_state(self, batch_size=None):
        return [ops.broadcast_to(self.start, (batch_size, self.units))]


@keras.saving.register_keras_serializable("tests")
class Reader(Cell):
    """Adds to its state what it reads from a memory."""

    state_size = output_size = H

    def build(self, input_shape, memory_shape=None):
        self.kernel = self.add_weight(shape=(input_shape[-1], H), name="kernel")
        self.value = self.add_weight(shape=(memory_shape[-1], H), name="value")

    def project(self, inputs):
        return ops.matmul(inputs, self.kernel)

    def prepare(self, states, training=False, memory=None, memory_mask=None):
        return ops.matmul(memory, self.value)

    def step(self, projected, states, constants):
        scores = ops.softmax(ops.sum(constants * ops.expand_dims(projected + states[0], 1), axis=-1))
        h = ops.tanh(states[0] + ops.sum(ops.expand_dims(scores, -1) * constants, axis=1))
        return h, [h]


@quick
def test_states_that_start_at_something_else_than_zero(rng, tmp_path):
    model = sequential(K.Masking(), L.RNN(LearnedStart(H), return_sequences=True, name="rnn"), rng=rng)
    x, mask = padded(rng)
    stream = check(model, (x * mask[..., None]).astype("float32"), rng)
    assert set(stream.get_initial_state(1)) == {"rnn_h", "rnn_output"}
    assert all(state.any() == (name == "rnn_h") for name, (state,) in _arrays_of(stream.get_initial_state(2)))
    stream.save(tmp_path / "stream.keras")
    again = keras.saving.load_model(tmp_path / "stream.keras")
    close(again.get_initial_state(2), stream.get_initial_state(2), atol=0)


def _arrays_of(states):
    return ((name, arrays(state)) for name, state in states.items())


@quick
def test_memory_features_and_resets(rng):
    x, memory = keras.Input((None, D), name="x"), keras.Input((None, 11), name="memory")
    features, resets = keras.Input((2,), name="features"), keras.Input((None,), dtype="bool", name="resets")
    y = L.RNN(Reader(), return_sequences=True, name="reader")(x, memory=memory)
    z = K.Concatenate()([L.GRU(H, name="gru")(y, reset_mask=resets), features])
    model = randomize(keras.Model([x, memory, features, resets], [y, z]), rng)
    given = {
        "x": rng.normal(size=(3, T, D)).astype("float32"),
        "resets": rng.random((3, T)) < 0.3,
        "memory": rng.normal(size=(3, 13, 11)).astype("float32"),
        "features": rng.normal(size=(3, 2)).astype("float32"),
    }
    with pytest.raises(ValueError, match=r"'reader'.*memory in full: see argument `whole`"):
        L.streaming(model)
    stream = L.streaming(model, whole=["memory"])
    ends = [1, 4, 4, T]
    whole = {name: given[name] for name in ("memory", "features")}
    chunks = [{name: given[name][:, a:b] for name in ("x", "resets")} for a, b in zip([0, *ends], ends, strict=False)]
    outputs = streamed(stream, chunks, whole)
    expected = model([given[name] for name in ("x", "memory", "features", "resets")])
    close(np.concatenate([y for y, _ in outputs], axis=1), expected[0])
    close(outputs[-1][1], expected[1])


@keras.saving.register_keras_serializable("tests")
class Pair(L.GRUCell):
    """Reads two inputs, and returns two outputs."""

    output_size = None

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.output_size = [units, units]

    def build(self, input_shape):
        self.inner = L.GRUCell(self.units)
        self.inner.build((None, D + 2))
        self.built = True

    def drop_inputs(self, inputs, training):
        return inputs

    def project(self, inputs):
        return ops.concatenate(inputs, axis=-1)

    def prepare(self, states, training=False):
        return None

    def step(self, projected, states, constants):
        h, states = self.inner(projected, states)
        return [h, -2 * h], states


@quick
def test_nested_inputs_and_outputs(rng):
    x, z = keras.Input((None, D), name="x"), keras.Input((None, 2), name="z")
    model = randomize(keras.Model([x, z], L.RNN(Pair(H), return_sequences=True, name="pair")([x, z])), rng)
    stream = L.streaming(model)
    assert set(stream.get_initial_state(1)) == {"pair_h", "pair_output_0", "pair_output_1"}
    given = {"x": rng.normal(size=(3, T, D)), "z": rng.normal(size=(3, T, 2))}
    given = {name: value.astype("float32") for name, value in given.items()}
    chunks = [{name: v[:, a:b] for name, v in given.items()} for a, b in ((0, 2), (2, 2), (2, 3), (3, T))]
    outputs = streamed(stream, chunks)
    close([np.concatenate(parts, axis=1) for parts in zip(*outputs, strict=True)], model(list(given.values())))

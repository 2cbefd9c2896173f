"""Cells, stacks and layers that a user extends by a class of their own."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import ON_JAX, B, D, H, T, close, randomize
from tests.layers.exotic import normal

K, L = keras.layers, ks.layers
quick = pytest.mark.usefixtures("steps_in_python")
RATES = {"dropout": 0.4, "recurrent_dropout": 0.4}


def zoneout(cell_class):
    """A cell that keeps half of each state, by a `call` of its own."""

    class Zoneout(cell_class):
        def call(self, inputs, states, training=False):
            output, new_states = super().call(inputs, states, training=training)
            return 2 * output, [0.5 * old + 0.5 * new for old, new in zip(states, new_states, strict=True)]

    return Zoneout


def residual(stack_class):
    class Residual(stack_class):
        def call(self, inputs, states, training=False, **kwargs):
            output, new_states = super().call(inputs, states, training=training)
            return output + inputs, new_states

    return Residual


CELLS = {
    "zoneout": lambda module, **k: zoneout(module.LSTMCell)(D, **k),
    "residual": lambda module, **k: residual(module.StackedRNNCells)([module.GRUCell(D, **k), module.LSTMCell(D, **k)]),
    "nested": lambda module, **k: [K.StackedRNNCells([K.LSTMCell(3, **k), K.GRUCell(2, **k)]), module.GRUCell(D, **k)],
}


@quick
@pytest.mark.parametrize("kind", CELLS)
def test_a_call_of_its_own_is_what_runs(kind, rng):
    x = normal(rng, B, T, D)
    ours, stock = L.RNN(CELLS[kind](L), return_sequences=True), K.RNN(CELLS[kind](K), return_sequences=True)
    ours(x), stock(x)
    randomize(ours, rng)
    stock.set_weights(ours.get_weights())
    close(ours(x), stock(x))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("module", [K, L], ids=["keras", "ours"])
def test_it_trains_with_one_dropout_mask_per_sequence(kind, module, rng):
    layer = L.RNN(CELLS[kind](module, **RATES), return_sequences=True)
    model = keras.Sequential([keras.Input((T, D)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=ON_JAX)
    x = normal(rng, B, T, D)
    assert len({round(float(model.train_on_batch(x, x)), 6) for _ in range(4)}) > 2
    close(model(x), model(x), atol=0)  # no mask is held when the training step is over


@quick
def test_one_mask_for_all_steps_of_a_cell_with_a_call_of_its_own():
    """Linear units that add up their dropped inputs grow by the same at each step."""
    layer = L.RNN(zoneout(L.SimpleRNNCell)(D, "linear", dropout=0.5, seed=3), return_sequences=True)
    x = np.ones((B, T, D), "float32")
    layer(x)
    layer.set_weights([np.eye(D), np.eye(D), np.zeros(D)])
    y = ops.convert_to_numpy(layer(x, training=True))
    ratio = y[:, 1:][y[:, 1:] > 0] / np.broadcast_to(y[:, :1], y[:, 1:].shape)[y[:, 1:] > 0]
    assert 0 < (y[:, 0] > 0).sum() < B * D
    assert (ratio > 1).all()
    np.testing.assert_array_equal(y[:, 0] > 0, y[:, -1] > 0)


class Learned(L.GRU):
    def get_initial_state(self, batch_size):
        return [ops.full((batch_size, self.cell.units), 0.9)]


class Doubled(L.GRU):
    def call(self, sequences, initial_state=None, mask=None, training=False, memory=None):
        return 2 * super().call(sequences, initial_state, mask, training, memory)


@pytest.mark.parametrize(("layer", "name"), [(Learned, "get_initial_state"), (Doubled, "call")])
def test_what_streaming_would_lose_is_refused(layer, name):
    model = keras.Sequential([keras.Input((None, D)), layer(H, return_sequences=True, name="mine")])
    with pytest.raises(ValueError, match=f"'mine'.*cannot stream.*`{name}` of its own"):
        L.streaming(model)


def test_an_activation_that_looks_at_several_steps_is_refused():
    def model(activation):
        layers = [keras.Input((None, D)), L.GRU(H, return_sequences=True), K.Dense(2, activation=activation)]
        return keras.Sequential(layers)

    with pytest.raises(ValueError, match="cannot stream: it works along the axis of time"):
        L.streaming(model(K.Softmax(axis=1)))
    L.streaming(model(K.Softmax()))
    L.streaming(model(K.LeakyReLU()))

"""Cells of others in our layers, ours in plain Keras layers, and both in one stack."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import ON_JAX, B, D, H, T, arrays, close, op_by_op, padded, randomize

L, K = ks.layers, keras.layers
quick = pytest.mark.usefixtures("steps_in_python")


class Minimal(K.Layer):
    """The least that Keras's contract asks for: no `get_initial_state`, no `output_size`, no `training`."""

    state_size = D

    def call(self, inputs, states):
        h = 0.5 * states[0] + inputs
        return h, [h]


class InTuples(K.Layer):
    """Two states, handed back in a tuple; asks whether it trains."""

    state_size = (H, D)
    output_size = H

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], H), name="kernel")

    def call(self, inputs, states, training=False):
        h, total = states
        total = total + inputs
        h = ops.tanh(ops.matmul(total, self.kernel) + h) * (2.0 if training else 1.0)
        return h, (h, total)


class OneTensor(K.Layer):
    """One state, which comes from `get_initial_state` bare (and not as zeros) and goes back bare."""

    state_size = D

    def get_initial_state(self, batch_size=None):
        return ops.ones((batch_size, D), self.compute_dtype)

    def call(self, inputs, states):
        state = states[0] if isinstance(states, (list, tuple)) else states
        return state * inputs, state + inputs


class OfIds(K.Layer):
    """Reads integers: looks them up."""

    state_size = H

    def build(self, input_shape):
        self.table = self.add_weight(shape=(11, H), name="table")

    def call(self, inputs, states):
        h = ops.tanh(states[0] + ops.take(self.table, inputs[:, 0], axis=0))
        return h, [h]


CELLS = {
    "minimal": Minimal,
    "tuples": InTuples,
    "one-tensor": OneTensor,
    "keras-simple": lambda: K.SimpleRNNCell(H),
    "keras-lstm": lambda: K.LSTMCell(H),
    "keras-gru": lambda: K.GRUCell(H, reset_after=False),
    "keras-stack": lambda: K.StackedRNNCells([K.LSTMCell(2), K.GRUCell(H)]),
    "our-lstm": lambda: L.LSTMCell(H),
    "our-gru": lambda: L.GRUCell(H),
    "our-stack": lambda: K.StackedRNNCells([L.LSTMCell(2), K.GRUCell(H), L.SimpleRNNCell(5)]),
}


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(
    "flags", [{"return_sequences": True, "return_state": True}, {"go_backwards": True}], ids="+".join
)
@quick
def test_our_layer_gives_what_keras_gives(kind, flags, rng):
    """Whoever wrote the cell, with and without a mask."""
    x, mask = padded(rng)
    x, mask = x[:4].astype("float32") / 8, mask[:4]
    mask[:, [0, -1]] = True  # before the first kept step the stock layer on JAX gives the first state
    cell = CELLS[kind]()
    ours, stock = L.RNN(cell, **flags), K.RNN(cell, **flags)  # one cell: the weights are shared
    ours(x)
    if ours.weights:
        randomize(ours, rng)
    for training in (False, True):
        close(ours(x, training=training), stock(x, training=training))
        # On JAX the stock layer repeats a first state, not an output, and knows no states in a tuple.
        if not (ON_JAX and kind in ("one-tensor", "tuples")):
            close(ours(x, mask=mask, training=training), stock(x, mask=mask, training=training))


@quick
def test_a_cell_that_reads_integers(rng):
    ids = rng.integers(0, 11, size=(B, T, 1))
    cell = OfIds()
    ours, stock = L.RNN(cell), K.RNN(cell)
    ours(ids)
    randomize(ours, rng)
    close(ours(ids), stock(ids))


def stacks():
    """Cells with dropout on every level, of either kind; the stack itself of either kind, or a list, or nested."""
    for low in (L, K):
        for high in (L, K):
            kinds = f"{'ours' if low is L else 'keras'}-{'ours' if high is L else 'keras'}"
            for how in ("list", "our-stack", "keras-stack", "nested"):
                yield pytest.param(low, high, how, id=f"{kinds}-{how}")


def stacked(low, high, how, rate):
    """Two levels of D units, linear, which show their masks: see `echo` in test_arguments."""
    cells = [module.SimpleRNNCell(D, "linear", seed=i, **rate) for i, module in enumerate((low, high))]
    if how == "our-stack":
        cells = L.StackedRNNCells(cells)
    elif how == "keras-stack":
        cells = K.StackedRNNCells(cells)
    elif how == "nested":
        cells = [L.StackedRNNCells([cells[0]]), L.StackedRNNCells([cells[1]])]
    return L.RNN(cells, return_sequences=True)


@quick
@pytest.mark.parametrize(("low", "high", "how"), list(stacks()))
@pytest.mark.parametrize("where", ["dropout", "recurrent_dropout"])
def test_one_dropout_mask_per_sequence_on_each_level(low, high, how, where):
    layer = stacked(low, high, how, {where: 0.5})
    x = np.ones((3, T, D), "float32")
    layer(x)
    eye = np.eye(D, dtype="float32")
    layer.set_weights([eye, eye, np.zeros(D, "float32")] * 2)
    seen = []
    for _ in range(4):
        y = arrays(layer(x, training=True))[0]
        # One level up is one difference more: with masks held over time each unit is one of a few polynomials.
        increments = np.diff(np.diff(y, axis=1), axis=1) if where == "dropout" else np.diff(y, axis=1)
        constant = np.isclose(increments, increments[:, :1], atol=1e-3).all(axis=1)
        if where == "dropout":
            assert constant.all(), "a mask changes from step to step"
        else:
            # A unit dropped on both levels repeats its input; each share of units that do not grow is one mask.
            still = np.isclose(increments, 0, atol=1e-3)
            assert (still.all(axis=1) | ~still.any(axis=1)).all(), "a mask changes from step to step"
        seen.append(y)
    assert len({y.tobytes() for y in seen}) > 2
    close(layer(x), np.cumsum(np.cumsum(x, axis=1), axis=1))


@pytest.mark.parametrize(("low", "high", "how"), [s for s in stacks() if s.values[0] is not s.values[1]])
def test_dropout_of_mixed_stacks_in_fit(low, high, how, rng):
    """Where masks drawn inside the loop would leave their graph."""
    model = keras.Sequential([keras.Input((T, D)), stacked(low, high, how, {"dropout": 0.4, "recurrent_dropout": 0.4})])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=ON_JAX)
    x = rng.normal(size=(B, T, D))
    assert len({round(float(model.train_on_batch(x, x)), 6) for _ in range(4)}) > 2


@pytest.mark.parametrize("name", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("both_ways", [False, True], ids=["rnn", "bidirectional"])
def test_our_cells_in_plain_keras(name, both_ways, rng):
    """Same results, made again from their configuration without `custom_objects`, trained with dropout."""
    layers = []
    for module in (L, K):
        layer = K.RNN(getattr(module, name)(H, dropout=0.3, recurrent_dropout=0.3, seed=4), return_sequences=True)
        layers.append(K.Bidirectional(layer) if both_ways else layer)
    ours, stock = layers
    x = rng.normal(size=(B, T, D)).astype("float32")
    model = keras.Sequential([keras.Input((T, D)), ours])
    with op_by_op():
        stock(x)
        randomize(ours, rng)
        stock.set_weights(ours.get_weights())
        close(ours(x), stock(x))
        again = keras.Sequential.from_config(model.get_config())
        again.set_weights(model.get_weights())
        close(again(x), model(x))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=ON_JAX)
    target = np.zeros((B, T, 2 * H if both_ways else H))
    assert len({round(float(model.train_on_batch(x, target)), 6) for _ in range(4)}) > 2


@quick
def test_states_of_nested_cells_are_kept(rng):
    """`return_state`, `stateful` and `reset_state` with a stack in a stack."""
    cells = [L.StackedRNNCells([L.LSTMCell(2), K.GRUCell(5)]), L.LSTMCell(H)]
    layer = L.RNN(cells, stateful=True, return_state=True)
    x = rng.normal(size=(B, T, D))
    output, *states = layer(x)
    tree.assert_same_structure(states, [[[0, 0], [0]], [0, 0]])
    close([v.value for v in tree.flatten(layer.states)], states)
    layer.reset_state()
    close(layer(x), (output, *states), atol=0)
    assert arrays(layer(x))[0].tobytes() != arrays(output)[0].tobytes()


def test_a_cell_that_names_no_states_gets_them_in_a_list_in_a_stack_too(rng):
    """It reads `states[0]`: of a bare tensor that would be the first row, for the whole batch."""

    class Bare(keras.layers.Layer):
        state_size = 3

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 3), name="w")

        def call(self, inputs, states):
            h = ops.tanh(ops.matmul(inputs, self.w) + states[0])
            return h, [h]

    x = rng.normal(size=(2, 7, 5)).astype("float32")
    ours, stock = ks.layers.RNN([Bare()]), keras.layers.RNN([Bare()])
    ours(x), stock(x)
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(ours(x), stock(x), atol=1e-6)

"""One step of each cell: against the oracle in float64, in its three parts, and its gradients."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from keras_seq.cells.gru import gru_step
from keras_seq.cells.layer_norm_gru import layer_norm_gru_step
from keras_seq.cells.layer_norm_lstm import layer_norm_lstm_step
from keras_seq.cells.layer_norm_simple_rnn import layer_norm_simple_rnn_step
from keras_seq.cells.lstm import lstm_step
from keras_seq.cells.peephole_lstm import peephole_lstm_step
from keras_seq.cells.simple_rnn import simple_rnn_step
from tests import oracle
from tests.cases import TANH, B, D, H, T, arrays, close, randomize

L = ks.layers
CELLS = {kind: (getattr(L, f"{name}Cell"), form, step) for kind, (name, form, step) in oracle.RECURRENCES.items()}
every_cell = pytest.mark.parametrize("kind", CELLS)


def built(cell):
    cell.build((None, D))
    return cell


def cell_and_states(kind, rng, **kwargs):
    cls, form, step = CELLS[kind]
    cell = randomize(built(cls(H, dtype="float64", activation=TANH, **form, **kwargs)), rng)
    states = [rng.normal(size=s.shape) for s in cell.get_initial_state(B)]
    return cell, states, step


def expected(step, x, states, weights):
    outputs, _, states = oracle.run(step, x[:, None], states, weights)
    return outputs[:, 0], states


@every_cell
def test_cell_against_the_oracle(kind, rng):
    cell, states, step = cell_and_states(kind, rng)
    x = rng.normal(size=(B, D))
    output, new = cell(x, states)
    close((output, new), expected(step, x, states, cell.get_weights()), atol=1e-12, rtol=0)


def _normed(x, W, gamma, beta):
    """The norm of x W, by the oracle: all of it, or of the blocks that one can split it into."""
    return oracle.layer_norm(np.asarray(x) @ np.asarray(W), np.asarray(gamma), np.asarray(beta))


def _normed_gru(x, W, gamma, beta):
    blocks = (slice(None, 2 * H), slice(2 * H, None))
    return np.concatenate([_normed(x, W[:, c], gamma[c], beta[c]) for c in blocks], axis=-1)


# The functions alone, without a cell: on tensors x, states s and weights.
PURE = {
    "simple_rnn": lambda x, s, W, U, b: simple_rnn_step(x @ W + b, *s, U, TANH),
    "lstm": lambda x, s, W, U, b: lstm_step(x @ W + b, *s, U, TANH),
    "lstm_projected": lambda x, s, W, U, b, P: lstm_step(x @ W + b, *s, U, TANH, projection_kernel=P),
    "gru_after": lambda x, s, W, U, b: gru_step(x @ W + b[0], *s, *s, U, b[1], activation=TANH),
    "gru_before": lambda x, s, W, U, b: gru_step(x @ W + b, *s, *s, U, reset_after=False, activation=TANH),
    "peephole_lstm": lambda x, s, W, U, b, *p: peephole_lstm_step(x @ W + b, *s, U, p, TANH),
    "peephole_lstm_projected": lambda x, s, W, U, b, P, *p: peephole_lstm_step(
        x @ W + b, *s, U, p, TANH, projection_kernel=P
    ),
    "layer_norm_simple_rnn": lambda x, s, W, U, b, gamma: layer_norm_simple_rnn_step(
        x @ W, *s, U, gamma, b, activation=TANH
    ),
    "layer_norm_lstm": lambda x, s, W, U, b, gamma, beta, *n: layer_norm_lstm_step(
        _normed(x, W, gamma, beta) + b, *s, U, n[:2], n[2:], activation=TANH
    ),
    "layer_norm_lstm_projected": lambda x, s, W, U, b, P, gamma, beta, *n: layer_norm_lstm_step(
        _normed(x, W, gamma, beta) + b, *s, U, n[:2], n[2:], activation=TANH, projection_kernel=P
    ),
    "layer_norm_gru_after": lambda x, s, W, U, b, gamma, beta, *n: layer_norm_gru_step(
        _normed_gru(x, W, gamma, beta) + b, *s, *s, U, n, activation=TANH
    ),
    "layer_norm_gru_before": lambda x, s, W, U, b, gamma, beta, *n: layer_norm_gru_step(
        _normed_gru(x, W, gamma, beta) + b, *s, *s, U, n, reset_after=False, activation=TANH
    ),
}


@every_cell
def test_pure_step_against_the_oracle(kind, rng):
    cell, states, step = cell_and_states(kind, rng)
    x, weights = rng.normal(size=(B, D)), cell.get_weights()
    actual = PURE[kind](*tree.map_structure(ops.convert_to_tensor, [x, states]), *map(ops.convert_to_tensor, weights))
    close(actual, expected(step, x, states, weights)[1], atol=1e-12, rtol=0)


@pytest.mark.parametrize("use_bias", [True, False])
@every_cell
def test_call_is_made_of_its_three_parts(kind, rng, use_bias):
    cell, states, _ = cell_and_states(kind, rng, use_bias=use_bias)
    x = ops.convert_to_tensor(rng.normal(size=(B, D)))
    states = [ops.convert_to_tensor(s) for s in states]
    parts = cell.step(cell.project(x), states, cell.prepare(states))
    close(cell(x, states), parts, atol=0, rtol=1e-15)
    names = [w.path.split("/")[-1] for w in cell.weights]
    assert ("bias" in names) == use_bias
    assert names[:2] == ["kernel", "recurrent_kernel"]


@every_cell
def test_no_bias_is_a_bias_of_zeros(kind, rng):
    cell, states, step = cell_and_states(kind, rng, use_bias=False)
    W, U, *rest = cell.get_weights()
    with_bias, _, _ = cell_and_states(kind, rng)
    zeros = np.zeros_like(with_bias.get_weights()[2])
    x = rng.normal(size=(B, D))
    close(cell(x, states), expected(step, x, states, [W, U, zeros, *rest]), atol=1e-12, rtol=0)


@every_cell
def test_projection_of_a_sequence_is_that_of_its_steps(kind, rng):
    cell, _, _ = cell_and_states(kind, rng)
    x = ops.convert_to_tensor(rng.normal(size=(B, T, D)))
    whole = cell.project(x)
    close(whole, ops.stack([cell.project(x[:, t]) for t in range(T)], axis=1), atol=1e-14, rtol=0)


@pytest.mark.parametrize("where", ["dropout", "recurrent_dropout"])
@every_cell
def test_parts_under_dropout(kind, rng, where):
    """`prepare` draws, `step` does not: the same constants give the same step, other constants another."""
    cell, states, _ = cell_and_states(kind, rng, seed=5, **{where: 0.5})
    x = ops.ones((B, D), "float64")
    states = [ops.convert_to_tensor(s) for s in states]
    draws = set()
    for _ in range(8):
        inputs, constants = cell.drop_inputs(x, True), cell.prepare(states, True)
        once, twice = (cell.step(cell.project(inputs), states, constants) for _ in range(2))
        close(once, twice, atol=0, rtol=0)
        draws.add(arrays(once)[0].tobytes())
    assert len(draws) > 1
    quiet = cell(x, states), cell(x, states, training=False)
    close(*quiet, atol=0, rtol=0)


@every_cell
def test_states_in_a_tensor_or_a_list(kind, rng):
    """Keras hands a cell with one state either; it gets back what it gave."""
    cell, states, _ = cell_and_states(kind, rng)
    x = rng.normal(size=(B, D))
    output, new = cell(x, states)
    assert isinstance(new, list)
    if len(states) == 1:
        alone, state = cell(x, states[0])
        assert not isinstance(state, list)
        close((alone, state), (output, new), atol=0, rtol=0)


@pytest.mark.parametrize("kind", ["lstm", "gru_after", "gru_before"])
def test_activations_stand_where_they_belong(kind, rng):
    """With other activations the columns keep their meaning: equal to Keras's cell."""
    given = {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "dtype": "float64"}
    cls, form, _ = CELLS[kind]
    ours, stock = cls(H, **form, **given), getattr(keras.layers, cls.__name__)(H, **form, **given)
    for cell in (ours, stock):
        cell.build((None, D))
    randomize(ours, rng)
    stock.set_weights(ours.get_weights())
    x = rng.normal(size=(B, D))
    states = [rng.normal(size=(B, H)) for _ in ours.get_initial_state(B)]
    close(ours(x, states), stock(x, states), atol=1e-14, rtol=0)


@pytest.mark.parametrize("kind", [k for k in CELLS if k.startswith(("peephole", "layer_norm"))])
def test_activations_and_epsilon_against_the_oracle(kind, rng):
    """Cells that Keras has not, with other functions in their places and another epsilon."""
    cls, form, step = CELLS[kind]
    given, other = {"activation": "softsign"}, {"tanh": lambda a: a / (1 + np.abs(a))}
    if kind != "layer_norm_simple_rnn":
        given["recurrent_activation"] = "elu"
        other["sigmoid"] = lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0)))
    if kind.startswith("layer_norm"):
        given["layernorm_epsilon" if kind == "layer_norm_simple_rnn" else "norm_epsilon"] = other["epsilon"] = 0.2
    cell = randomize(built(cls(H, dtype="float64", **form, **given)), rng)
    x, states = rng.normal(size=(B, D)), [rng.normal(size=s.shape) for s in cell.get_initial_state(B)]
    close(cell(x, states), expected(partial(step, **other), x, states, cell.get_weights()), atol=1e-12, rtol=0)


def gradients(function, tensors):
    """d function / d tensors, for a scalar function."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(t) for t in tensors]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(tensors)
        return [g.numpy() for g in tape.gradient(value, tensors)]
    import jax

    return [np.asarray(g) for g in jax.grad(function)([jax.numpy.asarray(t) for t in tensors])]


@every_cell
def test_gradients_against_central_differences(kind, rng):
    """Of a random projection of output and states, two steps on, to inputs, states and weights."""
    cell, states, _ = cell_and_states(kind, rng)
    weights = cell.get_weights()
    point = [rng.normal(size=(B, D)), *states, *weights]
    directions = [rng.normal(size=s.shape) for s in (states[0], *states)]  # the output has the shape of h

    def loss(tensors):
        x, s, w = tensors[0], tensors[1 : 1 + len(states)], tensors[1 + len(states) :]
        (_, s), _ = cell.stateless_call(w, [v.value for v in cell.non_trainable_variables], x, list(s))
        (y, s), _ = cell.stateless_call(w, [v.value for v in cell.non_trainable_variables], x, s)
        return sum(ops.sum(a * d) for a, d in zip([y, *s], directions, strict=True))

    step = 1e-5
    for index, gradient in enumerate(gradients(loss, point)):
        numeric = np.zeros_like(point[index])
        # All elements of small tensors, a random dozen of larger ones.
        size = numeric.size
        chosen = rng.permutation(size)[:12]
        for element in chosen:
            shift = np.zeros(size)
            shift[element] = step
            shift = shift.reshape(numeric.shape)
            ends = [
                float(loss([p + sign * shift if i == index else p for i, p in enumerate(point)])) for sign in (1, -1)
            ]
            numeric.flat[element] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(gradient.flat[chosen], numeric.flat[chosen], atol=1e-8, rtol=1e-7)
        assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("name", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_arguments_are_those_of_keras(name):
    import inspect

    ours, stock = (inspect.signature(getattr(module, name)).parameters for module in (L, keras.layers))
    assert {n: ours[n].default for n in stock} == {n: p.default for n, p in stock.items()}


def test_a_stack_of_cells_is_its_cells_in_turn(rng):
    """With its states a list per cell, also for one cell alone."""
    cells = [L.LSTMCell(2, dtype="float64"), L.GRUCell(H, dtype="float64")]
    stack = L.StackedRNNCells(cells, dtype="float64")
    stack.build((None, D))
    randomize(stack, rng)
    x = rng.normal(size=(B, D))
    states = tree.map_structure(lambda s: rng.normal(size=s.shape), stack.get_initial_state(B))
    output, new = stack(x, states)
    below, lower = cells[0](x, states[0])
    above, upper = cells[1](below, states[1])
    close((output, new), (above, [lower, upper]), atol=0, rtol=1e-15)
    one = L.StackedRNNCells([L.LSTMCell(2, dtype="float64")], dtype="float64")
    one.build((None, D))
    _, new = one(x, one.get_initial_state(B))
    tree.assert_same_structure(new, one.get_initial_state(B))

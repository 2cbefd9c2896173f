"""What a perturbation means, and traces and perturbations where loops are compiled: in functions, models, files."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import ON_JAX, B, D, H, T, close, randomize
from tests.layers.exotic import gradient, normal

L = ks.layers
CELLS = pytest.mark.parametrize("make", [L.SimpleRNNCell, L.LSTMCell, L.GRUCell])


def compiled_gradient(function, x):
    """`gradient` in a compiled function, where the loop over time is one of the graph."""
    if ON_JAX:
        import jax

        return np.asarray(jax.jit(jax.grad(function))(x))
    import tensorflow as tf

    def taped(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    return tf.function(taped, input_signature=[tf.TensorSpec((None,) * x.ndim, x.dtype)])(x).numpy()


def layer_of(make, rng, **arguments):
    layer = L.RNN(make(H), return_sequences=True, return_state=True, **arguments)
    layer.build((None, None, D))
    return randomize(layer, rng)


def zeros_over_time(layer):
    return [np.zeros((B, T, *state.shape[1:]), "float32") for state in layer.get_initial_state(1)]


def loss_of(layer, x, weights, place, **context):
    """The weighted sum of all outputs, as a function of one perturbation, the others zero."""
    zeros = zeros_over_time(layer)

    def loss(p):
        added = [p if i == place else zero for i, zero in enumerate(zeros)]
        return ops.sum(layer(x, perturbation=added, **context)[0] * weights)

    return loss


@CELLS
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("how", [gradient, compiled_gradient])
def test_its_gradient_is_that_of_a_sequence_that_starts_there(make, backwards, how, rng):
    """Of the outputs after step t, as a function of the states that the rest starts from; for `h`, of y[t], too."""
    layer, forwards = layer_of(make, rng, go_backwards=backwards), layer_of(make, rng)
    forwards.set_weights(layer.get_weights())
    x, weights = normal(rng, B, T, D), normal(rng, B, T, H)
    read = x[:, ::-1] if backwards else x  # in the order of reading
    for place in range(len(zeros_over_time(layer))):
        found = how(loss_of(layer, x, weights, place), zeros_over_time(layer)[place])
        for t in (0, 2, T - 1):
            states = [np.asarray(state) for state in forwards(read[:, : t + 1])[1:]]

            def rest(s, t=t, states=states, place=place):
                start = [s if i == place else state for i, state in enumerate(states)]
                return ops.sum(forwards(read[:, t + 1 :], initial_state=start)[0] * weights[:, t + 1 :])

            expected = gradient(rest, states[place]) if t < T - 1 else np.zeros((B, H))
            close(found[:, t], expected + (weights[:, t] if place == 0 else 0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("how", [gradient, compiled_gradient])
def test_at_a_masked_step_it_has_no_effect(how, rng):
    layer, x, weights = layer_of(L.GRUCell, rng), normal(rng, B, T, D), normal(rng, B, T, H)
    mask = np.ones((B, T), bool)
    mask[0, 2], mask[1, -2:] = False, False
    found = how(loss_of(layer, x, weights, 0, mask=mask), zeros_over_time(layer)[0])
    assert not found[~mask].any()
    assert np.abs(found[mask]).min(axis=-1).min() > 0
    loud = np.where(mask[..., None], 0, 7).astype("float32") * np.ones((1, 1, H), "float32")
    close(layer(x, mask=mask, perturbation=[loud]), layer(x, mask=mask))


@pytest.mark.parametrize("wrap", ["rnn", "bidirectional"])
def test_a_functional_model_returns_the_trace(wrap, rng, tmp_path):
    layer = L.LSTM(H, return_sequences=True, return_state=True)
    layer = L.Bidirectional(layer) if wrap == "bidirectional" else layer
    inputs = keras.Input((None, D))
    model = keras.Model(inputs, tree.flatten(layer(inputs, return_trace=True)))
    randomize(model, rng)
    x = normal(rng, B, T, D)
    *_, trace = layer(x, return_trace=True)
    assert [y.shape[1:] for y in model.outputs[-len(trace) :]] == [(None, H)] * len(trace)
    model.save(tmp_path / "m.keras")
    for one in (model, keras.saving.load_model(tmp_path / "m.keras")):
        outputs = one.predict(x, verbose=0)
        close(outputs[-len(trace) :], trace)
        if wrap == "rnn":
            close(outputs[-2], outputs[0])  # the trace of h is the output
            close([s[:, -1] for s in outputs[-2:]], outputs[1:3])


def test_each_direction_has_its_own_trace_and_perturbation(rng):
    layer = L.Bidirectional(L.GRU(H, return_sequences=True), merge_mode="sum")
    x, weights = normal(rng, B, T, D), normal(rng, B, T, H)
    layer(x)
    randomize(layer, rng)
    one, other = layer.forward_layer, layer.backward_layer
    *_, trace = layer(x, return_trace=True)
    close(trace, one(x, return_trace=True)[-1] + other(x, return_trace=True)[-1])
    zero = np.zeros((B, T, H), "float32")
    for place, (alone, of_output) in enumerate([(one, weights), (other, weights[:, ::-1])]):

        def both(p, place=place):
            return ops.sum(layer(x, perturbation=[p, zero] if place == 0 else [zero, p]) * weights)

        def single(p, alone=alone, of_output=of_output):
            return ops.sum(alone(x, perturbation=[p]) * of_output)

        close(gradient(both, zero), gradient(single, zero))

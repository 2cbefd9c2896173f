"""What would be silently wrong if it were not refused or handled: sizes, nests and values that do not belong."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import B, D, H, T, arrays, close, randomize
from tests.layers.exotic import PairCell, gradient, normal

L, K = ks.layers, keras.layers


@pytest.mark.tensorflow
def test_a_stateful_model_does_not_take_a_smaller_last_batch(rng):
    """A batch of one would broadcast against the states of two."""
    model = keras.Sequential([keras.Input((T, D), batch_size=2), L.GRU(H, stateful=True)])
    with pytest.raises(Exception, match=r"\[1,7,5\] is not compatible with expected shape \[2,7,5\]"):
        model.predict(normal(rng, 3, T, D), batch_size=2, verbose=0)


def test_a_stateful_model_changes_its_batch_size_when_compiled_anew(rng):
    model = keras.Sequential([keras.Input((T, D), batch_size=2), L.GRU(H, stateful=True)])
    x = normal(rng, 4, T, D)
    for size in (2, 3, 1, 4, 2):
        model.layers[0].reset_state(batch_size=size)
        model.compile()
        whole = L.GRU(H)
        whole.build((None, None, D))
        whole.set_weights(model.get_weights())
        close(model.predict(x[:size], batch_size=size, verbose=0), whole(x[:size]), atol=1e-5)


def test_directions_with_different_states_take_them_back(rng):
    for forward, backward in ((L.LSTM, L.GRU), (L.GRU, L.LSTM)):
        layer = L.Bidirectional(
            forward(H, return_state=True), backward_layer=backward(H, return_state=True, go_backwards=True)
        )
        x = normal(rng, B, T, D)
        _, *states = layer(x)
        split = 2 if forward is L.LSTM else 1
        y, *_ = layer(x, initial_state=states)
        close(y[:, :H], layer.forward_layer(x, initial_state=states[:split])[0])
        with pytest.raises(ValueError, match=r"initial_state.*2"):
            layer(x, initial_state=states[:-1])


def test_bidirectional_takes_keras_s_order_of_arguments_in_a_graph():
    layer = L.Bidirectional(L.GRU(H, return_sequences=True))
    x, mask = keras.Input((T, D)), keras.Input((T,), dtype="bool")
    assert layer(x, None, mask).shape == (None, T, 2 * H)
    with pytest.raises(ValueError, match="mask"):
        layer(x, None, keras.Input((T + 1,), dtype="bool"))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
def test_bidirectional_over_nested_outputs(merge_mode, rng):
    layer = L.Bidirectional(L.RNN(PairCell(), return_sequences=True), merge_mode=merge_mode)
    x = {"a": normal(rng, B, T, D), "b": normal(rng, B, T, 4)}
    outputs = tree.flatten(layer(x))
    symbolic = tree.flatten(layer({"a": keras.Input((T, D)), "b": keras.Input((T, 4))}))
    assert [y.shape[1:] for y in symbolic] == [tuple(y.shape[1:]) for y in outputs]
    forward = tree.flatten(layer.forward_layer(x))
    if merge_mode == "concat":
        close(outputs[1][..., :4], forward[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"memory": np.ones((B, 5, 3), "float32")}, "reads none"),
        ({"memory_mask": np.ones((B, 5), bool)}, "without `memory`"),
    ],
)
def test_a_memory_that_nobody_reads_is_refused_by_a_stack(arguments, words, rng):
    with pytest.raises(ValueError, match=words):
        L.RNN([L.GRUCell(5), L.GRUCell(H)])(normal(rng, B, T, D), **arguments)


class Alone(K.Layer):
    """Returns its output alone."""

    state_size = H

    def call(self, inputs, states):
        return states[0]


class Wide(K.Layer):
    """Returns a state that is wider than the one it got."""

    state_size = H

    def call(self, inputs, states):
        return states[0], [ops.concatenate([states[0], states[0]], -1)]


@pytest.mark.parametrize(("cell", "words"), [(Alone, "Alone must return a pair"), (Wide, "shapes")])
def test_a_cell_without_the_contract_is_refused(cell, words, rng):
    with pytest.raises(ValueError, match=words):
        L.RNN(cell())(normal(rng, B, T, D))


@pytest.mark.parametrize(
    "nest", [lambda h: {"h": h, "c": h}, lambda h: [[h, h]], lambda h: [h, [h]]], ids=["dict", "too deep", "uneven"]
)
def test_states_that_are_nested_otherwise_are_refused(nest, rng):
    with pytest.raises(ValueError, match="nest like"):
        L.LSTM(H)(normal(rng, B, T, D), initial_state=nest(normal(rng, B, H)))


@pytest.mark.parametrize("make", [L.SimpleRNN, L.LSTM, L.GRU])
def test_nan_in_padding_reaches_no_gradient(make, rng):
    layer = make(H, activation="tanh")
    x = normal(rng, B, T, D)
    layer(x)
    randomize(layer, rng)
    mask = np.ones((B, T), bool)
    mask[:, 4:] = False
    dirty = np.where(mask[..., None], x, np.nan).astype("float32")
    close(layer(dirty, mask=mask), layer(x[:, :4]))
    state = [np.zeros((B, H), "float32")] * len(layer.get_initial_state(1))

    def loss(h):
        return ops.sum(layer(dirty, mask=mask, initial_state=[h, *state[1:]]))

    assert np.isfinite(gradient(loss, state[0])).all()
    found = weight_gradients(layer, dirty, mask)
    assert all(np.isfinite(g).all() for g in found)
    for a, b in zip(found, weight_gradients(layer, x, mask), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def weight_gradients(layer, x, mask):
    if keras.backend.backend() == "jax":
        import jax

        def loss(weights):
            return ops.sum(
                layer.stateless_call(weights, [v.value for v in layer.non_trainable_variables], x, mask=mask)[0]
            )

        return arrays(jax.grad(loss)([v.value for v in layer.trainable_variables]))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        y = ops.sum(layer(x, mask=mask))
    return arrays(tape.gradient(y, [v.value for v in layer.trainable_variables]))


def test_streaming_refuses_functions_that_may_look_at_several_steps():
    model = keras.Sequential(
        [keras.Input((None, D)), L.GRU(H, return_sequences=True), K.Activation(lambda v: v - ops.mean(v, 1, True))]
    )
    with pytest.raises(ValueError, match="function of your own"):
        L.streaming(model)

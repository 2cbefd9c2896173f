"""How cuDNN is called, on a machine that has none: in its place stands one that refuses what cuDNN refuses."""

import inspect
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq import compat
from keras_seq.backend.loop import loop
from keras_seq.kernels.kernel import affine
from tests.cases import ON_JAX, B, D, H, close, padded, randomize

L = ks.layers
T = 7
REAL = compat.cudnn_layers
LSTM_ONLY = [L.LSTM] if ON_JAX else [L.LSTM, L.GRU]


@pytest.fixture
def calls(monkeypatch):
    """Stands in for cuDNN: checks its arguments against the installed Keras, and the mask as cuDNN does."""
    made = []

    def standing_in(name):
        cell = L.LSTMCell(H) if name == "lstm" else L.GRUCell(H)

        def run(*args, **kwargs):
            given = inspect.signature(getattr(REAL, name)).bind(*args, **kwargs).arguments
            made.append(given)
            assert given["return_sequences"]
            assert not given.get("go_backwards")
            mask = given["mask"]
            if mask is not None and hasattr(mask, "numpy"):
                assert not ON_JAX, "Keras takes no mask there"
                counts = np.sum(mask, axis=1)
                assert (counts > 0).all()
                np.testing.assert_array_equal(mask, np.arange(mask.shape[1]) < counts[:, None])
            bias = given["bias"] if name == "lstm" else given["bias"][0]
            constants = (given["recurrent_kernel"], None if name == "lstm" else given["bias"][1], None)
            states = [given[key] for key in given if key.startswith("initial_state")]

            def step(x, states):
                return cell.step(affine(x, (given["kernel"], bias)), states, constants)

            outputs, states = loop(step, given["inputs"], states, mask=mask, zero_output_for_mask=True)
            return outputs[:, -1], outputs, states

        return run

    there = SimpleNamespace(lstm=standing_in("lstm"), gru=standing_in("gru"), cudnn_ok=lambda *_, **__: True)
    monkeypatch.setattr(compat, "cudnn_layers", there)
    return made


@pytest.mark.parametrize("make", LSTM_ONLY)
@pytest.mark.parametrize("masked", [False] if ON_JAX else [False, True])
@pytest.mark.parametrize("how", [{}, {"go_backwards": True, "zero_output_for_mask": True}, {"return_sequences": False}])
def test_any_mask_gives_what_the_loop_gives(make, masked, how, rng, calls):
    x, mask = padded(rng, (B, T, D))
    mask = mask if masked else None
    how = {"return_sequences": True, "return_state": True, **how}
    by_loop, by_cudnn = make(H, use_cudnn=False, implementation="loop", **how), make(H, use_cudnn=True, **how)
    for layer in (by_loop, by_cudnn):
        layer.build(x.shape)
    randomize(by_loop, rng)
    by_cudnn.set_weights(by_loop.get_weights())
    states = [rng.normal(size=(len(x), H)).astype("float32") for _ in by_loop.get_initial_state(1)]
    expected = by_loop(x, mask=mask, training=True, initial_state=states)
    close(by_cudnn(x, mask=mask, training=True, initial_state=states), expected, atol=1e-5)
    assert len(calls) == 1


@pytest.mark.tensorflow
@pytest.mark.parametrize("make", LSTM_ONLY)
def test_gradients_and_sizes_known_only_as_the_graph_runs(make, rng, calls):
    import tensorflow as tf

    x, mask = padded(rng, (B, T, D))
    found = []
    layers = [make(H, use_cudnn=False, implementation="loop"), make(H, use_cudnn=True)]
    for layer in layers:
        layer.build(x.shape)
        layer.set_weights(layers[0].get_weights())

        def gradients(x, mask, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(layer(x, mask=mask, training=True) ** 2)
            return tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

        signature = [tf.TensorSpec((None, None, D)), tf.TensorSpec((None, None), tf.bool)]
        found.append(tf.function(gradients, input_signature=signature)(tf.cast(x, tf.float32), mask))
    close(found[1], found[0], atol=1e-5, rtol=1e-4)


def test_it_may_refuse_where_there_is_a_gpu(rng, calls, monkeypatch):
    """As on another device than the GPU."""

    def refusing(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(compat.cudnn_layers, "lstm", refusing)
    with pytest.raises(ValueError, match="use_cudnn=False"):
        L.LSTM(H)(rng.normal(size=(B, T, D)).astype("float32"), training=True)


def test_a_subclass_with_its_own_step_is_not_run_by_it(rng, calls):
    own = type("LSTMCell", (L.LSTMCell,), {"step": lambda self, *args: super(own, self).step(*args)})
    with pytest.raises(ValueError, match="changes the step"):
        L.RNN(own(H, implementation="cudnn"))(rng.normal(size=(B, T, D)).astype("float32"), training=True)


@pytest.mark.tensorflow
def test_keras_does_not_compile_what_xla_cannot(calls):
    assert not L.GRU(H).supports_jit
    assert L.GRU(H, use_cudnn=False).supports_jit


def test_who_wins(rng, calls):
    """`use_cudnn` over `implementation`; "auto" takes cuDNN to train, and nothing takes it for an export."""
    x = rng.normal(size=(B, T, D)).astype("float32")
    for arguments, taken in (
        ({}, True),
        ({"use_cudnn": False}, False),
        ({"use_cudnn": False, "implementation": "cudnn"}, False),
        ({"use_cudnn": False, "implementation": "cudnn", "unroll": True}, False),
        ({"use_cudnn": True, "implementation": "loop"}, True),
        ({"implementation": "cudnn"}, True),
        ({"implementation": "kernel"}, False),
        ({"implementation": "loop"}, False),
        ({"recurrent_dropout": 0.5}, False),
        ({"activation": "relu"}, False),
    ):
        layer = L.LSTM(H, **arguments)
        layer(x, training=True)
        assert bool(calls) == taken, arguments
        del calls[:]
        layer(x, training=False)
        assert not calls, arguments
    L.RNN(L.LSTMCell(H))(x, training=True)
    assert not calls


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.LSTM(H, use_cudnn=True, activation="relu"), "wants tanh, sigmoid and a bias"),
        (lambda: L.LSTM(H, use_cudnn=True, recurrent_dropout=0.5), "no recurrent dropout"),
        (lambda: L.LSTM(H, use_cudnn=True, projection_size=2), "no projection"),
        (lambda: L.LSTM(H, use_cudnn=True, unroll=True), "needs the loop"),
        (lambda: L.GRU(H, use_cudnn=True, reset_after=False), "reset_after=True"),
        (lambda: L.RNN(L.PeepholeLSTMCell(H, implementation="cudnn")), "no PeepholeLSTMCell"),
        (lambda: L.RNN([L.LSTMCell(H, implementation="cudnn"), L.LSTMCell(H)]), "a stack needs the loop"),
    ],
)
def test_what_it_cannot_do_is_said(make, words, rng, calls):
    with pytest.raises(ValueError, match=words):
        make()(rng.normal(size=(B, T, D)).astype("float32"), training=True)
    assert not calls


def test_without_a_gpu(rng, monkeypatch):
    x = rng.normal(size=(B, T, D)).astype("float32")
    if compat.cudnn_layers.cudnn_ok(keras.activations.tanh, keras.activations.sigmoid, False, use_bias=True):
        pytest.skip("there is one")
    with pytest.raises(ValueError, match="no GPU"):
        L.LSTM(H, use_cudnn=True)(x)
    monkeypatch.setattr(compat, "cudnn_layers", None)
    with pytest.raises(ValueError, match="this version of Keras"):
        L.LSTM(H, use_cudnn=True)(x)
    assert np.isfinite(ops.convert_to_numpy(L.LSTM(H)(x, training=True))).all()

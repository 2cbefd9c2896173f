"""Training by kernel ends where training by the loop ends, however Keras runs it."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import ON_JAX, B, D, H, close

L = ks.layers
T = 11


# The policy is a matter of the layer around the kernel: of those in half precision, two with other states will do.
@pytest.mark.parametrize(
    ("name", "policy"),
    [(name, "float32") for name in ("SimpleRNN", "LSTM", "GRU", "PeepholeLSTM", "LayerNormLSTM")]
    + [(name, "mixed_bfloat16") for name in ("GRU", "LayerNormLSTM")],
)
def test_fit(name, policy, rng):
    """By kernel as by loop, with recurrent dropout, a last batch that is smaller, and states that are kept."""
    x, y = rng.normal(size=(2 * B + 1, T, D)).astype("float32"), rng.normal(size=(2 * B + 1, H))
    ends, losses = [], []
    for way in ("loop", "kernel"):
        keras.utils.set_random_seed(3)
        layer = getattr(L, name)(H, implementation=way, recurrent_dropout=0.4, seed=1, dtype=policy)
        model = keras.Sequential([keras.Input((None, D)), layer, keras.layers.Dense(H)])
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=ON_JAX)
        history = model.fit(x, y, epochs=2, batch_size=B, shuffle=False, verbose=0).history["loss"]
        ends.append(model.get_weights())
        losses.append(np.array(history))
    exact = policy == "float32"
    close(losses[1], losses[0], atol=1e-5 if exact else 0.05)
    if exact:  # how near they come in half precision is a matter of tests/kernels
        close(ends[1], ends[0], atol=1e-5)
    assert all(np.isfinite(end).all() for end in ends[1])


@pytest.mark.tensorflow
def test_eager_fit(rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    ends = []
    for way in ("loop", "kernel"):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((None, D)), L.LSTM(H, implementation=way)])
        model.compile(keras.optimizers.SGD(0.5), "mse", run_eagerly=True, jit_compile=False)
        model.fit(x, np.ones((B, H)), epochs=2, batch_size=B, verbose=0)
        ends.append(model.get_weights())
    close(*ends, atol=1e-5)


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_stateful_training(name, rng):
    x = rng.normal(size=(B, T, D)).astype("float32")
    states = []
    for way in ("loop", "kernel"):
        keras.utils.set_random_seed(3)
        layer = getattr(L, name)(H, stateful=True, implementation=way)
        model = keras.Sequential([keras.Input(batch_shape=(B, None, D)), layer])
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=ON_JAX)
        for _ in range(2):
            model.train_on_batch(x, np.ones((B, H)))
        states.append([ops.convert_to_numpy(v.value) for v in layer.states])
    close(*states, atol=1e-5)
    assert all(np.abs(s).max() > 1e-3 for s in states[0])

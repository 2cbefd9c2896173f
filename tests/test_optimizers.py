"""AdamW: kernels and vectors of words decay by the formula, biases, factors and shifts of norms do not."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import randomize

RATE, DECAY = 0.05, 0.3
UNDECAYED = {"bias", "beta", "gamma"}
X = np.array([[2, 5, 3], [7, 2, 0]])


@keras.saving.register_keras_serializable("tests")
def nothing(_, y):
    """A loss without gradients: what moves weights is decay."""
    return 0 * y


def make(rng, name="last"):
    words = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(11, 5, mask_zero=True)(words)
    hidden = ks.layers.AttentionPooling(7)(ks.layers.LayerNormSimpleRNN(3, return_sequences=True)(hidden))
    model = keras.Model(words, keras.layers.Dense(1, name=name)(keras.layers.LayerNormalization()(hidden)))
    randomize(model, rng)
    model.compile(ks.optimizers.AdamW(RATE, weight_decay=DECAY), nothing)
    return model


def is_undecayed(variable):
    return any(word in variable.name for word in UNDECAYED)


def check_decay(model, before, steps):
    names = set()
    for variable, start in zip(model.trainable_variables, before, strict=True):
        names.add(variable.name)
        factor = 1 if is_undecayed(variable) else (1 - RATE * DECAY) ** steps
        np.testing.assert_allclose(variable.numpy(), factor * start, rtol=1e-5, err_msg=variable.path)
    return names


def test_what_decays_and_what_does_not_before_and_after_a_file(rng, tmp_path):
    model = make(rng)
    before = [variable.numpy() for variable in model.trainable_variables]
    for _ in range(3):
        model.train_on_batch(X, np.zeros((2, 1)))
    names = check_decay(model, before, 3)
    assert {"kernel", "recurrent_kernel", "embeddings"} | UNDECAYED <= names
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy.optimizer) is ks.optimizers.AdamW
    assert int(copy.optimizer.iterations) == 3
    copy.train_on_batch(X, np.zeros((2, 1)))
    check_decay(copy, before, 4)


def test_a_kernel_decays_whatever_its_layer_is_called(rng):
    model = make(rng, name="unbiased")
    before = [variable.numpy() for variable in model.trainable_variables]
    model.train_on_batch(X, np.zeros((2, 1)))
    check_decay(model, before, 1)


def test_more_may_be_left_undecayed(rng):
    """By name, after which biases are left alone as before."""
    model = make(rng)
    model.optimizer.exclude_from_weight_decay(var_names=["embeddings"])
    before = [variable.numpy() for variable in model.trainable_variables]
    model.train_on_batch(X, np.zeros((2, 1)))
    for variable, start in zip(model.trainable_variables, before, strict=True):
        factor = 1 if is_undecayed(variable) or variable.name == "embeddings" else 1 - RATE * DECAY
        np.testing.assert_allclose(variable.numpy(), factor * start, rtol=1e-5, err_msg=variable.path)


def test_apart_from_decay_it_is_adam(rng):
    """One step of each from the same weights, with gradients: the difference is the decay."""
    gradients, start, ends = None, None, []
    for optimizer in (keras.optimizers.Adam(RATE), ks.optimizers.AdamW(RATE, weight_decay=DECAY)):
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
        start = start or [rng.normal(size=w.shape) for w in layer.weights]
        gradients = gradients or [rng.normal(size=w.shape).astype("float32") for w in layer.weights]
        layer.set_weights(start)
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], layer.trainable_variables)
        ends.append(layer.get_weights())
    (kernel, bias), (decayed_kernel, undecayed_bias) = ends
    np.testing.assert_allclose(decayed_kernel, kernel - RATE * DECAY * start[0], atol=1e-6)
    np.testing.assert_array_equal(bias, undecayed_bias)


def test_its_arguments_are_those_of_keras():
    optimizer = ks.optimizers.AdamW(0.2, 0.1, clipnorm=0.5, use_ema=True, ema_momentum=0.7, name="decayed")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is ks.optimizers.AdamW
    assert again.get_config() == optimizer.get_config()
    config = again.get_config()
    expected = {"weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.7, "name": "decayed"}
    assert {name: config[name] for name in expected} == expected
    assert config["learning_rate"] == pytest.approx(0.2)

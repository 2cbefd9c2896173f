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


WAYS = {
    "clipnorm": lambda g, c: [one * min(1, c / np.linalg.norm(one)) for one in g],
    "global_clipnorm": lambda g, c: [one * min(1, c / np.sqrt(sum((two**2).sum() for two in g))) for one in g],
    "clipvalue": lambda g, c: [np.clip(one, -c, c) for one in g],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [0.9, 50.0])
def test_gradients_are_clipped_as_the_equations_say(rng, way, size):
    """What plain SGD with a rate of 1 takes off the weights; the larger size clips nothing."""
    gradients = [rng.normal(size=(3, 5)).astype("float32"), rng.normal(size=7).astype("float32") / 9]
    weights = [keras.Variable(np.zeros(g.shape, "float32")) for g in gradients]
    optimizer = keras.optimizers.SGD(1.0, **ks.optimizers.clipping({way: size}))
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], weights)
    for weight, step in zip(weights, WAYS[way](gradients, size), strict=True):
        np.testing.assert_allclose(-keras.ops.convert_to_numpy(weight), step, rtol=1e-5)


@pytest.mark.parametrize(
    ("asked", "acts"),
    [
        ({"clipvalue": 0.5, "clipnorm": 2}, {"clipnorm": 2.0}),
        ({"clipnorm": 2, "global_clipnorm": 3.0}, {"global_clipnorm": 3.0}),
        ({"clipvalue": 0.5, "clipnorm": 2, "global_clipnorm": 3.0}, {"global_clipnorm": 3.0}),
    ],
)
def test_of_two_ways_to_clip_one_acts_and_a_warning_says_which(asked, acts):
    ((name, size),) = acts.items()
    with pytest.warns(UserWarning, match=f"`clipnorm`.*{name}={size} acts"):
        assert ks.optimizers.clipping(asked) == acts


@pytest.mark.parametrize(
    ("asked", "found"),
    [(1.5, {"clipnorm": 1.5}), (None, {}), ({}, {}), ({"clipvalue": 0.5, "clipnorm": None}, {"clipvalue": 0.5})],
)
def test_one_way_to_clip_or_none(recwarn, asked, found):
    assert ks.optimizers.clipping(asked) == found
    assert len(recwarn) == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"clip": 1.0}, "`clipnorm`.*'clip'"),
        ({"global_clipnorm": 0}, "`global_clipnorm`.*0"),
        (-1.0, "`clipnorm`.*-1"),
        ("1", "`clipnorm`.*'1'"),
    ],
)
def test_clipping_that_cannot_be(asked, message):
    with pytest.raises(ValueError, match=message):
        ks.optimizers.clipping(asked)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_models_clip_as_asked_for(decay):
    """The factories hand their argument on; a forecasting model stands for them all."""
    how = {"units": 3, "weight_decay": decay}
    model = ks.models.forecasting_model(8, 4, clipnorm={"global_clipnorm": 2.0}, **how)
    assert (model.optimizer.global_clipnorm, model.optimizer.clipnorm) == (2.0, None)
    with pytest.warns(UserWarning, match="clipvalue not") as warned:
        ks.models.forecasting_model(8, 4, clipnorm={"clipnorm": 2.0, "clipvalue": 1.0}, **how)
    assert warned[0].filename == __file__  # the user's line


GRAVES = {"rho": 0.9, "momentum": 0.8, "epsilon": 1e-3}


def test_rmsprop_of_graves_is_that_of_the_paper(rng):
    """Equations 38 to 41, step by step; in a config, and after it."""
    optimizer = ks.optimizers.GravesRMSprop(0.01, **GRAVES)
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    weights = [rng.normal(size=shape) for shape in ((5, 3), (3,))]
    variables = [keras.Variable(w, dtype="float64") for w in weights]
    slots = [[np.zeros_like(w) for w in weights] for _ in range(3)]
    for _ in range(4):
        gradients = [rng.normal(size=w.shape) for w in weights]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        for i, g in enumerate(gradients):
            slots[0][i] = 0.9 * slots[0][i] + 0.1 * g**2
            slots[1][i] = 0.9 * slots[1][i] + 0.1 * g
            slots[2][i] = 0.8 * slots[2][i] + 0.01 * g / np.sqrt(slots[0][i] - slots[1][i] ** 2 + 1e-3)
            weights[i] = weights[i] - slots[2][i]
    for variable, w in zip(variables, weights, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), w, atol=1e-6)


def test_rmsprop_of_graves_bears_large_and_steady_gradients(rng):
    """Where rounding takes the variance below zero."""
    optimizer, w = ks.optimizers.GravesRMSprop(1e-4), keras.Variable(np.zeros(7, "float32"))
    for _ in range(400):
        optimizer.apply([keras.ops.convert_to_tensor(rng.normal(100, 1e-3, size=7).astype("float32"))], [w])
    assert np.isfinite(keras.ops.convert_to_numpy(w)).all()


def test_rmsprop_of_graves_goes_on_after_a_reload(tmp_path, rng):
    x, y = rng.normal(size=(8, 3)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(ks.optimizers.GravesRMSprop(0.01), "mse")
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, again):
        one.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_allclose(again.get_weights()[0], model.get_weights()[0], atol=1e-6)


def test_rmsprop_of_graves_sums_the_rows_of_an_embedding(rng):
    """A word that is read twice moves as the row of a kernel does, over which words lie as columns."""
    ids, y = np.array([[2, 5, 2], [6, 2, 5]]), rng.normal(size=(2, 3, 3)).astype("float32")
    start, ends = rng.normal(size=(7, 3)), []
    for layer, x in (
        (keras.layers.Embedding(7, 3), ids),
        (keras.layers.Dense(3, use_bias=False), np.eye(7, dtype="float32")[ids]),
    ):
        model = keras.Sequential([keras.Input(x.shape[1:]), layer])
        layer.set_weights([start])
        model.compile(ks.optimizers.GravesRMSprop(0.01), "mse")
        model.train_on_batch(x, y)
        model.train_on_batch(x, y)
        ends.append(layer.get_weights()[0])
    np.testing.assert_allclose(*ends, atol=1e-6)
    assert (ends[0] != start.astype("float32")).any(axis=1).tolist() == [False, False, True, False, False, True, True]


@pytest.mark.parametrize("wrong", [{"rho": 1.5}, {"momentum": -3}, {"epsilon": 0}])
def test_rmsprop_of_graves_refuses(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}`"):
        ks.optimizers.GravesRMSprop(**wrong)

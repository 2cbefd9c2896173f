"""Each argument of the drop-in layers does what it says."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import B, D, H, T, arrays
from tests.unusual import unusual

L, K = ks.layers, keras.layers
quick = pytest.mark.usefixtures("steps_in_python")
NAMES = ["SimpleRNN", "LSTM", "GRU"]
OURS = ["PeepholeLSTM", "LayerNormSimpleRNN", "LayerNormLSTM", "LayerNormGRU"]
every_layer = pytest.mark.parametrize("name", [*NAMES, *OURS])
GROUPS = {"kernel": "kernel", "recurrent": "recurrent_kernel", "bias": "bias"}


@pytest.mark.parametrize("name", NAMES)
def test_initializers(name):
    """Weights start as those of the stock layer do, from the same seeds."""
    given = unusual([f"{group}_initializer" for group in GROUPS])
    ours, stock = (getattr(module, name)(H, **given) for module in (L, K))
    for layer in (ours, stock):
        layer.build((B, T, D))
    for w, expected in zip(ours.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(w, expected)
        assert w.std() > 0.01


@pytest.mark.parametrize("unit_forget_bias", [True, False])
def test_unit_forget_bias(unit_forget_bias):
    given = unusual(["bias_initializer"])
    layer = L.LSTM(H, unit_forget_bias=unit_forget_bias, **given)
    layer.build((B, T, D))
    bias = layer.get_weights()[2]
    assert (bias[H : 2 * H] == 1).all() == unit_forget_bias
    assert not (bias[:H] == 1).any()
    assert not (bias[2 * H :] == 1).any()


@quick
@every_layer
def test_regularizers(name, rng):
    """Each penalty counts its own weight, with its own factor."""
    factors = dict(zip(GROUPS, (3.0, 5.0, 7.0), strict=True))
    given = {f"{group}_regularizer": keras.regularizers.L2(factor) for group, factor in factors.items()}
    layer = getattr(L, name)(H, bias_initializer="random_normal", **given)
    layer(rng.normal(size=(B, T, D)))
    weights = {group: ops.convert_to_numpy(getattr(layer.cell, attribute)) for group, attribute in GROUPS.items()}
    expected = [factor * np.square(weights[group]).sum() for group, factor in factors.items()]
    np.testing.assert_allclose(sorted(arrays(layer.losses)), sorted(expected), rtol=1e-5)


@quick
@every_layer
def test_activity_regularizer(name, rng):
    """Against the penalty that Keras puts on the same outputs (the stock SimpleRNN forgets it in 3.15)."""
    layer = getattr(L, name)(H, activity_regularizer=keras.regularizers.L2(3.0), return_sequences=True)
    plain = keras.layers.Identity(activity_regularizer=keras.regularizers.L2(3.0))
    plain(layer(rng.normal(size=(B, T, D))))
    np.testing.assert_allclose(arrays(layer.losses), arrays(plain.losses), rtol=1e-5)
    assert arrays(layer.losses)[0] > 0


@quick
@every_layer
def test_constraints(name, rng):
    """Applied after a step, each to its own weight."""
    norms = dict(zip(GROUPS, (0.001, 0.002, 0.003), strict=True))
    given = {f"{group}_constraint": keras.constraints.MaxNorm(norm, axis=None) for group, norm in norms.items()}
    layer = getattr(L, name)(H, bias_initializer="random_normal", **given)
    model = keras.Sequential([keras.Input((T, D)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.train_on_batch(rng.normal(size=(B, T, D)), np.ones((B, H)))
    for group, attribute in GROUPS.items():
        weight = ops.convert_to_numpy(getattr(layer.cell, attribute))
        np.testing.assert_allclose(np.linalg.norm(weight), norms[group], rtol=1e-3)


def echo(where, **kwargs):
    """A layer whose output shows its masks: ones come in, each unit keeps a sum of its own input and its own past."""
    layer = L.SimpleRNN(D, activation="linear", return_sequences=True, **{where: 0.5}, **kwargs)
    layer.build((B, T, D))
    eye = np.eye(D, dtype="float32")
    layer.set_weights([eye, eye, np.zeros(D, "float32")])
    return layer


def dropped_units(y):
    """Which units (B, D) were dropped, from their increments over time: all steps must agree."""
    y = arrays(y)[0]
    grows = np.diff(y, axis=1)  # dropped inputs: no growth at all; dropped states: the input alone, again and again
    assert (np.isclose(grows, 0) == np.isclose(grows[:, :1], 0)).all(), "the mask changes from step to step"
    return np.isclose(grows[:, 0], 0)


@quick
@pytest.mark.parametrize("where", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("host", ["ours", "stock", "stack", "bidirectional"])
def test_one_dropout_mask_per_sequence(where, host):
    """In our layer, in plain `keras.layers.RNN` and `Bidirectional`; another in each row, and in the next call; none at
    inference."""
    layer = echo(where, seed=3)
    weights = layer.get_weights()
    if host == "stock":
        layer = K.RNN(L.SimpleRNNCell(D, "linear", seed=3, **{where: 0.5}), return_sequences=True)
    elif host == "stack":
        layer = L.RNN([L.SimpleRNNCell(D, "linear", seed=3, **{where: 0.5})], return_sequences=True)
    elif host == "bidirectional":
        layer = K.Bidirectional(layer, merge_mode=None)
        weights = weights * 2
    x = np.ones((B, T, D), "float32")
    layer(x)
    layer.set_weights(weights)

    seen = [dropped_units(y) for _ in range(6) for y in arrays(layer(x, training=True))]
    assert len({s.tobytes() for s in seen}) > 3  # both directions share a seed, so they may share their masks
    assert np.mean([(s != s[:1]).any() for s in seen]) > 0.5  # a mask for each row; two may be alike by chance
    share = np.mean(seen)
    assert 0.2 < share < 0.8
    if where == "dropout":  # what is kept is scaled
        kept = np.diff(arrays(layer(x, training=True))[0], axis=1)
        assert set(np.unique(np.round(kept, 4))) <= {0.0, 2.0}
    quiet = arrays(layer(x))[0]
    np.testing.assert_allclose(quiet, np.cumsum(x, axis=1))


@quick
@pytest.mark.parametrize("where", ["dropout", "recurrent_dropout"])
@every_layer
def test_dropout_is_fixed_by_its_seed(name, where, rng):
    x = rng.normal(size=(B, T, D))

    def draws(seed):
        start = {f"{group}_initializer": keras.initializers.RandomNormal(seed=1) for group in ("kernel", "recurrent")}
        layer = getattr(L, name)(H, seed=seed, **start, **{where: 0.5})
        return np.stack([arrays(layer(x, training=True))[0] for _ in range(4)])

    np.testing.assert_array_equal(draws(5), draws(5))
    assert np.abs(draws(5) - draws(6)).max() > 1e-3


@pytest.mark.parametrize("how", [{"run_eagerly": True}, {"jit_compile": True}], ids=["eager", "compiled"])
def test_dropout_in_fit(how, rng):
    """Masks are drawn anew at each training step, also a compiled one: its loss varies, that of `evaluate` does not."""
    model = keras.Sequential([keras.Input((T, D)), L.GRU(H, dropout=0.4, recurrent_dropout=0.4)])
    model.compile(keras.optimizers.SGD(0.0), "mse", **how)
    x, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, H))
    assert len({round(float(model.train_on_batch(x, y)), 6) for _ in range(4)}) > 2
    assert len({round(model.evaluate(x, y, batch_size=B, verbose=0), 6) for _ in range(2)}) == 1

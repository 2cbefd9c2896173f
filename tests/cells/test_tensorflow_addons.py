"""Cells of TensorFlow Addons in their places: arguments, defaults, weights and results, those of tfa 0.23.0."""

import inspect

import numpy as np
import pytest

import keras_seq as ks
from tests.cases import B, D, H, T, arrays

SHARED = {
    "units": inspect.Parameter.empty,
    "activation": "tanh",
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    **{f"{group}_{what}": None for group in ("kernel", "recurrent", "bias") for what in ("regularizer", "constraint")},
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
}
LSTM = {"recurrent_activation": "sigmoid", "unit_forget_bias": True}
ARGUMENTS = {
    "LayerNormLSTMCell": {
        **LSTM,
        "norm_gamma_initializer": "ones",
        "norm_beta_initializer": "zeros",
        "norm_epsilon": 1e-3,
    },
    "PeepholeLSTMCell": LSTM,
    "LayerNormSimpleRNNCell": {
        "layernorm_epsilon": 1e-5,
        "gamma_initializer": "ones",
        "gamma_regularizer": None,
        "gamma_constraint": None,
    },
}
MORE = {"seed", "projection_size"}  # arguments that ours have besides
POSITIONS = {
    "LayerNormLSTMCell": "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
    "bias_initializer unit_forget_bias",
    "PeepholeLSTMCell": "units activation recurrent_activation use_bias kernel_initializer recurrent_initializer "
    "bias_initializer unit_forget_bias",
    "LayerNormSimpleRNNCell": "units activation use_bias layernorm_epsilon kernel_initializer recurrent_initializer "
    "bias_initializer gamma_initializer",
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(name):
    ours = inspect.signature(getattr(ks.layers, name)).parameters
    named = {n: p.default for n, p in ours.items() if p.kind is not p.VAR_KEYWORD}
    assert {n: d for n, d in named.items() if n not in MORE} == {**SHARED, **ARGUMENTS[name]}
    positional = [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    expected = POSITIONS[name].split()
    assert positional[: len(expected)] == expected


# Final states of `RNN(cell)` over normal inputs, under TensorFlow 2.15.1, from normal weights times 0.7 in the order of
# `get_weights`, both drawn from `default_rng(23)`.
GIVEN = {"activation": "softsign", "dtype": "float64"}
RESULTS = {
    "LayerNormSimpleRNNCell": (
        {"layernorm_epsilon": 0.1},
        [[[-0.430488468535, -0.495656441767, -0.462011992608], [0.325248502066, -0.323616870955, -0.174093566614]]],
    ),
    "LayerNormLSTMCell": (
        {"norm_epsilon": 0.1, "recurrent_activation": "elu"},
        [
            [[-1.178583149859, 0.390303585333, -0.613442383997], [-1.044976775112, -0.145584344794, 0.678914239746]],
            [[-0.801724533325, 0.628245506235, 1.655470472049], [-0.767642105478, 0.683150939647, 1.681102768675]],
        ],
    ),
    "PeepholeLSTMCell": (
        {"recurrent_activation": "elu"},
        [
            [[-1.27275924547, 0.975135239197, -1.264521129337], [-0.053633529675, -0.946827967198, 57.37095948601]],
            [[-4.239172061514, 1.938618469997, -1.341238808854], [0.056683424094, 17.925390438584, 112.705356768471]],
        ],
    ),
}


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("as_layer", [True, False], ids=["layer", "cell"])
def test_results(name, as_layer):
    own, expected = RESULTS[name]
    cls = getattr(ks.layers, name.removesuffix("Cell") if as_layer else name)
    layer = cls(H, **GIVEN, **own, **({"return_state": True} if as_layer else {}))
    if not as_layer:
        layer = ks.layers.RNN(layer, return_state=True, dtype="float64")
    rng = np.random.default_rng(23)
    x = rng.normal(size=(B, T, D))
    layer(x)
    layer.set_weights([0.7 * rng.normal(size=w.shape) for w in layer.get_weights()])
    for actual, wanted in zip(arrays(layer(x))[1:], expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-10, atol=1e-10)

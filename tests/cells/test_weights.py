"""The weights of cells beyond those of Keras: names, shapes, order, how they start, penalties and constraints."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.cells.layer_norm import layer_norm
from tests import oracle
from tests.cases import B, D, H

L = ks.layers
P = 11
COMMON = {"kernel": (D, 4 * H), "recurrent_kernel": (H, 4 * H), "bias": (4 * H,)}
PROJECTED = {**COMMON, "recurrent_kernel": (P, 4 * H), "projection_kernel": (H, P)}
PEEPHOLES = {f"{gate}_gate_peephole_weights": (H,) for gate in ("input", "forget", "output")}


def norms(**sizes):
    return {f"{what}_norm_{part}": (size,) for what, size in sizes.items() for part in ("gamma", "beta")}


LSTM_NORMS = norms(kernel=4 * H, recurrent=4 * H, state=H)
GRU = {"kernel": (D, 3 * H), "recurrent_kernel": (H, 3 * H), "bias": (3 * H,)}
WEIGHTS = {
    "LSTMCell": ({}, COMMON),
    "LSTMCell-projected": ({"projection_size": P}, PROJECTED),
    "PeepholeLSTMCell": ({}, {**COMMON, **PEEPHOLES}),
    "PeepholeLSTMCell-projected": ({"projection_size": P}, {**PROJECTED, **PEEPHOLES}),
    "LayerNormLSTMCell": ({}, {**COMMON, **LSTM_NORMS}),
    "LayerNormLSTMCell-projected": ({"projection_size": P}, {**PROJECTED, **LSTM_NORMS}),
    "LayerNormGRUCell-after": ({}, {**GRU, **norms(kernel=3 * H, recurrent=3 * H)}),
    "LayerNormGRUCell-before": ({"reset_after": False}, {**GRU, **norms(kernel=3 * H, recurrent=3 * H)}),
    "LayerNormSimpleRNNCell": (
        {},
        {"kernel": (D, H), "recurrent_kernel": (H, H), "bias": (H,), "preactivation_norm_gamma": (H,)},
    ),
}


def built(kind, **kwargs):
    cell = getattr(L, kind.split("-")[0])(H, **WEIGHTS[kind][0], **kwargs)
    cell.build((None, D))
    return cell


@pytest.mark.parametrize("kind", WEIGHTS)
def test_names_shapes_and_order(kind):
    cell, (_, wanted) = built(kind), WEIGHTS[kind]
    assert [(w.path.split("/")[-1], w.shape) for w in cell.weights] == list(wanted.items())
    assert all(getattr(cell, name) is w for name, w in zip(wanted, cell.weights, strict=True))


@pytest.mark.parametrize("kind", WEIGHTS)
def test_how_they_start(kind):
    """Norms as the identity, peepholes and projection as the kernel's initializer says, shapes as they are."""
    cell = built(kind, kernel_initializer=keras.initializers.RandomUniform(5.0, 6.0))
    for name, value in zip(WEIGHTS[kind][1], cell.get_weights(), strict=True):
        if "norm" in name:
            assert (value == (1 if name.endswith("gamma") else 0)).all()
        elif name == "projection_kernel" or name.endswith("peephole_weights"):
            assert (value > 5).all()
    if "LSTM" in kind:
        bias = cell.get_weights()[2]
        assert (bias[H : 2 * H] == 1).all()
        assert not bias[:H].any()
        assert not bias[2 * H :].any()


@pytest.mark.parametrize("kind", [k for k in WEIGHTS if k.startswith(("LayerNormLSTM", "LayerNormGRU"))])
def test_initializers_of_norms(kind):
    start = {"norm_gamma_initializer": keras.initializers.RandomUniform(5.0, 6.0)}
    cell = built(kind, **start, norm_beta_initializer=keras.initializers.RandomUniform(-6.0, -5.0))
    for name, value in zip(WEIGHTS[kind][1], cell.get_weights(), strict=True):
        assert (value > 5).all() == name.endswith("norm_gamma")
        assert (value < -5).all() == name.endswith("norm_beta")


@pytest.mark.parametrize(
    ("kind", "group", "under_it"),
    [
        ("LSTMCell-projected", "kernel", {"kernel", "projection_kernel"}),
        ("PeepholeLSTMCell", "kernel", {"kernel"}),
        ("LayerNormLSTMCell", "bias", {"bias"}),
        ("LayerNormGRUCell-after", "recurrent", {"recurrent_kernel"}),
        ("LayerNormSimpleRNNCell", "gamma", {"preactivation_norm_gamma"}),
    ],
)
def test_which_weights_are_penalised_and_constrained(kind, group, under_it):
    penalty, constraint = keras.regularizers.L2(3.0), keras.constraints.MaxNorm(0.01)
    cell = built(kind, **{f"{group}_regularizer": penalty, f"{group}_constraint": constraint})
    for name, weight in zip(WEIGHTS[kind][1], cell.weights, strict=True):
        assert weight.regularizer is (penalty if name in under_it else None), name
        assert weight.constraint is (constraint if name in under_it else None), name


@pytest.mark.parametrize("name", ["LSTM", "PeepholeLSTM", "LayerNormLSTM"])
def test_config_without_a_projection(name):
    """Has no word of one, so that `keras.layers.LSTM` reads that of an `LSTM`."""
    for cls in (getattr(L, name), getattr(L, f"{name}Cell")):
        assert cls(H).projection_size is None
        assert "projection_size" not in cls(H).get_config()
        assert cls.from_config(cls(H, projection_size=P).get_config()).projection_size == P
    assert keras.layers.LSTM.from_config(L.LSTM(H).get_config()).units == H


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_norms_in_half_precision(dtype, rng):
    """Squares of such numbers are beyond float16, and their sum has more digits than bfloat16."""
    a = ops.cast(2000 + 700 * rng.normal(size=(B, 101)), dtype)
    gamma, beta = rng.normal(size=101), rng.normal(size=101)
    y = layer_norm(a, gamma, beta)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    exact = oracle.layer_norm(ops.convert_to_numpy(ops.cast(a, "float64")), gamma, beta)
    digits = {"float16": 2e-3, "bfloat16": 1e-2}[dtype]
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(y, "float64")), exact, rtol=digits, atol=digits)


def test_a_norm_of_equal_numbers_is_its_shift():
    """So is the first recurrent one of a sequence, of zeros."""
    a, beta = ops.full((B, H), 3.0), np.arange(H, dtype="float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer_norm(a, np.ones(H), beta)), [beta] * B)

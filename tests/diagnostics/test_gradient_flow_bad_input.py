"""Gradient flow: what cannot be measured gets a message that names it, and the remedy."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.cases import B, D, H, T

L = ks.layers
flow_of = ks.diagnostics.gradient_flow
X, Y = np.ones((B, T, D), "float32"), np.ones((B, 1), "float32")


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((None, D)), L.SimpleRNN(H), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def with_nan(array, row):
    array = array.copy()
    array[row].flat[0] = np.nan
    return array


def test_models_that_have_no_recurrent_layers():
    plain = keras.Sequential([keras.Input((D,)), keras.layers.Dense(1)], name="plain")
    plain.compile("sgd", "mse")
    with pytest.raises(InputError, match="'plain' has no recurrent layers"):
        flow_of(plain, X[:, 0], Y)


def test_what_is_no_model():
    with pytest.raises(InputError, match=r"`model` must be a keras.Model, got LSTM.*make one"):
        flow_of(L.LSTM(H), X, Y)


def test_models_that_are_not_built():
    unbuilt = keras.Sequential([L.LSTM(H), keras.layers.Dense(1)], name="new")
    unbuilt.compile("sgd", "mse")
    with pytest.raises(InputError, match=r"'new' is not built: call it on a batch"):
        flow_of(unbuilt, X, Y)


def test_models_without_a_loss():
    uncompiled = keras.Sequential([keras.Input((T, D)), L.LSTM(H)], name="bare")
    with pytest.raises(InputError, match=r"'bare' has no loss.*compile"):
        flow_of(uncompiled, X, Y)


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ((X, Y[:1]), "x: 2, y: 1"),
        ((X, Y, np.ones(3)), "x: 2, y: 2, sample_weight: 3"),
        ((X[:0], Y[:0]), "x: 0, y: 0"),
        ((X, 1.0), "x: 2, y: a single number"),
        (([X, X[:1]], Y), r"x\[0\]: 2, x\[1\]: 1, y: 2"),
    ],
)
def test_parts_of_different_lengths(model, batch, told):
    with pytest.raises(InputError, match=f"same number of rows, at least 1, got {told}"):
        flow_of(model, *batch)


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        ((with_nan(X, 1), Y), r"`x` holds NaN or infinity, first in row 1 \(1 such"),
        ((X, with_nan(Y, 0)), r"`y` holds NaN or infinity, first in row 0"),
        ((X, Y, np.array([1.0, np.inf])), r"`sample_weight` holds NaN or infinity, first in row 1"),
    ],
)
def test_what_is_nan_is_named(model, batch, told):
    with pytest.raises(InputError, match=told):
        flow_of(model, *batch)


def test_of_several_inputs_the_one_with_nan_is_named():
    inputs = {"past": keras.Input((T, D), name="past"), "known": keras.Input((T, D), name="known")}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    model = keras.Model(inputs, keras.layers.Dense(1)(L.GRU(H)(joined)))
    model.compile("sgd", "mse")
    with pytest.raises(InputError, match=r"`x\['known'\]` holds NaN"):
        flow_of(model, {"past": X, "known": with_nan(X, 0)}, Y)


def test_a_weight_that_is_nan_is_named_and_so_is_overflow():
    model = keras.Sequential([keras.Input((T, D)), L.SimpleRNN(H, name="rnn"), keras.layers.Dense(1, name="head")])
    model.compile("sgd", "mse")
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel, bias + np.nan])
    with pytest.raises(InputError, match=r"loss of this batch is nan: the weight '.*head/bias' holds NaN"):
        flow_of(model, X, Y)
    model.layers[-1].set_weights([kernel, bias + 1e30])
    with pytest.raises(InputError, match=r"loss of this batch is inf: .*the model overflows"):
        flow_of(model, X, Y)


def test_nan_that_is_masked_or_missing_does_no_harm():
    """At a masked step, and in targets of a loss to which they are missing."""
    inputs, keep = keras.Input((T, D)), keras.Input((T,), dtype="bool")
    model = keras.Model([inputs, keep], keras.layers.Dense(2)(L.GRU(H)(inputs, mask=keep)))
    model.compile("sgd", ks.losses.PointLoss("mse"))
    x, keep = X.copy(), np.ones((B, T), bool)
    x[0, 2], keep[0, 2] = np.nan, False
    flow = flow_of(model, [x, keep], with_nan(np.ones((B, 2)), 1))
    assert np.isfinite(flow.curves[0].norms).all()


def test_data_that_is_no_batch(model):
    with pytest.raises(InputError, match=r"`x` must be arrays of one batch.*next\(iter\(dataset\)\)"):
        flow_of(model, iter([(X, Y)]))
    with pytest.raises(InputError, match=r"`x` holds strings.*give ids"):
        flow_of(model, np.array(["a", "b"]), Y)
    with pytest.raises(InputError, match="no steps"):
        flow_of(model, X[:, :0], Y)


def test_from_last_needs_outputs_at_all_steps(model):
    with pytest.raises(InputError, match=r"`from_last` is for outputs \(B, T, ...\).*\(2, 1\)"):
        flow_of(model, X, Y, from_last=True)

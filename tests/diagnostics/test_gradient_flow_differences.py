"""Gradient flow against central differences in float64: each recurrent layer of the table, stacks, both directions."""

import keras
import pytest

import keras_seq as ks
from tests.cases import CASES, ON_JAX, H
from tests.diagnostics.differences import check, eagerly

L = ks.layers
RECURRENT = [case for case in CASES if case.recurrent or case.name == "Bidirectional"]
# On JAX, Keras's norm computes float64 in float32: the smaller the difference, the more of it is rounding.
ROUNDED = {"tolerance": 2e-3, "epsilon": 3e-3} if ON_JAX else {}

MODELS = {
    "stack": lambda: [L.LSTM(H, return_sequences=True, dtype="float64"), L.GRU(2, dtype="float64")],
    "both-directions-below": lambda: [
        L.Bidirectional(L.LSTM(2, return_sequences=True, dtype="float64"), dtype="float64"),
        L.SimpleRNN(H, return_sequences=True, dtype="float64"),
    ],
    "stock": lambda: [
        keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True, dtype="float64"), dtype="float64"),
        keras.layers.RNN(
            [keras.layers.LSTMCell(2, dtype="float64"), keras.layers.GRUCell(H, dtype="float64")],
            return_sequences=True,
            return_state=True,
            dtype="float64",
        ),
    ],
    "kernel-and-unrolled": lambda: [
        L.LSTM(H, return_sequences=True, implementation="kernel", dtype="float64"),
        L.GRU(2, unroll=True, go_backwards=True, return_sequences=True, dtype="float64"),
    ],
}


@pytest.fixture
def float64():
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.mark.parametrize("case", RECURRENT, ids=str)
def test_each_layer_of_the_table(case, rng, float64):
    with eagerly():
        check([case.layer()], rng, **(ROUNDED if case.name == "TransformerCell" else {}))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_models_of_several_layers_compiled(make, rng, float64):
    check(make(), rng)

"""Outputs and gradients of both cells are finite: for inputs and weights of any size, and over many steps."""

import functools

import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import ON_JAX, B, D, arrays, randomize
from tests.layers.exotic import normal
from tests.memory.cells import CELLS, C, every_cell
from tests.memory.programs import Program

L = ks.layers

# Of each a half precision and float32; on JAX, where gradients take seconds to compile, the first alone. Dropout makes
# zeros of inputs that are infinite in float16.
FORMS = {
    "ntm": [("mixed_float16", "lstm"), ("float32", "feed_forward")],
    "dnc": [("float32", "lstm"), ("mixed_bfloat16", "feed_forward")],
}


@functools.cache
def made(kind, form):
    """The program of each form, once: tests then set its weights."""
    policy, controller = FORMS[kind][form]
    if controller == "lstm":
        controller = L.LSTMCell(C, dropout=0.5, recurrent_dropout=0.5, seed=3, dtype=policy)
    cell = CELLS[kind](controller=controller, controller_units=C, dtype=policy)
    layer = L.RNN(cell, return_sequences=True, dtype=policy)
    layer.build((None, None, D))
    return Program(layer, lambda y: ops.mean(ops.square(ops.cast(y, "float32"))))


def finite_gradients(program, x):
    """The gradients, after a look at them and at the outputs."""
    y, gradients = program.gradients(x)
    for one in arrays([y, gradients]):
        assert np.isfinite(one.astype("float32")).all()
    return arrays(gradients)


@every_cell
@pytest.mark.parametrize("form", [0] if ON_JAX else [0, 1])
@pytest.mark.parametrize("scale", [0.1, 3.0])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, 1e6, 3e38])
def test_outputs_and_gradients_are_finite(kind, form, size, scale, rng):
    program = made(kind, form)
    randomize(program.layer, rng, scale)
    x = (np.clip(rng.normal(size=(B, 3, D)), -1, 1) * size).astype("float32")
    x[0, 1] = 0  # a step of zeros amid others
    finite_gradients(program, x)


@every_cell
def test_they_are_finite_over_many_steps(kind, rng):
    """And not zero: all weights still learn something."""
    cell = CELLS[kind](slots=16, controller_units=C, dtype="float32")
    program = Program(L.RNN(cell, return_sequences=True, dtype="float32"), lambda y: ops.mean(ops.square(y)))
    program.layer.build((B, 200, D))
    randomize(program.layer, rng)
    for gradient in finite_gradients(program, normal(rng, B, 200, D)):
        assert gradient.any()

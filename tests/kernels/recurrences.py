"""The cells that have a kernel, each in its forms, as a kernel and as a step on the same tensors."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

import keras_seq as ks
from keras_seq.backend.loop import loop
from keras_seq.cells.clockwork import slow_to_fast
from keras_seq.kernels.bptt import run
from tests.cases import ON_JAX, TANH, arrays

B, D, H, P = 5, 7, 3, 2
L = ks.layers
FORMS = {
    "simple": lambda **k: L.SimpleRNNCell(H, **k),
    "simple-relu": lambda **k: L.SimpleRNNCell(H, **{**k, "activation": "relu"}, use_bias=False),
    "lstm": lambda **k: L.LSTMCell(H, **k),
    "lstm-linear": lambda **k: L.LSTMCell(H, **{**k, "activation": "linear"}, use_bias=False),
    "projected": lambda **k: L.LSTMCell(H, projection_size=P, **k),
    "peepholes": lambda **k: L.PeepholeLSTMCell(H, **k),
    "projected-peepholes": lambda **k: L.PeepholeLSTMCell(H, projection_size=P, **k),
    "gru-after": lambda **k: L.GRUCell(H, **k),
    "gru-after-no-bias": lambda **k: L.GRUCell(H, use_bias=False, **k),
    "gru-before": lambda **k: L.GRUCell(H, reset_after=False, **k),
    "layer-norm": lambda **k: L.LayerNormLSTMCell(H, **k),
    "clockwork": lambda **k: L.ClockworkRNNCell(5, (1, 3), [2, 3], **k),
    "projected-layer-norm": lambda **k: L.LayerNormLSTMCell(H, projection_size=P, use_bias=False, **k),
}


@dataclass
class Recurrence:
    """A cell, and everything that its kernel reads as one nest of arrays."""

    cell: Any
    arguments: tuple  # x (B, T, D), states, weights, constants

    def by_loop(self, arguments, **how):
        """The reference: the cell's step in the loop, with gradients by autodiff."""
        x, states, weights, constants = self._prepared(arguments)
        project = self.cell.sequence_kernel().project
        return loop(lambda x, s: self.cell.step(project(x, weights), s, constants), x, states, **how)

    def by_kernel(self, arguments, compiled=False, **how):
        return run(self.cell.sequence_kernel(), *self._prepared(arguments), compiled=compiled, **how)

    def _prepared(self, arguments):
        """What a cell makes of its weights in `prepare`, made of random ones."""
        if not isinstance(self.cell, L.ClockworkRNNCell):
            return arguments
        *others, (recurrent_kernel, mask) = arguments
        return *others, (slow_to_fast(recurrent_kernel, self.cell.module_units), mask)


def recurrence(form, rng, steps, batch=B, dtype="float64", scale=0.7, dropout=False):
    """A recurrence with random numbers everywhere, the mask of recurrent dropout too if there is one."""
    half = dtype in ("float16", "bfloat16")
    cell = FORMS[form](activation=TANH, dtype=f"mixed_{dtype}" if half else dtype)
    cell.build((None, D))
    states = cell.get_initial_state(batch)
    weights, constants = cell.input_weights(), cell.prepare(states, False)

    def random(tensor):
        if tensor is None:
            return None
        if not _is_float(tensor):  # a clock
            return rng.integers(0, 90, tensor.shape)
        return (scale * rng.normal(size=tensor.shape)).astype("float64")

    weights, constants = tree.map_structure(random, (weights, tuple(constants)))
    if dropout:
        at = cell.sequence_kernel().mask_at
        kept = 2.0 * (rng.random(states[0].shape) < 0.5)
        constants = (*constants[:at], kept, *constants[at + 1 :])
    x = rng.normal(size=(batch, steps, D))
    arguments = (x, tree.map_structure(random, states), weights, constants)
    return Recurrence(cell, in_dtype(arguments, dtype))


def in_dtype(nest, dtype):
    """Tensors of this dtype; integers as int32."""
    return tree.map_structure(
        lambda a: None if a is None else ops.convert_to_tensor(a, dtype if _is_float(a) else "int32"), nest
    )


def _is_float(array):
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype))


def results_and_gradients(function, arguments, jit=True, jit_compile=None):
    """The results of `function(arguments)`, and the gradients of a loss that reads all of them in many ways.

    In a graph where `jit`, on TensorFlow compiled whole where `jit_compile`. The mask of dropout has no
    gradient, and comes as the zero that it is; nor have integers, which are left out.
    """

    def loss(arguments):
        results = function(arguments)
        parts = [y for y in tree.flatten(results) if _is_float(y)]
        # Other factors at each step and unit, so that no two gradients can be taken for each other.
        return sum(ops.sum(ops.cast(_rising(y) * y * (1 + y), "float64")) for y in parts), results

    if ON_JAX:
        import jax

        compute = jax.value_and_grad(lambda floats: loss(_with_floats(arguments, floats)), has_aux=True)
        (_, results), gradients = (jax.jit(compute) if jit else compute)(_floats(arguments))
        return arrays(results), arrays(gradients)
    import tensorflow as tf

    def compute(*floats):
        with tf.GradientTape() as tape:
            tape.watch(floats)
            value, results = loss(_with_floats(arguments, floats))
        gradients = tape.gradient(value, floats, unconnected_gradients="zero")
        return tree.flatten(results), gradients

    run = tf.function(compute, autograph=False, jit_compile=jit_compile) if jit else compute
    results, gradients = run(*_floats(arguments))
    return arrays(results), arrays(gradients)


def _floats(arguments):
    return [a for a in tree.flatten(arguments) if a is not None and _is_float(a)]


def _with_floats(arguments, floats):
    """The arguments, with others in the places of those that are floats."""
    given = iter(floats)
    return tree.map_structure(lambda a: next(given) if a is not None and _is_float(a) else a, arguments)


def _rising(y):
    factors = np.linspace(0.5, 1.5, int(np.prod(y.shape))).reshape(y.shape)
    return ops.convert_to_tensor(factors, keras.backend.standardize_dtype(y.dtype))

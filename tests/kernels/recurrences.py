"""The cells that have a kernel, each in its forms, as a kernel and as a step on the same tensors."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

import keras_seq as ks
from keras_seq.backend.loop import loop
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
    "projected-layer-norm": lambda **k: L.LayerNormLSTMCell(H, projection_size=P, use_bias=False, **k),
}


@dataclass
class Recurrence:
    """A cell, and everything that its kernel reads as one nest of arrays."""

    cell: Any
    arguments: tuple  # x (B, T, D), states, weights, constants

    def by_loop(self, arguments, **how):
        """The reference: the cell's step in the loop, with gradients by autodiff."""
        x, states, weights, constants = arguments
        project = self.cell.sequence_kernel().project
        return loop(lambda x, s: self.cell.step(project(x, weights), s, constants), x, states, **how)

    def by_kernel(self, arguments, compiled=False, **how):
        return run(self.cell.sequence_kernel(), *arguments, compiled=compiled, **how)


def recurrence(form, rng, steps, batch=B, dtype="float64", scale=0.7, dropout=False):
    """A recurrence with random numbers everywhere, the mask of recurrent dropout too if there is one."""
    half = dtype in ("float16", "bfloat16")
    cell = FORMS[form](activation=TANH, dtype=f"mixed_{dtype}" if half else dtype)
    cell.build((None, D))
    states = cell.get_initial_state(batch)
    weights, constants = cell.input_weights(), cell.prepare(states, False)

    def random(tensor):
        return None if tensor is None else (scale * rng.normal(size=tensor.shape)).astype("float64")

    weights, constants = tree.map_structure(random, (weights, tuple(constants)))
    if dropout:
        at = cell.sequence_kernel().mask_at
        kept = 2.0 * (rng.random(states[0].shape) < 0.5)
        constants = (*constants[:at], kept, *constants[at + 1 :])
    x = rng.normal(size=(batch, steps, D))
    arguments = (x, tree.map_structure(random, states), weights, constants)
    return Recurrence(cell, in_dtype(arguments, dtype))


def in_dtype(nest, dtype):
    return tree.map_structure(lambda a: None if a is None else ops.convert_to_tensor(a, dtype), nest)


def results_and_gradients(function, arguments, jit=True, jit_compile=None):
    """The results of `function(arguments)`, and the gradients of a loss that reads all of them in many ways.

    In a graph where `jit`, on TensorFlow compiled whole where `jit_compile`. The mask of dropout has none, and comes as the zero that it is.
    """

    def loss(arguments):
        results = function(arguments)
        parts = tree.flatten(results)
        # Other factors at each step and unit, so that no two gradients can be taken for each other.
        return sum(ops.sum(ops.cast(_rising(y) * y * (1 + y), "float64")) for y in parts), results

    if ON_JAX:
        import jax

        compute = jax.value_and_grad(loss, has_aux=True)
        (_, results), gradients = (jax.jit(compute) if jit else compute)(arguments)
        return arrays(results), arrays([g for g in tree.flatten(gradients) if g is not None])
    import tensorflow as tf

    present = [a for a in tree.flatten(arguments) if a is not None]

    def compute(*present):
        given = iter(present)
        with tf.GradientTape() as tape:
            tape.watch(present)
            value, results = loss(tree.map_structure(lambda a: None if a is None else next(given), arguments))
        gradients = tape.gradient(value, present, unconnected_gradients="zero")
        return tree.flatten(results), gradients

    results, gradients = (tf.function(compute, autograph=False, jit_compile=jit_compile) if jit else compute)(*present)
    return arrays(results), arrays(gradients)


def _rising(y):
    factors = np.linspace(0.5, 1.5, int(np.prod(y.shape))).reshape(y.shape)
    return ops.convert_to_tensor(factors, keras.backend.standardize_dtype(y.dtype))

"""Cells that use all that the loop offers: states, inputs and outputs of any nest, shape and dtype, and a memory."""

import keras
import numpy as np
from keras import ops

import keras_seq as ks
from keras_seq.cells import Cell
from tests.cases import ON_JAX, D, H, randomize

S, W, N = 11, 13, 4


@keras.saving.register_keras_serializable("tests")
class ReadingCell(Cell):
    """A cell with a matrix, a pair of vectors and a count as states, which reads the mean of a memory at each step.

    h = tanh(x V + h + sum(M) + mean over kept s of memory[s] U);   M = M + h ⊗ h;   n = n + 1
    """

    output_size = H

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = [(H, H), [H, 1]]

    def build(self, input_shape, memory_shape=None):
        self.v = self.add_weight(shape=(input_shape[-1], H), name="v", autocast=False)
        self.u = None
        if memory_shape is not None:
            self.u = self.add_weight(shape=(memory_shape[-1], H), name="u", autocast=False)
        self.built = True

    def get_initial_state(self, batch_size=None):
        matrix = ops.full((batch_size, H, H), 0.1, self.compute_dtype)
        return [matrix, [ops.full((batch_size, H), 0.2, self.compute_dtype), ops.zeros((batch_size, 1), "int32")]]

    def project(self, inputs):
        return ops.matmul(inputs, self.cast(self.v))

    def prepare(self, states, training=False, memory=None, memory_mask=None):
        if memory is None:
            return 0.0
        keep = ops.ones(ops.shape(memory)[:2], "bool") if memory_mask is None else memory_mask
        keep = ops.expand_dims(ops.cast(keep, memory.dtype), -1)
        return ops.matmul(ops.sum(memory * keep, 1) / ops.maximum(ops.sum(keep, 1), 1.0), self.cast(self.u))

    def step(self, projected, states, constants):
        matrix, (h, n) = states
        h = ops.tanh(projected + h + ops.sum(matrix, axis=-1) + constants)
        return h, [matrix + 0.1 * ops.expand_dims(h, 1) * ops.expand_dims(h, 2), [h, n + 1]]


def reading_layer(rng, memory=True, **kwargs):
    layer = ks.layers.RNN(ReadingCell(), return_sequences=True, return_state=True, **kwargs)
    layer.build((None, None, D), memory_shape=(None, None, W) if memory else None)
    randomize(layer, rng)
    return layer


def normal(rng, *shape):
    return rng.normal(size=shape).astype("float32")


@keras.saving.register_keras_serializable("tests")
class PairCell(keras.layers.Layer):
    """A cell with Keras's contract that reads a dict and returns a list of a vector and a matrix."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = H, [H, (H, N)]

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape["a"][-1], H), name="w")
        self.built = True

    def call(self, inputs, states):
        h = ops.tanh(ops.matmul(inputs["a"], self.w) + states[0])
        return [h, ops.expand_dims(h, -1) * ops.expand_dims(inputs["b"], 1)], [h]


def gradient(function, x):
    """The gradient of a scalar function of one array."""
    if ON_JAX:
        import jax

        return np.asarray(jax.grad(function)(x))
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x).numpy()

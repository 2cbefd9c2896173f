"""The loop's primitives on JAX."""

import contextlib

import jax
import keras

from keras_seq import compat


def runs_eagerly():
    """Whether a Python loop costs no more than a scan: never on JAX, where a scan compiles the step once."""
    return False


def with_batch_size(tensor, size):
    """The tensor: on JAX shapes are always known."""
    return tensor


def spec_of(function, *args):
    """Shapes and dtypes of what `function(*args)` returns, without running it."""
    with _own_scope():
        return jax.eval_shape(function, *args)


def spec_of_step(x):
    """The spec of one step of `x`, whose first axis is time."""
    return jax.ShapeDtypeStruct(x.shape[1:], x.dtype)


def scan(body, carry, xs):
    """`jax.lax.scan`: `carry, y = body(carry, x)` for each `x` along the first axis of `xs`."""
    with _own_scope():
        return jax.lax.scan(body, carry, xs)


def _own_scope():
    """A variable that is updated while JAX traces would keep a tracer: outside of any stateless scope, open one."""
    return contextlib.nullcontext() if compat.in_stateless_scope() else keras.StatelessScope()

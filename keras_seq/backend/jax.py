"""The loop's primitives on JAX."""

import contextlib

import jax
import keras

from keras_seq import compat

NAME = "jax"
COMPILES_KERNELS = False  # whole programs are compiled


def device():
    """Where things run by default: "cpu", "gpu" or "tpu"."""
    return jax.default_backend()


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


def gather(x, indices, rows=False):
    """`x[indices]`, or with `rows` `x[i][indices[i]]` for each i, for indices from 0 to the end."""

    def read(x, indices):
        return x.at[indices].get(mode="promise_in_bounds")

    return (jax.vmap(read) if rows else read)(x, indices)


def cut(x, begin, steps):
    """So many steps of `x` `(B, T, ...)`, from `begin` on."""
    return x[:, begin : begin + steps]


def every(x, n, steps):
    """Each `n`-th of the first `steps` of `x` `(B, T, ...)`, from the first on."""
    return x[:, :steps:n]


def scan(body, carry, xs, *, reverse=False, steps=None):
    """`jax.lax.scan`: `carry, y = body(carry, x)` for each `x` along the first axis of `xs`; `steps` is that axis."""
    with _own_scope():
        return jax.lax.scan(body, carry, xs, length=steps, reverse=reverse)


class Chunks:
    """One chunk: on JAX a whole program is compiled, and lengths are known."""

    def __init__(self, x):
        self.length = x.shape[1]

    def split(self, nest):
        return jax.tree.map(lambda x: x.swapaxes(0, 1), nest)

    def join(self, tensor):
        return tensor.swapaxes(0, 1)

    def loop(self, body, carry, xs, *, reverse=False):
        return body(carry, self.length, xs)


def rows_to_compile_for(tensor):
    """None: shapes are known."""


def compiled(function):
    """The function: whoever wants it compiled says so from outside."""
    return function


def program(function, layer, ranks):
    """`function` of integer tensors of these ranks as one program, which reads a layer's variables at each call.

    It is compiled for each shape that it meets.
    """

    @jax.jit
    def run(values, *arguments):
        with keras.StatelessScope(state_mapping=list(zip(layer.variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: run([variable.value for variable in layer.variables], *arguments)


def gradient_program(function, variables):
    """`run(at, *arguments) -> (value, others, gradient)`, compiled, for `function(at, *arguments) -> (value, others)`.

    `at` is a list of tensors, and so is the gradient of the scalar `value` with respect to it. `variables` are read at
    each call; what the function assigns to any is dropped.
    """

    @jax.jit
    def run(values, at, *arguments):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            (value, others), gradient = jax.value_and_grad(function, has_aux=True)(at, *arguments)
        return value, others, gradient

    return lambda *arguments: run([variable.value for variable in variables], *arguments)


def with_gradient(forward, backward):
    """A function of one nest, `forward(arguments) -> (results, kept)`, whose gradient is
    `backward(arguments, kept, d_results)`, a nest like the arguments, None where there is none."""

    @jax.custom_vjp
    def run(arguments):
        return forward(arguments)[0]

    def run_and_keep(arguments):
        results, kept = forward(arguments)
        return results, (arguments, kept)

    run.defvjp(run_and_keep, lambda kept, d_results: (backward(*kept, d_results),))
    return run


def _own_scope():
    """A variable that is updated while JAX traces would keep a tracer: outside of any stateless scope, open one."""
    return contextlib.nullcontext() if compat.in_stateless_scope() else keras.StatelessScope()

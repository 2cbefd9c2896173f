"""What a kernel is made of: one recurrence, forwards and backwards, and what it shares with the others.

Backpropagation through time, for `s[t] = step(p[t], s[t-1])` with `p = project(x)`:

    backwards in time, in the loop      ds[t-1], dp[t]  from  ds[t]     point-wise work, one product with U^T
    after it, over K steps at once      dU = sum over t of h[t-1]^T dp[t],  dW = x^T dp,  db = sum of dp,  dx = dp W^T

Letters: `d` before a name is the gradient of the loss with respect to it. Axes: `(K, B, ...)` for K steps.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops


class Kernel(NamedTuple):
    """One recurrence by hand. `constants` is what the cell's `prepare` returns, `weights` what `input_weights` does.

    Args:
        forward: `forward(constants)` gives `step(projected, states) -> (states, saved)`, for one step. The first state
            is the output.
        backward: `backward(constants)` gives `step(d_states, before, after, saved) -> (d_before, d)`, for one step,
            from the states before and after it. The first entry of the tuple `d` is that of `projected`.
        sums: `sums(d, before, after, saved, constants)`, all over K steps: the gradients of the constants, in their
            structure; None for the mask.
        project: `project(x, weights)`: the inputs `(K, B, D)` as `forward` reads them.
        unproject: `unproject(d_projected, x, weights) -> (dx, d_weights)`.
        mask_at: the place among the constants of the mask of recurrent dropout, `(B, H)` or None.
    """

    forward: Callable
    backward: Callable
    sums: Callable
    project: Callable
    unproject: Callable
    mask_at: int


def affine(x, weights):
    """`x W + b` for one step `(B, D)`, or as one product for all steps `(K, B, D)`; `weights` are W, and b or None."""
    kernel, bias = weights
    projected = ops.matmul(rows(x), kernel)
    # Not `ops.add`: TensorFlow would fuse product and bias, which is slower for a single step.
    projected = projected if bias is None else projected + bias
    return projected if len(x.shape) == 2 else ops.reshape(projected, (*ops.shape(x)[:-1], kernel.shape[-1]))


def affine_gradients(d, x, weights):
    """`(dx, (dW, db))`, each one product or sum over all steps."""
    kernel, bias = weights
    dx = ops.reshape(ops.matmul(rows(d), ops.transpose(kernel)), ops.shape(x))
    return dx, (product_gradient(x, d), None if bias is None else total(d))


def product_gradient(x, d):
    """The gradient of A in `x A`, from x `(K, B, D)` and the gradient d of the product `(K, B, G)`."""
    return ops.matmul(ops.transpose(rows(x)), rows(d))


def total(d):
    """The gradient of a vector that was added to each row of each step; in float32 at least, for there are many."""
    return ops.sum(wide(d), axis=(0, 1))


def wide(tensor):
    """A tensor in float32 where it is in half precision."""
    half = keras.backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return ops.cast(tensor, "float32") if half else tensor


def rows(x):
    """`(K, B, D)` as `(K B, D)`."""
    return x if len(x.shape) == 2 else ops.reshape(x, (-1, x.shape[-1]))


def dropped(tensor, mask):
    """A tensor under its dropout mask, if there is one."""
    return tensor if mask is None else tensor * mask


@functools.cache
def is_of_one_class(cls):
    """Whether no subclass of a cell changes what its kernel computes without bringing a kernel of its own."""

    def depth(name):
        return next(i for i, base in enumerate(cls.__mro__) if name in vars(base))

    return all(depth("sequence_kernel") <= depth(name) for name in ("step", "prepare", "project", "input_weights"))


def derivative(activation):
    """The derivative of an activation, as a function of its output; raises `KeyError` for one that has none here."""
    return _OF_OUTPUT[activation]


def has_derivative(activation):
    return activation in _OF_OUTPUT


_OF_OUTPUT = {
    keras.activations.tanh: lambda y: 1 - y * y,
    keras.activations.sigmoid: lambda y: y * (1 - y),
    keras.activations.relu: lambda y: ops.cast(y > 0, y.dtype),
    keras.activations.linear: lambda y: ops.ones_like(y),
}

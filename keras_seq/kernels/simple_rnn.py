"""The kernel of `SimpleRNNCell`: see `kernel.py` for the letters.

h = act(p + h' U)                 h' = h of the step before, under its dropout mask
dp = dh act'(h)
dh' = dp U^T
"""

import functools

from keras import ops

from keras_seq.kernels.kernel import Kernel, affine, affine_gradients, derivative, dropped, product_gradient


@functools.cache
def simple_rnn_kernel(activation):
    slope = derivative(activation)

    def forward(constants):
        recurrent_kernel, mask = constants

        def step(projected, states):
            (h,) = states
            return [activation(projected + ops.matmul(dropped(h, mask), recurrent_kernel))], ()

        return step

    def backward(constants):
        recurrent_kernel, mask = constants
        transposed = ops.transpose(recurrent_kernel)

        def step(d_states, before, after, saved):
            dp = d_states[0] * slope(after[0])
            return [dropped(ops.matmul(dp, transposed), mask)], (dp,)

        return step

    def sums(d, before, after, saved, constants):
        return product_gradient(dropped(before[0], constants[1]), d[0]), None

    return Kernel(forward, backward, sums, affine, affine_gradients, mask_at=1)


@functools.cache
def projected_simple_rnn_kernel(activation):
    """The same over inputs that are projected already: it has no weights, `()`."""
    return simple_rnn_kernel(activation)._replace(project=lambda p, _: p, unproject=lambda d, *_: (d, ()))

"""The kernel of `LayerNormLSTMCell`: see `kernel.py` for the letters, `layer_norm.py` for LN.

p = LN(x W) + b                                             norm of x, in bulk
i, f, g, o = the blocks of  p + LN(h' U)                    norm of h
c = LN(sig(f) c' + sig(i) act(g))                           norm of c
m = sig(o) act(c),  h = m or m P
"""

import functools

from keras import ops

from keras_seq.kernels.kernel import Kernel, affine, affine_gradients, derivative, dropped, product_gradient, total
from keras_seq.kernels.layer_norm import norm_gradients, shifted, standardised, through_norm


@functools.cache
def layer_norm_lstm_kernel(activation, recurrent_activation, epsilon):
    slope, gate_slope = derivative(activation), derivative(recurrent_activation)

    def forward(constants):
        recurrent_kernel, projection, mask, (of_h, of_c) = constants

        def step(projected, states):
            h, c = states
            product, scale = standardised(ops.matmul(dropped(h, mask), recurrent_kernel), epsilon)
            i, f, g, o = ops.split(projected + shifted(product, of_h, h.dtype), 4, axis=-1)
            i, f, o = map(recurrent_activation, (i, f, o))
            g = activation(g)
            memory, scale_of_c = standardised(f * c + i * g, epsilon)
            c = shifted(memory, of_c, h.dtype)
            m = o * activation(c)
            h = m if projection is None else ops.matmul(m, projection)
            return [h, c], (i, f, g, o, product, scale, memory, scale_of_c)

        return step

    def backward(constants):
        recurrent_kernel, projection, mask, (of_h, of_c) = constants
        transposed = ops.transpose(recurrent_kernel)
        projection = None if projection is None else ops.transpose(projection)

        def step(d_states, before, after, saved):
            (dh, dc), c_before = d_states, before[1]
            i, f, g, o, product, scale, memory, scale_of_c = saved
            a = activation(after[1])
            dm = dh if projection is None else ops.matmul(dh, projection)
            do = dm * a * gate_slope(o)
            dc = dc + dm * o * slope(a)
            inner = through_norm(dc, memory, scale_of_c, of_c)
            di, df, dg = inner * g * gate_slope(i), inner * c_before * gate_slope(f), inner * i * slope(g)
            dp = ops.concatenate([di, df, dg, do], axis=-1)
            d_product = through_norm(dp, product, scale, of_h)
            dh_before = dropped(ops.matmul(d_product, transposed), mask)
            return [dh_before, inner * f], (dp, d_product, dc, *(() if projection is None else (dh,)))

        return step

    def sums(d, before, after, saved, constants):
        (dp, d_product, dc, *dh), (_, projection, mask, _) = d, constants
        product, memory = saved[4], saved[6]
        d_recurrent = product_gradient(dropped(before[0], mask), d_product)
        d_projection = None if projection is None else product_gradient(saved[3] * activation(after[1]), dh[0])
        return d_recurrent, d_projection, None, (norm_gradients(dp, product), norm_gradients(dc, memory))

    def project(x, weights):
        kernel, bias, norm = weights
        product, _ = standardised(affine(x, (kernel, None)), epsilon)
        projected = shifted(product, norm, x.dtype)
        return projected if bias is None else projected + bias

    def unproject(d, x, weights):
        kernel, bias, norm = weights
        product, scale = standardised(affine(x, (kernel, None)), epsilon)
        dx, (d_kernel, _) = affine_gradients(through_norm(d, product, scale, norm), x, (kernel, None))
        return dx, (d_kernel, None if bias is None else total(d), norm_gradients(d, product))

    return Kernel(forward, backward, sums, project, unproject, mask_at=2)

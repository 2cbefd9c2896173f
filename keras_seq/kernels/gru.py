"""The kernels of `GRUCell` in its two forms: see `kernel.py` for the letters.

    z = sig(p_z + h' U_z + b'_z),  r = sig(p_r + h' U_r + b'_r)          h' = h of the step before
    n = act(p_n + r m),            m = h' U_n + b'_n                     the reset after the product
    n = act(p_n + (r h') U_n)                                            the reset before it, without b'
    h = z h' + (1 - z) n

Backwards:

    dn = dh (1 - z) act'(n),  dz = dh (h' - n) sig'(z)
    after:    dr = dn m sig'(r),   dm = dn r,         dh' = dh z + [dz dr dm] U^T
    before:   q = dn U_n^T,        dr = q h' sig'(r), dh' = dh z + q r + [dz dr] U_zr^T
"""

import functools

from keras import ops

from keras_seq.kernels.kernel import Kernel, affine, affine_gradients, derivative, dropped, product_gradient, total


@functools.cache
def gru_after_kernel(activation, recurrent_activation):
    """The reset after the product."""
    slope, gate_slope = derivative(activation), derivative(recurrent_activation)

    def forward(constants):
        recurrent_kernel, bias, mask = constants

        def step(projected, states):
            (h,) = states
            products = ops.matmul(dropped(h, mask), recurrent_kernel)
            products = products if bias is None else products + bias
            p_z, p_r, p_n = ops.split(projected, 3, axis=-1)
            z, r, m = ops.split(products, 3, axis=-1)
            z, r = recurrent_activation(p_z + z), recurrent_activation(p_r + r)
            n = activation(p_n + r * m)
            return [z * h + (1 - z) * n], (z, r, n, m)

        return step

    def backward(constants):
        transposed, mask = ops.transpose(constants[0]), constants[2]

        def step(d_states, before, after, saved):
            (dh,), (h_before,), (z, r, n, m) = d_states, before, saved
            dn, dz = dh * (1 - z) * slope(n), dh * (h_before - n) * gate_slope(z)
            dr, dm = dn * m * gate_slope(r), dn * r
            through = ops.matmul(ops.concatenate([dz, dr, dm], axis=-1), transposed)
            return [dh * z + dropped(through, mask)], (ops.concatenate([dz, dr, dn], axis=-1), dm)

        return step

    def sums(d, before, after, saved, constants):
        (dp, dm), (_, bias, mask) = d, constants
        d_products = ops.concatenate([dp[..., : 2 * dm.shape[-1]], dm], axis=-1)
        d_recurrent = product_gradient(dropped(before[0], mask), d_products)
        return d_recurrent, None if bias is None else total(d_products), None

    return Kernel(forward, backward, sums, affine, affine_gradients, mask_at=2)


@functools.cache
def gru_before_kernel(activation, recurrent_activation):
    """The reset before the product."""
    slope, gate_slope = derivative(activation), derivative(recurrent_activation)

    def forward(constants):
        recurrent_kernel, _, mask = constants
        of_zr, of_n = _zr_and_n(recurrent_kernel)

        def step(projected, states):
            (h,) = states
            h_in = dropped(h, mask)
            p_z, p_r, p_n = ops.split(projected, 3, axis=-1)
            z, r = ops.split(ops.matmul(h_in, of_zr), 2, axis=-1)
            z, r = recurrent_activation(p_z + z), recurrent_activation(p_r + r)
            n = activation(p_n + ops.matmul(r * h_in, of_n))
            return [z * h + (1 - z) * n], (z, r, n)

        return step

    def backward(constants):
        recurrent_kernel, _, mask = constants
        of_zr, of_n = map(ops.transpose, _zr_and_n(recurrent_kernel))

        def step(d_states, before, after, saved):
            (dh,), (h_before,), (z, r, n) = d_states, before, saved
            dn, dz = dh * (1 - z) * slope(n), dh * (h_before - n) * gate_slope(z)
            q = ops.matmul(dn, of_n)
            dr = q * dropped(h_before, mask) * gate_slope(r)
            through = q * r + ops.matmul(ops.concatenate([dz, dr], axis=-1), of_zr)
            return [dh * z + dropped(through, mask)], (ops.concatenate([dz, dr, dn], axis=-1),)

        return step

    def sums(d, before, after, saved, constants):
        h_in, r = dropped(before[0], constants[2]), saved[1]
        dp, units = d[0], r.shape[-1]
        of_zr = product_gradient(h_in, dp[..., : 2 * units])
        of_n = product_gradient(r * h_in, dp[..., 2 * units :])
        return ops.concatenate([of_zr, of_n], axis=-1), None, None

    return Kernel(forward, backward, sums, affine, affine_gradients, mask_at=2)


def _zr_and_n(recurrent_kernel):
    units = recurrent_kernel.shape[0]
    return recurrent_kernel[:, : 2 * units], recurrent_kernel[:, 2 * units :]

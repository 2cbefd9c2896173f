"""The kernel of `LSTMCell` and `PeepholeLSTMCell`, with or without a projection: see `kernel.py` for the letters.

    i, f, g, o = the blocks of  p + h' U           h', c' = h and c of the step before
    i = sig(i + p_i c'),  f = sig(f + p_f c'),  g = act(g)
    c = f c' + i g
    o = sig(o + p_o c)
    m = o act(c),  h = m or m P

Backwards, with dm = dh or dh P^T:

    do = dm act(c) sig'(o)
    dc += dm o act'(c) + do p_o
    di = dc g sig'(i),  df = dc c' sig'(f),  dg = dc i act'(g)
    dc' = dc f + di p_i + df p_f
    dh' = [di df dg do] U^T
"""

import functools

from keras import ops

from keras_seq.kernels.kernel import Kernel, affine, affine_gradients, derivative, dropped, product_gradient, total


@functools.cache
def lstm_kernel(activation, recurrent_activation):
    slope, gate_slope = derivative(activation), derivative(recurrent_activation)

    def forward(constants):
        recurrent_kernel, projection, mask, (p_i, p_f, p_o) = _parts(constants)

        def step(projected, states):
            h, c = states
            i, f, g, o = ops.split(projected + ops.matmul(dropped(h, mask), recurrent_kernel), 4, axis=-1)
            i = recurrent_activation(_plus(i, p_i, c))
            f = recurrent_activation(_plus(f, p_f, c))
            g = activation(g)
            c = f * c + i * g
            o = recurrent_activation(_plus(o, p_o, c))
            m = o * activation(c)
            h = m if projection is None else ops.matmul(m, projection)
            return [h, c], (i, f, g, o)

        return step

    def backward(constants):
        recurrent_kernel, projection, mask, (p_i, p_f, p_o) = _parts(constants)
        transposed = ops.transpose(recurrent_kernel)
        projection = None if projection is None else ops.transpose(projection)

        def step(d_states, before, after, saved):
            (dh, dc), c_before, (i, f, g, o) = d_states, before[1], saved
            a = activation(after[1])
            dm = dh if projection is None else ops.matmul(dh, projection)
            do = dm * a * gate_slope(o)
            dc = _plus(dc + dm * o * slope(a), p_o, do)
            di, df, dg = dc * g * gate_slope(i), dc * c_before * gate_slope(f), dc * i * slope(g)
            dc_before = _plus(_plus(dc * f, p_i, di), p_f, df)
            dp = ops.concatenate([di, df, dg, do], axis=-1)
            dh_before = dropped(ops.matmul(dp, transposed), mask)
            return [dh_before, dc_before], ((dp,) if projection is None else (dp, dh))

        return step

    def sums(d, before, after, saved, constants):
        _, projection, mask, (p_i, _, _) = _parts(constants)
        d_recurrent = product_gradient(dropped(before[0], mask), d[0])
        d_projection = None if projection is None else product_gradient(saved[3] * activation(after[1]), d[1])
        if p_i is None:
            return d_recurrent, d_projection, None
        di, df, _, do = ops.split(d[0], 4, axis=-1)
        d_peepholes = [total(di * before[1]), total(df * before[1]), total(do * after[1])]
        return d_recurrent, d_projection, None, d_peepholes

    return Kernel(forward, backward, sums, affine, affine_gradients, mask_at=2)


def _parts(constants):
    """Recurrent kernel, projection kernel, dropout mask (or None), and peepholes (or three times None)."""
    recurrent_kernel, projection, mask, *peepholes = constants
    return recurrent_kernel, projection, mask, (peepholes[0] if peepholes else (None, None, None))


def _plus(a, peephole, b):
    """`a`, and what comes through a peephole if there is one."""
    return a if peephole is None else a + peephole * b

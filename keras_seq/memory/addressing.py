"""Where to read and write in a memory: the operations of NTM and DNC, as pure functions of all heads at once.

M is a memory `(B, N, W)`, w are weights over its slots: `(B, H, N)` for H heads, which sum to at most 1 over N.
After Graves, Wayne and Danihelka (2014, arXiv 1410.5401, whose equation numbers are given) and Graves et al. (2016,
Hybrid computing using a neural network with dynamic external memory, Nature 538, Methods).

What follows a division, logarithm or root in the papers is kept away from zero here, so that neither values nor
gradients are NaN in float32 and float64: see the constants, which half precision does not hold.
"""

import keras
import numpy as np
from keras import ops

from keras_seq.backend import native

_NORM = 1e-6  # added to squared norms: the gradient of the norm of a zero vector is zero, that of a cosine at most 1e3
_SHARPEN = 1e-16  # added below the logarithm: the gradient at a weight of zero is finite, and no weight is seen to move
_USAGE = 1e-6  # the least usage, as DNC's published code has it: its logarithm and the gradient of that are finite
_ALIKE = 1e-5  # usages are rounded to multiples of it, and alike ones in the order of their slots: few hang by rounding
_BY_PAIRS = 128  # slots up to which comparing each to each is faster than sorting, which XLA is slow at


def content_weights(k, beta, memory):
    """`w(i) = softmax over i of beta K(k, M(i))`, K the cosine (eq. 5, 6; DNC: content-based addressing).

    Keys `k` `(B, H, W)`, strengths `beta` `(B, H)`, memory `(B, N, W)`: weights `(B, H, N)`.
    """
    k = k * ops.expand_dims(beta * _inverse_norm(k), -1)
    similar = ops.matmul(k, ops.swapaxes(memory, 1, 2)) * ops.expand_dims(_inverse_norm(memory), 1)
    return ops.softmax(similar)


def _inverse_norm(x):
    return ops.rsqrt(ops.sum(ops.square(x), axis=-1) + _NORM)


def interpolated(g, w_c, w):
    """`g w_c + (1 - g) w` (eq. 7): content weights, and those of the step before; gates `g` `(B, H)`."""
    return w + ops.expand_dims(g, -1) * (w_c - w)


def shifted(w, s):
    """`w~(i) = sum over j of w(j) s(i - j)`, indices modulo N (eq. 8).

    `s` `(B, H, 2S + 1)` are the shares of shifts by -S, …, S, where 1 moves a weight to the next slot; `2S + 1 <= N`.
    """
    reach, slots = s.shape[-1] // 2, w.shape[-1]
    around = ops.concatenate([w[..., slots - reach :], w, w[..., :reach]], axis=-1)  # (B, H, N + 2S)
    parts = [around[..., reach - d : reach - d + slots] * s[..., reach + d, None] for d in range(-reach, reach + 1)]
    return sum(parts[1:], start=parts[0])


def sharpened(w, gamma):
    """`w(i) ** gamma / sum over j of w(j) ** gamma` (eq. 9), `gamma >= 1` `(B, H)`.

    As the softmax of logarithms: the powers would underflow, all of them where a weight is spread over many slots.
    """
    return ops.softmax(ops.expand_dims(gamma, -1) * ops.log(w + _SHARPEN))


def read(w, memory):
    """`r = sum over i of w(i) M(i)` (eq. 2; DNC: `r = M^T w`): `(B, R, W)` for weights `(B, R, N)`."""
    return ops.matmul(w, memory)


def written(memory, w, e, a):
    """`M(i) = M(i) * product over heads of (1 - w(i) e) + sum over heads of w(i) a` (eq. 3, 4).

    All heads erase, then all add. Weights `w` `(B, H, N)`, erase vectors `e` in [0, 1] and add vectors `a`, both
    `(B, H, W)`.
    """
    erased = ops.expand_dims(w, -1) * ops.expand_dims(e, 2)  # (B, H, N, W)
    added = ops.matmul(ops.swapaxes(w, 1, 2), a)
    return memory * _product(1 - erased) + added


def _product(x):
    """The product over the second axis, half with half: its gradient divides nowhere."""
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        x = ops.concatenate([x[:, :half] * x[:, half : 2 * half], x[:, 2 * half :]], axis=1)
    return ops.squeeze(x, axis=1)


def usage(u, w_w, w_r, f):
    """`(u + w_w - u w_w) * product over read heads of (1 - f w_r)`: what is in use after a step (DNC).

    All of the step before but the free gates `f` `(B, R)`: usage `u` and write weights `w_w` `(B, N)`, read weights
    `w_r` `(B, R, N)`. A slot that was written is in use; a slot that was read is free again, as far as its gate says.
    """
    return (u + w_w - u * w_w) * _product(1 - ops.expand_dims(f, -1) * w_r)


def allocation(u):
    """`a[phi_j] = (1 - u[phi_j]) * product over i < j of u[phi_i]`, phi the slots by ascending usage (DNC).

    Weights `(B, N)` that go to the slots least in use `u` `(B, N)`; of slots alike to 1e-5, to the first: many are
    alike as long as a memory is empty, and rounding must not choose among them. Products are sums of logarithms: their
    gradient divides by no zero.
    """
    u = _USAGE + (1 - _USAGE) * u
    sums_before = _sums_by_pairs if u.shape[-1] <= _BY_PAIRS else _sums_by_sorting
    return (1 - u) * ops.exp(sums_before(ops.round(u / _ALIKE), ops.log(u)))


def _sums_by_pairs(rank, logs):
    """For each slot the sum of the logarithms of those that come before it, all found by comparing each to each."""
    slots = rank.shape[-1]
    one, other = ops.expand_dims(rank, 2), ops.expand_dims(rank, 1)
    earlier = np.tril(np.ones((slots, slots), "bool"), -1)  # of two slots alike the one with the lower index
    before = ops.logical_or(other < one, ops.logical_and(other == one, earlier))  # (B, N, N)
    logs = ops.expand_dims(logs, 1)
    return ops.sum(ops.where(before, logs, ops.zeros_like(logs)), axis=-1)


def _sums_by_sorting(rank, logs):
    """The same sums, from the slots in their order."""
    phi = ops.argsort(rank)
    ordered = native.gather(logs, phi, rows=True)
    return native.gather(ops.cumsum(ordered, axis=-1) - ordered, ops.argsort(phi), rows=True)


def allotted(g_w, g_a, a, c_w):
    """`w_w = g_w (g_a a + (1 - g_a) c_w)`: where one head writes (DNC).

    Gates `(B, 1)`, allocation and content weights `(B, N)`: weights `(B, N)`.
    """
    return g_w * (c_w + g_a * (a - c_w))


def precedence(p, w_w):
    """`p = (1 - sum over i of w_w(i)) p + w_w`: how far each slot was the last one written (DNC), all `(B, N)`."""
    return (1 - ops.sum(w_w, axis=-1, keepdims=True)) * p + w_w


def linked(links, w_w, p):
    """`L[i, j] = (1 - w_w[i] - w_w[j]) L[i, j] + w_w[i] p[j]`, its diagonal zero: slot i was written after j (DNC).

    Links L `(B, N, N)`, write weights of this step `w_w` and precedence `p` of the step before, both `(B, N)`.
    """
    one, other = ops.expand_dims(w_w, 2), ops.expand_dims(w_w, 1)
    off_diagonal = ops.convert_to_tensor(1 - np.eye(w_w.shape[-1]), keras.backend.standardize_dtype(links.dtype))
    return ((1 - one - other) * links + one * ops.expand_dims(p, 1)) * off_diagonal


def followed(links, w_r):
    """`(forward, backward)`: `f = L w_r` and `b = L^T w_r`, what was written after, and before, what was read (DNC).

    Links `(B, N, N)`, read weights of the step before `(B, R, N)`: both `(B, R, N)`.
    """
    forward = ops.swapaxes(ops.matmul(links, ops.swapaxes(w_r, 1, 2)), 1, 2)
    return forward, ops.matmul(w_r, links)


def mixed(pi, b, c, f):
    """`w_r = pi[1] b + pi[2] c + pi[3] f`: backward, content, forward, in this order (DNC).

    Read modes `pi` `(B, R, 3)`, which sum to 1; weights `(B, R, N)`.
    """
    backward, content, forward = ops.split(pi, 3, axis=-1)
    return backward * b + content * c + forward * f

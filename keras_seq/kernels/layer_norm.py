"""Layer normalisation and its gradient, over the last axis (Ba, Kiros and Hinton, 2016, arXiv 1607.06450, eq. 3 and 4).

LN(a) = gamma a^ + beta,  a^ = (a - mean(a)) s,  s = 1 / sqrt(var(a) + epsilon)
da = s (e - mean(e) - a^ mean(e a^)),  e = gamma dLN        dgamma = sum of dLN a^,  dbeta = sum of dLN
"""

from keras import ops

from keras_seq.kernels.kernel import total, wide


def standardised(a, epsilon):
    """`(a^, s)`, in float32 at least: a standardised over the last axis, and the factor `(..., 1)` that did it."""
    a = wide(a)
    centred = a - _mean(a)
    scale = ops.rsqrt(_mean(ops.square(centred)) + epsilon)
    return centred * scale, scale


def shifted(standard, norm, dtype):
    """`gamma a^ + beta`; beta may be None."""
    gamma, beta = norm
    scaled = standard * ops.cast(gamma, standard.dtype)
    return ops.cast(scaled if beta is None else scaled + ops.cast(beta, standard.dtype), dtype)


def through_norm(d, standard, scale, norm):
    """The gradient of what was normed, in the dtype of `d`, that of the norm's result."""
    e = wide(d) * ops.cast(norm[0], standard.dtype)
    return ops.cast(scale * (e - _mean(e) - standard * _mean(e * standard)), d.dtype)


def norm_gradients(d, standard):
    """The gradients of gamma and beta, from all steps at once."""
    d = ops.cast(d, standard.dtype)
    return total(d * standard), total(d)


def _mean(a):
    return ops.sum(a, axis=-1, keepdims=True) / a.shape[-1]  # `ops.mean` makes float32 of float64 on JAX

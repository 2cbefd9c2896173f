"""Layer normalisation (Ba, Kiros and Hinton, 2016, arXiv 1607.06450, eq. 3 and 4), for the cells that normalise.

LN(a) = gamma (a - mean(a)) / sqrt(var(a) + epsilon) + beta        mean and variance over the last axis of a
"""

import keras
from keras import ops

from keras_seq.checks import positive_number
from keras_seq.kernels.layer_norm import shifted, standardised


def layer_norm(a, gamma, beta=None, epsilon=1e-3):
    """`LN(a)` in the dtype of `a` `(..., H)`, computed in float32 where that is a half precision.

    `gamma` and `beta` (or None) are `(H,)`.
    """
    return shifted(standardised(a, epsilon)[0], (gamma, beta), a.dtype)


class LayerNormed:
    """Arguments and weights of the norms of a gated cell; a class of cells names it before the cell it adds to.

    A subclass has `norm_sizes()`: the size of each norm, by the name of what it norms. The weights are
    `{what}_norm_gamma` and `{what}_norm_beta`, after those of the cell, in that order.

    Args:
        norm_gamma_initializer: how the factors start.
        norm_beta_initializer: how the shifts start.
        norm_epsilon: what is added to the variance.
    """

    def __init__(
        self, *args, norm_gamma_initializer="ones", norm_beta_initializer="zeros", norm_epsilon=1e-3, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.norm_gamma_initializer = keras.initializers.get(norm_gamma_initializer)
        self.norm_beta_initializer = keras.initializers.get(norm_beta_initializer)
        self.norm_epsilon = positive_number("norm_epsilon", norm_epsilon)

    def build(self, input_shape):
        super().build(input_shape)
        for what, size in self.norm_sizes().items():
            for part in ("gamma", "beta"):
                name = f"{what}_norm_{part}"
                setattr(self, name, self._add(name, (size,), group=f"norm_{part}"))

    def norm(self, what):
        """`(gamma, beta)` of a norm."""
        # Cast, since a conversion leaves variables as they are on TensorFlow, and a compiled pass takes tensors only.
        parts = (getattr(self, f"{what}_norm_{part}") for part in ("gamma", "beta"))
        return tuple(ops.cast(part, part.dtype) for part in parts)

"""Quantiles that cannot cross: each is the one below it and something that is not negative.

    z = x W + b
    q[1] = z[1],   q[i] = q[i-1] + softplus(z[i])

(the idea of the incremental quantile functions of arXiv 2111.06581, "Learning Quantile Functions without Quantile
Crossing", 2021). Weights: `kernel` W `(D, Q)` and `bias` b `(Q,)`; with `units`, `(D, units * Q)` and `(units * Q,)`.
"""

import keras
from keras import ops

from keras_seq.checks import positive_integer, quantile_levels
from keras_seq.initializers import fresh


def monotone_quantiles(z):
    """Numbers `(..., Q)` that do not decrease along the last axis, from any numbers `(..., Q)`.

    The first stays as it is, the others add `softplus` of theirs to the one before. Each sum is rounded by itself, so
    that the order holds in any precision.

    Example:

    >>> ks.layers.monotone_quantiles(np.array([2.0, -1000.0, 1000.0])).numpy().tolist()
    [2.0, 2.0, 1002.0]
    """
    first, *others = ops.unstack(ops.convert_to_tensor(z), axis=-1)
    quantiles = [first]
    for increment in others:
        quantiles.append(quantiles[-1] + ops.softplus(increment))
    return ops.stack(quantiles, axis=-1)


@keras.saving.register_keras_serializable("keras_seq")
class QuantileHead(keras.layers.Layer):
    """A dense layer whose outputs are quantiles that cannot cross: see `keras_seq.layers.quantiles`.

    Train it with `ks.losses.QuantileLoss(quantiles)`.

    Args:
        quantiles: their levels, increasing, between 0 and 1. Their number `Q` is what the layer needs; the levels
            themselves are kept for those who read its output.
        units: how many values have quantiles, such as the steps of a segment; None for one, without an axis.
        kernel_initializer, bias_initializer: how the weights start.

    Call arguments:
        inputs: `(..., D)`.

    Returns:
        `(..., Q)`, or `(..., units, Q)`; along the last axis no number is below the one before it.

    Raises:
        ValueError: for levels out of order.

    Example:

    >>> QuantileHead([0.1, 0.5, 0.9], units=24)(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 24, 3])
    """

    def __init__(self, quantiles, units=None, kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.quantiles = tuple(quantile_levels("quantiles", quantiles))
        self.units = None if units is None else positive_integer("units", units)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True
        self.autocast = False  # a cast loses the mask on Keras 3.13

    def build(self, inputs_shape):
        size = (self.units or 1) * len(self.quantiles)
        self.kernel = self.add_weight(
            shape=(inputs_shape[-1], size), name="kernel", initializer=fresh(self.kernel_initializer)
        )
        self.bias = self.add_weight(shape=(size,), name="bias", initializer=fresh(self.bias_initializer))
        self.built = True

    def call(self, inputs):
        inputs, kernel, bias = (ops.cast(v, self.compute_dtype) for v in (inputs, self.kernel, self.bias))
        z = ops.matmul(inputs, kernel) + bias
        if self.units is not None:
            z = ops.reshape(z, (*ops.shape(z)[:-1], self.units, len(self.quantiles)))
        return monotone_quantiles(z)

    def compute_output_shape(self, inputs_shape):
        units = () if self.units is None else (self.units,)
        return (*inputs_shape[:-1], *units, len(self.quantiles))

    def get_config(self):
        return {
            **super().get_config(),
            "quantiles": list(self.quantiles),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

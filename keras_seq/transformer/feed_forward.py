"""The feed-forward part of a transformer block (Vaswani et al., 2017, arXiv 1706.03762, eq. 2).

y = act(x W1 + b1) W2 + b2            act is relu there, gelu in most since
"""

import keras
from keras import ops

from keras_seq.checks import positive_integer, share
from keras_seq.initializers import fresh


@keras.saving.register_keras_serializable("keras_seq")
class FeedForward(keras.layers.Layer):
    """Two dense layers, with an activation between them, at each step by itself.

    Args:
        hidden_units: size of the layer between.
        activation: such as "relu" or "gelu" (Keras's is the exact one, without the approximation by tanh).
        dropout: share of the activations dropped.
        kernel_initializer, bias_initializer: how the weights start.
        seed: seed of the dropout.

    Call arguments:
        inputs: `(..., D)`.
        training: whether dropout acts.

    Returns:
        As `inputs`.

    Example:

    >>> FeedForward(11, "gelu")(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 5])
    """

    def __init__(
        self,
        hidden_units,
        activation="relu",
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.autocast = False  # a cast loses the mask on Keras 3.13
        self.hidden_units = positive_integer("hidden_units", hidden_units)
        self.activation = keras.activations.get(activation)
        self.dropout = share("dropout", dropout)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.seed = seed

    def build(self, input_shape):
        self.expand = self._dense(self.hidden_units, self.activation, "expand")
        self.contract = self._dense(input_shape[-1], None, "contract")
        self.drop = keras.layers.Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy, name="drop")
        self.expand.build(input_shape)
        self.contract.build((*input_shape[:-1], self.hidden_units))
        self.built = True

    def _dense(self, units, activation, name):
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=fresh(self.kernel_initializer),
            bias_initializer=fresh(self.bias_initializer),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs, training=False):
        inputs = ops.cast(inputs, self.compute_dtype)
        return self.contract(self.drop(self.expand(inputs), training=training))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "seed": self.seed,
        }

"""Attention pooling (Yang et al., 2016, "Hierarchical Attention Networks", eq. 5 to 7).

    u[t] = tanh(x[t] W + b)
    a    = softmax over the kept t of  u[t] v
    y    = sum over t of a[t] x[t]

Weights: `kernel` W `(D, H)`, `bias` b `(H,)`, `context` v `(H, 1)`.
"""

import keras
from keras import ops

from keras_seq.attention.scores import masked_softmax
from keras_seq.backend.loop import zero_where_masked
from keras_seq.checks import check_mask, positive_integer


@keras.saving.register_keras_serializable("keras_seq")
class AttentionPooling(keras.layers.Layer):
    """One vector for a sequence: the mean of its steps, weighted by a learned score of each.

    Args:
        units: size `H` in which steps are scored; None for the size of the input.
        return_weights: whether to return the weights beside the vector.
        kernel_initializer, bias_initializer: how `W` and `v`, and `b` start.

    Call arguments:
        sequences: `(B, T, D)`.
        mask: booleans `(B, T)`; masked steps get weight zero. By default the mask that came with `sequences`.

    Returns:
        `(B, D)`, or with `return_weights` a tuple of it and the weights `(B, T)`. A row without any kept step gives
        zeros.

    Example:

    >>> AttentionPooling(4)(np.ones((2, 7, 5))).shape
    TensorShape([2, 5])
    """

    def __init__(
        self,
        units=None,
        return_weights=False,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = None if units is None else positive_integer("units", units)
        self.return_weights = return_weights
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.supports_masking = True
        self.autocast = False  # a cast loses the mask on Keras 3.13

    def build(self, sequences_shape):
        features = sequences_shape[-1]
        units = self.units or features
        self.kernel = self.add_weight(shape=(features, units), name="kernel", initializer=self.kernel_initializer)
        self.bias = self.add_weight(shape=(units,), name="bias", initializer=self.bias_initializer)
        self.context = self.add_weight(shape=(units, 1), name="context", initializer=self.kernel_initializer)
        self.built = True

    def call(self, sequences, mask=None):
        check_mask(self, mask, sequences)
        sequences = ops.cast(sequences, self.compute_dtype)
        sequences = sequences if mask is None else zero_where_masked(sequences, mask)  # what stands there may be NaN
        kernel, bias, context = (ops.cast(w, self.compute_dtype) for w in (self.kernel, self.bias, self.context))
        scores = ops.squeeze(ops.matmul(ops.tanh(ops.matmul(sequences, kernel) + bias), context), -1)  # (B, T)
        a = masked_softmax(scores, None if mask is None else ops.cast(mask, "bool"))
        y = ops.einsum("bt,btd->bd", a, sequences)
        return (y, a) if self.return_weights else y

    def compute_mask(self, _, mask=None):
        return [None, None] if self.return_weights else None

    def compute_output_shape(self, sequences_shape):
        batch, length, features = sequences_shape
        return ((batch, features), (batch, length)) if self.return_weights else (batch, features)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "return_weights": self.return_weights,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

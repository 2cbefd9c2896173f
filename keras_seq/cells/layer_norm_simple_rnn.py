"""Simple recurrent network with layer normalisation (Ba, Kiros and Hinton, 2016, arXiv 1607.06450, eq. 4).

    h = tanh(LN(x W + h U) + b)                the norm has a factor gamma; its shift is the bias b

Weights: `kernel` W `(D, H)`, `recurrent_kernel` U `(H, H)`, `bias` b `(H,)`, `preactivation_norm_gamma` `(H,)`.
"""

import keras
from keras import ops

from keras_seq.cells.base import KernelCell, dropped
from keras_seq.cells.layer_norm import layer_norm
from keras_seq.checks import positive_number
from keras_seq.kernels.kernel import affine


def layer_norm_simple_rnn_step(projected, h, recurrent_kernel, gamma, bias=None, epsilon=1e-5, activation=ops.tanh):
    """`h` after one step, from `projected` = x W and the `h` that enters the product, all `(B, H)`."""
    return activation(layer_norm(projected + ops.matmul(h, recurrent_kernel), gamma, bias, epsilon))


@keras.saving.register_keras_serializable("keras_seq")
class LayerNormSimpleRNNCell(KernelCell):
    """One step of a simple recurrent network with layer normalisation: `h = activation(LN(x W + h U) + b)`.

    `LN(a) = gamma (a - mean(a)) / sqrt(var(a) + epsilon)`, computed in float32 at least. Arguments, defaults and
    results are those of `tfa.rnn.LayerNormSimpleRNNCell`, and the order of weights, too. It runs in `ks.layers.RNN`,
    and in `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of state and output.
        activation: default `tanh`.
        layernorm_epsilon: what the norm adds to the variance; positive.
        gamma_initializer, gamma_regularizer, gamma_constraint: how the factors of the norm start, a penalty and a
            constraint on them.
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with `h` `(B, H)`.
        training: whether dropout acts.

    Returns:
        `(h, [h])`.

    Example:

    >>> cell = LayerNormSimpleRNNCell(3)
    >>> output, states = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        layernorm_epsilon=1e-5,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        gamma_initializer="ones",
        *,
        gamma_regularizer=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **kwargs
        )
        self.layernorm_epsilon = positive_number("layernorm_epsilon", layernorm_epsilon)
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)

    def build(self, input_shape):
        super().build(input_shape)
        self.preactivation_norm_gamma = self._add("preactivation_norm_gamma", (self.units,), group="gamma")

    def project(self, inputs):
        """`x W`: the norm is of its sum with `h U`, and the bias comes after."""
        return affine(inputs, (self.cast(self.kernel), None))

    def prepare(self, states, training=False):
        """`(U, mask, gamma, b)`: as in `SimpleRNNCell`, and the factor and shift of the norm (b or None)."""
        bias = None if self.bias is None else ops.convert_to_tensor(self.bias)
        return *super().prepare(states, training), ops.convert_to_tensor(self.preactivation_norm_gamma), bias

    def step(self, projected, states, constants):
        recurrent_kernel, mask, gamma, bias = constants
        h = dropped(states[0], mask)
        h = layer_norm_simple_rnn_step(
            projected, h, recurrent_kernel, gamma, bias, self.layernorm_epsilon, self.activation
        )
        return h, [h]

"""Gated recurrent unit (Cho et al., 2014, arXiv 1406.1078), in its two forms.

    z = sigmoid(x W_z + h U_z)                    how much of h is kept
    r = sigmoid(x W_r + h U_r)                    the reset
    n = tanh(x W_n + (r h) U_n)                   reset_after=False: the reset comes before the product
    n = tanh(x W_n + r (h U_n + b'_n))            reset_after=True: after it, with a second bias b' (z and r get
                                                  theirs too); the form that cuDNN and PyTorch compute
    h = z h + (1 - z) n

Weights: `kernel` W `(D, 3H)`, `recurrent_kernel` U `(H, 3H)`, columns z, r, n (Keras calls n "h"); `bias` is `(3H,)`,
or `(2, 3H)` with `reset_after` (row 0 beside W, row 1 beside U), as in `keras.layers.GRUCell`. In Cho et al. (eq. 7)
`z` keeps the old state, as here; in others it weighs the candidate: the same gate, read the other way.
"""

import keras
from keras import ops

from keras_seq.cells.base import KernelCell, dropped
from keras_seq.kernels.gru import gru_after_kernel, gru_before_kernel


def gru_step(
    projected,
    h,
    h_in,
    recurrent_kernel,
    recurrent_bias=None,
    reset_after=True,
    activation=ops.tanh,
    recurrent_activation=ops.sigmoid,
):
    """`h` after one step.

    `projected` = x W + b is `(B, 3H)`; `h` before the step and `h_in`, which enters the products, are `(B, H)`.
    """
    how = (reset_after, activation, recurrent_activation)
    z, _, n = gru_gates(projected, h_in, recurrent_kernel, recurrent_bias, *how)
    return z * h + (1 - z) * n


def gru_gates(projected, h_in, recurrent_kernel, recurrent_bias, reset_after, activation, recurrent_activation):
    """`z, r, n`, each `(B, H)`."""
    x_z, x_r, x_n = ops.split(projected, 3, axis=-1)
    if reset_after:
        products = ops.matmul(h_in, recurrent_kernel)
        products = products if recurrent_bias is None else products + recurrent_bias
        h_z, h_r, h_n = ops.split(products, 3, axis=-1)
        z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
        n = activation(x_n + r * h_n)
    else:
        units = h_in.shape[-1]
        h_z, h_r = ops.split(ops.matmul(h_in, recurrent_kernel[:, : 2 * units]), 2, axis=-1)
        z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
        n = activation(x_n + ops.matmul(r * h_in, recurrent_kernel[:, 2 * units :]))
    return z, r, n


@keras.saving.register_keras_serializable("keras_seq")
class GRUCell(KernelCell):
    """One step of a GRU: gates `z, r`, candidate `n`, `h = z h + (1 - z) n`.

    Drop-in for `keras.layers.GRUCell`: same arguments, weights (columns z, r, n) and results. It runs in
    `ks.layers.RNN`, and in `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of output and state.
        activation: of the candidate, default `tanh`.
        recurrent_activation: of the gates, default `sigmoid`.
        reset_after: whether the reset comes after the product with the recurrent kernel (then there are two rows of
            biases) or before it.
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with `h` `(B, H)`.
        training: whether dropout acts.

    Returns:
        `(h, [h])`.

    Example:

    >>> cell = GRUCell(3, reset_after=False)
    >>> output, states = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    gates = 3

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        reset_after=True,
        *args,
        **kwargs,
    ):
        starts = (kernel_initializer, recurrent_initializer, bias_initializer)
        penalties = (kernel_regularizer, recurrent_regularizer, bias_regularizer)
        constraints = (kernel_constraint, recurrent_constraint, bias_constraint)
        rates = (dropout, recurrent_dropout)
        super().__init__(units, activation, use_bias, *starts, *penalties, *constraints, *rates, *args, **kwargs)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def input_weights(self):
        """`(W, b)`: with `reset_after` b is the first row of the bias."""
        kernel, bias = super().input_weights()
        return kernel, bias[0] if self.use_bias and len(self.bias.shape) == 2 else bias

    def prepare(self, states, training=False):
        """`(U, b', mask)`: recurrent kernel, its bias or None, and the mask of recurrent dropout or None."""
        recurrent_kernel, mask = super().prepare(states, training)
        second_row = self.cast(self.bias)[1] if self.use_bias and len(self.bias.shape) == 2 else None
        return recurrent_kernel, second_row, mask

    def step(self, projected, states, constants):
        recurrent_kernel, recurrent_bias, mask = constants
        h = gru_step(
            projected,
            states[0],
            dropped(states[0], mask),
            recurrent_kernel,
            recurrent_bias,
            self.reset_after,
            self.activation,
            self.recurrent_activation,
        )
        return h, [h]

    def gate_values(self, projected, states, constants):
        """`z, r, n` of a step, by name."""
        recurrent_kernel, recurrent_bias, mask = constants
        how = (self.reset_after, self.activation, self.recurrent_activation)
        gates = gru_gates(projected, dropped(states[0], mask), recurrent_kernel, recurrent_bias, *how)
        return dict(zip("zrn", gates, strict=True))

    def sequence_kernel(self):
        """Backpropagation through time by hand: see `keras_seq.kernels`."""
        make = gru_after_kernel if self.reset_after else gru_before_kernel
        return make(self.activation, self.recurrent_activation)

"""Gated recurrent unit with layer normalisation (Ba, Kiros and Hinton, 2016, arXiv 1607.06450, supplement).

    z = sigmoid(LN(x W)_z + b_z + LN(h U)_z)             how much of h is kept
    r = sigmoid(LN(x W)_r + b_r + LN(h U)_r)             the reset
    n = tanh(LN(x W_n) + b_n + r LN(h U_n))              reset_after=True: the reset comes after the product (the paper)
    n = tanh(LN(x W_n) + b_n + LN((r h) U_n))            reset_after=False: before it
    h = z h + (1 - z) n

The columns of z and r are normed together, over 2H, those of n by themselves, over H. In the paper `z` weighs the
candidate: the same gate, read the other way.

Weights: `kernel` W `(D, 3H)`, `recurrent_kernel` U `(H, 3H)`, `bias` b `(3H,)` in both forms (the shift of the norm of
h U_n stands where `GRUCell` has a second bias), then gamma and beta of `kernel_norm` (of x W) and `recurrent_norm` (of
the products with U), all `(3H,)`; columns z, r, n.
"""

import keras
from keras import ops

from keras_seq.cells.base import dropped
from keras_seq.cells.gru import GRUCell
from keras_seq.cells.layer_norm import LayerNormed, layer_norm
from keras_seq.kernels.kernel import affine


def layer_norm_gru_step(
    projected,
    h,
    h_in,
    recurrent_kernel,
    recurrent_norm,
    epsilon=1e-3,
    reset_after=True,
    activation=ops.tanh,
    recurrent_activation=ops.sigmoid,
):
    """`h` after one step.

    `projected` = LN(x W) + b is `(B, 3H)`; `h` before the step and `h_in`, which enters the products, are `(B, H)`;
    `recurrent_norm` is `(gamma, beta)`.
    """
    how = (epsilon, reset_after, activation, recurrent_activation)
    z, _, n = layer_norm_gru_gates(projected, h_in, recurrent_kernel, recurrent_norm, *how)
    return z * h + (1 - z) * n


def layer_norm_gru_gates(
    projected, h_in, recurrent_kernel, recurrent_norm, epsilon, reset_after, activation, recurrent_activation
):
    """`z, r, n`, each `(B, H)`."""
    units = h_in.shape[-1]
    of_zr, of_n = slice(None, 2 * units), slice(2 * units, None)

    def normed_product(h, columns):
        return _normed(ops.matmul(h, recurrent_kernel[:, columns]), recurrent_norm, columns, epsilon)

    z, r = map(recurrent_activation, ops.split(projected[:, of_zr] + normed_product(h_in, of_zr), 2, axis=-1))
    candidate = r * normed_product(h_in, of_n) if reset_after else normed_product(r * h_in, of_n)
    return z, r, activation(projected[:, of_n] + candidate)


def _normed(a, norm, columns, epsilon):
    gamma, beta = norm
    return layer_norm(a, gamma[columns], beta[columns], epsilon)


@keras.saving.register_keras_serializable("keras_seq")
class LayerNormGRUCell(LayerNormed, GRUCell):
    """One step of a GRU with layer normalisation of `x W` and of the products with the recurrent kernel.

    `LN(a) = gamma (a - mean(a)) / sqrt(var(a) + epsilon) + beta`, over the columns of `z` and `r` at once and over
    those of `n`, computed in float32 at least. It runs in `ks.layers.RNN`, and in `keras.layers.RNN` and
    `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of output and state.
        reset_after: whether the reset comes after the product with the recurrent kernel and its norm (the paper's
            form) or before them.
        norm_gamma_initializer: how the factors of the norms start.
        norm_beta_initializer: how their shifts start.
        norm_epsilon: what they add to the variance; positive.
        activation, recurrent_activation: as in `GRUCell`.
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with `h` `(B, H)`.
        training: whether dropout acts.

    Returns:
        `(h, [h])`.

    Example:

    >>> cell = LayerNormGRUCell(3)
    >>> output, states = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def norm_sizes(self):
        return {"kernel": 3 * self.units, "recurrent": 3 * self.units}

    def bias_shape(self):
        return (3 * self.units,)

    def project(self, inputs):
        """`LN(x W) + b`, the columns of z, r and n side by side."""
        projected, norm = affine(inputs, (self.cast(self.kernel), None)), self.norm("kernel")
        blocks = slice(None, 2 * self.units), slice(2 * self.units, None)
        parts = [_normed(projected[..., columns], norm, columns, self.norm_epsilon) for columns in blocks]
        normed = ops.concatenate(parts, axis=-1)
        return normed if self.bias is None else normed + self.cast(self.bias)

    def prepare(self, states, training=False):
        """`(U, None, mask, norm)`: as in `GRUCell`, without a second bias, and `(gamma, beta)` of the products."""
        return *super().prepare(states, training), self.norm("recurrent")

    def step(self, projected, states, constants):
        recurrent_kernel, _, mask, norm = constants
        h = layer_norm_gru_step(
            projected,
            states[0],
            dropped(states[0], mask),
            recurrent_kernel,
            norm,
            self.norm_epsilon,
            self.reset_after,
            self.activation,
            self.recurrent_activation,
        )
        return h, [h]

    def gate_values(self, projected, states, constants):
        """`z, r, n` of a step, by name."""
        recurrent_kernel, _, mask, norm = constants
        how = (self.norm_epsilon, self.reset_after, self.activation, self.recurrent_activation)
        gates = layer_norm_gru_gates(projected, dropped(states[0], mask), recurrent_kernel, norm, *how)
        return dict(zip("zrn", gates, strict=True))

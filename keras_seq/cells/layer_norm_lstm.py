"""LSTM with layer normalisation (Ba, Kiros and Hinton, 2016, arXiv 1607.06450), as in TensorFlow Addons.

    i, f, g, o = the four column blocks of  LN(x W) + b + LN(h U)      each norm over all 4H columns
    c = LN(sigmoid(f) c + sigmoid(i) tanh(g))
    h = sigmoid(o) tanh(c)                                             or, projected,  h = (sigmoid(o) tanh(c)) P

The state `c` that is carried on is the normed one. In the paper's supplement it is the one before the norm, and only
the `c` that `h` reads is normed.

Weights: those of `LSTMCell`, then gamma and beta of `kernel_norm` (of x W) and `recurrent_norm` (of h U), all `(4H,)`,
and of `state_norm` (of c), `(H,)`.
"""

import keras
from keras import ops

from keras_seq.cells.base import dropped
from keras_seq.cells.layer_norm import LayerNormed, layer_norm
from keras_seq.cells.lstm import LSTMCell, lstm_gates, lstm_output
from keras_seq.kernels.kernel import affine
from keras_seq.kernels.layer_norm_lstm import layer_norm_lstm_kernel


def layer_norm_lstm_step(
    projected,
    h,
    c,
    recurrent_kernel,
    recurrent_norm,
    state_norm,
    epsilon=1e-3,
    activation=ops.tanh,
    recurrent_activation=ops.sigmoid,
    projection_kernel=None,
):
    """`(h, c)` after one step.

    `projected` = LN(x W) + b is `(B, 4H)`; `recurrent_norm` and `state_norm` are pairs `(gamma, beta)`.
    """
    summed = layer_norm_lstm_sums(projected, h, recurrent_kernel, recurrent_norm, epsilon)
    i, f, g, o = lstm_gates(summed, activation, recurrent_activation)
    c = layer_norm(f * c + i * g, *state_norm, epsilon)
    return lstm_output(o, c, activation, projection_kernel), c


def layer_norm_lstm_sums(projected, h, recurrent_kernel, recurrent_norm, epsilon):
    """What the gates see, `(B, 4H)`."""
    return projected + layer_norm(ops.matmul(h, recurrent_kernel), *recurrent_norm, epsilon)


@keras.saving.register_keras_serializable("keras_seq")
class LayerNormLSTMCell(LayerNormed, LSTMCell):
    """One step of an LSTM with layer normalisation: gates from `LN(x W) + b + LN(h U)`, `c = LN(f c + i g)`.

    `LN(a) = gamma (a - mean(a)) / sqrt(var(a) + epsilon) + beta`, over the columns of all gates at once, computed in
    float32 at least. Options, defaults and results are those of `tfa.rnn.LayerNormLSTMCell`, and the order of weights,
    too. It runs in `ks.layers.RNN`, and in `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of output and states.
        norm_gamma_initializer: how the factors of the three norms start.
        norm_beta_initializer: how their shifts start.
        norm_epsilon: what they add to the variance; positive.
        activation, recurrent_activation, unit_forget_bias, projection_size: as in `LSTMCell`.
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: `[h, c]`, each `(B, H)`, `c` as the norm left it.
        training: whether dropout acts.

    Returns:
        `(h, [h, c])`.

    Example:

    >>> cell = LayerNormLSTMCell(3)
    >>> output, (h, c) = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> c.shape
    TensorShape([2, 3])
    """

    def norm_sizes(self):
        return {"kernel": 4 * self.units, "recurrent": 4 * self.units, "state": self.units}

    def project(self, inputs):
        """`LN(x W) + b`, the columns of all gates side by side."""
        kernel, bias, norm = self.input_weights()
        normed = layer_norm(affine(inputs, (kernel, None)), *norm, self.norm_epsilon)
        return normed if bias is None else normed + bias

    def input_weights(self):
        """`(W, b, (gamma, beta))`: what `project` reads, with the norm of x W."""
        return *super().input_weights(), self.norm("kernel")

    def prepare(self, states, training=False):
        """`(U, P, mask, norms)`: as in `LSTMCell`, and `(gamma, beta)` of the norms of h U and of c."""
        return *super().prepare(states, training), (self.norm("recurrent"), self.norm("state"))

    def step(self, projected, states, constants):
        recurrent_kernel, projection_kernel, mask, norms = constants
        h, c = layer_norm_lstm_step(
            projected,
            dropped(states[0], mask),
            states[1],
            recurrent_kernel,
            *norms,
            self.norm_epsilon,
            self.activation,
            self.recurrent_activation,
            projection_kernel,
        )
        return h, [h, c]

    def gate_values(self, projected, states, constants):
        """`i, f, g, o` of a step, by name."""
        recurrent_kernel, _, mask, (norm, _) = constants
        h = dropped(states[0], mask)
        summed = layer_norm_lstm_sums(projected, h, recurrent_kernel, norm, self.norm_epsilon)
        return dict(zip("ifgo", lstm_gates(summed, self.activation, self.recurrent_activation), strict=True))

    def sequence_kernel(self):
        """Backpropagation through time by hand: see `keras_seq.kernels`."""
        return layer_norm_lstm_kernel(self.activation, self.recurrent_activation, self.norm_epsilon)

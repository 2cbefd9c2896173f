"""Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate: Gers, Schmidhuber and Cummins, 2000).

    i, f, g, o = the four column blocks of  x W + b + h U
    c = sigmoid(f) c + sigmoid(i) tanh(g)
    h = sigmoid(o) tanh(c)

Weights: `kernel` W `(D, 4H)`, `recurrent_kernel` U `(H, 4H)`, `bias` b `(4H,)`, columns i, f, g, o, as in
`keras.layers.LSTMCell` (which calls g "c").
"""

import keras
from keras import ops

from keras_seq.cells.base import KernelCell, dropped


def lstm_step(projected, h, c, recurrent_kernel, activation=ops.tanh, recurrent_activation=ops.sigmoid):
    """`(h, c)` after one step.

    `projected` = x W + b is `(B, 4H)`; `h` (that enters the product) and `c` (before the step) are `(B, H)`.
    """
    i, f, g, o = ops.split(projected + ops.matmul(h, recurrent_kernel), 4, axis=-1)
    c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
    return recurrent_activation(o) * activation(c), c


@keras.saving.register_keras_serializable("keras_seq")
class LSTMCell(KernelCell):
    """One step of an LSTM: gates `i, f, o`, candidate `g`, `c = f c + i g`, `h = o tanh(c)`.

    Drop-in for `keras.layers.LSTMCell`: same arguments, weights (columns i, f, g, o) and results. It runs in
    `ks.layers.RNN`, and in `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of output and states.
        activation: of candidate and output, default `tanh`.
        recurrent_activation: of the gates, default `sigmoid`.
        unit_forget_bias: whether the bias of `f` starts at 1 (Jozefowicz, Zaremba and Sutskever, 2015).
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: `[h, c]`, each `(B, H)`.
        training: whether dropout acts.

    Returns:
        `(h, [h, c])`.

    Example:

    >>> cell = LSTMCell(3)
    >>> output, (h, c) = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> c.shape
    TensorShape([2, 3])
    """

    gates = 4

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        **kwargs,
    ):
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **kwargs
        )
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    def bias_start(self):
        if not self.unit_forget_bias:
            return self.bias_initializer

        def ones_for_f(shape, dtype=None):
            """`bias_initializer` for i, g and o, ones for f."""
            width = (self.units,)
            i, go = self.bias_initializer(width, dtype), self.bias_initializer((2 * self.units,), dtype)
            return ops.concatenate([i, ops.ones(width, dtype), go])

        return ones_for_f

    def step(self, projected, states, constants):
        recurrent_kernel, mask = constants
        h, c = lstm_step(
            projected,
            dropped(states[0], mask),
            states[1],
            recurrent_kernel,
            self.activation,
            self.recurrent_activation,
        )
        return h, [h, c]

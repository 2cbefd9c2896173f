"""Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate: Gers, Schmidhuber and Cummins, 2000).

    i, f, g, o = the four column blocks of  x W + b + h U
    c = sigmoid(f) c + sigmoid(i) tanh(g)
    h = sigmoid(o) tanh(c)
    h = (sigmoid(o) tanh(c)) P                 projected (Sak, Senior and Beaufays, 2014, arXiv 1402.1128, eq. 12)

Weights: `kernel` W `(D, 4H)`, `recurrent_kernel` U `(H, 4H)`, `bias` b `(4H,)`, columns i, f, g, o, as in
`keras.layers.LSTMCell` (which calls g "c"). With a projection to size P, U is `(P, 4H)`, and after the bias comes
`projection_kernel` P `(H, P)`.
"""

import keras
from keras import ops

from keras_seq.cells.base import KernelCell, dropped
from keras_seq.checks import positive_integer
from keras_seq.kernels.lstm import lstm_kernel


def lstm_step(
    projected, h, c, recurrent_kernel, activation=ops.tanh, recurrent_activation=ops.sigmoid, projection_kernel=None
):
    """`(h, c)` after one step.

    `projected` = x W + b is `(B, 4H)`; `h` (that enters the product) is `(B, H)`, or `(B, P)` with a projection;
    `c` (before the step) is `(B, H)`.
    """
    i, f, g, o = lstm_gates(lstm_sums(projected, h, recurrent_kernel), activation, recurrent_activation)
    c = f * c + i * g
    return lstm_output(o, c, activation, projection_kernel), c


def lstm_sums(projected, h, recurrent_kernel):
    """What the gates see, `(B, 4H)`."""
    return projected + ops.matmul(h, recurrent_kernel)


def lstm_gates(summed, activation, recurrent_activation):
    """`i, f, g, o`, each `(B, H)`, from the sums `(B, 4H)` that they see."""
    i, f, g, o = ops.split(summed, 4, axis=-1)
    return recurrent_activation(i), recurrent_activation(f), activation(g), recurrent_activation(o)


def lstm_output(o, c, activation, projection_kernel=None):
    """`h`: what the output gate lets through of `c`, projected if there is a kernel for it."""
    h = o * activation(c)
    return h if projection_kernel is None else ops.matmul(h, projection_kernel)


@keras.saving.register_keras_serializable("keras_seq")
class LSTMCell(KernelCell):
    """One step of an LSTM: gates `i, f, o`, candidate `g`, `c = f c + i g`, `h = o tanh(c)`.

    Drop-in for `keras.layers.LSTMCell`: same arguments, weights (columns i, f, g, o) and results. It runs in
    `ks.layers.RNN`, and in `keras.layers.RNN` and `keras.layers.Bidirectional` too. With `projection_size` it is the
    projected LSTM of Sak, Senior and Beaufays (2014): `h = (o tanh(c)) P`.

    Args:
        units: size `H` of output and states.
        activation: of candidate and output, default `tanh`.
        recurrent_activation: of the gates, default `sigmoid`.
        unit_forget_bias: whether the bias of `f` starts at 1 (Jozefowicz, Zaremba and Sutskever, 2015); not where
            `bias_initializer` sets it, as `ks.initializers.Chrono` does.
        projection_size: size `P` of output and `h`, smaller than `H` or not; None for no projection. The projection
            kernel starts, and is penalised and constrained, as `kernel` is.
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: `[h, c]`, each `(B, H)`; with a projection `h` is `(B, P)`.
        training: whether dropout acts.

    Returns:
        `(h, [h, c])`.

    Example:

    >>> cell = LSTMCell(3, projection_size=2)
    >>> output, (h, c) = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> h.shape, c.shape
    (TensorShape([2, 2]), TensorShape([2, 3]))
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
        *args,
        projection_size=None,
        **kwargs,
    ):
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, *args, **kwargs
        )
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.projection_size = None if projection_size is None else positive_integer("projection_size", projection_size)
        self.output_size = self.projection_size or self.units
        self.state_size = [self.output_size, self.units]

    def build(self, input_shape):
        super().build(input_shape)
        self.projection_kernel = None
        if self.projection_size is not None:
            self.projection_kernel = self._add("projection_kernel", (self.units, self.projection_size), group="kernel")

    def bias_start(self):
        if not self.unit_forget_bias or getattr(self.bias_initializer, "sets_all_gates", False):
            return self.bias_initializer

        def ones_for_f(shape, dtype=None):
            """`bias_initializer` for i, g and o, ones for f."""
            width = (self.units,)
            i, go = self.bias_initializer(width, dtype), self.bias_initializer((2 * self.units,), dtype)
            return ops.concatenate([i, ops.ones(width, dtype), go])

        return ones_for_f

    def prepare(self, states, training=False):
        """`(U, P, mask)`: recurrent kernel, projection kernel or None, and the mask of recurrent dropout or None."""
        recurrent_kernel, mask = super().prepare(states, training)
        return recurrent_kernel, self.cast(self.projection_kernel), mask

    def step(self, projected, states, constants):
        recurrent_kernel, projection_kernel, mask = constants
        h, c = lstm_step(
            projected,
            dropped(states[0], mask),
            states[1],
            recurrent_kernel,
            self.activation,
            self.recurrent_activation,
            projection_kernel,
        )
        return h, [h, c]

    def gate_values(self, projected, states, constants):
        """`i, f, g, o` of a step, by name."""
        recurrent_kernel, _, mask = constants
        summed = lstm_sums(projected, dropped(states[0], mask), recurrent_kernel)
        return dict(zip("ifgo", lstm_gates(summed, self.activation, self.recurrent_activation), strict=True))

    def sequence_kernel(self):
        """Backpropagation through time by hand: see `keras_seq.kernels`."""
        return lstm_kernel(self.activation, self.recurrent_activation)

    def get_config(self):
        """The arguments of the constructor; without a projection those of `keras.layers.LSTMCell` alone."""
        config = super().get_config()
        if self.projection_size is None:
            del config["projection_size"]
        return config

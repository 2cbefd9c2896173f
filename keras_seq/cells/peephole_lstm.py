"""LSTM with peepholes (Gers, Schraudolph and Schmidhuber, 2002), in the form of Sak, Senior and Beaufays, 2014.

    i, f, g, o = the four column blocks of  x W + b + h U
    i = sigmoid(i + p_i c)
    f = sigmoid(f + p_f c)
    c = f c + i tanh(g)
    o = sigmoid(o + p_o c)                     the output gate looks at the new c
    h = o tanh(c)                              or, projected,  h = (o tanh(c)) P

Each peephole is a vector: a unit's gates see the memory of that unit alone.

Weights: those of `LSTMCell`, then `input_gate_peephole_weights` p_i, `forget_gate_peephole_weights` p_f and
`output_gate_peephole_weights` p_o, each `(H,)`, named as in TensorFlow Addons.
"""

import keras
from keras import ops

from keras_seq.cells.base import dropped
from keras_seq.cells.lstm import LSTMCell, lstm_output, lstm_sums


def peephole_lstm_step(
    projected,
    h,
    c,
    recurrent_kernel,
    peepholes,
    activation=ops.tanh,
    recurrent_activation=ops.sigmoid,
    projection_kernel=None,
):
    """`(h, c)` after one step.

    `projected` = x W + b is `(B, 4H)`; `peepholes` are p_i, p_f and p_o.
    """
    summed = lstm_sums(projected, h, recurrent_kernel)
    (_, _, _, o), c = peephole_lstm_gates(summed, c, peepholes, activation, recurrent_activation)
    return lstm_output(o, c, activation, projection_kernel), c


def peephole_lstm_gates(summed, c, peepholes, activation, recurrent_activation):
    """`i, f, g, o`, each `(B, H)`, and the new `c`, which `o` looks at, from the sums `(B, 4H)` without peepholes."""
    p_i, p_f, p_o = peepholes
    i, f, g, o = ops.split(summed, 4, axis=-1)
    i, f, g = recurrent_activation(i + p_i * c), recurrent_activation(f + p_f * c), activation(g)
    c = f * c + i * g
    return (i, f, g, recurrent_activation(o + p_o * c)), c


@keras.saving.register_keras_serializable("keras_seq")
class PeepholeLSTMCell(LSTMCell):
    """One step of an LSTM whose gates look at the memory: `i` and `f` at the old `c`, `o` at the new one.

    Arguments, defaults, weights and results are those of `tfa.rnn.PeepholeLSTMCell`: the peepholes start as
    `kernel_initializer` says, without penalty or constraint. With `projection_size` it is the projected LSTM of Sak
    et al., eq. 7 to 12. It runs in `ks.layers.RNN`, and in `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of output and states.
        activation, recurrent_activation, unit_forget_bias, projection_size: as in `LSTMCell`.
        use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.

    Call arguments:
        inputs: `(B, D)`.
        states: `[h, c]`, each `(B, H)`.
        training: whether dropout acts.

    Returns:
        `(h, [h, c])`.

    Example:

    >>> cell = PeepholeLSTMCell(3)
    >>> output, (h, c) = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> c.shape
    TensorShape([2, 3])
    """

    def build(self, input_shape):
        super().build(input_shape)
        for gate in ("input", "forget", "output"):
            name = f"{gate}_gate_peephole_weights"
            setattr(self, name, self._add(name, (self.units,), self.kernel_initializer, group="peephole"))

    def prepare(self, states, training=False):
        """`(U, P, mask, peepholes)`: as in `LSTMCell`, and p_i, p_f, p_o."""
        weights = (
            self.input_gate_peephole_weights,
            self.forget_gate_peephole_weights,
            self.output_gate_peephole_weights,
        )
        return *super().prepare(states, training), [self.cast(w) for w in weights]

    def step(self, projected, states, constants):
        recurrent_kernel, projection_kernel, mask, peepholes = constants
        h, c = peephole_lstm_step(
            projected,
            dropped(states[0], mask),
            states[1],
            recurrent_kernel,
            peepholes,
            self.activation,
            self.recurrent_activation,
            projection_kernel,
        )
        return h, [h, c]

    def gate_values(self, projected, states, constants):
        """`i, f, g, o` of a step, by name."""
        recurrent_kernel, _, mask, peepholes = constants
        summed = lstm_sums(projected, dropped(states[0], mask), recurrent_kernel)
        gates, _ = peephole_lstm_gates(summed, states[1], peepholes, self.activation, self.recurrent_activation)
        return dict(zip("ifgo", gates, strict=True))

    def sequence_kernel(self):
        """Backpropagation through time by hand: that of `LSTMCell`, which takes peepholes. (Whoever changes the step of
        its parent has to name its kernel.)"""
        return super().sequence_kernel()

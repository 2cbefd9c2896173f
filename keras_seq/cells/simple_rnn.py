"""The simple recurrent network (Elman, 1990).

    h = tanh(x W + b + h U)

Weights: `kernel` W `(D, H)`, `recurrent_kernel` U `(H, H)`, `bias` b `(H,)`, as in `keras.layers.SimpleRNNCell`.
"""

import keras
from keras import ops

from keras_seq.cells.base import KernelCell, dropped
from keras_seq.kernels.simple_rnn import simple_rnn_kernel


def simple_rnn_step(projected, h, recurrent_kernel, activation=ops.tanh):
    """`h` after one step, from `projected` = x W + b and the `h` that enters the product, all `(B, H)`."""
    return activation(projected + ops.matmul(h, recurrent_kernel))


@keras.saving.register_keras_serializable("keras_seq")
class SimpleRNNCell(KernelCell):
    """One step of a simple recurrent network: `h = activation(x W + b + h U)`.

    Drop-in for `keras.layers.SimpleRNNCell`: same arguments, weights and results. It runs in `ks.layers.RNN`, and in
    `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of state and output.
        activation: default `tanh`.
        use_bias: whether `b` is there.
        kernel_initializer, recurrent_initializer, bias_initializer: how `W`, `U` and `b` start.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on them.
        kernel_constraint, recurrent_constraint, bias_constraint: constraints on them.
        dropout: share of the inputs dropped, one mask per sequence.
        recurrent_dropout: share of `h` dropped where it enters the product with `U`, one mask per sequence.
        seed: seed of both.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with `h` `(B, H)`.
        training: whether dropout acts.

    Returns:
        `(h, [h])`.

    Example:

    >>> cell = SimpleRNNCell(3)
    >>> output, states = cell(np.ones((2, 5)), cell.get_initial_state(2))
    >>> output.shape
    TensorShape([2, 3])
    """

    def step(self, projected, states, constants):
        recurrent_kernel, mask = constants
        h = simple_rnn_step(projected, dropped(states[0], mask), recurrent_kernel, self.activation)
        return h, [h]

    def sequence_kernel(self):
        """Backpropagation through time by hand: see `keras_seq.kernels`."""
        return simple_rnn_kernel(self.activation)

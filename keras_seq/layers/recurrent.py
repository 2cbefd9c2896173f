"""The recurrent layers that take the place of those of `keras.layers`."""

import keras

from keras_seq.cells import GRUCell, LSTMCell, SimpleRNNCell
from keras_seq.layers.drop_in import drop_in


@keras.saving.register_keras_serializable("keras_seq")
class SimpleRNN(drop_in(SimpleRNNCell, like=keras.layers.SimpleRNN)):
    """`h = tanh(x W + b + h U)` over time: `RNN(SimpleRNNCell(units))`.

    Drop-in for `keras.layers.SimpleRNN`: the same arguments (all of them work), weights and results. Its cell,
    `SimpleRNNCell`, explains the arguments; call arguments, masks and results are those of `RNN`.

    Example:

    >>> SimpleRNN(3)(np.ones((2, 7, 5))).shape
    TensorShape([2, 3])
    """


@keras.saving.register_keras_serializable("keras_seq")
class LSTM(drop_in(LSTMCell, like=keras.layers.LSTM)):
    """Long short-term memory over time: `RNN(LSTMCell(units))`.

    Drop-in for `keras.layers.LSTM`: the same arguments (all of them work but `use_cudnn=True`), weights and results.
    Its cell, `LSTMCell`, explains the arguments and has the equations; call arguments, masks and results are those
    of `RNN`.

    Example:

    >>> outputs, h, c = LSTM(3, return_sequences=True, return_state=True)(np.ones((2, 7, 5)))
    >>> outputs.shape, c.shape
    (TensorShape([2, 7, 3]), TensorShape([2, 3]))
    """


@keras.saving.register_keras_serializable("keras_seq")
class GRU(drop_in(GRUCell, like=keras.layers.GRU)):
    """Gated recurrent units over time: `RNN(GRUCell(units))`.

    Drop-in for `keras.layers.GRU`: the same arguments (all of them work but `use_cudnn=True`), weights and results.
    Its cell, `GRUCell`, explains the arguments and has the equations; call arguments, masks and results are those
    of `RNN`.

    Example:

    >>> GRU(3, reset_after=False, return_sequences=True)(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 3])
    """

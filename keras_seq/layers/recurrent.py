"""The recurrent layers: those that take the place of layers of `keras.layers`, and those that Keras has not."""

import keras

from keras_seq.cells import (
    ClockworkRNNCell,
    GRUCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LayerNormSimpleRNNCell,
    LSTMCell,
    PeepholeLSTMCell,
    SimpleRNNCell,
)
from keras_seq.layers.drop_in import drop_in
from keras_seq.memory import DNCCell, NTMCell


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

    Drop-in for `keras.layers.LSTM`: the same arguments, weights and results.
    One argument is more: with `projection_size=P` outputs and `h` are `(B, P)`, projected from `H` units. Its cell,
    `LSTMCell`, explains the arguments and has the equations; call arguments, masks and results are those of `RNN`.

    Example:

    >>> outputs, h, c = LSTM(3, return_sequences=True, return_state=True)(np.ones((2, 7, 5)))
    >>> outputs.shape, c.shape
    (TensorShape([2, 7, 3]), TensorShape([2, 3]))
    """


@keras.saving.register_keras_serializable("keras_seq")
class GRU(drop_in(GRUCell, like=keras.layers.GRU)):
    """Gated recurrent units over time: `RNN(GRUCell(units))`.

    Drop-in for `keras.layers.GRU`: the same arguments, weights and results.
    Its cell, `GRUCell`, explains the arguments and has the equations; call arguments, masks and results are those
    of `RNN`.

    Example:

    >>> GRU(3, reset_after=False, return_sequences=True)(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 3])
    """


@keras.saving.register_keras_serializable("keras_seq")
class LayerNormSimpleRNN(drop_in(LayerNormSimpleRNNCell)):
    """`h = tanh(LN(x W + h U) + b)` over time: `RNN(LayerNormSimpleRNNCell(units))`.

    Its cell, `LayerNormSimpleRNNCell`, explains the arguments and has the equations; the other arguments, call
    arguments, masks and results are those of `RNN`.

    Example:

    >>> LayerNormSimpleRNN(3)(np.ones((2, 7, 5))).shape
    TensorShape([2, 3])
    """


@keras.saving.register_keras_serializable("keras_seq")
class LayerNormLSTM(drop_in(LayerNormLSTMCell)):
    """LSTM with layer normalisation of `x W`, `h U` and `c`, over time: `RNN(LayerNormLSTMCell(units))`.

    Its cell, `LayerNormLSTMCell`, explains the arguments and has the equations; the other arguments, call arguments,
    masks and results are those of `RNN`.

    Example:

    >>> outputs, h, c = LayerNormLSTM(3, return_sequences=True, return_state=True)(np.ones((2, 7, 5)))
    >>> outputs.shape, c.shape
    (TensorShape([2, 7, 3]), TensorShape([2, 3]))
    """


@keras.saving.register_keras_serializable("keras_seq")
class LayerNormGRU(drop_in(LayerNormGRUCell)):
    """GRU with layer normalisation of `x W` and of the products with `U`, over time: `RNN(LayerNormGRUCell(units))`.

    Its cell, `LayerNormGRUCell`, explains the arguments and has the equations; the other arguments, call arguments,
    masks and results are those of `RNN`.

    Example:

    >>> LayerNormGRU(3, reset_after=False, return_sequences=True)(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 3])
    """


@keras.saving.register_keras_serializable("keras_seq")
class PeepholeLSTM(drop_in(PeepholeLSTMCell)):
    """LSTM whose gates look at the memory `c`, over time: `RNN(PeepholeLSTMCell(units))`.

    Its cell, `PeepholeLSTMCell`, explains the arguments and has the equations; the other arguments, call arguments,
    masks and results are those of `RNN`.

    Example:

    >>> PeepholeLSTM(5, projection_size=3, return_sequences=True)(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 3])
    """


@keras.saving.register_keras_serializable("keras_seq")
class ClockworkRNN(drop_in(ClockworkRNNCell)):
    """Clockwork RNN over time: `RNN(ClockworkRNNCell(units))`, modules that change at every 1st, 2nd, 4th … step.

    Its cell, `ClockworkRNNCell`, explains the arguments and has the equations; the other arguments, call arguments,
    masks and results are those of `RNN`. The second state is the clock `(B, 1)`, an int32.

    Example:

    >>> outputs, h, clock = ClockworkRNN(6, (1, 2, 5), return_sequences=True, return_state=True)(np.ones((2, 7, 3)))
    >>> outputs.shape, int(clock[0, 0])
    (TensorShape([2, 7, 6]), 7)
    """


@keras.saving.register_keras_serializable("keras_seq")
class NTM(drop_in(NTMCell)):
    """A neural Turing machine over time: `RNN(NTMCell(units))`.

    Its cell, `NTMCell`, explains the arguments and has the equations; the other arguments, call arguments, masks and
    results are those of `RNN`.

    Example:

    >>> layer = NTM(3, slots=11, slot_width=5, return_sequences=True)
    >>> outputs, (trace,) = layer(np.ones((2, 7, 4)), return_trace=True)
    >>> outputs.shape, trace["read_weights"].shape
    (TensorShape([2, 7, 3]), TensorShape([2, 7, 1, 11]))
    """


@keras.saving.register_keras_serializable("keras_seq")
class DNC(drop_in(DNCCell)):
    """A differentiable neural computer over time: `RNN(DNCCell(units))`.

    Its cell, `DNCCell`, explains the arguments and has the equations; the other arguments, call arguments, masks and
    results are those of `RNN`.

    Example:

    >>> layer = DNC(3, slots=11, slot_width=5, return_sequences=True)
    >>> outputs, (trace,) = layer(np.ones((2, 7, 4)), return_trace=True)
    >>> outputs.shape, trace["usage"].shape
    (TensorShape([2, 7, 3]), TensorShape([2, 7, 11]))
    """

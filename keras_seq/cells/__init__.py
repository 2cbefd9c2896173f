"""One recurrence per file: the equation, the pure step, the Keras cell. Reached as `ks.layers.LSTMCell` and so on."""

from keras_seq.cells.base import Cell, DropoutCell
from keras_seq.cells.clockwork import ClockworkRNNCell
from keras_seq.cells.gru import GRUCell
from keras_seq.cells.layer_norm_gru import LayerNormGRUCell
from keras_seq.cells.layer_norm_lstm import LayerNormLSTMCell
from keras_seq.cells.layer_norm_simple_rnn import LayerNormSimpleRNNCell
from keras_seq.cells.lstm import LSTMCell
from keras_seq.cells.peephole_lstm import PeepholeLSTMCell
from keras_seq.cells.simple_rnn import SimpleRNNCell

__all__ = [
    "Cell",
    "ClockworkRNNCell",
    "DropoutCell",
    "GRUCell",
    "LSTMCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LayerNormSimpleRNNCell",
    "PeepholeLSTMCell",
    "SimpleRNNCell",
]

"""One recurrence per file: the equation, the pure step, the Keras cell. Reached as `ks.layers.LSTMCell` and so on."""

from keras_seq.cells.base import Cell
from keras_seq.cells.gru import GRUCell
from keras_seq.cells.lstm import LSTMCell
from keras_seq.cells.simple_rnn import SimpleRNNCell

__all__ = ["Cell", "GRUCell", "LSTMCell", "SimpleRNNCell"]

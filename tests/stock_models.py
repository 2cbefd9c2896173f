"""Models whose recurrent layers are those of a module `M`: `keras.layers` or `ks.layers`."""

import keras
from keras import ops

from tests.cases import D, H, T

K = keras.layers


class OwnCell(keras.layers.Layer):
    """A cell that Keras was not told of."""

    def __init__(self, units, activation, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), self.compute_dtype)]

    def call(self, inputs, states):
        h = self.activation(ops.matmul(inputs, self.kernel)) + 0.5 * states[0]
        return h, [h]

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


def sequential(M):
    rnn = M.RNN([M.LSTMCell(4), M.GRUCell(H, reset_after=False), OwnCell(2, lambda a: ops.tanh(a) * 0.9)])
    layers = [K.Masking(), M.SimpleRNN(11, return_sequences=True), M.LSTM(H, return_sequences=True, name="reader"), rnn]
    return keras.Sequential([keras.Input((T, D)), *layers, K.Dense(2)])


def bidirectional(M):
    other = M.GRU(4, return_sequences=True, go_backwards=True)  # stock symbolic shapes take one width for both
    return keras.Sequential(
        [
            keras.Input((None, D)),
            K.Masking(),
            M.Bidirectional(M.LSTM(H, return_sequences=True), name="both"),
            M.Bidirectional(M.LSTM(4, return_sequences=True), backward_layer=other),
            M.Bidirectional(M.RNN([M.LSTMCell(2), M.SimpleRNNCell(H)]), merge_mode="sum"),
        ]
    )


def states_and_masks(M):
    """Two inputs, three outputs, states from layer to layer, a mask that is an input."""
    x, kept = keras.Input((T, D)), keras.Input((T,), dtype="bool")
    y, h, c = M.LSTM(H, return_sequences=True, return_state=True)(x, mask=kept)
    z, *_, b = M.Bidirectional(M.GRU(H, return_sequences=True, return_state=True))(y, initial_state=[h, c], mask=kept)
    last = M.SimpleRNN(H)(z, initial_state=b, mask=kept)
    return keras.Model([x, kept], {"y": y, "last": last, "c": c * 2})


def nested_and_shared(M):
    """A layer used twice, and a model inside that is used twice, too."""
    x, a = keras.Input((T, D)), keras.Input((T, D))
    shared = M.GRU(D, return_sequences=True, name="shared")
    inside = keras.Model(a, M.LSTM(H, return_sequences=True)(M.SimpleRNN(11, return_sequences=True)(a)), name="inside")
    shared(keras.Input((None, D)))  # in some other model
    y = shared(shared(x))
    head = keras.Sequential([keras.Input((T, 2 * H)), M.SimpleRNN(4), K.Dense(2)], name="head")
    return keras.Model(x, head(K.Concatenate()([inside(x), inside(y)])))


def wrapped(M):
    """Sequences of sequences, and `TimeDistributed` after a recurrent layer."""
    x = keras.Input((3, T, D))
    y = K.TimeDistributed(M.LSTM(H, return_sequences=True))(x)
    y = K.TimeDistributed(keras.Sequential([keras.Input((T, H)), M.GRU(4)]))(y)
    return keras.Model(x, K.TimeDistributed(K.Dense(2))(M.LSTM(H, return_sequences=True)(y)))

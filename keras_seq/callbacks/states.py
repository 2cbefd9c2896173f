"""The states of stateful layers, epoch by epoch."""

import keras
import numpy as np

from keras_seq import compat


class ResetStates(keras.callbacks.Callback):
    """Resets the states of stateful layers at the right places of a training on windows of long streams.

    Each epoch starts from the states that a sequence starts from. Validation does, too, and what it leaves behind is
    not seen by the training: the states are put back that were there before. It finds the stateful recurrent layers
    of the model at any depth, in nested models and in `Bidirectional`. Use it with `ks.data.stream_dataset`; in
    `model.evaluate(..., callbacks=[ResetStates()])` it does the same.

    Example:

    >>> model = keras.Sequential([keras.Input(batch_shape=(2, 3, 1)), ks.layers.GRU(2, stateful=True)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((4, 3, 1)), np.ones((4, 2)), batch_size=2, verbose=0,
    ...                     callbacks=[ks.callbacks.ResetStates()])
    """

    def __init__(self):
        super().__init__()
        self._kept = []

    def on_epoch_begin(self, epoch, logs=None):
        self._reset()

    def on_test_begin(self, logs=None):
        states = [state for layer in self._stateful() for state in keras.tree.flatten(layer.states)]
        self._kept = [(state, np.array(keras.ops.convert_to_numpy(state))) for state in states]
        self._reset()

    def on_test_end(self, logs=None):
        for state, value in self._kept:
            state.assign(value)
        self._kept = []

    def _reset(self):
        for layer in self._stateful():
            layer.reset_state()

    def _stateful(self):
        """The stateful recurrent layers that have states: all that are built."""
        layers = compat.inner_layers(self.model)
        stateful = [layer for layer in layers if isinstance(layer, keras.layers.RNN) and layer.stateful]
        return [layer for layer in stateful if layer.states is not None]

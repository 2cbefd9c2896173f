"""The states that a stateful layer keeps from one batch to the next."""

import keras
from keras import tree

from keras_seq.layers.states import all_shapes


class KeepsStates:
    """State variables of a recurrent layer, for one batch size at a time; a class names it before the Keras layer.

    A subclass has `get_initial_state(batch_size)`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "_states_of_size", {})  # past Keras's tracking, see _use_states_for

    def _start_states(self, sequences_shape):
        """Have states for the batch size of inputs of this shape; raise where it is unknown."""
        batch_size = all_shapes(sequences_shape)[0][0]
        if batch_size is None:
            raise ValueError(
                f"Layer {self.name!r} is stateful and must know its batch size, got inputs of shape "
                f"{sequences_shape}: give `batch_size=` or `batch_shape=` to keras.Input."
            )
        self._use_states_for(batch_size)

    def _use_states_for(self, batch_size):
        """Have state variables for a batch of this size. Those for other sizes stay, for functions traced with them."""
        if batch_size not in self._states_of_size:
            self._states_of_size[batch_size] = tree.map_structure(
                lambda s: keras.Variable(s, trainable=False, dtype=s.dtype, name="rnn_state", autocast=False),
                self.get_initial_state(batch_size),
            )
        # Past Keras's tracking, which would make them weights: a stateful layer has the weights of a stateless one.
        object.__setattr__(self, "states", self._states_of_size[batch_size])

    @property
    def variables(self):
        """The weights, and the states of a stateful layer: what a compiled training step may change."""
        return super().variables + (tree.flatten(self.states) if self.states is not None else [])

    def reset_state(self, batch_size=None):
        """Start anew: the states of a stateful layer become those that a sequence starts from.

        Where the cell learns these (`NTMCell`), call it after weights were loaded or set, too.

        Args:
            batch_size: another batch size to go on with; None keeps it. Compile a model anew after it: what is compiled
                holds the states of the size before, and refuses another.
        """
        if self.states is None:
            return
        if batch_size is not None:
            self._use_states_for(batch_size)
        variables = tree.flatten(self.states)
        for variable, start in zip(variables, tree.flatten(self.get_initial_state(variables[0].shape[0])), strict=True):
            variable.assign(start)

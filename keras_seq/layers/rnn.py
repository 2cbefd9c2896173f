"""`RNN`: a cell, run over time."""

import keras
from keras import ops, tree

from keras_seq import compat
from keras_seq.backend.loop import loop
from keras_seq.checks import check_mask, fits
from keras_seq.layers.stacked import StackedRNNCells, on_seam, output_size, release


@keras.saving.register_keras_serializable("keras_seq")
class RNN(keras.layers.RNN):
    """Runs a cell over the time steps of a sequence.

    Drop-in for `keras.layers.RNN`, for cells of this package and any other cell with Keras's cell contract. What is
    different: masks mean the same on every backend (a masked step leaves the states as they were and repeats the
    previous output, so that each row ends as if its masked steps had been cut out), are not lost beside
    `initial_state`, and are handed on to the next layer under every Keras version; states may have any shape and
    dtype, and a wrong `initial_state` gets a message.

    Args:
        cell: a cell, or a list of cells that are stacked.
        return_sequences: whether to return the outputs of all steps, or the last one.
        return_state: whether to return the final states after the output.
        go_backwards: whether to read the sequence from its end. Outputs come in the order of reading.
        stateful: whether each batch starts from the states that the one before ended with. The batch size must then
            be known; `reset_state()` starts anew.
        unroll: one copy of the cell for each time step in place of a loop: slow to compile, `T` must be known.
        zero_output_for_mask: with `return_sequences`, whether outputs of masked steps are zero.

    Call arguments:
        sequences: `(B, T, D)`.
        initial_state: states to start from, a nest like `cell.get_initial_state(B)`.
        mask: booleans `(B, T)`, false where a step does not count; by default the mask that came with `sequences`.
        training: whether dropout acts.

    Returns:
        Outputs `(B, T, H)` or the last one `(B, H)`; with `return_state` a tuple of it and the states.

    Raises:
        ValueError: for an `initial_state` or a mask that does not fit, `unroll` with unknown `T`, or `stateful`
            with an unknown or changed batch size.

    Example:

    >>> layer = RNN([LSTMCell(4), GRUCell(3)], return_sequences=True)
    >>> layer(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 3])
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        elif type(cell) is keras.layers.StackedRNNCells:
            cell = StackedRNNCells(cell.cells, name=cell.name)  # Keras's draws dropout masks inside of the loop
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )
        self.supports_masking = True  # keras.layers.RNN gives it up after 3.15

    def build(self, sequences_shape, initial_state_shape=None):
        if isinstance(self.cell, keras.layers.Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        if self.stateful and self.states is None:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"Layer {self.name!r} is stateful and must know its batch size, got inputs of shape "
                    f"{tuple(sequences_shape)}: give `batch_size=` or `batch_shape=` to keras.Input."
                )
            states = tree.map_structure(
                lambda s: keras.Variable(s, trainable=False, dtype=s.dtype, name="rnn_state", autocast=False),
                self.get_initial_state(sequences_shape[0]),
            )
            # Past Keras's tracking, which would make them weights: a stateful layer has the weights of a stateless one.
            object.__setattr__(self, "states", states)
        self.built = True

    @property
    def variables(self):
        """The weights, and the states of a stateful layer: what a compiled training step may change."""
        return super().variables + (tree.flatten(self.states) if self.states is not None else [])

    def get_initial_state(self, batch_size):
        """The states that a sequence starts from: the cell's own, in a list."""
        if hasattr(self.cell, "get_initial_state"):
            states = self.cell.get_initial_state(batch_size=batch_size)
        else:
            states = [ops.zeros((batch_size, size), self.cell.compute_dtype) for size in self.state_size]
        return list(states) if tree.is_nested(states) else [states]

    def reset_state(self):
        """Start anew: the states of a stateful layer become those that a sequence starts from."""
        if self.states is None:
            return
        variables = tree.flatten(self.states)
        for variable, start in zip(variables, tree.flatten(self.get_initial_state(variables[0].shape[0])), strict=True):
            variable.assign(start)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        mask = compat.mask_of(tree.flatten(sequences)[0]) if mask is None else tree.flatten(mask)[0]
        self._check(sequences, initial_state, mask)
        states = self._states_to_start_from(ops.shape(sequences)[0], initial_state)
        output, states = self.inner_loop(sequences, states, mask, training)
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(state)
        output = ops.cast(output, self.compute_dtype)
        return (output, *states) if self.return_state else output

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """`(output, states)` of the cell over `sequences`: all outputs or the last, as `return_sequences` says."""
        cell = on_seam(self.cell, sequences.shape[-1])
        constants = cell.prepare(initial_state, training)
        inputs = cell.drop_inputs(sequences, training)
        try:
            return loop(
                lambda x, states: cell.step(cell.project(x), states, constants),
                inputs,
                initial_state,
                mask=mask,
                go_backwards=self.go_backwards,
                unroll=self.unroll,
                zero_output_for_mask=self.zero_output_for_mask,
                return_sequences=self.return_sequences,
            )
        finally:
            release(self.cell)

    def _states_to_start_from(self, batch_size, initial_state):
        """A nest like the cell's own initial state, of its dtypes: given, kept from the last batch, or new."""
        template = self.get_initial_state(batch_size)
        if initial_state is None:
            initial_state = self.states if self.stateful else template
        given, wanted = tree.flatten(initial_state), tree.flatten(template)
        cast = [ops.cast(ops.convert_to_tensor(g), w.dtype) for g, w in zip(given, wanted, strict=True)]
        return tree.pack_sequence_as(template, cast)

    def _check(self, sequences, initial_state, mask):
        """Raise for what cannot be run, by shapes alone: where a model is built, and where it is called."""
        batch, length = sequences.shape[:2]
        if self.unroll and length is None:
            raise ValueError(
                f"Layer {self.name!r} cannot unroll over an unknown number of time steps, got inputs of shape "
                f"{tuple(sequences.shape)}: give keras.Input a shape with the length, or leave `unroll=False`."
            )
        if self.stateful and self.states is not None and not fits((batch,), tree.flatten(self.states)[0].shape[:1]):
            raise ValueError(
                f"Layer {self.name!r} is stateful with batch size {tree.flatten(self.states)[0].shape[0]}, "
                f"got a batch of {batch}: keep the batch size, or drop the last, smaller batch."
            )
        check_mask(self, mask, sequences)
        if initial_state is None:
            return
        wanted = [(batch, *s.shape[1:]) for s in tree.flatten(self.get_initial_state(1))]
        given = [tuple(s.shape) for s in tree.flatten(initial_state)]
        if len(given) != len(wanted) or not all(map(fits, given, wanted)):
            raise ValueError(
                f"Argument `initial_state` of layer {self.name!r} must be {len(wanted)} tensor(s) of shapes "
                f"{wanted}, got {len(given)} of shapes {given}."
            )

    def compute_mask(self, _, mask):
        mask = tree.flatten(mask)[0]
        if not self.return_sequences:
            mask = None
        elif mask is not None and self.go_backwards:
            mask = ops.flip(mask, axis=1)  # outputs come in the order of reading
        if not self.return_state:
            return mask
        return [mask, *[None] * len(tree.flatten(self.get_initial_state(1)))]

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, length = sequences_shape[:2]
        size = output_size(self.cell)
        output = (batch, length, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return output
        return output, *tree.map_structure(lambda s: (batch, *s.shape[1:]), self.get_initial_state(1))

    def compute_output_spec(self, sequences, initial_state=None, mask=None, training=False):
        self._check(sequences, initial_state, mask)
        shapes = self.compute_output_shape(sequences.shape)
        if not self.return_state:
            return keras.KerasTensor(shapes, self.compute_dtype)
        batch = sequences.shape[0]
        states = tree.map_structure(
            lambda s: keras.KerasTensor((batch, *s.shape[1:]), s.dtype), self.get_initial_state(1)
        )
        return keras.KerasTensor(shapes[0], self.compute_dtype), *states

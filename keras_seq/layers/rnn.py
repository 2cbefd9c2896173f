"""`RNN`: a cell, run over time."""

import keras
from keras import ops, tree

from keras_seq import compat
from keras_seq.backend import native
from keras_seq.backend.loop import loop, where_rows
from keras_seq.cells.base import map_sizes
from keras_seq.checks import check_mask, check_sequences, fits
from keras_seq.layers.context import memory_context
from keras_seq.layers.over_time import ChoosesImplementation, asks_for_the_loop, implementation_of, over_time
from keras_seq.layers.stacked import (
    StackedRNNCells,
    advance,
    build_cell,
    in_dtype_of,
    on_seam,
    output_size,
    release,
)
from keras_seq.layers.stateful import KeepsStates
from keras_seq.layers.states import (
    all_shapes,
    begun,
    check_states,
    in_form_of,
    initial_states,
    map_shapes,
    resetting,
)


@keras.saving.register_keras_serializable("keras_seq")
class RNN(KeepsStates, ChoosesImplementation, keras.layers.RNN):
    """Runs a cell over the time steps of a sequence.

    Drop-in for `keras.layers.RNN`, for cells of this package and any other cell with Keras's cell contract. What is
    different: masks mean the same on every backend (a masked step leaves the states as they were and repeats the
    previous output, so that each row ends as if its masked steps had been cut out), are not lost beside
    `initial_state`, and are handed on to the next layer under every Keras version; states may have any shape and
    dtype, and a wrong `initial_state` gets a message.

    Args:
        cell: a cell, or a list of cells that are stacked. A cell of your own must not draw random numbers inside of its
            step on JAX, as an inner `keras.layers.Dropout` does: seeds do not advance in a compiled loop.
        return_sequences: whether to return the outputs of all steps, or the last one.
        return_state: whether to return the final states after the output.
        go_backwards: whether to read the sequence from its end. Outputs come in the order of reading.
        stateful: whether each batch starts from the states that the one before ended with. The batch size must then
            be known; `reset_state()` starts anew.
        unroll: one copy of the cell for each time step in place of a loop: slow to compile, `T` must be known.
        zero_output_for_mask: with `return_sequences`, whether outputs of masked steps are zero.

    Call arguments:
        sequences: `(B, T, D)`, or what nest of such tensors the cell reads.
        initial_state: states to start from, a nest like `cell.get_initial_state(B)`.
        mask: booleans `(B, T)`, false where a step does not count; by default the mask that came with `sequences`.
        training: whether dropout acts.
        memory: a tensor `(B, S, ...)` or a list of them that the cell reads at each step, for cells whose `prepare`
            takes `memory`.
        memory_mask: booleans `(B, S)`, or a list of them; by default the masks that came with `memory`.
        reset_mask: booleans `(B, T)`, true where a step begins another sequence: its row starts anew from the cell's
            own initial state there (read backwards, after that step). At a masked step it has no effect.
        perturbation: terms added to the states as they leave each step (and to the output, where a cell returns one
            of its states as such), a nest like the states of tensors `(B, T, ...)` in the order of reading. Its
            gradient at zero is that of the states, step by step; what a cell computes from a state before it returns
            it, such as an output of its own, is not on this path, and at a masked step it has no effect.
        return_trace: whether to return the states after each step, `(B, T, ...)` in the order of reading, at the end.

    Returns:
        Outputs `(B, T, H)` or the last one `(B, H)`; with `return_state` and `return_trace` a tuple: output, states,
        trace.

    Raises:
        ValueError: for states, masks or a memory that do not fit, `unroll` with unknown `T`, or `stateful` with an
            unknown or changed batch size.

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
        self.autocast = False  # a cast by Keras 3.13 loses the mask: `call` casts

    def build(self, sequences_shape, initial_state_shape=None, memory_shape=None):
        check_sequences(self, all_shapes(sequences_shape))
        step_shape = map_shapes(lambda shape: (shape[0], *shape[2:]), sequences_shape)
        build_cell(self.cell, step_shape, memory_shape)
        if self.stateful and self.states is None:
            self._start_states(sequences_shape)
        self.built = True

    def get_initial_state(self, batch_size):
        """The states that a sequence starts from: the cell's own, in a list."""
        return initial_states(self.cell, batch_size)

    def call(
        self,
        sequences,
        initial_state=None,
        mask=None,
        training=False,
        memory=None,
        memory_mask=None,
        reset_mask=None,
        perturbation=None,
        return_trace=False,
    ):
        first = tree.flatten(sequences)[0]
        mask = compat.mask_of(first) if mask is None else tree.flatten(mask)[0]
        sequences = in_dtype_of(self, sequences)
        self._check(sequences, initial_state, mask, reset_mask, perturbation)
        if self.stateful and first.shape[0] is None:  # a batch of another size would broadcast against the states
            size = tree.flatten(self.states)[0].shape[0]
            sequences = tree.map_structure(lambda x: native.with_batch_size(x, size), sequences)
            first = tree.flatten(sequences)[0]
        template = self.get_initial_state(ops.shape(first)[0])
        anew = initial_state is None and not self.stateful
        if initial_state is None:
            initial_state = self.states if self.stateful else template
        context = memory_context(self, first.shape[0], memory, memory_mask)
        if context:
            context["memory"] = in_dtype_of(self, context["memory"])
        output, states, *trace = self.inner_loop(
            sequences,
            in_form_of(template, initial_state),
            mask,
            training,
            context=context,
            anew=anew,
            reset_mask=reset_mask,
            perturbation=None if perturbation is None else in_form_of(template, perturbation),
            return_trace=return_trace,
        )
        output = tree.map_structure(lambda y: ops.cast(y, self.compute_dtype), output)
        result = (output, *(states if self.return_state else ()), *trace)
        if self.stateful:
            if reset_mask is not None and self.go_backwards:  # what the last step said holds for the next batch
                states = where_rows(begun(reset_mask, mask), template, states)
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                variable.assign(state)
        return result if self.return_state or return_trace else output

    def inner_loop(
        self,
        sequences,
        initial_state,
        mask,
        training=False,
        context=None,
        anew=False,
        reset_mask=None,
        perturbation=None,
        return_trace=False,
    ):
        """`(output, states)`, or `(output, states, trace)`, of the cell over `sequences`.

        `context` are keyword arguments of the cell's `prepare`; `anew` says that `initial_state` is that of the cell;
        the rest is as in `call`.
        """
        cell = on_seam(self.cell, tree.flatten(sequences)[0].shape[-1])
        constants = cell.prepare(initial_state, training, **(context or {}))
        only_loop = asks_for_the_loop(self, sequences, context, reset_mask, perturbation, return_trace)
        shape = tree.flatten(sequences)[0].shape[:2]
        chosen = implementation_of(self, cell, *shape, training, mask is not None, only_loop)
        if chosen != "loop":
            how = {"return_sequences": self.return_sequences, "zero_output_for_mask": self.zero_output_for_mask}
            how |= {"mask": mask, "go_backwards": self.go_backwards, "anew": anew}
            inputs = cell.drop_inputs(sequences, training)
            return over_time(chosen, cell, inputs, initial_state, constants, training, **how)

        def step(x, states, perturbation=None):
            return advance(cell, cell.project(x), states, constants, perturbation)

        inputs, states = cell.drop_inputs(sequences, training), initial_state
        if reset_mask is not None:
            step = resetting(step, self.get_initial_state(ops.shape(reset_mask)[0]), self.go_backwards)
            inputs = (inputs, ops.cast(reset_mask, "bool"))
            # Read backwards, a sequence ends where it begins: what its first step says holds for the next kept one.
            states = (states, ops.zeros(ops.shape(reset_mask)[:1], "bool"))
        try:
            output, states, *trace = loop(
                step,
                inputs,
                states,
                mask=mask,
                go_backwards=self.go_backwards,
                unroll=self.unroll,
                zero_output_for_mask=self.zero_output_for_mask,
                return_sequences=self.return_sequences,
                return_trace=return_trace,
                perturbation=perturbation,
            )
        finally:
            release(self.cell)
        if reset_mask is not None:
            (states, _), trace = states, [one[0] for one in trace]
        return (output, states, *trace)

    def _check(self, sequences, initial_state=None, mask=None, reset_mask=None, perturbation=None):
        """Raise for what cannot be run, by shapes alone: where a model is built, and where it is called."""
        check_sequences(self, [x.shape for x in tree.flatten(sequences)])
        first = tree.flatten(sequences)[0]
        batch, length = first.shape[:2]
        if self.unroll and length is None:
            raise ValueError(
                f"Layer {self.name!r} cannot unroll over an unknown number of time steps, got inputs of shape "
                f"{tuple(first.shape)}: give keras.Input a shape with the length, or leave `unroll=False`."
            )
        if self.stateful and self.states is not None and not fits((batch,), tree.flatten(self.states)[0].shape[:1]):
            raise ValueError(
                f"Layer {self.name!r} is stateful with batch size {tree.flatten(self.states)[0].shape[0]}, got a "
                f"batch of {batch}: keep the batch size, drop the last, smaller batch, or begin anew with "
                f"`reset_state(batch_size={batch})`."
            )
        check_mask(self, mask, first)
        check_mask(self, reset_mask, first, "reset_mask")
        template = self.get_initial_state(1)
        check_states(f"Argument `initial_state` of layer {self.name!r}", initial_state, template, (batch,))
        check_states(f"Argument `perturbation` of layer {self.name!r}", perturbation, template, (batch, length))

    def compute_mask(self, _, mask):
        mask = tree.flatten(mask)[0]
        if not self.return_sequences:
            mask = None
        elif mask is not None and self.go_backwards:
            mask = ops.flip(mask, axis=1)  # outputs come in the order of reading
        masks = [mask] * len(tree.flatten(self._output_spec(1, 1)))
        if self.return_state:
            masks += [None] * len(tree.flatten(self.get_initial_state(1)))
        return masks if len(masks) > 1 else mask

    def compute_output_shape(self, sequences_shape, initial_state_shape=None, memory_shape=None):
        batch, length = all_shapes(sequences_shape)[0][:2]
        shape = tree.map_structure(lambda spec: spec.shape, self._output_spec(batch, length))
        if not self.return_state:
            return shape
        return shape, *tree.map_structure(lambda s: (batch, *s.shape[1:]), self.get_initial_state(1))

    def compute_output_spec(
        self,
        sequences,
        initial_state=None,
        mask=None,
        training=False,
        memory=None,
        memory_mask=None,
        reset_mask=None,
        perturbation=None,
        return_trace=False,
    ):
        first = tree.flatten(sequences)[0]
        self._check(sequences, initial_state, tree.flatten(mask)[0], reset_mask, perturbation)
        memory_context(self, first.shape[0], memory, memory_mask)
        batch, length = first.shape[:2]

        def states(*lead):
            template = self.get_initial_state(1)
            return tree.map_structure(lambda s: keras.KerasTensor((*lead, *s.shape[1:]), s.dtype), template)

        output = self._output_spec(batch, length)
        result = (output, *(states(batch) if self.return_state else ()))
        if return_trace:
            result = (*result, states(batch, length))
        return result if self.return_state or return_trace else output

    def _output_spec(self, batch, length):
        lead = (batch, length) if self.return_sequences else (batch,)
        size = output_size(self.cell)
        return map_sizes(lambda shape: keras.KerasTensor((*lead, *shape), self.compute_dtype), size)

"""`Bidirectional`: one layer forwards in time, one backwards."""

import keras
from keras import ops, tree

from keras_seq import compat


@keras.saving.register_keras_serializable("keras_seq")
class Bidirectional(keras.layers.Bidirectional):
    """Reads a sequence in both directions and joins the outputs.

    Drop-in for `keras.layers.Bidirectional`. What is different: the mask is not lost beside `initial_state`, is
    handed on to the next layer under every Keras version, and may come with `return_state`.

    Args:
        layer: a recurrent layer; a copy of it reads forwards, another backwards.
        merge_mode: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for a tuple of both outputs.
        backward_layer: the layer that reads backwards, if it is another one.

    Call arguments:
        sequences: `(B, T, D)`.
        initial_state: states of the forward layer, then those of the backward layer, in one list.
        mask: booleans `(B, T)`; by default the mask that came with `sequences`.
        training: whether dropout acts.
        memory, memory_mask, reset_mask: as in `RNN`, for both directions.
        perturbation: as in `RNN`, for the forward states, then for the backward ones, in one list.
        return_trace: whether to return the states after each step at the end: forward ones, then backward ones, in
            one list, each in its layer's order of reading.

    Returns:
        The joined outputs: `(B, T, 2H)` or `(B, 2H)` for `"concat"`, `(B, T, H)` or `(B, H)` for the others. Outputs
        of masked steps are zero. With `return_state` a tuple: output, forward states, backward states.

    Example:

    >>> Bidirectional(LSTM(3, return_sequences=True))(np.ones((2, 7, 5))).shape
    TensorShape([2, 7, 6])
    """

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        super().__init__(layer, merge_mode=merge_mode, weights=weights, backward_layer=backward_layer, **kwargs)
        self.supports_masking = True  # keras.layers.Bidirectional gives it up after 3.15

    def build(self, sequences_shape, initial_state_shape=None, memory_shape=None):
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape, **({} if memory_shape is None else {"memory_shape": memory_shape}))
        self.built = True

    def call(
        self,
        sequences,
        initial_state=None,
        mask=None,
        training=None,
        memory=None,
        memory_mask=None,
        reset_mask=None,
        perturbation=None,
        return_trace=False,
    ):
        mask = compat.mask_of(tree.flatten(sequences)[0]) if mask is None else tree.flatten(mask)[0]
        context = _given(memory=memory, memory_mask=memory_mask, reset_mask=reset_mask, return_trace=return_trace)
        forward, backward = (
            layer(sequences, initial_state=states, mask=mask, training=training, **context, **_given(perturbation=p))
            for layer, states, p in self._directions(initial_state, perturbation)
        )
        return self._joined(forward, backward, self._merged, return_trace)

    def compute_output_spec(
        self, sequences, initial_state=None, perturbation=None, mask=None, training=None, return_trace=False, **context
    ):
        context = _given(**context, return_trace=return_trace)
        forward, backward = (
            layer.compute_output_spec(sequences, initial_state=states, **context, **_given(perturbation=p))
            for layer, states, p in self._directions(initial_state, perturbation)
        )
        return self._joined(forward, backward, self._merged_spec, return_trace)

    def _directions(self, initial_state, perturbation):
        """Each layer with its half of the states and perturbations, which come in one list: forward ones first."""
        states, added = _halves(initial_state), _halves(perturbation)
        return zip((self.forward_layer, self.backward_layer), states, added, strict=True)

    def _joined(self, forward, backward, merge, return_trace):
        """What both layers returned, as one: output, forward states, backward states, both traces."""
        if not (self.return_state or return_trace):
            return merge(forward, backward)
        (output, *states), (backward_output, *backward_states) = forward, backward
        traces = [states.pop() + backward_states.pop()] if return_trace else []
        output = merge(output, backward_output)
        return (*(output if self.merge_mode is None else (output,)), *states, *backward_states, *traces)

    def _merged(self, forward, backward):
        forward, backward = (ops.cast(y, self.compute_dtype) for y in (forward, backward))
        if self.return_sequences:
            backward = ops.flip(backward, axis=1)
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "sum":
            return forward + backward
        if self.merge_mode == "ave":
            return (forward + backward) / 2
        return forward * backward if self.merge_mode == "mul" else (forward, backward)

    def _merged_spec(self, forward, backward):
        if self.merge_mode is None:
            return tuple(keras.KerasTensor(y.shape, self.compute_dtype) for y in (forward, backward))
        width = forward.shape[-1] + (backward.shape[-1] if self.merge_mode == "concat" else 0)
        return keras.KerasTensor((*forward.shape[:-1], width), self.compute_dtype)

    def compute_mask(self, _, mask):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        masks = [mask] if self.merge_mode else [mask, mask]
        if self.return_state:
            layers = (self.forward_layer, self.backward_layer)
            masks += [None] * sum(len(tree.flatten(layer.get_initial_state(1))) for layer in layers)
        return masks if len(masks) > 1 else masks[0]


def _given(**arguments):
    """The arguments that say something: layers of Keras know none of them."""
    return {name: value for name, value in arguments.items() if value is not None and value is not False}


def _halves(values):
    """The first and the second half of a list, or twice None."""
    if values is None:
        return None, None
    return values[: len(values) // 2], values[len(values) // 2 :]

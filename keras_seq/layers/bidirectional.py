"""`Bidirectional`: one layer forwards in time, one backwards."""

import keras
from keras import ops, tree

from keras_seq import compat
from keras_seq.layers.rnn import RNN
from keras_seq.layers.states import map_shapes


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
        for name, one in (("layer", layer), ("backward_layer", backward_layer)):
            if isinstance(one, keras.layers.Layer) and not hasattr(one, "go_backwards"):
                raise ValueError(
                    f"Argument `{name}` must be a recurrent layer, such as RNN, LSTM or GRU, got {type(one).__name__}."
                )
        super().__init__(layer, merge_mode=merge_mode, weights=weights, backward_layer=backward_layer, **kwargs)
        self.supports_masking = True  # keras.layers.Bidirectional gives it up after 3.15
        self.autocast = False  # a cast by Keras 3.13 loses the mask: the layers cast

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
        context = _given(
            mask=tree.flatten(mask)[0],
            memory=memory,
            memory_mask=memory_mask,
            reset_mask=reset_mask,
            return_trace=return_trace,
        )
        forward, backward = (
            layer.compute_output_spec(sequences, initial_state=states, **context, **_given(perturbation=p))
            for layer, states, p in self._directions(initial_state, perturbation)
        )
        return self._joined(forward, backward, self._merged_spec, return_trace)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None, memory_shape=None):
        forward, backward = (
            map_shapes(
                lambda shape: keras.KerasTensor(shape, self.compute_dtype), layer.compute_output_shape(sequences_shape)
            )
            for layer in (self.forward_layer, self.backward_layer)
        )
        return tree.map_structure(lambda spec: spec.shape, self._joined(forward, backward, self._merged_spec, False))

    def reset_state(self, batch_size=None):
        """Start anew, in both directions; see `RNN.reset_state`."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.reset_state(**_given(batch_size=batch_size))

    def _directions(self, initial_state, perturbation):
        """Each layer with its part of the states and perturbations, which come in one list: forward ones first."""
        states, added = self._parts("initial_state", initial_state), self._parts("perturbation", perturbation)
        return zip((self.forward_layer, self.backward_layer), states, added, strict=True)

    def _parts(self, name, values):
        """What belongs to the forward layer, and what to the backward layer; twice None for None."""
        if values is None:
            return None, None
        first, second = (len(layer.get_initial_state(1)) for layer in (self.forward_layer, self.backward_layer))
        if not isinstance(values, (list, tuple)) or len(values) != first + second:
            raise ValueError(
                f"Argument `{name}` of layer {self.name!r} must be a list of {first} forward and {second} backward "
                f"entries, got {len(values) if isinstance(values, (list, tuple)) else type(values).__name__}."
            )
        return values[:first], values[first:]

    def _joined(self, forward, backward, merge, return_trace):
        """What both layers returned, as one: output, forward states, backward states, both traces."""
        if not (self.return_state or return_trace):
            return merge(forward, backward)
        (output, *states), (backward_output, *backward_states) = forward, backward
        traces = [states.pop() + backward_states.pop()] if return_trace else []
        output = merge(output, backward_output)
        return (*(output if self.merge_mode is None else (output,)), *states, *backward_states, *traces)

    def _merged(self, forward, backward):
        if self.merge_mode is None:
            return tree.map_structure(self._cast, forward), tree.map_structure(self._in_order, backward)
        return tree.map_structure(lambda f, b: self._merge(self._cast(f), self._in_order(b)), forward, backward)

    def _cast(self, outputs):
        return ops.cast(outputs, self.compute_dtype)

    def _in_order(self, outputs):
        """Outputs of the layer that reads backwards, in the order of time."""
        return ops.flip(self._cast(outputs), axis=1) if self.return_sequences else self._cast(outputs)

    def _merge(self, forward, backward):
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "sum":
            return forward + backward
        return (forward + backward) / 2 if self.merge_mode == "ave" else forward * backward

    def _merged_spec(self, forward, backward):
        def spec(f, b=None):
            widths = [f.shape[-1], *([b.shape[-1]] if self.merge_mode == "concat" else [])]
            width = None if None in widths else sum(widths)  # how long a memory is may be open
            return keras.KerasTensor((*f.shape[:-1], width), self.compute_dtype)

        if self.merge_mode is None:
            return tree.map_structure(spec, forward), tree.map_structure(spec, backward)
        return tree.map_structure(spec, forward, backward)

    def compute_mask(self, _, mask):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        outputs = len(tree.flatten(self.forward_layer._output_spec(1, 1))) if isinstance(self.forward_layer, RNN) else 1
        masks = [mask] * (outputs if self.merge_mode else 2 * outputs)
        if self.return_state:
            layers = (self.forward_layer, self.backward_layer)
            masks += [None] * sum(len(tree.flatten(layer.get_initial_state(1))) for layer in layers)
        return masks if len(masks) > 1 else masks[0]


def _given(**arguments):
    """The arguments that say something: layers of Keras know none of them."""
    return {name: value for name, value in arguments.items() if value is not None and value is not False}

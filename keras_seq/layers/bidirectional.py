"""`Bidirectional`: one layer forwards in time, one backwards."""

import keras
from keras import tree

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

    def call(self, sequences, initial_state=None, mask=None, training=None):
        mask = compat.mask_of(sequences) if mask is None else mask
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def compute_mask(self, _, mask):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        masks = [mask] if self.merge_mode else [mask, mask]
        if self.return_state:
            layers = (self.forward_layer, self.backward_layer)
            masks += [None] * sum(len(tree.flatten(layer.get_initial_state(1))) for layer in layers)
        return masks if len(masks) > 1 else masks[0]

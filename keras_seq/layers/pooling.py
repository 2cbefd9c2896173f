"""From outputs of all steps to one vector, by a fixed rule."""

import keras
from keras import ops

from keras_seq.backend.loop import zero_where_masked
from keras_seq.checks import check_mask
from keras_seq.layers.stacked import in_dtype_of

_MODES = ("last", "mean", "max")


@keras.saving.register_keras_serializable("keras_seq")
class SequencePooling(keras.layers.Layer):
    """One vector for a sequence: its last kept step, or the mean or maximum over its kept steps.

    Args:
        mode: `"last"`, `"mean"` or `"max"`.

    Call arguments:
        sequences: `(B, T, D)`.
        mask: booleans `(B, T)`, false where a step does not count; by default the mask that came with `sequences`.

    Returns:
        `(B, D)`. A row without any kept step gives zeros.

    Example:

    >>> x = np.array([[[1.0], [5.0], [3.0]]])
    >>> SequencePooling("max")(x, mask=np.array([[True, False, True]])).numpy().tolist()
    [[3.0]]
    """

    def __init__(self, mode="last", **kwargs):
        super().__init__(**kwargs)
        if mode not in _MODES:
            raise ValueError(f"Argument `mode` must be one of {_MODES}, got {mode!r}.")
        self.mode = mode
        self.supports_masking = True
        self.autocast = False  # a cast loses the mask on Keras 3.13

    def call(self, sequences, mask=None):
        check_mask(self, mask, sequences)
        sequences = in_dtype_of(self, sequences)
        keep = ops.ones(ops.shape(sequences)[:2], "bool") if mask is None else ops.cast(mask, "bool")
        if self.mode == "max":
            kept_steps = ops.where(ops.expand_dims(keep, -1), sequences, -float("inf"))
            highest = ops.max(kept_steps, axis=1, initial=-float("inf"))
            return ops.where(ops.any(keep, axis=1, keepdims=True), highest, ops.zeros_like(highest))
        # Counts and sums of long sequences do not fit into half precision.
        dtype = keras.backend.result_type(sequences.dtype, "float32")
        weights = self._weights(ops.cast(keep, dtype))
        steps = ops.cast(sequences if mask is None else zero_where_masked(sequences, mask), dtype)
        return ops.cast(ops.einsum("bt,btd->bd", weights, steps), sequences.dtype)

    def _weights(self, keep):
        """How much each step counts, `(B, T)`, from ones and zeros that say which are kept."""
        if self.mode == "mean":
            return keep / ops.maximum(ops.sum(keep, axis=1, keepdims=True), 1.0)
        # The last kept step is the one at which the count of kept steps reaches its total.
        count = ops.cumsum(keep, axis=1)
        return keep * ops.cast(count == ops.sum(keep, axis=1, keepdims=True), keep.dtype)

    def compute_mask(self, _, mask=None):
        return None

    def compute_output_shape(self, sequences_shape):
        return (sequences_shape[0], sequences_shape[-1])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}

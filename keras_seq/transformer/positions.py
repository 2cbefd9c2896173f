"""Positions that are added to the steps of a sequence (rotary ones: `keras_seq.attention.rotary`).

Sinusoidal (Vaswani et al., 2017, arXiv 1706.03762, section 3.5), for column j of D:

    e[p, 2 j] = sin(p / 10000 ** (2 j / D)),   e[p, 2 j + 1] = cos(p / 10000 ** (2 j / D))

Learned: a weight `(L, D)`, row p for position p.
"""

import keras
import numpy as np
from keras import ops

from keras_seq import compat
from keras_seq.attention.rotary import kept_positions
from keras_seq.backend.loop import where_rows
from keras_seq.checks import check_mask, positive_integer, positive_number


class _Positions(keras.layers.Layer):
    """Adds to each step a vector of its position: how many kept steps stand before it, unless positions are given."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.autocast = False  # a cast loses the mask on Keras 3.13

    def call(self, sequences, positions=None, mask=None):
        if positions is None and len(sequences.shape) < 3:
            raise ValueError(
                f"Layer {self.name!r} reads sequences (B, T, D), or one step (B, D) with its `positions`, got inputs "
                f"of shape {tuple(sequences.shape)} alone."
            )
        if len(sequences.shape) > 2:
            mask = compat.mask_of(sequences) if mask is None else mask
            check_mask(self, mask, sequences)
        if positions is None:
            positions = kept_positions(mask, ops.shape(sequences)[1])
        sequences = ops.cast(sequences, self.compute_dtype)
        added = sequences + self.encode(ops.cast(positions, "int32"), sequences.shape[-1])
        return added if mask is None else where_rows(ops.cast(mask, "bool"), added, ops.zeros_like(added))

    def compute_mask(self, _, mask=None):
        return mask

    def compute_output_shape(self, sequences_shape, positions_shape=None):
        return tuple(sequences_shape)


@keras.saving.register_keras_serializable("keras_seq")
class SinusoidalPositions(_Positions):
    """Adds sines and cosines of the position to each step: see `keras_seq.transformer.positions`.

    Args:
        base: the longest wavelength is `2 pi` times this.

    Call arguments:
        sequences: `(B, T, D)`, or one step `(B, D)` with `positions`.
        positions: integers `(B, T)`, or `(B,)` for one step; by default how many kept steps stand before each.
        mask: booleans `(B, T)`; by default the mask that came with `sequences`. Masked steps become zeros.

    Returns:
        As `sequences`.

    Example:

    >>> print(SinusoidalPositions()(np.zeros((1, 3, 2))).numpy().round(2))
    [[[ 0.    1.  ]
      [ 0.84  0.54]
      [ 0.91 -0.42]]]
    """

    def __init__(self, base=10_000.0, **kwargs):
        super().__init__(**kwargs)
        self.base = positive_number("base", base)

    def encode(self, positions, size):
        """The vectors of positions `(...)`: `(..., D)` for D = `size`."""
        column = np.arange(size)
        rate = self.base ** (-(column - column % 2) / size)
        precise = keras.backend.result_type(self.compute_dtype, "float32")
        angle = ops.expand_dims(ops.cast(positions, precise), -1) * ops.convert_to_tensor(rate, precise)
        shift = np.where(column % 2, np.pi / 2, 0.0)  # the cosine is the sine a quarter further
        return ops.cast(ops.sin(angle + ops.convert_to_tensor(shift, precise)), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "base": self.base}


@keras.saving.register_keras_serializable("keras_seq")
class LearnedPositions(_Positions):
    """Adds a learned vector of its position to each step. Weight: `embeddings` `(L, D)`.

    Args:
        max_length: number `L` of positions that have a vector.
        embeddings_initializer: how they start.

    Call arguments:
        sequences: `(B, T, D)`, or one step `(B, D)` with `positions`.
        positions: integers `(B, T)`, or `(B,)` for one step; by default how many kept steps stand before each. From `L`
            on all have the last vector.
        mask: booleans `(B, T)`; by default the mask that came with `sequences`. Masked steps become zeros.

    Returns:
        As `sequences`.

    Raises:
        ValueError: where sequences are known to be longer than `max_length`, and there is no mask.

    Example:

    >>> LearnedPositions(11)(np.zeros((2, 7, 4))).shape
    TensorShape([2, 7, 4])
    """

    def __init__(self, max_length, embeddings_initializer="uniform", **kwargs):
        super().__init__(**kwargs)
        self.max_length = positive_integer("max_length", max_length)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, sequences_shape, positions_shape=None):
        self.embeddings = self.add_weight(
            shape=(self.max_length, sequences_shape[-1]), name="embeddings", initializer=self.embeddings_initializer
        )
        self.built = True

    def call(self, sequences, positions=None, mask=None):
        mask = compat.mask_of(sequences) if mask is None else mask
        whole = positions is None and mask is None and len(sequences.shape) > 2
        length = sequences.shape[1] if whole else None
        if length is not None and length > self.max_length:
            raise ValueError(
                f"Layer {self.name!r} has vectors for {self.max_length} positions, got sequences of {length} steps: "
                "raise `max_length`, or cut the sequences."
            )
        return super().call(sequences, positions, mask)

    def encode(self, positions, size):
        """The vectors of positions `(...)`: `(..., D)`."""
        embeddings = ops.cast(self.embeddings, self.compute_dtype)
        return ops.take(embeddings, ops.minimum(positions, self.max_length - 1), axis=0)

    def get_config(self):
        return {
            **super().get_config(),
            "max_length": self.max_length,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }

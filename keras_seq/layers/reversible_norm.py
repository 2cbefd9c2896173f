"""Normalisation of each window by itself, and its inverse for the forecast.

RevIN (Kim et al., 2022, "Reversible Instance Normalization", eq. 1 to 3), for one channel of one window:

    z[t] = g (x[t] - a) / s + beta          a = mean over t of x[t],   s = sqrt(variance over t of x[t] + epsilon)
    y'   = s (y - beta) / g + a             g = max(|gamma|, epsilon)

`g` is the size of the learned `gamma`, so that the inverse is there for any weight, and keeps the order of quantiles.
With `center="last"`, `a` is the last value of the window; without `scale`, `s` is 1 (both: what NLinear and SegRNN do).
"""

import keras
from keras import ops

from keras_seq import compat
from keras_seq.checks import check_sequences, fits, positive_number

_CENTERS = ("mean", "last")


@keras.saving.register_keras_serializable("keras_seq")
class ReversibleNorm(keras.layers.Layer):
    """Takes level and scale off each window, and gives them back to the forecast (`keras_seq.layers.reversible_norm`).

    `z, statistics = norm(x)` normalises; `norm.inverse(y, statistics)`, which is `norm(y, statistics=statistics)`,
    brings forecasts back into the unit of `x`. Both work in Functional models, on the same weights: `gamma` and `beta`,
    `(C,)`, if `affine`.

    A window that is constant becomes zeros (plus `beta`). Statistics are computed in float32 at least.

    Args:
        center: "mean" or "last", what is taken off.
        scale: whether to divide by the standard deviation.
        affine: whether each channel has a learned scale and shift.
        epsilon: added to the variance; also the least size of `gamma`.

    Call arguments:
        inputs: windows `(B, T, C)`; with `statistics`, forecasts `(B, F, C)`, or `(B, F, C, Q)` of quantiles.
        statistics: what the call for the windows returned.
        mask: booleans `(B, T)`, or `(B, T, C)` for each value; by default the mask that came with `inputs`. What is
            masked does not count, may be anything, and becomes 0. Where nothing is kept, `a` is 0 and `s` is 1.

    Returns:
        `(z, statistics)`: normalised windows, and `(B, 2, C)` with `a` and `s`. With `statistics`: forecasts of the
        shape of `inputs`, in float32 at least also under mixed precision, since the unit may be large.

    Raises:
        ValueError: for another `center`, or shapes that do not fit.

    Example:

    >>> norm = ReversibleNorm(center="last", scale=False, affine=False)
    >>> z, statistics = norm(np.array([[[3.0], [5.0]]]))
    >>> z.numpy().tolist(), norm.inverse(np.array([[[1.0]]]), statistics).numpy().tolist()
    ([[[-2.0], [0.0]]], [[[6.0]]])
    """

    def __init__(self, center="mean", scale=True, affine=True, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        if center not in _CENTERS:
            raise ValueError(f"Argument `center` must be one of {_CENTERS}, got {center!r}.")
        self.center = center
        self.scale = scale
        self.affine = affine
        self.epsilon = positive_number("epsilon", epsilon)
        self.supports_masking = True
        self.autocast = False  # statistics would lose their precision, and a cast loses the mask on Keras 3.13

    def build(self, inputs_shape, statistics_shape=None):
        check_sequences(self, [inputs_shape])
        if self.affine:
            self.gamma = self.add_weight(shape=(inputs_shape[2],), name="gamma", initializer="ones")
            self.beta = self.add_weight(shape=(inputs_shape[2],), name="beta", initializer="zeros")
        self.built = True

    def call(self, inputs, statistics=None, mask=None):
        x = ops.cast(inputs, self._precise(inputs))
        if statistics is not None:
            return self._inverse(x, statistics)
        mask = compat.mask_of(inputs) if mask is None else mask
        keep = None if mask is None else self._kept(mask, x)
        # Sizes are taken from the last value on: the variance of a large level with small changes would drown.
        a = last_kept(x, keep)  # (B, 1, C)
        x = x - a if keep is None else ops.where(keep, x - a, 0)
        mean, s = _moments(x, keep)
        if self.center == "mean":
            a, x = a + mean, x - mean
        s = ops.sqrt(s + self.epsilon) if self.scale else ops.ones_like(a)
        if keep is not None:
            s = ops.where(ops.any(keep, axis=1, keepdims=True), s, 1)
        z = x / s
        if self.affine:
            g, beta = self._affine(z)
            z = g * z + beta
        z = z if keep is None else ops.where(keep, z, 0)
        return ops.cast(z, self.compute_dtype), ops.concatenate([a, s], axis=1)

    def inverse(self, forecasts, statistics):
        """Forecasts `(B, F, C)` or `(B, F, C, Q)` in the unit of the windows that gave `statistics` `(B, 2, C)`."""
        return self(forecasts, statistics=statistics)

    def inverse_scale(self, scales, statistics):
        """Sizes `(B, F, C)`, such as standard deviations, in the unit of the windows: they have no level to add."""
        size = ops.cast(statistics, scales.dtype)[:, 1:]
        return scales * (size / self._affine(scales)[0] if self.affine else size)

    def _inverse(self, y, statistics):
        wanted = (y.shape[0], 2, y.shape[2])
        if not fits(tuple(statistics.shape), wanted):
            raise ValueError(
                f"Argument `statistics` of layer {self.name!r} must be what the layer returned for the windows, "
                f"{wanted}, got shape {tuple(statistics.shape)}."
            )
        statistics = ops.cast(statistics, y.dtype)
        a, s = statistics[:, :1], statistics[:, 1:]
        shift, size = ops.zeros_like(a), s
        if self.affine:
            g, shift = self._affine(y)
            size = s / g
        if len(y.shape) == 4:  # the quantiles of a channel
            a, size, shift = (ops.expand_dims(v, -1) for v in (a, size, shift))
        return (y - shift) * size + a

    def _affine(self, like):
        gamma, beta = (ops.cast(w, like.dtype) for w in (self.gamma, self.beta))
        return ops.maximum(ops.abs(gamma), self.epsilon), beta

    def _kept(self, mask, x):
        shape = tuple(mask.shape)
        if not (fits(shape, x.shape[:2]) or fits(shape, x.shape)):
            raise ValueError(
                f"Argument `mask` of layer {self.name!r} must have shape (B, T) = {tuple(x.shape[:2])} or (B, T, C) = "
                f"{tuple(x.shape)}, got {shape}."
            )
        mask = ops.cast(mask, "bool")
        mask = mask if len(shape) == 3 else ops.expand_dims(mask, -1)
        return ops.logical_and(mask, ops.ones_like(x, dtype="bool"))

    def _precise(self, inputs):
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return keras.backend.result_type(dtype if "float" in dtype else "float32", self.compute_dtype, "float32")

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, inputs_shape, statistics_shape=None):
        if statistics_shape is not None:
            return tuple(inputs_shape)
        return tuple(inputs_shape), (inputs_shape[0], 2, inputs_shape[2])

    def compute_output_spec(self, inputs, statistics=None, mask=None):
        precise = self._precise(inputs)
        if statistics is not None:
            return keras.KerasTensor(inputs.shape, precise)
        z, of_statistics = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(z, self.compute_dtype), keras.KerasTensor(of_statistics, precise)

    def get_config(self):
        return {
            **super().get_config(),
            "center": self.center,
            "scale": self.scale,
            "affine": self.affine,
            "epsilon": self.epsilon,
        }


def last_kept(x, keep):
    """The last value of each channel `(B, 1, C)` of windows `(B, T, C)` that is kept, 0 where there is none."""
    if keep is None:
        return x[:, -1:]
    count = ops.cumsum(ops.cast(keep, "int32"), axis=1)
    last = ops.logical_and(keep, count == count[:, -1:])
    return ops.sum(ops.where(last, x, 0), axis=1, keepdims=True)


def _moments(x, keep):
    """Mean and variance of each channel over its kept steps, `(B, 1, C)`; what is not kept is 0 in `x`."""
    if keep is None:
        return ops.mean(x, axis=1, keepdims=True), ops.var(x, axis=1, keepdims=True)
    keep = ops.cast(keep, x.dtype)
    count = ops.maximum(ops.sum(keep, axis=1, keepdims=True), 1)
    mean = ops.sum(x, axis=1, keepdims=True) / count
    return mean, ops.sum(keep * ops.square(x - mean), axis=1, keepdims=True) / count

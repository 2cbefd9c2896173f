"""Forecasts that are linear in the window (Zeng et al., 2022, arXiv 2205.13504, section 4).

NLinear, for one channel `x[1] .. x[T]` and the step `f` of the horizon:

    y[f] = sum over t of (x[t] - x[T]) W[t, f] + b[f] + x[T]

DLinear, whose trend `m` is the mean of the `k` values around each step, with the first and the last value repeated
`(k - 1) / 2` times beyond the ends of the window:

    m[t] = (x[t - (k-1)/2] + .. + x[t + (k-1)/2]) / k
    y[f] = sum over t of ((x[t] - m[t]) Ws[t, f] + m[t] Wt[t, f]) + bs[f] + bt[f]

Weights: kernels W, Ws, Wt `(T, F)` and biases b, bs, bt `(F,)`, for all channels the same; or for each channel its
own, `(C, T, F)` and `(C, F)`.
"""

import keras
from keras import ops

from keras_seq.checks import check_sequences, positive_integer
from keras_seq.initializers import fresh


def moving_average(x, size):
    """The mean of the `size` (odd) values around each step of `(B, T, C)`; the ends are repeated beyond the window."""
    before, after = (ops.repeat(end, (size - 1) // 2, axis=1) for end in (x[:, :1], x[:, -1:]))
    padded = ops.concatenate([before, x, after], axis=1)  # (B, T + k - 1, C)
    return ops.average_pool(padded, size, strides=1, padding="valid", data_format="channels_last")


def over_steps(x, kernel):
    """From `(B, T, C)` to `(B, F, C)`, with a kernel `(T, F)` for all channels or one for each, `(C, T, F)`."""
    return ops.einsum("btc,tf->bfc" if len(kernel.shape) == 2 else "btc,ctf->bfc", x, kernel)


class _Linear(keras.layers.Layer):
    """What both have in common: their arguments, and weights for each of some parts of the window."""

    parts = ()  # names of the parts, each of which has a kernel and a bias

    def __init__(self, horizon, shared=True, kernel_initializer=None, bias_initializer="zeros", **kwargs):
        super().__init__(**kwargs)
        self.horizon = positive_integer("horizon", horizon)
        self.shared = shared
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")  # within 1 / sqrt(T)
        self.kernel_initializer = keras.initializers.get(uniform if kernel_initializer is None else kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, windows_shape):
        check_sequences(self, [windows_shape])
        _, length, channels = windows_shape
        if length is None or (channels is None and not self.shared):
            raise ValueError(
                f"Layer {self.name!r} has weights for each step, and without `shared` for each channel, got windows of "
                f"shape {tuple(windows_shape)}: give the length of the window, `keras.Input((T, C))`."
            )
        of_channels = () if self.shared else (channels,)
        self.kernels, self.biases = {}, {}
        for part in self.parts:
            self.kernels[part] = self.add_weight(
                shape=(*of_channels, length, self.horizon), name=f"{part}kernel", initializer=self._draw
            )
            self.biases[part] = self.add_weight(
                shape=(*of_channels, self.horizon), name=f"{part}bias", initializer=fresh(self.bias_initializer)
            )
        self.built = True

    def _draw(self, shape, dtype=None):
        """A kernel, drawn for each channel by itself: Keras would take the channels for a part of its fan-in."""
        if self.shared:
            return fresh(self.kernel_initializer)(shape, dtype=dtype)
        return ops.stack([fresh(self.kernel_initializer)(shape[1:], dtype=dtype) for _ in range(shape[0])])

    def forecast(self, part, x):
        """The share `(B, F, C)` of one part of the window `(B, T, C)` in the forecast."""
        kernel, bias = (ops.cast(w[part], self.compute_dtype) for w in (self.kernels, self.biases))
        return over_steps(x, kernel) + (ops.expand_dims(bias, -1) if self.shared else ops.transpose(bias))

    def compute_output_shape(self, windows_shape):
        return (windows_shape[0], self.horizon, windows_shape[2])

    def get_config(self):
        return {
            **super().get_config(),
            "horizon": self.horizon,
            "shared": self.shared,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@keras.saving.register_keras_serializable("keras_seq")
class NLinear(_Linear):
    """One linear map from the window to the horizon, of what is left when the last value is taken off.

    The equation is in `keras_seq.layers.linear`. Weights: `kernel` and `bias`. A forecast follows a shift of the window
    by a constant exactly.

    Args:
        horizon: number `F` of steps to forecast.
        shared: whether all channels have the same weights; else each its own.
        kernel_initializer: by default uniform between plus and minus `1 / sqrt(T)`, as in the published code.
        bias_initializer: how `b` starts.

    Call arguments:
        windows: `(B, T, C)`, always of the same length `T`. All values must be known: fill what is missing before. The
            layer takes no mask (Keras warns where there is one).

    Returns:
        `(B, F, C)`.

    Raises:
        ValueError: for windows of no known length, or without an axis of channels.

    Example:

    >>> NLinear(3, kernel_initializer="zeros")(np.array([[[1.0], [5.0]]])).numpy().tolist()  # repeats the last value
    [[[5.0], [5.0], [5.0]]]
    """

    parts = ("",)

    def call(self, windows):
        windows = ops.cast(windows, self.compute_dtype)
        last = windows[:, -1:]  # (B, 1, C)
        return self.forecast("", windows - last) + last


@keras.saving.register_keras_serializable("keras_seq")
class DLinear(_Linear):
    """Two linear maps from the window to the horizon: one of its trend, a moving average, and one of what is left.

    The equation is in `keras_seq.layers.linear`. Weights: `seasonal_kernel`, `seasonal_bias`, `trend_kernel` and
    `trend_bias`.

    Args:
        horizon: number `F` of steps to forecast.
        kernel_size: number `k` of values that are averaged; odd. It may be larger than the window.
        shared: whether all channels have the same weights; else each its own.
        kernel_initializer: by default uniform between plus and minus `1 / sqrt(T)`, as in the published code.
        bias_initializer: how `bs` and `bt` start.

    Call arguments:
        windows: `(B, T, C)`, always of the same length `T`. All values must be known: fill what is missing before. The
            layer takes no mask (Keras warns where there is one).

    Returns:
        `(B, F, C)`.

    Raises:
        ValueError: for an even `kernel_size`; windows of no known length, or without an axis of channels.

    Example:

    >>> DLinear(3, kernel_size=5)(np.ones((2, 11, 7))).shape
    TensorShape([2, 3, 7])
    """

    parts = ("seasonal_", "trend_")

    def __init__(
        self, horizon, kernel_size=25, shared=True, kernel_initializer=None, bias_initializer="zeros", **kwargs
    ):
        super().__init__(horizon, shared, kernel_initializer, bias_initializer, **kwargs)
        self.kernel_size = positive_integer("kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise ValueError(
                f"Argument `kernel_size` must be odd, so that as many values stand before a step as behind it, got "
                f"{kernel_size!r}."
            )

    def call(self, windows):
        windows = ops.cast(windows, self.compute_dtype)
        trend = moving_average(windows, self.kernel_size)
        return self.forecast("seasonal_", windows - trend) + self.forecast("trend_", trend)

    def get_config(self):
        return {**super().get_config(), "kernel_size": self.kernel_size}

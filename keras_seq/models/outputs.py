"""What a forecast says of each value: a point, quantiles, or a normal distribution.

Each kind turns `size` raw numbers for a value, `(..., size)`, into a forecast in the unit of the windows.
"""

import math

from keras import ops

from keras_seq import losses, metrics
from keras_seq.checks import quantile_levels
from keras_seq.layers.quantiles import monotone_quantiles

OF_WEIGHTS = "mean_with_sample_weight"  # a mean over the values that are there, like the metrics
_MIN_SCALE = 1e-3


def output_of(outputs):
    """The kind that the argument `outputs` of `forecasting_model` means.

    Raises:
        ValueError: for another name, or levels out of order.
    """
    if isinstance(outputs, str) and outputs != "gaussian":
        if outputs not in losses.forecasting.ERRORS:
            kinds = ", ".join(map(repr, (*losses.forecasting.ERRORS, "gaussian")))
            raise ValueError(f"Argument `outputs` must be one of {kinds} or a list of quantiles, got {outputs!r}.")
        return Point(outputs)
    return Gaussian() if outputs == "gaussian" else Quantiles(quantile_levels("outputs", outputs))


class Point:
    """One number: forecasts are `(B, F, C)`."""

    size = 1

    def __init__(self, kind):
        self.kind = kind

    def centre(self, raw):
        return raw[..., 0]

    def forecast(self, raw, norm, statistics):
        y = raw[..., 0]
        return ops.cast(y, "float32") if norm is None else norm.inverse(y, statistics)

    def loss(self):
        return losses.PointLoss(self.kind, reduction=OF_WEIGHTS)

    def metrics(self):
        return [metrics.MSE(), metrics.MAE()]


class Quantiles:
    """Numbers that do not decrease, one for each level: forecasts are `(B, F, C, Q)`."""

    def __init__(self, levels):
        self.levels, self.size = levels, len(levels)

    def centre(self, raw):
        return self.median(monotone_quantiles(raw))

    def median(self, q):
        """The median of quantiles `(..., Q)`: on the line between those around it; else the one nearest to it."""
        above = next((i for i, level in enumerate(self.levels) if level >= 0.5), self.size - 1)
        below = max(above - 1, 0) if self.levels[above] > 0.5 else above
        span = self.levels[above] - self.levels[below]
        share = (0.5 - self.levels[below]) / span if span else 0.0
        return q[..., below] + share * (q[..., above] - q[..., below])

    def forecast(self, raw, norm, statistics):
        q = monotone_quantiles(ops.cast(raw, "float32"))
        return q if norm is None else norm.inverse(q, statistics)

    def loss(self):
        return losses.QuantileLoss(self.levels, reduction=OF_WEIGHTS)

    def metrics(self):
        found = [metrics.Pinball(self.levels)]
        for low in self.levels[: self.size // 2]:
            level = 1 - 2 * low
            if any(math.isclose(high, 1 - low, abs_tol=1e-6) for high in self.levels):
                found.append(metrics.Coverage(self.levels, round(level, 6)))
        return found


class Gaussian:
    """Mean and standard deviation: forecasts are `(B, F, C, 2)`."""

    size = 2

    def centre(self, raw):
        return raw[..., 0]

    def forecast(self, raw, norm, statistics):
        raw = ops.cast(raw, "float32")
        mean, scale = raw[..., 0], ops.softplus(raw[..., 1]) + _MIN_SCALE
        if norm is not None:
            mean, scale = norm.inverse(mean, statistics), norm.inverse_scale(scale, statistics)
        return ops.stack([mean, scale], axis=-1)

    def loss(self):
        return losses.GaussianNLL(reduction=OF_WEIGHTS)

    def metrics(self):
        return []

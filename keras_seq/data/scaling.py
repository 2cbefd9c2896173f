"""Series brought to mean zero and deviation one, by what the training part knows of them.

    scaled = (value - mean) / scale

of a series, or of the look-back of a window. Where a series is constant, `scale` is 1.
"""

import numpy as np

from keras_seq.errors import InputError

CONSTANT = 1e-6  # of the mean: a deviation below it is rounding


class Scaler:
    """Mean and scale of each series and column, and the way back.

    Args:
        per: `"series"`, or `"window"`: then targets and past covariates are scaled by the look-back of each window,
            and by their series where the look-back is constant or missing.
        ids: of the series, a list, or None for one series without id.
        mean, scale: `(S + 1, C + P + K)`: of targets, past and known covariates; the last row is for all series
            together, which is used for a series without values.
        channels: `C`.
    """

    def __init__(self, per, ids, mean, scale, channels):
        self.per, self.ids, self.channels = per, ids, channels
        self.mean, self.scale = np.asarray(mean, "float32"), np.asarray(scale, "float32")

    def get_config(self):
        """The arguments of the constructor, for JSON."""
        arrays = {"mean": self.mean.tolist(), "scale": self.scale.tolist()}
        return {"per": self.per, "ids": self.ids, **arrays, "channels": self.channels}

    @classmethod
    def fit(cls, panel, ends=None, per="series"):
        """The scaler of the first `ends` `(S,)` rows of each series of a `Panel`; by default of all."""
        ends = panel.lengths if ends is None else ends
        parts = [panel.targets, panel.past, panel.known]
        width = sum(part.shape[1] for part in parts)
        count, mean, square = (np.zeros((len(panel), width)) for _ in range(3))  # square: the mean one, from the mean
        for s, begin in enumerate(panel.bounds[:-1]):
            x = np.concatenate([part[begin : begin + ends[s]] for part in parts], axis=1).astype("float64")
            count[s], mean[s], square[s] = _moments(x, axis=0)
        total = np.maximum(count.sum(axis=0), 1)
        together = (count * mean).sum(axis=0) / total
        spread = (count * (square + (mean - together) ** 2)).sum(axis=0) / total
        mean = np.vstack([np.where(count > 0, mean, together), together])
        square = np.vstack([np.where(count > 0, square, spread), spread])
        return cls(per, panel.ids, mean, _scale(mean, np.sqrt(square)), panel.targets.shape[1])

    def codes(self, panel):
        """The number of each series of a panel in this scaler, int32 `(S,)`."""
        width = sum(part.shape[1] for part in (panel.targets, panel.past, panel.known))
        if (width, panel.targets.shape[1]) != (self.mean.shape[1], self.channels):
            raise InputError(
                f"The scaler was fitted on {self.mean.shape[1]} column(s), {self.channels} of them target(s), got "
                f"{width} and {panel.targets.shape[1]}: give the columns of the training part."
            )
        if self.ids is None and panel.ids is None:
            return np.zeros(1, "int32")
        if self.ids is None or panel.ids is None:
            raise InputError("The scaler was fitted on a frame with ids and this one has none, or the other way round.")
        numbers = {id: i for i, id in enumerate(self.ids)}
        codes = np.array([numbers.get(id, len(self.ids)) for id in panel.ids], "int32")
        unknown = np.flatnonzero(codes == len(self.ids))
        if len(unknown) and self.per == "series":
            raise InputError(
                f"Series {panel.ids[unknown[0]]!r} is unknown ({len(unknown)} such series): the scaler was fitted on "
                f"{len(self.ids)} others. Leave it out, fit anew with it, or use scale='window'."
            )
        return codes

    def moments(self, codes, past):
        """Mean and scale, `(B, …)` each, of targets, `past` past covariates, and known covariates of some series."""
        edges = [self.channels, self.channels + past]
        split = (np.split(x[codes], edges, axis=1) for x in (self.mean, self.scale))
        return list(zip(*split, strict=True))

    def inverse(self, values, inputs=None):
        """Scaled targets or forecasts in the units of the frame.

        Args:
            values: `(B, F, C)` or `(B, F, C, …)`, such as quantiles.
            inputs: the inputs that they belong to, as `window_dataset` gives them; may be left out for one series.

        Returns:
            An array of the same shape.
        """
        inputs = {} if inputs is None else inputs
        values = np.asarray(values)
        if self.per == "window":
            mean, scale = np.asarray(inputs["mean"]), np.asarray(inputs["scale"])
        else:
            if "series" not in inputs and self.ids is not None:
                raise InputError("Argument `inputs` must hold 'series', the number of the series of each row.")
            series = np.asarray(inputs.get("series", np.zeros(len(values), int)))
            mean, scale = self.mean[series, : self.channels], self.scale[series, : self.channels]
        shape = (mean.shape[0], 1, mean.shape[1], *(1,) * (values.ndim - 3))
        return values * scale.reshape(shape) + mean.reshape(shape)


def window_moments(past, series_mean, series_scale):
    """Mean and scale of the values that are there in windows `(B, T, C)`: two arrays `(B, C)`.

    Where there is none, both are of the series, `(B, C)`; where all are the same, the scale is.
    """
    count, mean, square = _moments(past.astype("float64"), axis=1)
    deviation = np.sqrt(square)
    mean = np.where(count > 0, mean, series_mean)
    constant = deviation <= CONSTANT * np.abs(mean)
    return mean.astype("float32"), np.where(constant, series_scale, deviation).astype("float32")


def _moments(x, axis):
    """How many values are there, their mean, and their mean square distance from it; zeros where there is none."""
    there = ~np.isnan(x)
    if there.all() and x.shape[axis]:
        return np.full_like(x.take(0, axis), x.shape[axis]), x.mean(axis=axis), x.var(axis=axis)
    count = there.sum(axis=axis)
    some = np.maximum(count, 1)
    mean = np.where(there, x, 0).sum(axis=axis) / some
    square = (np.where(there, x - np.expand_dims(mean, axis), 0) ** 2).sum(axis=axis) / some
    return count, mean, square


def _scale(mean, deviation):
    return np.where(deviation <= CONSTANT * np.abs(mean), 1.0, deviation)

"""The graph of a forecaster: values as they are in frames in, forecasts and their intervals out."""

import keras
import numpy as np
import tensorflow as tf

from keras_seq.data.calendar import feature_names, in_graph
from keras_seq.data.scaling import CONSTANT
from keras_seq.models.intervals import interval, parted


def write_serving(model, filepath, verbose=False):
    """Write a SavedModel with the endpoint `forecast`, which `ForecastModel.export` describes.

    Raises:
        ValueError: on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"A SavedModel of a forecaster is written on the TensorFlow backend, this is {keras.backend.backend()!r}: "
            "save the model as .keras, and load and export it with KERAS_BACKEND=tensorflow."
        )
    graph = _Graph(model)
    archive = keras.export.ExportArchive()
    archive.track(model)
    if graph.table is not None:
        archive.track(graph.table)
    archive.add_endpoint("forecast", graph, input_signature=[graph.signature()])
    archive.write_out(filepath, verbose=verbose)


class _Graph:
    """The function that is exported."""

    def __init__(self, model):
        state = model.forecaster
        self.model, self.scaler, self.reading = model, state["scaler"], state["reading"]
        self.constants = dict(zip(state["level"], state["constants"], strict=True))
        self.covariates = len(self.reading["known"])
        self.per = None if self.scaler is None else self.scaler["per"]
        self.table = None
        # By window, known covariates alone are scaled by series.
        if self.scaler is not None and self.scaler["ids"] is not None and (self.per == "series" or self.covariates):
            ids = tf.constant(self.scaler["ids"])
            self.of_ids = tf.string if ids.dtype == tf.string else tf.int64
            numbers = tf.range(len(self.scaler["ids"]), dtype=tf.int64)
            pairs = tf.lookup.KeyValueTensorInitializer(tf.cast(ids, self.of_ids), numbers)
            self.table = tf.lookup.StaticHashTable(pairs, len(self.scaler["ids"]))

    def signature(self):
        sizes = self.model.sizes
        both = sizes["lookback"] + sizes["horizon"]
        spec = {"past": tf.TensorSpec((None, sizes["lookback"], sizes["channels"]), name="past")}
        if sizes["past_covariates"]:
            shape = (None, sizes["lookback"], sizes["past_covariates"])
            spec["past_covariates"] = tf.TensorSpec(shape, name="past_covariates")
        if self.covariates:
            spec["known"] = tf.TensorSpec((None, both, self.covariates), name="known")
        if self.reading["calendar"] and feature_names(self.reading["freq"], self.reading["calendar"]):
            spec["time"] = tf.TensorSpec((None, both), tf.int64, name="time")
        if self.table is not None:
            spec["series"] = tf.TensorSpec((None,), self.of_ids, name="series")
        return spec

    def __call__(self, inputs):
        of_targets, of_past, of_known = self._moments(inputs)
        past, there = _standardized(inputs["past"], of_targets)
        given = {"past": past, "past_mask": there}
        known = []
        if "past_covariates" in inputs:
            given["past_covariates"], _ = _standardized(inputs["past_covariates"], of_past)
        if "known" in inputs:
            known.append(_standardized(inputs["known"], of_known)[0])
        if "time" in inputs:
            known.append(in_graph(inputs["time"], self.reading["freq"], self.reading["calendar"]))
        if known:
            given["known"] = tf.concat(known, axis=-1)
        said, kind = self.model(given), self.model.output_kind
        found = {"forecast": parted(kind, said)[0]}
        for level, constants in self.constants.items():
            ends = interval(kind, said, level, tf.constant(constants, tf.float32))
            found |= {f"{side}_{level:g}": end for side, end in zip(("lower", "upper"), ends, strict=True)}
        mean, scale = of_targets
        return {name.replace(".", "_"): y * scale[:, None] + mean[:, None] for name, y in found.items()}

    def _moments(self, inputs):
        """Mean and scale of targets, past and known covariates, `(B, …)` each: as `WindowBatches` has them."""
        rows = tf.shape(inputs["past"])[0]
        sizes = [self.model.channels, self.model.past_covariates, self.covariates]
        if self.scaler is None:
            return [(tf.zeros((rows, n)), tf.ones((rows, n))) for n in sizes]
        if self.table is None:
            # One series; or any, by window: then where a window is constant or empty, what all have together.
            codes = tf.fill((rows,), tf.constant(len(self.scaler["mean"]) - 1 if self.scaler["ids"] else 0, tf.int64))
        else:
            codes = self.table.lookup(inputs["series"])
        moments = [tf.split(tf.gather(self.scaler[name], codes), sizes, axis=1) for name in ("mean", "scale")]
        of_targets, of_past, of_known = zip(*moments, strict=True)
        if self.per == "window":
            of_targets = _of_window(inputs["past"], *of_targets)
            if "past_covariates" in inputs:
                of_past = _of_window(inputs["past_covariates"], *of_past)
        return of_targets, of_past, of_known


def _standardized(x, moments):
    """Scaled values, 0 where one is missing, and 1 where none is."""
    mean, scale = moments
    there = tf.logical_not(tf.math.is_nan(x))
    return tf.where(there, (x - mean[:, None]) / scale[:, None], 0.0), tf.cast(there, tf.float32)


def _of_window(x, series_mean, series_scale):
    """Mean and scale `(B, C)` of windows `(B, T, C)`, in float64: as `keras_seq.data.scaling.window_moments`."""
    x = tf.cast(x, tf.float64)
    there = tf.logical_not(tf.math.is_nan(x))
    count = tf.reduce_sum(tf.cast(there, tf.float64), axis=1)
    some = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(tf.where(there, x, 0.0), axis=1) / some
    square = tf.reduce_sum(tf.where(there, x - mean[:, None], 0.0) ** 2, axis=1) / some
    mean = tf.where(count > 0, mean, tf.cast(series_mean, tf.float64))
    deviation = tf.sqrt(square)
    constant = deviation <= np.float64(CONSTANT) * tf.abs(mean)
    scale = tf.where(constant, tf.cast(series_scale, tf.float64), deviation)
    return tf.cast(mean, tf.float32), tf.cast(scale, tf.float32)

"""The graph of a forecaster: values as they are in frames in, forecasts and their intervals out."""

import keras
from keras import ops

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
    import tensorflow as tf

    numbers = _numbers_of_ids(model.forecaster)
    archive = keras.export.ExportArchive()
    archive.track(model)
    if numbers is not None:
        archive.track(numbers)
    spec = {
        name: tf.TensorSpec((None, *shape), numbers.key_dtype if name == "series" else dtype, name=name)
        for name, (shape, dtype) in _inputs(model, numbers).items()
    }
    archive.add_endpoint("forecast", lambda inputs: _forecast(model, numbers, inputs), input_signature=[spec])
    archive.write_out(filepath, verbose=verbose)


def _numbers_of_ids(state):
    """The table from the ids of series to their rows in the scaler, or None where none are asked for."""
    scaler = state["scaler"]
    if scaler is None or scaler["ids"] is None:
        return None
    import tensorflow as tf

    ids = tf.constant(scaler["ids"])
    ids = ids if ids.dtype == tf.string else tf.cast(ids, tf.int64)
    rows = tf.range(len(scaler["ids"]), dtype=tf.int64)
    others = len(scaler["ids"])  # the last row: all series together
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(ids, rows), others)


def _inputs(model, numbers):
    """Shape, without the batch, and dtype of each input."""
    from keras_seq.data.calendar import feature_names

    sizes, reading = model.sizes, model.forecaster["reading"]
    lookback, both = sizes["lookback"], sizes["lookback"] + sizes["horizon"]
    found = {"past": ((lookback, sizes["channels"]), "float32")}
    if sizes["past_covariates"]:
        found["past_covariates"] = ((lookback, sizes["past_covariates"]), "float32")
    if reading["known"]:
        found["known"] = ((both, len(reading["known"])), "float32")
    if reading["calendar"] and feature_names(reading["freq"], reading["calendar"]):
        found["time"] = ((both,), "int64")
    if numbers is not None:
        found["series"] = ((), None)
    return found


def _forecast(model, numbers, inputs):
    """What is served."""
    from keras_seq.data.calendar import in_graph

    state = model.forecaster
    of_targets, of_past, of_known = _moments(model, numbers, inputs)
    past, there = _standardized(inputs["past"], of_targets)
    given, known = {"past": past, "past_mask": there}, []
    if "past_covariates" in inputs:
        given["past_covariates"], _ = _standardized(inputs["past_covariates"], of_past)
    if "known" in inputs:
        known.append(_standardized(inputs["known"], of_known)[0])
    if "time" in inputs:
        known.append(in_graph(inputs["time"], state["reading"]["freq"], state["reading"]["calendar"]))
    if known:
        given["known"] = ops.concatenate(known, axis=-1)
    said, kind = model(given), model.output_kind
    found = {"forecast": parted(kind, said)[0]}
    for level, constants in zip(state["level"], state["constants"], strict=True):
        ends = interval(kind, said, level, ops.convert_to_tensor(constants, "float32"))
        found |= {f"{side}_{level:g}".replace(".", "_"): y for side, y in zip(("lower", "upper"), ends, strict=True)}
    mean, scale = (ops.expand_dims(x, 1) for x in of_targets)
    found = {name: y * scale + mean for name, y in found.items()}
    if model.missing:
        return found
    whole = ops.all(there > 0, axis=(1, 2), keepdims=True)  # it never saw a window that is not
    return {name: ops.where(whole, y, float("nan")) for name, y in found.items()}


def _moments(model, numbers, inputs):
    """Mean and scale `(B, …)` of targets, past and known covariates: as `WindowBatches` has them."""
    scaler = model.forecaster["scaler"]
    rows = ops.shape(inputs["past"])[0]
    edges = [model.channels, model.channels + model.past_covariates]
    if scaler is None:
        width = edges[1] + len(model.forecaster["reading"]["known"])
        mean, scale = ops.zeros((rows, width)), ops.ones((rows, width))
    else:
        codes = ops.zeros((rows,), "int32") if numbers is None else numbers.lookup(inputs["series"])
        mean, scale = (ops.take(ops.convert_to_tensor(scaler[name], "float32"), codes, 0) for name in ("mean", "scale"))
    of_targets, of_past, of_known = zip(*(ops.split(x, edges, axis=1) for x in (mean, scale)), strict=True)
    if scaler is not None and scaler["per"] == "window":
        of_targets = _of_window(inputs["past"], *of_targets)
        if "past_covariates" in inputs:
            of_past = _of_window(inputs["past_covariates"], *of_past)
    return of_targets, of_past, of_known


def _standardized(x, moments):
    """Scaled values `(B, T, C)`, 0 where one is missing, and 1 where none is."""
    mean, scale = (ops.expand_dims(x, 1) for x in moments)
    there = ops.logical_not(ops.isnan(x))
    return ops.where(there, (x - mean) / scale, 0.0), ops.cast(there, "float32")


def _of_window(x, series_mean, series_scale):
    """Mean and scale `(B, C)` of windows `(B, T, C)`, in float64: as `keras_seq.data.scaling.window_moments`."""
    from keras_seq.data.scaling import CONSTANT

    x, series_mean, series_scale = (ops.cast(one, "float64") for one in (x, series_mean, series_scale))
    there = ops.logical_not(ops.isnan(x))
    count = ops.sum(ops.cast(there, "float64"), axis=1)
    some = ops.maximum(count, 1)
    mean = ops.sum(ops.where(there, x, 0), axis=1) / some
    square = ops.sum(ops.where(there, ops.square(x - ops.expand_dims(mean, 1)), 0), axis=1) / some
    mean, deviation = ops.where(count > 0, mean, series_mean), ops.sqrt(square)
    scale = ops.where(deviation <= CONSTANT * ops.abs(mean), series_scale, deviation)
    return ops.cast(mean, "float32"), ops.cast(scale, "float32")

"""Forecasters in files, and the graph that is served."""

import keras
import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from tests.cases import ON_JAX
from tests.models.forecasters import SMALL, T, fitted, future_of, wide
from tests.windows import COLUMNS


@pytest.mark.skipif(ON_JAX, reason="the artefact holds a SavedModel, which TensorFlow writes")
def test_the_artefact(long, of_long, tmp_path):
    of_long.save(tmp_path / "forecaster", card={"data": "noise"})
    loaded = ks.models.Forecaster.load(tmp_path / "forecaster")
    future = future_of(long)
    pd.testing.assert_frame_equal(loaded.predict(long, future=future), of_long.predict(long, future=future))
    assert ks.saving.read_card(tmp_path / "forecaster")["kind"] == "forecast"
    assert loaded.model.forecaster == of_long.model.forecaster
    assert loaded.options == {**loaded.options, **SMALL}


@pytest.mark.skipif(ON_JAX, reason="the artefact holds a SavedModel, which TensorFlow writes")
def test_a_loaded_one_trains_anew_as_the_first_would(rng, tmp_path):
    """With all its arguments, also those of the training, and layers."""
    frame = wide(rng, 60)
    rate = keras.optimizers.schedules.InverseTimeDecay(0.03, 10, 0.5)
    how = {"learning_rate": rate, "weight_decay": 0.1, "clipnorm": {"clipvalue": 0.1}, "encoder": keras.layers.GRU(3)}
    first = fitted(frame, target="load", **how)
    first.save(tmp_path / "one")
    loaded = ks.models.Forecaster.load(tmp_path / "one")
    found = []
    for one in (first, loaded):
        keras.utils.set_random_seed(4)
        found.append(one.backtest(frame, windows=1, refit=True, epochs=2, verbose=0))
    pd.testing.assert_frame_equal(*found)
    assert loaded.options["clipnorm"] == {"clipvalue": 0.1}
    assert loaded.options["weight_decay"] == 0.1


def served(path, forecaster, frame, future):
    """What the graph says of the last windows, in the form of `predict`."""
    import tensorflow as tf

    graph = tf.saved_model.load(str(path))
    serve = graph.signatures["forecast"]
    wanted = serve.structured_input_signature[1]
    found = []
    for name, one in frame.groupby("unique_id"):
        ahead = future[future["unique_id"] == name]
        both = pd.concat([one[-T:], ahead])
        given = {
            "past": one[["u", "v"]].to_numpy("float32")[None, -T:],
            "past_covariates": one[["visitors"]].to_numpy("float32")[None, -T:],
            "known": both[["price"]].to_numpy("float32")[None],
            "time": both["ds"].to_numpy("datetime64[us]").view("int64")[None],
            "series": np.array([name]),
        }
        out = serve(**{key: tf.constant(given[key]) for key in wanted})
        columns = {}
        for c, target in enumerate(("u", "v")):
            for key, value in out.items():
                side, _, level = key.partition("_")
                level = level.replace("_", ".")
                short = {"forecast": "", "lower": f"-lo-{level}", "upper": f"-hi-{level}"}[side]
                columns[target + short] = value.numpy()[0, :, c]
        found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True), set(wanted)


@pytest.mark.skipif(ON_JAX, reason="SavedModels are written on TensorFlow")
@pytest.mark.parametrize(("scale", "outputs"), [("series", "quantiles"), ("window", "gaussian"), (None, "mae")])
@pytest.mark.parametrize("known", ["price", ()])
def test_the_graph_says_what_predict_says(scale, outputs, known, long, tmp_path):
    columns = {**COLUMNS, "known": known, "scale": scale}
    forecaster = fitted(long, **columns, outputs=outputs, level=[80, 97.5], calendar="linear")
    forecaster.export(tmp_path / "graph")
    frame = long.dropna(subset=["u", "v"], how="all")
    frame.loc[frame.groupby("unique_id").tail(T).index, "u"] = 2.5  # a window that is constant
    future = future_of(frame)
    expected = forecaster.predict(frame, future=future)
    found, inputs = served(tmp_path / "graph", forecaster, frame, future)
    np.testing.assert_allclose(found[list(expected)[2:]], expected[list(expected)[2:]], rtol=1e-3, atol=1e-3)
    assert ("series" in inputs) == (scale is not None)


@pytest.mark.skipif(ON_JAX, reason="SavedModels are written on TensorFlow")
def test_the_graph_of_a_model_without_missing_values_says_nothing_of_them(rng, tmp_path):
    import tensorflow as tf

    frame = wide(rng)
    fitted(frame, target="load", calendar=None).export(tmp_path / "graph")
    past = np.stack([frame[["load"]].to_numpy("float32")[-T:]] * 2)
    past[0, 1] = np.nan
    out = tf.saved_model.load(str(tmp_path / "graph")).signatures["forecast"](past=tf.constant(past))
    assert all(np.isnan(y[0]).all() and np.isfinite(y[1]).all() for y in out.values())

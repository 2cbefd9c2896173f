"""Small models of windows of all kinds, and windows."""

import keras
import numpy as np

import keras_seq as ks
from tests.cases import arrays, randomize

B, T, F, C, P, K, H = 3, 11, 7, 2, 1, 3, 6
SIZES = {"lookback": T, "horizon": F, "channels": C, "past_covariates": P, "known": K, "missing": True}
ENCODERS = {
    "gru": "gru",
    "lstm": "lstm",
    "transformer": "transformer",
    "clockwork": ks.layers.ClockworkRNNCell(H, (1, 3)),
    "cell": ks.layers.LayerNormLSTMCell(5),
    "convolution": keras.layers.Conv1D(5, 3, padding="same"),
    "of keras": keras.layers.LSTM(5),
}
STRATEGIES = ("segment", "direct", "recursive")


def model_of(rng=None, **arguments):
    small = {"units": H, "segment": 3, "dropout": 0.0, "learning_rate": 0.01}
    if arguments.get("encoder") == "transformer":
        small["num_heads"] = 3
    model = ks.models.forecasting_model(**{**SIZES, **small, **arguments})
    if rng is not None:
        randomize(model, rng, 0.5)
    return model


def inputs_of(rng, sizes=SIZES, rows=B):
    past = rng.normal(size=(rows, T, sizes["channels"])) + 5
    inputs = {"past": past.astype("float32")}
    if sizes["missing"]:
        there = rng.random(past.shape) < 0.8
        there[:, -1] = True
        inputs["past_mask"] = there.astype("float32")
        inputs["past"] = np.where(there, inputs["past"], 0).astype("float32")
    if sizes["past_covariates"]:
        inputs["past_covariates"] = rng.normal(size=(rows, T, sizes["past_covariates"])).astype("float32")
    if sizes["known"]:
        inputs["known"] = rng.normal(size=(rows, T + F, sizes["known"])).astype("float32")
    return inputs


def called(model, inputs):
    return arrays(model(inputs))[0].astype("float64")


def weights_of(model):
    """By the end of their paths."""
    return {"/".join(w.path.split("/")[-2:]): arrays(w)[0].astype("float64") for w in model.weights}

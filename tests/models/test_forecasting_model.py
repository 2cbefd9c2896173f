"""Models of windows: against NumPy, step by step; all kinds of encoders; files, exports, what does not matter."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import ON_JAX, arrays, randomize

B, T, F, C, P, K, H = 3, 11, 7, 2, 1, 3, 6
SIZES = {"lookback": T, "horizon": F, "channels": C, "past_covariates": P, "known": K, "missing": True}
ENCODERS = {
    "gru": "gru",
    "lstm": "lstm",
    "transformer": "transformer",
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


def rows_of(inputs, channel):
    """Features `(B, T, A)` of one channel, what is known ahead `(B, F, K)`, and the last value `(B, 1)`."""
    z, there = inputs["past"][..., channel].astype("float64"), inputs["past_mask"][..., channel]
    last = z[:, -1:]
    z = np.where(there, z - last, 0)
    known = inputs["known"]
    look = np.concatenate([z[..., None], there[..., None], inputs["past_covariates"], known[:, :T]], -1)
    return look, known[:, T:], last


def rnn_step(w, x, h, name):
    return np.tanh(x @ w[f"{name}/kernel"] + h @ w[f"{name}/recurrent_kernel"] + w[f"{name}/bias"])


def cell_name(w):
    (name,) = {path.split("/")[0] for path in w if path.endswith("/recurrent_kernel")}
    return name


def test_segments(rng):
    """The last segments of look-back and horizon are filled up; a query is its place and its channel."""
    model, inputs = model_of(rng, encoder="simple_rnn"), inputs_of(rng)
    found, w, c = called(model, inputs), weights_of(model), 3
    name = cell_name(w)
    for channel in range(C):
        look, ahead, last = rows_of(inputs, channel)
        look = np.pad(look, [(0, 0), (1, 0), (0, 0)])  # 12 = 4 segments of 3
        ahead = np.pad(ahead, [(0, 0), (0, 2), (0, 0)])  # 9 = 3 of them
        h = np.zeros((B, H))
        for s in range(4):
            x = look[:, s * c : s * c + c].reshape(B, -1)
            h = rnn_step(w, np.maximum(x @ w["entry/kernel"] + w["entry/bias"], 0), h, name)
        for m in range(3):
            query = np.concatenate([w["route/places"][m], w["route/channels"][channel]])
            query = query + ahead[:, m * c : m * c + c].reshape(B, -1) @ w["mix/kernel"] + w["mix/bias"]
            y = rnn_step(w, query, h, name) @ w["head/kernel"] + w["head/bias"] + last
            steps = slice(m * c, min(m * c + c, F))
            np.testing.assert_allclose(found[:, steps, channel], y[:, : steps.stop - steps.start], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("known", [0, K])
def test_direct(rng, known):
    sizes = {**SIZES, "known": known}
    inputs = inputs_of(rng, sizes)
    model = model_of(rng, encoder="simple_rnn", strategy="direct", known=known)
    found, w = called(model, inputs), weights_of(model)
    for channel in range(C):
        look, ahead, last = rows_of({**inputs, "known": inputs.get("known", np.zeros((B, T + F, 0)))}, channel)
        h = np.zeros((B, H))
        for t in range(T):
            h = rnn_step(w, look[:, t], h, cell_name(w))
        if known:
            spread = (h @ w["spread/kernel"] + w["spread/bias"]).reshape(B, F, H)
            h = np.maximum(spread + ahead @ w["mix/kernel"] + w["mix/bias"], 0)
        y = (h @ w["head/kernel"] + w["head/bias"]).reshape(B, F) + last
        np.testing.assert_allclose(found[..., channel], y, rtol=1e-4, atol=1e-4)


def test_recursive(rng):
    """A forecast is read in the place of the value before, beside what is known of the step, and how far it is."""
    model, inputs = model_of(rng, encoder="simple_rnn", strategy="recursive"), inputs_of(rng)
    found, w = called(model, inputs), weights_of(model)
    for channel in range(C):
        look, ahead, last = rows_of(inputs, channel)
        h, y = np.zeros((B, H)), np.zeros((B, 1))  # the last value, taken off itself
        reads = [name for name in {path.split("/")[0] for path in w} if f"{name}/recurrent_kernel" in w]
        (encoder,) = [name for name in reads if w[f"{name}/kernel"].shape[0] == 2 + P + K]
        (decoder,) = [name for name in reads if w[f"{name}/kernel"].shape[0] == 2 + K and name != encoder]
        for t in range(T):
            h = rnn_step(w, look[:, t], h, encoder)
        for f in range(F):
            x = np.concatenate([np.full((B, 1), (f + 1) / F), ahead[:, f], y], -1)
            h = rnn_step(w, x, h, decoder)
            y = h @ w["head/kernel"] + w["head/bias"]
            np.testing.assert_allclose(found[:, f, channel], (y + last)[:, 0], rtol=1e-4, atol=1e-4)


def test_recursive_by_windows(rng):
    """An encoder that is no cell reads the last T steps anew; what is known stands a step before its own."""
    model = model_of(rng, encoder=ENCODERS["convolution"], strategy="recursive", outputs=[0.2, 0.4, 0.9])
    inputs = inputs_of(rng)
    found, w = called(model, inputs), weights_of(model)
    (name,) = {path.split("/")[0] for path, value in w.items() if value.ndim == 3}
    for channel in range(C):
        look, ahead, last = rows_of(inputs, channel)
        known = np.concatenate([look[..., 2 + P :], ahead], 1)
        window = look.copy()
        for f in range(F):
            window[..., 2 + P :] = known[:, f + 1 : f + 1 + T] if f < F - 1 else known[:, f + 1 :][:, :T]
            end = np.pad(window, [(0, 0), (1, 1), (0, 0)])[:, -3:]
            h = np.einsum("bta,tah->bh", end, w[f"{name}/kernel"]) + w[f"{name}/bias"]
            z = h @ w["head/kernel"] + w["head/bias"]
            q = np.cumsum(np.concatenate([z[:, :1], np.logaddexp(0, z[:, 1:])], -1), -1)
            np.testing.assert_allclose(found[:, f, channel], q + last, rtol=1e-4, atol=1e-4)
            row = np.concatenate([q[:, 1:2], np.ones((B, 1)), np.zeros((B, P + K))], -1)
            window = np.concatenate([window[:, 1:], row[:, None]], 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_all_kinds_train_and_survive_a_file(strategy, encoder, rng, tmp_path):
    """Inside of `fit` the loss goes down; a copy from the file says the same."""
    model = model_of(encoder=ENCODERS[encoder], strategy=strategy, depth=2 if encoder == "gru" else 1)
    inputs, y = inputs_of(rng), rng.normal(size=(B, F, C)) + 5
    losses = model.fit(inputs, y, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.get_config() == model.get_config()
    np.testing.assert_allclose(copy.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-6)
    assert all(np.abs(a).sum() for a in arrays([g for g in model.optimizer.variables if g.ndim > 1]))  # all are trained


OUTPUTS = {"mse": (), "mae": (), "huber": (), "gaussian": (2,), "quantiles": (3,)}


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("mix_channels", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_said_of_a_value(outputs, mix_channels, strategy, rng):
    levels = [0.1, 0.5, 0.9] if outputs == "quantiles" else outputs
    model = model_of(rng, strategy=strategy, mix_channels=mix_channels, outputs=levels)
    y = called(model, inputs_of(rng))
    assert y.shape == (B, F, C, *OUTPUTS[outputs])
    if outputs == "quantiles":
        assert (np.diff(y) >= 0).all()
        assert [metric.name for metric in model.output_kind.metrics()] == ["pinball", "coverage_80"]
    if outputs == "gaussian":
        assert (y[..., 1] > 0).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("normalization", "factor"), [("last", 1.0), ("reversible", 3.0)])
@pytest.mark.parametrize("outputs", ["mse", "gaussian"])
def test_a_shift_of_the_window_is_one_of_the_forecast(strategy, normalization, factor, outputs, rng):
    model = model_of(rng, strategy=strategy, normalization=normalization, outputs=outputs)
    inputs = inputs_of(rng)
    moved = {**inputs, "past": (inputs["past"] * factor + 7).astype("float32")}
    expected = called(model, inputs) * factor + (7 if outputs == "mse" else np.array([7.0, 0.0]))
    np.testing.assert_allclose(called(model, moved), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_missing_may_be_anything(strategy, rng):
    model, inputs = model_of(rng, strategy=strategy), inputs_of(rng)
    other = np.where(inputs["past_mask"], inputs["past"], 99).astype("float32")
    np.testing.assert_allclose(called(model, {**inputs, "past": other}), called(model, inputs), atol=1e-5)
    hidden = {**inputs, "past_mask": inputs["past_mask"] * (np.arange(T)[:, None] != 4)}
    assert np.abs(called(model, hidden) - called(model, inputs)).max() > 1e-4


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_channels_take_turns_or_are_read_together(strategy, rng):
    """By turns, each follows from its own past alone; mixed, from that of all."""
    inputs = inputs_of(rng)
    other = {**inputs, "past": inputs["past"] + np.array([0, 1], "float32") * rng.normal(size=(1, T, 1))}
    other["past"] = other["past"].astype("float32")
    for mixed in (False, True):
        model = model_of(rng, strategy=strategy, mix_channels=mixed)
        change = np.abs(called(model, other) - called(model, inputs))[..., 0].max()
        assert (change > 1e-4) == mixed
    model = model_of(rng, strategy=strategy)
    swapped = {k: v[..., ::-1].copy() if k in ("past", "past_mask") else v for k, v in inputs.items()}
    np.testing.assert_allclose(called(model, swapped), called(model, inputs)[..., ::-1], atol=1e-5)


def test_losses_and_metrics_leave_out_missing_values(rng):
    model, inputs = model_of(rng), inputs_of(rng)
    y, there = rng.normal(size=(B, F, C)), (rng.random((B, F, C)) < 0.6).astype("float32")
    found = model.evaluate(inputs, np.where(there, y, 0), sample_weight=there, verbose=0, return_dict=True)
    e = called(model, inputs) - y
    assert found["loss"] == pytest.approx((e**2)[there > 0].mean(), rel=1e-4)
    assert found["mse"] == pytest.approx((e**2)[there > 0].mean(), rel=1e-4)
    assert found["mae"] == pytest.approx(np.abs(e)[there > 0].mean(), rel=1e-4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_half_precision(strategy, rng):
    inputs = inputs_of(rng)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = model_of(strategy=strategy)
    finally:
        keras.config.set_dtype_policy(before)
    full = model_of(rng, strategy=strategy)
    half.set_weights(full.get_weights())
    y = called(half, inputs)
    assert np.abs(y - called(full, inputs)).max() < 0.3
    half.fit(inputs, y + 1, verbose=0)


def test_values_alone_may_come_by_themselves(rng):
    model = model_of(rng, past_covariates=0, known=0, missing=False)
    past = rng.normal(size=(B, T, C)).astype("float32")
    np.testing.assert_allclose(called(model, past), called(model, {"past": past}))
    model.fit(past, np.ones((B, F, C)), verbose=0)


@pytest.mark.skipif(ON_JAX, reason="SavedModels are written on TensorFlow")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_export(strategy, rng, tmp_path):
    import tensorflow as tf

    model, inputs = model_of(rng, strategy=strategy, outputs=[0.2, 0.8]), inputs_of(rng)
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.serve(inputs), called(model, inputs), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "seq2seq"}, "`strategy` must be one of 'direct', 'segment', 'recursive', got 'seq2seq'"),
        ({"encoder": "rnn"}, "`encoder` must be .*transformer, got 'rnn'"),
        ({"encoder": keras.layers.Conv1D(3, 3), "strategy": "direct", "depth": 2}, None),
        ({"encoder": keras.layers.Conv1D(3, 3)}, "`encoder` must return a sequence as long as it reads"),
        ({"bidirectional": True}, "`bidirectional` goes with strategy 'direct', got 'segment'"),
        ({"bidirectional": True, "strategy": "direct"}, None),
        ({"num_heads": 2}, "`num_heads` is for a transformer"),
        ({"encoder": "transformer", "units": 10}, "`units` must be a multiple of twice `num_heads`.* 6, got 10"),
        ({"encoder": "transformer", "recurrent_dropout": 0.2}, "`recurrent_dropout` is for a recurrent encoder"),
        ({"normalization": "batch"}, "`normalization` must be None or one of last, reversible, got 'batch'"),
        ({"outputs": "rmse"}, "`outputs` must be one of 'mse', 'mae', 'huber', 'gaussian' or a list"),
        ({"outputs": [0.9, 0.1]}, "`outputs` must be a list of increasing numbers"),
        ({"segment": 0}, "`segment` must be a positive integer"),
        ({"horizon": 0}, "`horizon` must be a positive integer"),
        ({"known": -1}, "`known` must be"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be(arguments, message):
    if message is None:
        model_of(**arguments)
        return
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_inputs_that_cannot_be(rng):
    model, inputs = model_of(), inputs_of(rng)
    with pytest.raises(ValueError, match=r"needs the input `known` of shape \(B, 18, 3\), got none"):
        model({name: x for name, x in inputs.items() if name != "known"})
    with pytest.raises(ValueError, match=r"needs the input `past` of shape \(B, 11, 2\), got shape \(B, 10, 2\)"):
        model({**inputs, "past": inputs["past"][:, 1:]})

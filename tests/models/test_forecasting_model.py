"""Models of windows of all kinds: files, exports, what does not matter, bad arguments."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import ON_JAX, arrays
from tests.models.forecasting_models import ENCODERS, STRATEGIES, B, C, F, T, called, inputs_of, model_of

# Each strategy meets each kind of encoder: a name (of two layers), a transformer, a window, a layer, a cell. Of the
# cells, which a strategy treats alike whatever their states, each has one strategy.
KINDS = ["gru", "of keras"] if ON_JAX else ["gru", "transformer", "convolution", "of keras"]  # each is compiled there
PAIRS = [(strategy, encoder) for strategy in STRATEGIES for encoder in KINDS]
PAIRS += [] if ON_JAX else [("segment", "clockwork"), ("direct", "cell"), ("recursive", "lstm")]


@pytest.mark.parametrize(("strategy", "encoder"), PAIRS)
def test_all_kinds_train_and_survive_a_file(strategy, encoder, rng, tmp_path):
    """Inside of `fit` the loss goes down; a copy from the file says the same."""
    model = model_of(encoder=ENCODERS[encoder], strategy=strategy, depth=2 if encoder == "gru" else 1)
    inputs, y = inputs_of(rng), rng.normal(size=(B, F, C)) + 5
    losses = model.fit(inputs, y, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.get_config() == model.get_config()
    one, other = (m.predict(inputs, verbose=0) if ON_JAX else called(m, inputs) for m in (copy, model))
    np.testing.assert_allclose(one, other, atol=1e-6)
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


@pytest.mark.parametrize("outputs", ["mse", [0.2, 0.8], "gaussian"])
@pytest.mark.parametrize("mix_channels", [False, True])
def test_a_highway_is_added(outputs, mix_channels, rng):
    """To points and quantiles, and to a mean, not to a deviation: what is left of each value, times a kernel."""
    how = {"outputs": outputs, "mix_channels": mix_channels}
    with_it, without = model_of(rng, highway=True, **how), model_of(**how)
    kernel = arrays(with_it.kernel)[0]
    without.set_weights([w for w, v in zip(with_it.get_weights(), with_it.weights, strict=True) if v.name != "highway"])
    inputs = inputs_of(rng)
    z = np.where(inputs["past_mask"], inputs["past"] - inputs["past"][:, -1:], 0)
    added = np.einsum("btc,tf->bfc", z, kernel)
    found = called(with_it, inputs) - called(without, inputs)
    if outputs == "mse":
        np.testing.assert_allclose(found, added, atol=1e-4)
    else:
        np.testing.assert_allclose(found[..., 0], added, atol=1e-4)
        np.testing.assert_allclose(found[..., 1], added if outputs != "gaussian" else 0, atol=1e-4)


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


@pytest.mark.parametrize("encoder", ["gru", keras.layers.GRU(4, dropout=0.5), ks.layers.GRUCell(4), "transformer"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_dropout_acts_while_training(strategy, encoder, rng):
    """In `fit` too, also where a cell brings its own, and not in `predict`; a recursion by windows drops nothing."""
    model, inputs = model_of(strategy=strategy, encoder=encoder, dropout=0.6), inputs_of(rng)
    first, second = (arrays(model(inputs, training=True))[0] for _ in range(2))
    dropped = not (strategy == "recursive" and encoder == "transformer")
    assert (np.abs(first - second).max() > 1e-4) == dropped
    np.testing.assert_array_equal(called(model, inputs), called(model, inputs))
    model.fit(inputs, np.ones((B, F, C)), epochs=2, verbose=0)


def test_the_optimizer(rng):
    model = model_of(weight_decay=0.02, clipnorm=0.7, learning_rate=0.03)
    optimizer = model.optimizer
    assert (optimizer.weight_decay, optimizer.clipnorm, float(optimizer.learning_rate)) == pytest.approx(
        (0.02, 0.7, 0.03)
    )
    assert model_of(clipnorm=None).optimizer.clipnorm is None


def test_a_median_that_is_no_level_is_between_those_around_it(rng):
    from keras_seq.models.outputs import output_of

    q = np.sort(rng.normal(size=(5, 3)))
    for levels, expected in [
        ([0.1, 0.3, 0.7], (q[:, 1] + q[:, 2]) / 2),
        ([0.1, 0.5, 0.9], q[:, 1]),
        ([0.1, 0.2, 0.3], q[:, 2]),
        ([0.6, 0.7, 0.9], q[:, 0]),
    ]:
        np.testing.assert_allclose(output_of(levels).median(q), expected)


def test_high_levels_keep_their_digits_in_half_precision(rng):
    """A level of 100,000, which float16 has not, is taken off in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = model_of(rng, past_covariates=0, known=0, missing=False)
    finally:
        keras.config.set_dtype_policy(before)
    past = rng.normal(size=(B, T, C)).astype("float32")
    shifted = called(half, (past + 1e5).astype("float32")) - 1e5
    np.testing.assert_allclose(shifted, called(half, past), atol=0.05)


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
        ({"encoder": ks.layers.GRU(3, go_backwards=True)}, "`encoder` reads backwards"),
        ({"encoder": ks.layers.GRU(3, go_backwards=True), "strategy": "direct"}, None),
        ({"num_heads": 2}, "`num_heads` is for a transformer"),
        ({"encoder": "transformer", "units": 10}, "`units` must be a multiple of twice `num_heads`.* 6, got 10"),
        ({"encoder": "transformer", "recurrent_dropout": 0.2}, "`recurrent_dropout` is for a recurrent encoder"),
        ({"normalization": "batch"}, "`normalization` must be None or one of last, reversible, got 'batch'"),
        ({"outputs": "rmse"}, "`outputs` must be one of 'mse', 'mae', 'huber', 'gaussian' or a list"),
        ({"outputs": [0.9, 0.1]}, "`outputs` must be a list of increasing numbers"),
        ({"highway": True, "strategy": "recursive"}, "`highway` goes with strategy 'direct' or 'segment'"),
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

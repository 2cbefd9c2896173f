"""The loss and the metrics of tokens: against NumPy in float64, with padding, masks, weights, half precision."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks

B, T, V = 3, 5, 7
Loss, Accuracy, Perplexity = ks.losses.TokenCrossentropy, ks.metrics.TokenAccuracy, ks.metrics.Perplexity
WEIGHTS = {"number": (), "rows": (B,), "column": (B, 1), "tokens": (B, T)}


def data(rng, rows=B, steps=T):
    y = rng.integers(1, V, (rows, steps))
    y[0, 2:] = 0
    y[-1, 1] = 0
    return y, (3 * rng.normal(size=(rows, steps, V))).astype("float32")


def oracle(y, z, smoothing=0.0):
    """Of each token, 0 at padding; `(B, T)`."""
    z = z.astype("float64")
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    target = np.full(z.shape, smoothing / V) + (1 - smoothing) * np.eye(V)[y]
    return -(target * log_p).sum(-1) * (y != 0)


def spread(weight):
    return np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, (B, T))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_it_is_the_mean_over_tokens(rng, smoothing):
    y, z = data(rng)
    each = oracle(y, z, smoothing)
    for ids in (y, y.astype("float32"), y.astype("uint8")):
        assert float(Loss(smoothing)(ids, z)) == pytest.approx(each.sum() / (y != 0).sum(), rel=1e-5)
    assert float(Loss(smoothing, reduction="sum")(y, z)) == pytest.approx(each.sum(), rel=1e-5)
    found = ops.convert_to_numpy(Loss(smoothing, reduction="none")(y, z))
    np.testing.assert_allclose(found, each, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", WEIGHTS)
def test_weights(rng, form):
    y, z = data(rng)
    weight = rng.uniform(0, 2, WEIGHTS[form])
    each, all_weights = oracle(y, z, 0.1), spread(weight) * (y != 0)
    assert float(Loss(0.1)(y, z, weight)) == pytest.approx((each * all_weights).sum() / (y != 0).sum(), rel=1e-5)
    divided = Loss(0.1, reduction="mean_with_sample_weight")
    assert float(divided(y, z, weight)) == pytest.approx((each * all_weights).sum() / all_weights.sum(), rel=1e-5)
    perplexity = Perplexity()
    perplexity.update_state(y, z, weight)
    expected = np.exp((oracle(y, z) * all_weights).sum() / all_weights.sum())
    assert float(perplexity.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(T,), (B, T, 1), (B, T + 1)])
def test_weights_of_other_shapes_are_refused(rng, shape):
    for judge in (Loss(), Accuracy()):
        with pytest.raises(ValueError, match=r"sample_weight.*\(B,\).*\(B, T\).*got shape"):
            judge(*data(rng), sample_weight=np.ones(shape))


def test_arrays_of_other_shapes_are_refused(rng):
    y, z = data(rng)
    for judge in (Loss(), Perplexity()):
        for wrong in ((y[0], z[0]), (y[..., None], z), (y[:, 1:], z)):
            with pytest.raises(ValueError, match=r"ids \(B, T\) and logits \(B, T, V\)"):
                judge(*wrong)


def test_nothing_but_padding(rng):
    _, z = data(rng)
    zeros = np.zeros((B, T), int)
    assert float(Loss(0.1)(zeros, z)) == 0
    assert float(Loss(0.1)(zeros[:, :0], z[:, :0])) == 0
    assert float(Accuracy()(zeros, z)) == 0
    assert float(Perplexity()(zeros, z)) == 1


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("jit", [False, True])
def test_gradients(rng, smoothing, jit):
    """`p` less the target, and 0 at padding, even where logits are not numbers."""
    y, z = data(rng)
    p = np.exp(z.astype("float64"))
    p /= p.sum(-1, keepdims=True)
    target = smoothing / V + (1 - smoothing) * np.eye(V)[y]
    expected = (p - target) * (y != 0)[..., None] / (y != 0).sum()
    z[y == 0] = np.nan
    z[0, -1] = np.inf
    loss, found = value_and_gradient(lambda logits: Loss(smoothing)(y, logits), z, jit)
    assert np.isfinite(loss)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def value_and_gradient(f, x, jit):
    if keras.backend.backend() == "jax":
        import jax

        value, gradient = (jax.jit if jit else lambda g: g)(jax.value_and_grad(f))(x)
    else:
        import tensorflow as tf

        @tf.function(jit_compile=jit)
        def both(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = f(x)
            return value, tape.gradient(value, x)

        value, gradient = both(tf.constant(x))
    return float(value), ops.convert_to_numpy(gradient)


def test_half_precision_is_summed_in_float32(rng):
    y, z = data(rng)
    half = ops.cast(z, "bfloat16")
    rounded = ops.convert_to_numpy(ops.cast(half, "float32"))
    found = Loss(0.1)(y, half)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert float(found) == pytest.approx(oracle(y, rounded, 0.1).sum() / (y != 0).sum(), rel=1e-5)
    assert float(Perplexity()(y, half)) == pytest.approx(np.exp(oracle(y, rounded).sum() / (y != 0).sum()), rel=1e-5)
    assert {v.dtype for m in (Perplexity(), Accuracy()) for v in m.variables} == {"float32"}


def test_a_loss_of_half_precision_keeps_the_ids(rng):
    y, z = np.array([[257, 1023, 0]]), rng.normal(size=(1, 3, 1024)).astype("float32")
    loss = ks.losses.TokenCrossentropy(dtype="bfloat16")
    np.testing.assert_allclose(float(loss(y, z)), float(ks.losses.TokenCrossentropy()(y, z)), rtol=1e-6)


def test_metrics_over_batches_of_different_token_counts(rng):
    accuracy, perplexity, right, total, count = Accuracy(), Perplexity(), 0, 0, 0
    for rows, steps in ((3, 5), (2, 11), (7, 3)):
        y, z = data(rng, rows, steps)
        z[..., 1] += 2
        accuracy.update_state(y, z)
        perplexity.update_state(y, z)
        right += ((z.argmax(-1) == y) & (y != 0)).sum()
        total, count = total + oracle(y, z).sum(), count + (y != 0).sum()
    assert float(accuracy.result()) == pytest.approx(right / count, rel=1e-6)
    assert float(perplexity.result()) == pytest.approx(np.exp(total / count), rel=1e-5)


def test_large_logits_are_safe():
    y, z = np.array([[1, 2]]), np.array([[[0, 1000.0, -1000], [0, 0, 1000]]])
    assert float(Perplexity()(y, z)) == 1
    assert float(Loss()(y, z)) == 0


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_inside_of_a_model_whose_output_has_a_mask(rng, tmp_path, jit, policy):
    """The mask is that of the source, and would change Keras's own means."""
    words = keras.Input((T,), dtype="int32")
    hidden = keras.layers.Embedding(11, 4, mask_zero=True, embeddings_initializer="normal")(words)
    model = keras.Model(words, keras.layers.Dense(V, kernel_initializer="normal", dtype=policy)(hidden))
    model.compile(
        "sgd", Loss(0.3), metrics=[Accuracy(), Perplexity()], weighted_metrics=[Perplexity(name="w")], jit_compile=jit
    )
    ids, (y, _) = rng.integers(0, 2, (B, T)) * rng.integers(1, 11, (B, T)), data(rng)
    z = np.asarray(model.predict(ids, verbose=0)).astype("float32")
    scores = model.evaluate(ids, y, verbose=0, return_dict=True)
    count = (y != 0).sum()
    assert scores["loss"] == pytest.approx(oracle(y, z, 0.3).sum() / count, rel=1e-4)
    assert scores["perplexity"] == pytest.approx(np.exp(oracle(y, z).sum() / count), rel=1e-4)
    model.fit(ids, y, sample_weight=np.ones(B), verbose=0)
    model.save(tmp_path / "m.keras")
    copy = keras.saving.load_model(tmp_path / "m.keras")
    assert type(copy.loss) is Loss
    assert copy.evaluate(ids, y, verbose=0) == pytest.approx(model.evaluate(ids, y, verbose=0), rel=1e-4)


@pytest.mark.parametrize(
    "thing", [Loss(0.2, reduction="sum", name="n"), Accuracy(name="a"), Perplexity(dtype="float32")]
)
def test_configuration(thing):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(thing)))
    assert config["registered_name"].startswith("keras_seq>")
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(thing)
    assert again.get_config() == thing.get_config()
    assert (Accuracy().name, Perplexity().name) == ("token_accuracy", "perplexity")

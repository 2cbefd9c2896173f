"""The loss and the metrics of sequences of bits: against NumPy in float64, with answers, padding, weights."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.backend import native

B, T, BITS = 3, 7, 5
Loss, Bits, Exact = ks.losses.BitCrossentropy, ks.metrics.BitsPerSequence, ks.metrics.ExactSequences
METRICS = (Bits, Exact)
WEIGHTS = {"number": (), "rows": (B,), "column": (B, 1), "steps": (B, T)}


def data(rng, rows=B, size=1.5):
    """Bits, logits that are right more often than not, and which steps are answers: one row has few."""
    y = rng.integers(2, size=(rows, T, BITS)).astype("float32")
    z = (rng.normal(size=y.shape) * size + (2 * y - 1)).astype("float32")
    w = (rng.random((rows, T)) < 0.6).astype("float32")
    w[0], w[0, 4] = 0, 1
    w[1:, 2] = 1
    return y, z, w


def probabilities(z):
    return 1 / (1 + np.exp(-z.astype("float64")))


def nats(y, z):
    """Of each step."""
    p = probabilities(z)
    return -np.log(np.where(y == 1, p, 1 - p)).sum(-1)


def exact(y, z, w):
    right = ((z > 0) == (y == 1)).all(-1)
    return (right | (w == 0)).all(1)


def spread(weight):
    weight = np.asarray(weight)
    return np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, (B, T))


def value(metric, *arguments):
    metric.update_state(*arguments)
    return float(metric.result())


def given(y, z, from_logits):
    return y, z if from_logits else probabilities(z).astype("float32")


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_loss_is_a_sum_over_answers_and_a_mean_over_rows(rng, from_logits):
    y, z, w = data(rng)
    each, arrays = nats(y, z), given(y, z, from_logits)
    assert float(Loss(from_logits)(*arrays, w)) == pytest.approx((each * w).sum() / B, rel=1e-4)
    assert float(Loss(from_logits)(*arrays)) == pytest.approx(each.sum() / B, rel=1e-4)
    reductions = {"mean": (each * w).sum() / B, "sum": (each * w).sum()}
    reductions["mean_with_sample_weight"] = (each * w).sum() / w.sum()
    for reduction, expected in reductions.items():
        assert float(Loss(from_logits, reduction=reduction)(*arrays, w)) == pytest.approx(expected, rel=1e-4)
    found = ops.convert_to_numpy(Loss(from_logits, reduction="none")(*arrays, w))
    np.testing.assert_allclose(found, each * w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("from_logits", [True, False])
def test_metrics_are_those_of_all_batches(rng, from_logits):
    batches = [data(rng, rows, size) for rows, size in ((B, 0.3), (11, 1.5), (5, 0.3))]
    y, z, w = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    bits, right = (nats(y, z) * w).sum(1) / np.log(2), exact(y, z, w)
    assert 0 < right.sum() < len(right)
    for metric, expected in ((Bits(from_logits), bits), (Exact(from_logits), right)):
        for batch in batches:
            metric.update_state(*given(*batch[:2], from_logits), batch[2])
        assert float(metric.result()) == pytest.approx(expected.mean(), rel=1e-4)
        metric.reset_state()
        assert float(metric.result()) == 0
        first = value(metric, *given(*batches[0][:2], from_logits), batches[0][2])
        assert first == pytest.approx(expected[:B].mean(), rel=1e-4)


@pytest.mark.parametrize("form", WEIGHTS)
def test_weights_of_any_form(rng, form):
    y, z, _ = data(rng)
    weight = rng.uniform(0.5, 2, WEIGHTS[form])
    all_weights = spread(weight)
    assert float(Loss()(y, z, weight)) == pytest.approx((nats(y, z) * all_weights).sum() / B, rel=1e-4)
    assert value(Bits(), y, z, weight) == pytest.approx((nats(y, z) * all_weights).sum() / np.log(2) / B, rel=1e-4)
    assert value(Exact(), y, z, weight) == pytest.approx(exact(y, z, all_weights).mean())


def test_a_row_without_an_answer_is_no_sequence(rng):
    y, z, w = data(rng)
    w[1] = 0
    kept = np.array([0, 2])
    for metric in METRICS:
        assert value(metric(), y, z, w) == pytest.approx(value(metric(), y[kept], z[kept], w[kept]), rel=1e-6)
        assert value(metric(), y, z, np.zeros((B, T))) == 0


def test_a_bit_that_is_wrong_counts_in_the_answer_alone():
    y = np.ones((1, T, BITS))
    w = (np.arange(T) < 3).astype("float32")[None]
    for step in range(T):
        z = np.full(y.shape, 4.0)
        z[0, step, 3] = -4
        assert value(Exact(), y, z, w) == (step >= 3)
    assert value(Exact(from_logits=False), y, np.full(y.shape, 0.4)) == 0  # above 0, not above 1/2


@pytest.mark.parametrize("odd", [np.inf, np.nan, 1e30])
def test_what_stands_beside_the_answer_counts_for_nothing(rng, odd):
    y, z, w = data(rng)
    other = np.where(w[..., None] == 0, odd, z).astype("float32")
    assert float(Loss()(y, other, w)) == pytest.approx(float(Loss()(y, z, w)), rel=1e-6)
    for metric in METRICS:
        assert value(metric(), y, other, w) == pytest.approx(value(metric(), y, z, w), rel=1e-6)
    program = native.gradient_program(lambda z: (Loss()(y, z[0], w), []), [])
    (gradient,), (wanted,) = (program([one.astype("float32")])[2] for one in (other, z))
    np.testing.assert_allclose(np.asarray(gradient), np.asarray(wanted), atol=1e-6)


def test_sure_answers_have_small_losses_that_are_not_rounded_to_zero():
    y = np.array([[[1.0, 0.0]]])
    z = np.array([[[30.0, -30.0]]])
    assert float(Loss()(y, z)) == pytest.approx(2 * np.exp(-30), rel=1e-3)
    assert float(Loss()(y, -z)) == pytest.approx(60)
    assert value(Bits(), y, z) == pytest.approx(2 * np.exp(-30) / np.log(2), rel=1e-3)


def test_the_loss_in_bits_is_the_metric_also_in_fit(rng, tmp_path):
    """And a mask of Keras on the predictions changes nothing."""
    inputs = keras.Input((None, 4))
    x = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(BITS)(x))
    model.compile(keras.optimizers.SGD(0.0), Loss(), weighted_metrics=[Bits(), Exact()])
    y, _, w = data(rng, rows=6)
    x = rng.normal(size=(6, T, 4)).astype("float32")
    x[2, 3:] = 0
    z = model.predict(x, verbose=0)
    found = model.evaluate(x, y, sample_weight=w, batch_size=3, verbose=0, return_dict=True)
    bits = (nats(y, z) * w).sum(1) / np.log(2)
    assert found["loss"] / np.log(2) == pytest.approx(found["bits_per_sequence"], rel=1e-5)
    assert found["bits_per_sequence"] == pytest.approx(bits.mean(), rel=1e-5)
    assert found["exact_sequences"] == pytest.approx(exact(y, z, w).mean())
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.evaluate(x, y, sample_weight=w, batch_size=3, verbose=0, return_dict=True) == pytest.approx(found)
    history = model.fit(x, y, sample_weight=w, epochs=2, verbose=0).history
    assert history["bits_per_sequence"] == pytest.approx([bits.mean()] * 2, rel=1e-5)  # each epoch starts anew


@pytest.mark.parametrize("judge", [Loss, Bits, Exact])
def test_configuration(judge):
    one = judge(from_logits=False, name="judge")
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(one))))
    assert type(again) is judge
    assert again.get_config() == one.get_config()
    assert (again.from_logits, again.name, judge().from_logits) == (False, "judge", True)


@pytest.mark.parametrize("judge", [Loss, Bits, Exact])
def test_arrays_of_other_shapes_are_refused(rng, judge):
    y, z, _ = data(rng)
    for wrong in ((y[0], z[0]), (y[:, 1:], z), (y[..., None], z[..., None])):
        with pytest.raises(ValueError, match=r"needs bits and predictions \(B, T, bits\), got shapes"):
            judge()(*wrong)
    for shape in ((T,), (B, T, 1), (B, T + 1)):
        with pytest.raises(ValueError, match=r"sample_weight.*\(B,\).*\(B, T\).*got shape"):
            judge()(y, z, sample_weight=np.ones(shape))

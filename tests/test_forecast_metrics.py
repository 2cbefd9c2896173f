"""Metrics of forecasts: arrays against the formulas spelt out, and those of Keras against them."""

import json

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import randomize

M = ks.metrics
B, F, T, LEVELS = 5, 7, 40, [0.1, 0.25, 0.5, 0.75, 0.9]


def points(y, *others):
    """Each point that is known, with what belongs to it."""
    return [(y[i], *(o[i] for o in others)) for i in np.ndindex(y.shape) if not np.isnan(y[i])]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def smape(y, p):
    return mean(0 if y == p == 0 else 200 * abs(y - p) / (abs(y) + abs(p)) for y, p in points(y, p))


def mase(y, p, x, m):
    steps = [abs(x[t] - x[t - m]) for t in range(m, len(x)) if not np.isnan(x[t] - x[t - m])]
    return mean(abs(y - p) / mean(steps) for y, p in points(y, p))


def pinball(y, q):
    each = [
        (t * (y - v) if y > v else (1 - t) * (v - y)) for y, q in points(y, q) for t, v in zip(LEVELS, q, strict=True)
    ]
    return mean(each)


def data(rng, holes=True):
    y, p = rng.normal(size=(2, B, F)) + 2
    if holes:
        y[rng.random((B, F)) < 0.3] = np.nan
    y[0, 0] = p[0, 0] = 0
    return y, p


@pytest.mark.parametrize("holes", [False, True])
def test_errors_of_points(holes, rng):
    y, p = data(rng, holes)
    assert M.smape(y, p) == pytest.approx(smape(y, p), rel=1e-12)
    assert M.mae(y, p) == pytest.approx(mean(abs(y - p) for y, p in points(y, p)), rel=1e-12)
    assert M.mse(y, p) == pytest.approx(mean((y - p) ** 2 for y, p in points(y, p)), rel=1e-12)
    for metric in (M.smape, M.mae, M.mse):
        assert type(metric(y, p)) is float
        assert metric(y[1], p[1]) == pytest.approx(metric(y, p, axis=-1)[1], rel=1e-12)
        assert metric(y[:, 2], p[:, 2]) == pytest.approx(metric(y, p, axis=0)[2], rel=1e-12)
        assert metric(y.tolist(), p.tolist()) == metric(y, p)


def test_the_edges_of_smape():
    assert M.smape([0.0, 0.0], [0.0, 0.0]) == 0
    assert M.smape([0.0, 5.0], [3.0, 0.0]) == 200  # all that is wrong about a zero is the worst
    assert M.smape([-1.0], [1.0]) == 200
    assert M.smape([100], [110]) == M.smape([110], [100]) == pytest.approx(2000 / 210)


@pytest.mark.parametrize("season", [1, 3])
@pytest.mark.parametrize("holes", [False, True])
def test_mase(season, holes, rng):
    y, p = data(rng, holes)
    x = rng.normal(size=(B, T)).cumsum(axis=1)
    if holes:
        x[rng.random((B, T)) < 0.2] = np.nan
    each = [mase(y[i : i + 1], p[i : i + 1], x[i], season) for i in range(B)]
    np.testing.assert_allclose(M.mase(y, p, x, season, axis=-1), each, rtol=1e-12)
    assert M.mase(y[2], p[2], x[2], season) == pytest.approx(each[2], rel=1e-12)
    counts = (~np.isnan(y)).sum(axis=1)
    assert M.mase(y, p, x, season) == pytest.approx(np.average(each, weights=counts), rel=1e-12)
    ragged = [x[i, i:] for i in range(B)]
    each = [mase(y[i : i + 1], p[i : i + 1], ragged[i], season) for i in range(B)]
    np.testing.assert_allclose(M.mase(y, p, ragged, season, axis=-1), each, rtol=1e-12)


def test_series_without_a_unit_are_left_out_of_mase():
    """Constant ones, those that repeat themselves, short ones, those without two values a season apart."""
    y, p = np.ones((5, 2)), np.zeros((5, 2))
    histories = [[3, 3, 3, 3], [1, 2, 1, 2], [5, 6], [1, np.nan, np.nan, 2], [0, 0, 2, 2]]
    np.testing.assert_equal(M.mase(y, p, histories, 2, axis=-1), [np.nan] * 4 + [0.5])
    assert M.mase(y, p, histories, 2) == 0.5
    assert np.isnan(M.mase(y[:4], p[:4], histories[:4], 2))
    assert np.isnan(M.mase([1.0], [2.0], [4.0, 4.0, 4.0]))


def test_owa(rng):
    y, p = data(rng)
    reference, x = rng.normal(size=(B, F)), rng.normal(size=(B, T))
    expected = (M.smape(y, p) / M.smape(y, reference) + M.mase(y, p, x, 3) / M.mase(y, reference, x, 3)) / 2
    assert M.owa(y, p, reference, x, 3) == pytest.approx(expected, rel=1e-12)
    assert M.owa(y, reference, reference, x, 3) == 1
    assert M.owa([1.0], [2.0], [1.0], [1.0, 2.0]) == np.inf


def test_pinball_and_coverage(rng):
    y, q = data(rng)[0], np.sort(rng.normal(size=(B, F, 5)) + 2)
    assert M.pinball(y, q, LEVELS) == pytest.approx(pinball(y, q), rel=1e-12)
    assert M.pinball(y, q, LEVELS, axis=0)[3] == pytest.approx(pinball(y[:, 3], q[:, 3]), rel=1e-12)
    assert M.pinball(y, q[..., 2:3], [0.5]) == pytest.approx(M.mae(y, q[..., 2]) / 2, rel=1e-12)
    inside = mean(low <= y <= high for y, low, high in points(y, q[..., 0], q[..., 4]))
    assert 0.2 < inside < 0.8
    assert M.coverage(y, q[..., 0], q[..., 4]) == pytest.approx(inside, rel=1e-12)
    assert M.coverage([1.0, 2.0, 3.0], [1.0, 2.5, 0.0], [2.0, 3.0, 3.0]) == pytest.approx(2 / 3)  # ends count


def test_nothing_known_and_forecasts_that_are_no_numbers():
    none = np.full(3, np.nan)
    values = [
        lambda y, p: M.smape(y, p),
        lambda y, p: M.mae(y, p),
        lambda y, p: M.mse(y, p),
        lambda y, p: M.mase(y, p, [1.0, 2.0]),
        lambda y, p: M.coverage(y, p, p + 1),
        lambda y, p: M.coverage(y, p - 1, p),
        lambda y, p: M.pinball(y, p[:, None], [0.3]),
    ]
    for value in values:
        assert np.isnan(value(none, np.ones(3)))
        assert np.isnan(value(np.ones(3), np.array([1.0, np.nan, 1.0])))
        assert np.isfinite(value(np.array([1.0, np.nan, 1.0]), np.array([1.0, np.nan, 1.0])))


def test_arrays_of_other_shapes_are_refused():
    y = np.ones((B, F))
    for metric in (M.smape, M.mae, M.mse, lambda a, b: M.mase(a, b, y)):
        with pytest.raises(ValueError, match=r"`y_pred`.*`y_true`, \(5, 7\), got \(7,\)"):
            metric(y, y[0])
    with pytest.raises(ValueError, match=r"`upper`.*`y_true`, \(5, 7\), got \(5, 1\)"):
        M.coverage(y, y, y[:, :1])
    with pytest.raises(ValueError, match=r"`y_pred` must have shape \(5, 7, 5\), got \(5, 7\)"):
        M.pinball(y, y, LEVELS)
    with pytest.raises(ValueError, match="`history` must hold one array for each of 5 series, got 7"):
        M.mase(y, y, np.ones(7))
    with pytest.raises(ValueError, match=r"`history` must be of shape \(T,\).*got \(1, 7\)"):
        M.mase(y[0], y[0], y[:1])
    with pytest.raises(ValueError, match=r"\(F,\) or \(B, F\), got \(5, 7, 1\)"):
        M.mase(y[..., None], y[..., None], y)
    with pytest.raises(ValueError, match="`season` must be a positive integer, got 0"):
        M.mase(y, y, y, 0)


# The metrics of Keras: on arrays, whole and in batches.

KERAS = {
    "mae": (M.MAE, lambda y, p: M.mae(y, p[..., 2]), False),
    "mse": (M.MSE, lambda y, p: M.mse(y, p[..., 2]), False),
    "smape": (M.SMAPE, lambda y, p: M.smape(y, p[..., 2]), False),
    "pinball": (lambda: M.Pinball(LEVELS), lambda y, p: M.pinball(y, p, LEVELS), True),
    "coverage_80": (lambda: M.Coverage(LEVELS), lambda y, p: M.coverage(y, p[..., 0], p[..., 4]), True),
    "coverage_50": (lambda: M.Coverage(LEVELS, 0.5), lambda y, p: M.coverage(y, p[..., 1], p[..., 3]), True),
}
every_metric = pytest.mark.parametrize("name", KERAS)


@every_metric
@pytest.mark.parametrize("shape", [(11,), (11, F), (11, F, 2)], ids=str)
def test_those_of_keras_are_those_of_arrays(name, shape, rng):
    make, of_arrays, of_quantiles = KERAS[name]
    y, q = rng.normal(size=shape) + 2, np.sort(rng.normal(size=(*shape, 5)) + 2)
    y[rng.random(shape) < 0.3] = np.nan
    metric = make()
    assert metric.name == name
    for rows in (slice(0, 3), slice(3, 11)):
        metric.update_state(y[rows], (q if of_quantiles else q[..., 2])[rows])
    assert float(metric.result()) == pytest.approx(of_arrays(y, q), rel=1e-5)
    metric.reset_state()
    assert float(metric.result()) == 0


@every_metric
@pytest.mark.parametrize("form", [(), (B,), (B, 1), (B, F), (B, F, 2)], ids=str)
def test_weights(name, form, rng):
    make, of_arrays, of_quantiles = KERAS[name]
    y, q = rng.normal(size=(B, F, 2)) + 2, np.sort(rng.normal(size=(B, F, 2, 5)) + 2)
    weight = rng.integers(0, 3, form) if form else np.array(2)
    spread = np.broadcast_to(weight.reshape(weight.shape + (1,) * (3 - weight.ndim)), y.shape)
    y[(spread == 0) & (rng.random(y.shape) < 0.5)] = np.inf  # what does not count may be anything
    metric = make()
    metric.update_state(y, q if of_quantiles else q[..., 2], weight)
    repeated = np.repeat(y.ravel(), spread.ravel()), np.repeat(q.reshape(-1, 5), spread.ravel(), axis=0)
    assert float(metric.result()) == pytest.approx(of_arrays(*repeated), rel=1e-5)


def test_in_a_compiled_model(rng, tmp_path):
    model = keras.Sequential([keras.Input((2,)), ks.layers.QuantileHead(LEVELS, units=F)])
    randomize(model, rng)
    metrics = [make() for make, _, of_quantiles in KERAS.values() if of_quantiles]
    weighted = M.Coverage(LEVELS, 0.8, name="weighted")
    loss = ks.losses.QuantileLoss(LEVELS)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=metrics, weighted_metrics=[weighted])
    x, y = rng.normal(size=(23, 2)), rng.normal(size=(23, F))
    weight = rng.integers(0, 2, (23, F))
    q = model.predict(x, verbose=0).astype("float64")
    expected = {name: KERAS[name][1](y, q) for name, (_, _, of_quantiles) in KERAS.items() if of_quantiles}
    expected["weighted"] = M.coverage(np.where(weight, y, np.nan), q[..., 0], q[..., 4])
    history = model.fit(x, y, sample_weight=weight, batch_size=5, epochs=2, verbose=0).history
    for name, number in expected.items():
        assert history[name] == pytest.approx([number] * 2, abs=1e-5)
    model.save(tmp_path / "model.keras")
    scores = keras.saving.load_model(tmp_path / "model.keras").evaluate(
        x, y, sample_weight=weight, verbose=0, return_dict=True
    )
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "metric",
    [M.MAE(), M.MSE(), M.SMAPE(name="other"), M.Pinball([0.2, 0.8], name="other"), M.Coverage([0.2, 0.8], 0.6)],
    ids=lambda m: type(m).__name__,
)
def test_configuration(metric):
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(metric))))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


def test_bad_arguments_of_the_keras_ones():
    with pytest.raises(ValueError, match=r"`level`.*\[0.1, 0.9\], got 0.9"):
        M.Coverage([0.1, 0.9], 0.9)
    for level in (1.0, -0.5, "0.8"):
        with pytest.raises(ValueError, match=f"`level` must be .*{level}"):
            M.Coverage([0.1, 0.9], level)
    with pytest.raises(ValueError, match=r"true values of shape \(5, 7\).*got \(5,\)"):
        M.SMAPE().update_state(np.ones(B), np.ones((B, F)))
    with pytest.raises(ValueError, match=r"predictions \(\.\.\., 2\)"):
        M.Pinball([0.1, 0.9]).update_state(np.ones((B, F)), np.ones((B, F)))

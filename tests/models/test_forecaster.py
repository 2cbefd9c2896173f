"""Forecaster: what it says of frames, against windows by hand; leaks; intervals; files; the graph that is served."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.cases import ON_JAX
from tests.windows import COLUMNS, long_frame

T, F = 5, 3
SMALL = {"units": 4, "segment": 2}


def forecaster_of(**arguments):
    return ks.models.Forecaster(T, F, **{**SMALL, **arguments})


def fitted(frame, validation=0.3, **arguments):
    keras.utils.set_random_seed(1)
    return forecaster_of(**arguments).fit(frame, validation=validation, epochs=1, verbose=0)


def wide(rng, length=80, freq="h"):
    index = pd.date_range("2024-03-01", periods=length, freq=freq, name="when")
    values = rng.normal(size=(length, 3)).cumsum(0) + np.array([10, -30, 0])
    return pd.DataFrame(values, index=index, columns=["load", "wind", "sun"])


@pytest.fixture(scope="module")
def module_rng():
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def long(module_rng):
    """Three series of 61, 47 and 83 steps, some values missing."""
    return long_frame(module_rng, [61, 47, 83], missing=0.05)


@pytest.fixture(scope="module")
def of_long(long):
    return fitted(long, **COLUMNS, level=[80, 97.5], outputs="quantiles", calendar="cyclic")


def future_of(frame, steps=F):
    """The rows that follow each series, with what is known in advance."""
    rows = []
    for name, one in frame.groupby("unique_id"):
        ds = pd.date_range(one["ds"].iloc[-1], periods=steps + 1, freq="h")[1:]
        rows.append(
            pd.DataFrame({"unique_id": name, "ds": ds, "price": np.linspace(-1, 1, steps) + 3 * (ord(name) - 97)})
        )
    return pd.concat(rows, ignore_index=True)


# What it says.


@pytest.mark.parametrize("scale", ["series", "window", None])
def test_forecasts_are_the_models_of_the_last_windows(scale, rng):
    """By hand: the last T rows, scaled, through the model, and back; the frame's index goes on."""
    frame = wide(rng)
    forecaster = fitted(frame, target=["load", "wind"], past="sun", scale=scale, calendar=None)
    found = forecaster.predict(frame)
    last = frame.to_numpy()[-T:]
    if scale == "series":  # of the training part: the rows before the last three tenths
        mean, size = frame.to_numpy()[:56].mean(0), frame.to_numpy()[:56].std(0)
    elif scale == "window":
        mean, size = last.mean(0), last.std(0)
    else:
        mean, size = np.zeros(3), np.ones(3)
    z = ((last - mean) / size).astype("float32")[None]
    y = forecaster.model.predict({"past": z[..., :2], "past_covariates": z[..., 2:]}, verbose=0)[0]
    np.testing.assert_allclose(found[["load", "wind"]], y * size[:2] + mean[:2], rtol=1e-3, atol=1e-3)
    expected = pd.date_range(frame.index[-1], periods=F + 1, freq="h")[1:]
    assert (found.index == expected).all()
    assert found.index.name == "when"
    assert list(found.columns) == [f"{name}{end}" for name in ("load", "wind") for end in ENDS]
    shorter = forecaster.predict(frame, horizon=2)
    pd.testing.assert_frame_equal(shorter, found[:2], check_freq=False)


ENDS = ["", "-lo-80", "-hi-80", "-lo-90", "-hi-90"]


def test_series_of_a_long_frame_follow_from_themselves_alone(long, of_long):
    future = future_of(long)
    found = of_long.predict(long, future=future)
    assert list(found["unique_id"]) == [name for name in "abc" for _ in range(F)]
    pd.testing.assert_series_equal(found["ds"], future["ds"], check_dtype=False)
    for name in "abc":
        alone = of_long.predict(long[long["unique_id"] == name], future=future[future["unique_id"] == name])
        same = found[found["unique_id"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, same, atol=1e-4, check_dtype=False)
    mixed = long.sample(frac=1, random_state=0).sort_values("ds", kind="stable")
    again = of_long.predict(mixed, future=future).sort_values(["unique_id", "ds"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, found, atol=1e-4)


def test_what_is_known_in_advance_may_stand_in_the_frame(long, of_long):
    """In rows with empty targets at its end. What it says there matters."""
    future = future_of(long)
    joined = pd.concat([long, future], ignore_index=True)
    found = of_long.predict(long, future=future)
    pd.testing.assert_frame_equal(of_long.predict(joined), found)
    other = of_long.predict(long, future=future.assign(price=future["price"] + 2))
    assert np.abs(other["u"] - found["u"]).min() > 1e-5


def test_forecasts_begin_after_the_last_known_value(rng):
    frame = wide(rng)
    forecaster = fitted(frame, target="load", calendar=None)
    holes = frame.copy()
    holes.iloc[-4:, 0] = np.nan
    found = forecaster.predict(holes)
    pd.testing.assert_frame_equal(found, forecaster.predict(frame[:-4]), check_freq=False)
    assert found.index[0] == frame.index[-4]


def test_backtest_is_predict_at_some_times_of_the_past(long, of_long):
    found = of_long.backtest(long, windows=4, step=2)
    assert len(found) == 3 * 4 * F
    for (name, cutoff), one in found.groupby(["unique_id", "cutoff"]):
        frame = long[long["unique_id"] == name]
        seen = frame[frame["ds"] <= cutoff]
        later = frame[frame["ds"] > cutoff][:F]
        made = of_long.predict(seen, future=later[["unique_id", "ds", "price"]])
        columns = [c for c in made if c not in ("unique_id", "ds")]
        if seen[["u", "v"]].iloc[-1].notna().any():
            np.testing.assert_allclose(one[columns], made[columns], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(one[["u-true", "v-true"]], later[["u", "v"]], rtol=1e-4, atol=1e-4)
        assert list(one["ds"]) == list(later["ds"])
    ends = found.groupby("unique_id")["ds"].max()
    assert (ends == long.groupby("unique_id")["ds"].max()).all()


def test_backtest_that_trains_anew_knows_only_what_came_before(rng):
    """Each of its forecasts is that of a forecaster that was trained on the frame up to the cutoff."""
    frame = wide(rng, 70)
    forecaster = fitted(frame, target="load", calendar=None)
    keras.utils.set_random_seed(2)
    found = forecaster.backtest(frame, windows=2, step=4, refit=True, validation=-4, epochs=1, verbose=0)
    keras.utils.set_random_seed(2)
    for cutoff, one in found.groupby("cutoff"):
        again = forecaster_of(target="load", calendar=None)
        again.fit(frame[frame.index <= cutoff], validation=-4, epochs=1, verbose=0)
        np.testing.assert_allclose(one["load"], again.predict(frame[frame.index <= cutoff])["load"], rtol=1e-4)


# What it must not know.


@pytest.mark.parametrize("scale", ["series", "window"])
def test_the_validation_part_moves_no_weight(scale, rng):
    """Only when to stop, and how wide the intervals are; the training part has no row of it in its targets."""
    frame = wide(rng)
    other = frame.copy()
    other.iloc[56:] += 100.0
    one, two = (fitted(f, target="load", scale=scale, calendar=None) for f in (frame, other))
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one._constants[80] - two._constants[80]).max() > 0.1
    train, validation = forecaster_of(target="load", calendar=None).prepare(frame, 0.3)
    rows = train.batches.origins(np.arange(train.batches.windows))[1]
    assert rows.max() + F == 56
    assert validation.batches.origins(np.arange(validation.batches.windows))[1].min() == 56


# Intervals.


def test_intervals_cover_what_they_say_of_windows_like_those(rng):
    """On noise, where windows are alike: 80 of 100, within three deviations of so many draws."""
    frame = pd.DataFrame({"ds": range(3000), "y": rng.normal(size=3000)})
    for outputs in ("mae", "quantiles", "gaussian"):
        forecaster = fitted(frame[:2000], outputs=outputs, level=[50, 80])
        found = forecaster.backtest(frame, windows=1000 // F)
        for level in (50, 80):
            inside = found["y-true"].between(found[f"y-lo-{level}"], found[f"y-hi-{level}"]).mean()
            assert inside == pytest.approx(level / 100, abs=0.06)
        assert (found["y-lo-80"] <= found["y-lo-50"]).mean() > 0.99
        assert ((found["y-lo-50"] <= found["y"]) & (found["y"] <= found["y-hi-50"])).all()


def test_constants_are_order_statistics(rng):
    """By the definition, level by level; of few windows the steps are taken together; missing ones do not count."""
    from keras_seq.models.intervals import calibrated
    from keras_seq.models.outputs import output_of

    y, p = rng.normal(size=(2, 97, F, 2))
    y[rng.random(y.shape) < 0.1] = np.nan
    found = calibrated(output_of("mse"), p, y, 80)
    for f in range(F):
        scores = np.sort(np.abs(y - p)[:, f, 1][~np.isnan(y[:, f, 1])])
        assert found[f, 1] == scores[int(np.ceil((len(scores) + 1) * 0.8)) - 1]
    few = calibrated(output_of("gaussian"), np.stack([p, p**2 + 1], -1)[:9], y[:9], 80)
    scores = (np.abs(y - p) / (p**2 + 1))[:9, :, 0].reshape(-1)
    scores = np.sort(scores[~np.isnan(scores)])
    np.testing.assert_allclose(few[:, 0], scores[int(np.ceil((len(scores) + 1) * 0.8)) - 1])


# Files and graphs.


@pytest.mark.skipif(ON_JAX, reason="the artefact holds a SavedModel, which TensorFlow writes")
def test_the_artefact(long, of_long, tmp_path):
    of_long.save(tmp_path / "forecaster", card={"data": "noise"})
    loaded = ks.models.Forecaster.load(tmp_path / "forecaster")
    future = future_of(long)
    pd.testing.assert_frame_equal(loaded.predict(long, future=future), of_long.predict(long, future=future))
    assert ks.saving.read_card(tmp_path / "forecaster")["kind"] == "forecast"
    assert loaded._state() == of_long._state()
    assert loaded._copy()._reading is None


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
def test_the_graph_says_what_predict_says(scale, outputs, long, tmp_path):
    forecaster = fitted(long, **COLUMNS, scale=scale, outputs=outputs, level=[80, 97.5], calendar="linear")
    forecaster.export(tmp_path / "graph")
    frame = long.dropna(subset=["u", "v"], how="all")
    future = future_of(frame)
    expected = forecaster.predict(frame, future=future)
    found, inputs = served(tmp_path / "graph", forecaster, frame, future)
    np.testing.assert_allclose(found[list(expected)[2:]], expected[list(expected)[2:]], rtol=1e-3, atol=1e-3)
    assert ("series" in inputs) == (scale is not None)


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 0}, "`level` must be different numbers between 0 and 100.*got 0"),
        ({"level": [80, 80]}, "`level` must be different"),
        ({"lookback": 0}, "`lookback` must be a positive integer"),
        ({"unit": 3}, "Unknown argument `unit`"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.models.Forecaster(**{"lookback": T, "horizon": F, **arguments})


def test_levels_that_are_no_quantiles_are_told_before_the_training(rng):
    with pytest.raises(ValueError, match=r"`level` has 90, whose ends 0.05 and 0.95 are not among the quantiles"):
        forecaster_of(target="load", outputs=[0.1, 0.5, 0.9]).prepare(wide(rng))


def test_what_cannot_be_forecast(long, of_long):
    future = future_of(long)
    for given, message in [
        ({"frame": long, "future": future, "horizon": 4}, "`horizon` must be at most 3.*got 4"),
        ({"frame": long, "future": future[1:]}, r"Series 'a': the covariate 'price' is missing at .* step 1 of"),
        ({"frame": long}, r"Series 'a': the covariate 'price' is missing"),
        ({"frame": long.drop(columns="price"), "future": future}, r"'price' is missing at .*, 5 step\(s\) before"),
        ({"frame": long[:3], "future": future[:3]}, r"Series 'a' has 3 steps before .*look-back needs 5"),
        ({"frame": long.assign(unique_id="z"), "future": None}, "twice|comes after"),
        ({"frame": long[:61].assign(unique_id="z"), "future": future[:3].assign(unique_id="z")}, "'z' is unknown"),
        ({"frame": long.assign(u=np.nan, v=np.nan), "future": future}, "has no value"),
        ({"frame": long.assign(u=np.inf), "future": future}, "infinite"),
        ({"frame": 3, "future": future}, "`frame` must be a pandas frame, got int"),
    ]:
        with pytest.raises(InputError, match=message):
            of_long.predict(**given)
    with pytest.raises(InputError, match="look-back needs 5"):
        of_long.backtest(long, windows=30)
    with pytest.raises(InputError, match="`epochs` is for `refit=True`"):
        of_long.backtest(long, epochs=3)


def test_missing_values_where_the_training_had_none(rng):
    frame = wide(rng)
    forecaster = fitted(frame, target="load", calendar=None)
    holes = frame.copy()
    holes.iloc[-3, 0] = np.nan
    with pytest.raises(InputError, match=r"'load' is missing at .*: fill them in.*`missing=True`"):
        forecaster.predict(holes)
    found = fitted(frame, target="load", calendar=None, missing=True).predict(holes)
    assert np.isfinite(found.to_numpy()).all()


def test_before_the_training(rng, tmp_path):
    for call in (
        lambda f: f.predict(wide(rng)),
        lambda f: f.backtest(wide(rng)),
        lambda f: f.save(tmp_path / "x"),
        lambda f: f.export(tmp_path / "x"),
    ):
        with pytest.raises(InputError, match="no model yet: call `fit"):
            call(forecaster_of())


def test_constant_series_have_forecasts(rng):
    """Their scale is 1."""
    frame = pd.DataFrame({"ds": range(80), "y": 7.0})
    found = fitted(frame).predict(frame)
    assert np.isfinite(found.to_numpy()).all()
    assert np.abs(found["y"] - 7).max() < 3


def test_time_may_be_months_or_integers(rng):
    for freq in ("MS", "W", "B"):
        frame = wide(rng, freq=freq)
        found = fitted(frame, target="load").predict(frame)
        assert (found.index == pd.date_range(frame.index[-1], periods=F + 1, freq=freq)[1:]).all()
    frame = pd.DataFrame({"ds": np.arange(0, 240, 3), "y": rng.normal(size=80)})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert list(fitted(frame).predict(frame)["ds"]) == [240, 243, 246]

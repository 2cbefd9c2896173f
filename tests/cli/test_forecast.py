"""`keras-seq train forecast`: its artefact, its report, and that the test part has no say in the model."""

import contextlib
import functools
import io

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from tests.cli.hours import command, hours, several

pytestmark = pytest.mark.tensorflow
TEST = 40  # of 400 rows: five forecasts of seven hours, the last one ends with the last row


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What a training prints, and its artefact."""
    from keras_seq.cli.app import app

    folder = tmp_path_factory.mktemp("forecast")
    hours().to_csv(folder / "hours.csv", index=False)
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(out):
        patched.setenv("COLUMNS", "150")
        app(list(map(str, command(folder / "hours.csv", folder / "model"))), standalone_mode=False)
    return out.getvalue(), folder / "model"


def unit(history, season):
    """The denominator of MASE."""
    return np.nanmean(np.abs(history[season:] - history[:-season]))


def test_the_card_has_the_scores_on_the_time_that_was_held_out(trained):
    _, folder = trained
    card, forecaster, frame = ks.saving.read_card(folder), ks.models.Forecaster.load(folder), hours()
    assert (card["kind"], card["data"], card["seed"]) == ("forecast", str(folder.with_name("hours.csv")), 0)
    assert card["split"] == {"train": 306, "validation": 54, "test": TEST}
    assert card["train_seconds"] > 0
    cutoffs = [400 - 7 * i for i in range(5, 0, -1)]
    told = pd.concat([forecaster.predict(frame[:row], future=frame[row:][["ds", "warm"]]) for row in cutoffs])
    truth = frame["y"].to_numpy()[cutoffs[0] :]
    assert not np.isnan(truth).any()
    naive = np.concatenate([frame["y"].to_numpy()[row - 24 : row - 17] for row in cutoffs])
    baselines = card["baselines"].pop("seasonal_naive")
    assert card["baselines"] == {}
    for scores, said in ((card["metrics"], told["y"].to_numpy()), (baselines, naive)):
        error = np.abs(truth - said)
        assert scores["mae"] == pytest.approx(error.mean(), abs=2e-4)
        assert scores["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), abs=2e-4)
        assert scores["mase"] == pytest.approx(error.mean() / unit(frame["y"].to_numpy()[:-TEST], 24), abs=2e-4)
        assert scores["smape"] == pytest.approx(np.mean(200 * error / (np.abs(truth) + np.abs(said))), abs=2e-3)
    for level in (80, 90):
        inside = (told[f"y-lo-{level}"] <= truth) & (truth <= told[f"y-hi-{level}"])
        assert card["metrics"][f"coverage_{level}"] == pytest.approx(inside.mean(), abs=1e-4)
    assert set(baselines) == {"mase", "smape", "mae", "rmse"}


def test_the_report(trained):
    out, folder = trained
    card = ks.saving.read_card(folder)
    for words in (
        "5 forecasts of 7 steps in the last 0.1",
        "this model",
        "seasonal naive (24)",
        "MASE",
        "coverage 90 %",
    ):
        assert words in out
    for scores in (card["metrics"], card["baselines"]["seasonal_naive"]):
        assert f"{scores['mase']:.3f}" in out
    assert f"keras-seq predict {folder} --data recent.csv --plot out.png" in out
    assert not folder.with_name("model.training").exists()


def state_of(folder):
    model = ks.saving.load(folder)
    return model.get_weights(), np.array(model.forecaster["constants"]), model.forecaster["scaler"]


def test_the_test_part_has_no_say_in_the_model(trained, keras_seq, tmp_path):
    """Other values there, and holes, leave weights, scaling and calibration as they are; in the validation part not."""
    weights, constants, scaler = state_of(trained[1])
    rng, frame = np.random.default_rng(1), hours()
    frame.loc[400 - TEST :, "y"] = 1e4 * rng.normal(size=TEST)
    frame.loc[[370, 371], "y"] = np.nan
    frame.loc[400 - TEST :, "warm"] = rng.normal(size=TEST)
    frame.to_csv(tmp_path / "other.csv", index=False)
    done = keras_seq(*command(tmp_path / "other.csv", tmp_path / "other"))
    assert done.code == 0, done.err
    others, other_constants, other_scaler = state_of(tmp_path / "other")
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-6)
    np.testing.assert_allclose(constants, other_constants, rtol=1e-4)
    assert scaler == other_scaler
    cards = [ks.saving.read_card(folder)["metrics"] for folder in (trained[1], tmp_path / "other")]
    assert cards[1]["mae"] > 100 * cards[0]["mae"]

    frame = hours()
    frame.loc[400 - TEST - 2 : 400 - TEST - 1, "y"] += 100  # the last rows before it
    frame.to_csv(tmp_path / "third.csv", index=False)
    done = keras_seq(*command(tmp_path / "third.csv", tmp_path / "third"))
    assert done.code == 0, done.err
    assert np.abs(state_of(tmp_path / "third")[1] - constants).max() > 0.1


def test_several_series_and_targets(keras_seq, tmp_path):
    """Scores are means over series and targets; of a series that ends early fewer forecasts are judged."""
    frame = several()
    frame.to_json(tmp_path / "shops.jsonl", orient="records", lines=True, date_format="iso")
    columns = ["--time", "day", "--id", "shop", "--target", "sold", "--target", "left", "--past", "price"]
    small = ["--lookback", 14, "--horizon", 3, "--units", 3, "--epochs", 1, "--outputs", "gaussian", "--level", 75]
    data = ["--data", tmp_path / "shops.jsonl"]
    done = keras_seq("train", "forecast", *data, "--out", tmp_path / "model", *columns, *small)
    assert done.code == 0, done.err
    assert "1 of 4 series begin in the test part: left out.\n" in done.err
    assert "12 forecasts of 3 steps" in done.out  # 5 and 5 of 15 days, 2 of 6
    card, forecaster = ks.saving.read_card(tmp_path / "model"), ks.models.Forecaster.load(tmp_path / "model")
    known = frame[frame["shop"] != 5]
    assert card["split"] == {"train": 115 + 115 + 112, "validation": 3 * 20, "test": 15 + 6 + 15}
    assert set(card["metrics"]) == {"mase", "smape", "mae", "rmse", "coverage_75"}
    errors, naive = [], []
    for shop, windows in {7: 5, 11: 2, 13: 5}.items():
        one = known[known["shop"] == shop]
        told = forecaster.backtest(one, windows)
        for name in ("sold", "left"):
            values = one[name].to_numpy("float64")
            before, truth = values[(one["day"] < "2023-05-16").to_numpy()], values[-3 * windows :]
            errors.append(np.abs(told[name] - truth).mean() / unit(before, 7))
            rows = len(values) - 3 * np.arange(windows, 0, -1)
            repeated = np.concatenate([values[row - 7 : row - 4] for row in rows])
            naive.append(np.abs(repeated - truth).mean() / unit(before, 7))
    assert card["metrics"]["mase"] == pytest.approx(np.mean(errors), abs=2e-4)
    assert card["baselines"]["seasonal_naive"]["mase"] == pytest.approx(np.mean(naive), abs=2e-4)


class Stopped(Exception):
    pass


def test_interrupted_twice_it_ends_as_without(keras_seq, tmp_path, monkeypatch):
    """After the second epoch, and between the last and the artefact."""
    hours().to_csv(tmp_path / "hours.csv", index=False)
    saved = []
    monkeypatch.setattr("keras_seq.cli.forecast.reported", lambda *_: {"model": {}, "seasonal_naive": {}})
    monkeypatch.setattr("keras_seq.cli.forecast.print_report", lambda *_: None)
    monkeypatch.setattr("keras_seq.saving.save", lambda model, *_, **__: saved.append(model))
    backup_of = ks.callbacks.SafeBackup.on_epoch_end

    def backup(self, epoch, logs=None, last=None):
        backup_of(self, epoch, logs)
        if epoch == last:
            raise Stopped

    def call(out, *more):
        options = ["--epochs", 4, "--dropout", 0.3, "--learning-rate", 0.03, *more]
        return keras_seq(*command(tmp_path / "hours.csv", tmp_path / out, *options))

    assert call("whole").code == 0
    for last in (1, 3):
        with monkeypatch.context() as patched, pytest.raises(Stopped):  # noqa: PT012
            patched.setattr(ks.callbacks.SafeBackup, "on_epoch_end", functools.partialmethod(backup, last=last))
            call("broken")
    done = call("broken", "--horizon", 6)
    assert done.code == 2
    assert "horizon" in done.err
    done = call("broken")
    assert done.code == 0, done.err
    assert "Going on" in done.err
    assert "Epoch" not in done.out
    assert not (tmp_path / "broken.training").exists()
    whole, resumed = saved
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5)
    np.testing.assert_allclose(resumed.forecaster["constants"], whole.forecaster["constants"], rtol=1e-3)

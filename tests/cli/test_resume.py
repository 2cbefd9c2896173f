"""A training that is killed goes on where it stopped, and ends as one that nobody killed."""

import json
import os
import re
import signal
import time
import zipfile

import numpy as np
import pytest

import keras_seq as ks
from tests.processes import TINY

pytestmark = pytest.mark.tensorflow
EPOCHS = 12
LOSSES = r"Epoch (\d+)/.*\n.* loss: (\S+) .*val_loss: (\S+)"
DONE = pytest.StashKey()
AVERAGING = ["--averaging", 0.9, "--weight-decay", 0.01]
TEXTS = ["the film is lovely", "what a cold, cold soup!", "", "unheard"]


class Stopped(Exception):
    pass


def command(csv_file, out, *options):
    # Of four validation rows the first epochs get some wrong: there is a best epoch to remember.
    options = ["--epochs", EPOCHS, "--patience", 8, "--dropout", 0.5, *TINY, *options]
    return ["train", "sentiment", "--data", csv_file, "--out", out, *options]


def finished_epochs(work):
    try:
        with zipfile.ZipFile(work / "backup" / "backup.zip") as backup:  # renamed into its place: whole or not there
            return json.loads(backup.read("training_metadata.json"))["epoch"]
    except FileNotFoundError:
        return 0


def kill_after(process, work, epochs):
    """Kill as `kill -9` does once so many epochs are backed up."""
    deadline = time.monotonic() + 120
    while finished_epochs(work) < epochs:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def results_of(folder):
    card = ks.saving.read_card(folder)
    probabilities = ks.saving.load(folder).predict(TEXTS, verbose=0)
    return {name: card[name] for name in ("split", "seed", "parameters", "metrics", "baselines")}, probabilities


def test_killed_and_called_again_it_ends_as_without_a_kill(keras_seq, start, csv_file, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    work = tmp_path / "broken.training"
    process = start(*command(csv_file, broken))
    kill_after(process, work, epochs=2)
    assert keras_seq(*command(csv_file, whole)).code == 0
    assert not broken.exists()
    before = finished_epochs(work)
    assert 2 <= before < EPOCHS, "it ended before it was killed: give it more epochs"

    # With other settings, or other rows, it is not the same training.
    other = csv_file.with_name("other.csv")
    other.write_bytes(csv_file.read_bytes().replace(b"lovely", b"great", 1))
    for options, words in ((["--units", 5], "model"), (["--seed", 1], "seed"), (["--data", other], "data")):
        done = keras_seq(*command(csv_file, broken, *options))
        assert done.code == 2
        assert done.err.startswith("Error: ")
        assert done.err.count("\n") == 1
        assert words in done.err
        assert "broken.training" in done.err
    assert finished_epochs(work) == before

    done = keras_seq(*command(csv_file, broken))
    assert done.code == 0, done.err
    assert "Going on" in done.err
    assert f"Epoch {before}/{EPOCHS}\n" not in done.out
    assert f"Epoch {before + 1}/{EPOCHS}\n" in done.out
    assert not work.exists()
    (card, probabilities), (expected_card, expected) = results_of(broken), results_of(whole)
    assert card == expected_card
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)


@pytest.fixture
def uninterrupted(keras_seq, csv_file, tmp_path_factory, request):
    """What a training with options prints, and its artefact; each is done once."""
    done = request.config.stash.setdefault(DONE, {})

    def call(options):
        key = str(options)
        if key not in done:
            folder = tmp_path_factory.mktemp("whole") / "model"
            result = keras_seq(*command(csv_file, folder, *options))
            assert result.code == 0, result.err
            done[key] = result.out, folder
        return done[key]

    return call


def losses_in(out):
    """What is printed of each epoch: the loss in training and in validation."""
    return {int(n): (float(loss), float(val)) for n, loss, val in re.findall(LOSSES, out)}


# After the last epoch without averaging: tests/cli/test_seq2seq.py and test_forecast.py, by the same code.
@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("backup cut", []),
        ("after two epochs", AVERAGING),
        ("after the last epoch", AVERAGING),
    ],
    ids=lambda value: "averaging" * bool(value) if isinstance(value, list) else value,
)
def test_interrupted_at_an_awkward_moment(keras_seq, uninterrupted, csv_file, tmp_path, monkeypatch, fault, options):
    """Between the last epoch and the artefact; or while a backup was written: never a traceback, nor a worse model."""
    broken, work = tmp_path / "broken", tmp_path / "broken.training"
    few = ["--epochs", 4, *options]
    backup_of = ks.callbacks.SafeBackup.on_epoch_end

    def fail(*_, **__):
        raise Stopped

    def fail_after(self, epoch, logs=None):
        backup_of(self, epoch, logs)
        if epoch == 1:
            raise Stopped

    with monkeypatch.context() as patched:
        if fault == "after two epochs":
            patched.setattr(ks.callbacks.SafeBackup, "on_epoch_end", fail_after)
        patched.setattr("keras_seq.saving.save", fail)
        with pytest.raises(Stopped):
            keras_seq(*command(csv_file, broken, *few))
    assert finished_epochs(work) == (2 if fault == "after two epochs" else 4)
    if fault == "backup cut":
        backup = work / "backup" / "backup.zip"
        backup.write_bytes(backup.read_bytes()[:2000])
    done = keras_seq(*command(csv_file, broken, *few))
    if done.code == 2 and fault == "backup cut":  # to say what to do is enough
        assert done.err.splitlines()[-1].startswith("Error: ")
        assert "broken.training" in done.err
        return
    assert done.code == 0, done.err
    printed, whole = uninterrupted(few)
    before, after = losses_in(printed), losses_in(done.out)
    assert sorted(before) == [1, 2, 3, 4]
    assert sorted(after) == ([3, 4] if fault == "after two epochs" else [])
    for epoch, losses in after.items():
        assert losses == pytest.approx(before[epoch], abs=2e-4)
    (card, probabilities), (expected_card, expected) = results_of(broken), results_of(whole)
    assert card == expected_card
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)

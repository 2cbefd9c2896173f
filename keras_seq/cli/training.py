"""A training that can be taken up again: the folder it works in, and the time that it took."""

import contextlib
import fcntl
import hashlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import keras
import pandas as pd

from keras_seq import callbacks, saving
from keras_seq.errors import InputError
from keras_seq.files import written_whole


def check_backend():
    """Raise on a backend that cannot write what is served, before a training that would be lost."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"keras-seq writes models that TensorFlow serves, and Keras runs on {keras.backend.backend()!r}: call it "
            "with the environment variable KERAS_BACKEND=tensorflow."
        )


def work_folder(out, settings, digest):
    """The folder in which a training can be taken up again, or an error if it holds another training.

    Args:
        out: the folder of the artefact to be.
        settings: a dataclass with all that the training depends on.
        digest: a hash of the data.
    """
    out = Path(out).absolute()  # "." has no name
    work = out.with_name(out.name + ".training")
    run = {**asdict(settings), "data_sha256": digest, "versions": saving.versions()}
    path = work / "run.json"
    if work.exists() and not path.exists() and not (work.is_dir() and not any(work.iterdir())):
        raise InputError(f"{str(work)!r} is needed for the training and is something else: rename it, or --out.")
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        differing = sorted(name for name in {*run, *before} if run.get(name) != before.get(name))
        if differing:
            raise InputError(
                f"Folder {str(work)!r} holds an interrupted training that differs in {', '.join(differing)}: "
                "call with what it was begun with, or remove the folder."
            )
        print(f"Going on with the training in {work}.", file=sys.stderr)
        return work
    work.mkdir(parents=True, exist_ok=True)
    with written_whole(path, "w") as file:
        json.dump(run, file, indent=2)
    return work


def digest(frames, files=()):
    """A hash of all data that a training depends on: of frames, and of the files that are there."""
    found = hashlib.sha256()
    for frame in frames:
        found.update(pd.util.hash_pandas_object(frame).to_numpy().tobytes())
    for path in filter(Path.is_file, map(Path, files)):
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def go_on(model, datasets, settings, work, ending, *others, **how):
    """Train a model, or go on with the training in the folder `work`. Returns the seconds that all of it took.

    Args:
        datasets: a dict with `train` and `validation`.
        settings: with `epochs` and `seed`.
        ending: the callback that chooses the weights in the end.
        others: callbacks before it.
        how: further arguments of `model.fit`.
    """
    clock = Clock(work / "seconds.json")
    model.fit(
        datasets["train"],
        validation_data=datasets["validation"],
        epochs=settings.epochs,
        verbose=1 if sys.stdout.isatty() else 2,
        callbacks=[
            callbacks.EpochSeed(settings.seed, datasets["train"]),
            *others,
            ending,
            clock,
            callbacks.SafeBackup(work / "backup"),
        ],
        **how,
    )
    return clock.seconds


def refuse(given, names, why):
    """Raise for the first of some options that was given, and say why it has no say."""
    for name in sorted(names & set(given)):
        raise InputError(f"Option --{name.replace('_', '-')} {why}")


@contextlib.contextmanager
def alone_in(work):
    """Keep other processes out of a folder; the lock goes with the process, however that ends."""
    with (work / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"Another process is training in {str(work)!r}: wait for it, or name another --out."
            ) from None
        yield


class Clock(keras.callbacks.Callback):
    """Seconds spent in epochs that were finished, over all processes that took part in a training."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.seconds = 0.0

    def on_train_begin(self, logs=None):
        if self.path.exists():
            self.seconds = json.loads(self.path.read_text())
        self._since = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        self.seconds, self._since = self.seconds + now - self._since, now
        with written_whole(self.path, "w") as file:
            json.dump(self.seconds, file)

"""A training that is interrupted and resumed ends as one that was not."""

import contextlib
import json
import shutil
from pathlib import Path

import keras
import numpy as np

from keras_seq.errors import InputError
from keras_seq.files import written_whole


class EpochSeed(keras.callbacks.Callback):
    """Makes epoch `e` of a training depend on `(seed, e)` alone, so that a resumed one repeats an uninterrupted one.

    At the start of each epoch it sets the model's random generators (dropout), and the order of the data.

    Args:
        seed: an integer.
        dataset: the dataset of `ks.data.text_dataset` that is trained on, or None.
    """

    def __init__(self, seed, dataset=None):
        super().__init__()
        self.seed = seed
        self.dataset = dataset

    def on_epoch_begin(self, epoch, logs=None):
        generators = [v for v in self.model.variables if v.path.endswith("seed_generator_state")]
        for i, state in enumerate(generators):
            draws = np.random.default_rng((self.seed, epoch, i)).integers(2**31, size=state.shape)
            state.assign(draws.astype("uint32"))
        if self.dataset is not None:
            self.dataset.batches.epoch = epoch


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """`keras.callbacks.EarlyStopping` that survives an interruption.

    Keras's own forgets the best epoch and its weights when a training is resumed by
    `keras.callbacks.BackupAndRestore`. This one writes them, epoch by epoch, to a folder, and reads them when a
    training begins at a later epoch than the first. Put it before the backup in the list of callbacks. Where the
    optimizer averages weights (`use_ema`), it keeps the averages; `keras.callbacks.SwapEMAWeights()` in the list lets
    validation judge them, too (not with `swap_on_epoch=True`, which would swap them twice).

    Args:
        directory: the folder, created if need be.
        **kwargs: arguments of `keras.callbacks.EarlyStopping`.
    """

    def __init__(self, directory, **kwargs):
        super().__init__(**kwargs)
        self.directory = Path(directory)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._no_epoch_yet, self._was_over = True, False

    def on_epoch_begin(self, epoch, logs=None):
        if self._no_epoch_yet and epoch > 0:
            self._restore(epoch - 1)
        elif self._no_epoch_yet:
            shutil.rmtree(self.directory, ignore_errors=True)  # of an earlier training
        self._no_epoch_yet = False

    def on_epoch_end(self, epoch, logs=None):
        best_before = self.best_weights
        if self._was_over:  # interrupted after the last epoch: what comes after it must not count
            self.model.stop_training = True
        else:
            with _averages_in_place(self.model):
                super().on_epoch_end(epoch, logs)
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.best_weights is not best_before:
            arrays = {str(i): weight for i, weight in enumerate(self.best_weights)}
            with written_whole(self.directory / f"best_{self.best_epoch}.npz") as file:
                np.savez(file, **arrays)
        state = {
            "best": None if self.best is None else float(self.best),
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "has_weights": self.best_weights is not None,
            "stopped": bool(self.model.stop_training),
        }
        with written_whole(self.directory / f"epoch_{epoch:06d}.json", "w") as file:
            json.dump(state, file)

    def on_train_end(self, logs=None):
        states = sorted(self.directory.glob("epoch_*.json"))
        if self._no_epoch_yet and states:  # resumed after the last epoch
            self._restore(int(states[-1].stem.removeprefix("epoch_")))
        super().on_train_end(logs)

    def _restore(self, epoch):
        path = self.directory / f"epoch_{epoch:06d}.json"
        if not path.exists():
            return
        state = json.loads(path.read_text())
        self.best, self.best_epoch, self.wait = state["best"], state["best_epoch"], state["wait"]
        self._was_over = state["stopped"]
        if state["has_weights"]:
            with np.load(self.directory / f"best_{self.best_epoch}.npz") as arrays:
                self.best_weights = [arrays[str(i)] for i in range(len(arrays.files))]


class SafeBackup(keras.callbacks.BackupAndRestore):
    """`keras.callbacks.BackupAndRestore` whose backup is there whole or not at all.

    Keras writes weights and epoch to two files, in place: a process that is killed in between leaves weights of one
    epoch beside the number of another. Here both go into one archive, which is renamed when it is complete.

    Args:
        directory: the folder of the backup. It is left where it is when the training ends.
    """

    def __init__(self, directory):
        self.directory = Path(directory)
        super().__init__(self.directory / "latest", delete_checkpoint=False)

    def on_train_begin(self, logs=None):
        shutil.rmtree(self.directory / "latest", ignore_errors=True)
        if (self.directory / "backup.zip").exists():
            try:
                shutil.unpack_archive(self.directory / "backup.zip", self.directory / "latest")
            except shutil.ReadError as error:
                raise InputError(
                    f"File {str(self.directory / 'backup.zip')!r} is damaged, so the training cannot be resumed: "
                    f"remove the folder {str(self.directory.parent)!r} to begin anew."
                ) from error
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        complete = shutil.make_archive(str(self.directory / "incomplete"), "zip", self.directory / "latest")
        Path(complete).replace(self.directory / "backup.zip")


def makes_averages(optimizer):
    """Whether an optimizer, or the one inside of it (`LossScaleOptimizer` has one), averages the weights."""
    return getattr(optimizer, "inner_optimizer", optimizer).use_ema


@contextlib.contextmanager
def _averages_in_place(model):
    """Meanwhile the weights of a model are the averages of its optimizer, if that makes any."""
    if not makes_averages(model.optimizer):
        yield
        return
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    swap.on_test_begin()
    try:
        yield
    finally:
        swap.on_test_end()

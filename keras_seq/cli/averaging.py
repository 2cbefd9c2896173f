"""The mean of the weights of the last epochs, of a training that can be taken up again."""

from pathlib import Path

import numpy as np

from keras_seq.callbacks import AverageOfLast
from keras_seq.files import written_whole


class ResumableAverageOfLast(AverageOfLast):
    """`ks.callbacks.AverageOfLast` that survives an interruption: it keeps the weights of its epochs in a folder.

    Put it before the backup in the list of callbacks.

    Args:
        directory: the folder, created if need be.
        epochs: of how many epochs.
    """

    def __init__(self, directory, epochs):
        super().__init__(epochs)
        self.directory = Path(directory)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._no_epoch_yet = True

    def on_epoch_begin(self, epoch, logs=None):
        if self._no_epoch_yet:
            self._restore(epoch)
        self._no_epoch_yet = False

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.directory.mkdir(parents=True, exist_ok=True)
        with written_whole(self._path(epoch)) as file:
            np.savez(file, **{str(i): weight for i, weight in enumerate(self._kept[-1])})
        # One more than are averaged: the last epoch is trained again where its backup was not written.
        self._path(epoch - self.epochs - 1).unlink(missing_ok=True)

    def on_train_end(self, logs=None):
        if self._no_epoch_yet:  # resumed after the last epoch
            last = max((int(path.stem) for path in self.directory.glob("*.npz")), default=-1)
            self._restore(last + 1)
        super().on_train_end(logs)

    def _restore(self, epoch):
        """Read the weights of the epochs before this one."""
        for path in map(self._path, range(max(0, epoch - self.epochs), epoch)):
            if path.exists():
                with np.load(path) as arrays:
                    self._kept.append([arrays[str(i)] for i in range(len(arrays.files))])

    def _path(self, epoch):
        return self.directory / f"{epoch}.npz"

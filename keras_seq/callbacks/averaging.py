"""The mean of the weights of the last epochs."""

from collections import deque

import keras
import numpy as np

from keras_seq.checks import positive_integer


class AverageOfLast(keras.callbacks.Callback):
    """Ends a training with the mean of the weights at the ends of its last epochs.

    Vaswani et al. (2017, arXiv 1706.03762, section 6.1) average the last checkpoints. All weights of floats
    (`model.weights`) are averaged, in float64; those of integers keep their last value, and so does the
    `sampling_share` of a `ks.models.Seq2Seq`, which nothing learns. After fewer epochs than `epochs`, by number or by
    early stopping, it is the mean of those there are. The optimizer is left as it is: its slots, and the averages of
    `use_ema`, are those of the last step, not of the mean.

    Where `EarlyStopping(restore_best_weights=True)` is in the list too, the later of the two decides: behind it, this
    one puts the mean of the last epochs (those that were waited for included) in the place of the best weights; before
    it, the mean is lost. A training that is resumed averages the epochs since then alone. `epochs` copies of the
    weights are kept in the memory of the host.

    Args:
        epochs: of how many epochs.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0,
    ...                     callbacks=[ks.callbacks.AverageOfLast(2)])
    """

    def __init__(self, epochs=5):
        super().__init__()
        self.epochs = positive_integer("epochs", epochs)
        self._kept = deque()

    def on_train_begin(self, logs=None):
        self._kept.clear()

    def on_epoch_end(self, epoch, logs=None):
        if len(self._kept) == self.epochs:
            self._kept.popleft()  # before the next copy is made, so that there is none too many
        self._kept.append([np.array(keras.ops.convert_to_numpy(weight)) for weight in self._averaged()])

    def on_train_end(self, logs=None):
        for weight, *values in zip(self._averaged() if self._kept else [], *self._kept, strict=True):
            weight.assign((sum(value.astype("float64") for value in values) / len(values)).astype(values[0].dtype))
        self._kept.clear()

    def _averaged(self):
        share = getattr(self.model, "sampling_share", None)
        return [w for w in self.model.weights if keras.backend.is_float_dtype(w.dtype) and w is not share]

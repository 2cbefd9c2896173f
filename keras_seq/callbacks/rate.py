"""The learning rate, by epoch or by step."""

import keras

from keras_seq.errors import InputError


class InverseTimeDecay(keras.callbacks.Callback):
    """Sets the learning rate to `learning_rate / (1 + decay * t)`, `t` the epoch or the step, both from 0.

    The rate stands in the progress bar and in `History` as `learning_rate`. It depends on the epoch (or the
    optimizer's count of steps) alone, so a resumed training goes on with the right one if `learning_rate` is given:
    a reloaded optimizer has the rate of its last epoch.

    Args:
        decay: how fast the rate falls; at `t = 1 / decay` it has halved.
        per: `"epoch"` or `"step"`.
        learning_rate: the rate at `t = 0`; by default the optimizer's when training begins.

    Raises:
        InputError: when training begins with an optimizer that has a schedule already.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.1), "mse")
    >>> decay = ks.callbacks.InverseTimeDecay(0.5)
    >>> history = model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0, callbacks=[decay])
    >>> [round(rate, 4) for rate in history.history["learning_rate"]]
    [0.1, 0.0667, 0.05]
    """

    def __init__(self, decay, per="epoch", learning_rate=None):
        super().__init__()
        if decay < 0:
            raise ValueError(f"Argument `decay` must be at least 0, got {decay!r}.")
        if per not in ("epoch", "step"):
            raise ValueError(f"Argument `per` must be 'epoch' or 'step', got {per!r}.")
        self.decay = decay
        self.per = per
        self.learning_rate = learning_rate
        self._start = learning_rate

    def on_train_begin(self, logs=None):
        if not isinstance(self.model.optimizer.learning_rate, keras.Variable):
            raise InputError(
                "The optimizer has a learning-rate schedule already, which ks.callbacks.InverseTimeDecay would fight: "
                "use the schedule (ks.schedules.InverseTimeDecay) or the callback."
            )
        if self.learning_rate is None:
            self._start = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_epoch_begin(self, epoch, logs=None):
        if self.per == "epoch":
            self._set(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        if self.per == "step":
            self._set(int(self.model.optimizer.iterations))

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def _set(self, t):
        self.model.optimizer.learning_rate = self._start / (1 + self.decay * t)

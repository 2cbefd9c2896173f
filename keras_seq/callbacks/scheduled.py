"""What all callbacks share that set a number by a formula, epoch by epoch or step by step."""

import keras


class Scheduled(keras.callbacks.Callback):
    """Sets a number of the model or its optimizer at the beginning of each epoch or step, and shows it in the logs.

    A subclass has `shown_as`, the key in the logs, and writes `value()`, which reads the number, and `set(t)`, which
    sets it for an epoch or a step `t`, both from 0. Steps are those of `optimizer.iterations`, so a training that is
    resumed counts on. With `steps_per_execution` above 1 a number is set for all steps of an execution at once.

    Args:
        per: `"epoch"` or `"step"`.
    """

    shown_as = None

    def __init__(self, per="epoch"):
        super().__init__()
        if per not in ("epoch", "step"):
            raise ValueError(f"Argument `per` must be 'epoch' or 'step', got {per!r}.")
        self.per = per

    def on_epoch_begin(self, epoch, logs=None):
        if self.per == "epoch":
            self.set(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        if self.per == "step":
            # On JAX variables are handed from step to step; asking for `self.model` puts them in place.
            self.set(int(self.model.optimizer.iterations))

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs[self.shown_as] = self.value()

    def value(self):
        raise NotImplementedError

    def set(self, t):
        raise NotImplementedError

"""Learning rates that change over a training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_seq")
class InverseTimeDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`rate = learning_rate / (1 + decay * t)`, with `t` the step, or the epoch if its number of steps is given.

    `ks.callbacks.InverseTimeDecay` does the same for an optimizer that has a plain rate.

    Args:
        learning_rate: the rate at the start.
        decay: how fast it falls; at `t = 1 / decay` it has halved.
        steps_per_epoch: None to count steps, or the steps in an epoch, to change the rate from epoch to epoch.

    Example:

    >>> schedule = ks.schedules.InverseTimeDecay(0.1, decay=0.5, steps_per_epoch=10)
    >>> [round(float(schedule(step)), 4) for step in (0, 9, 10, 20)]
    [0.1, 0.1, 0.0667, 0.05]
    """

    def __init__(self, learning_rate, decay, steps_per_epoch=None, name=None):
        if learning_rate <= 0 or decay < 0:
            raise ValueError(
                f"Arguments `learning_rate` and `decay` must be above 0 and at least 0, got {learning_rate}, {decay}."
            )
        if steps_per_epoch is not None and steps_per_epoch < 1:
            raise ValueError(f"Argument `steps_per_epoch` must be at least 1, got {steps_per_epoch!r}.")
        self.learning_rate = learning_rate
        self.decay = decay
        self.steps_per_epoch = steps_per_epoch
        self.name = name

    def __call__(self, step):
        t = step
        if self.steps_per_epoch is not None:  # in integers: compiled float division can fall short of a whole epoch
            t = ops.floor_divide(ops.cast(step, "int32"), self.steps_per_epoch)
        return self.learning_rate / (1.0 + self.decay * ops.cast(t, "float32"))

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "decay": self.decay,
            "steps_per_epoch": self.steps_per_epoch,
            "name": self.name,
        }

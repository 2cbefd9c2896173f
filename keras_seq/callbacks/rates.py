"""The learning rate, by epoch or by step: the formulas of `ks.schedules`."""

import warnings

import keras

from keras_seq import schedules
from keras_seq.callbacks.scheduled import Scheduled
from keras_seq.checks import positive_number
from keras_seq.errors import InputError


class Rate(Scheduled):
    """Sets the learning rate by a schedule, whose own rate is the one to begin with.

    The rate stands in the progress bar and in `History` as `learning_rate`. It depends on the epoch (or the
    optimizer's count of steps) alone, so a resumed training goes on with the right one if `learning_rate` is given:
    a reloaded optimizer has the rate of its last epoch, and a warning says so.

    Args:
        schedule: one of `ks.schedules`.
        per: `"epoch"` or `"step"`.
        learning_rate: the rate that the formula begins with; by default the optimizer's when training begins.

    Raises:
        InputError: when training begins with an optimizer that has a schedule already.
    """

    shown_as = "learning_rate"

    def __init__(self, schedule, per="epoch", learning_rate=None):
        super().__init__(per)
        self.learning_rate = None if learning_rate is None else positive_number("learning_rate", learning_rate)
        self._schedule = schedule
        self._to_begin = False

    def on_train_begin(self, logs=None):
        if not isinstance(self.model.optimizer.learning_rate, keras.Variable):
            name = type(self).__name__
            raise InputError(
                f"The optimizer has a learning-rate schedule already, which ks.callbacks.{name} would fight: "
                f"use the schedule (ks.schedules.{name}) or the callback."
            )
        self._schedule.learning_rate = self.value() if self.learning_rate is None else self.learning_rate
        self._to_begin = True

    def value(self):
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def set(self, t):
        if self._to_begin and t and self.learning_rate is None:
            warnings.warn(
                f"ks.callbacks.{type(self).__name__} begins at {self.per} {t}, and takes the rate of the optimizer, "
                f"{self._schedule.learning_rate:.3g}, for that of {self.per} 0; the rate of a training that is "
                "resumed has fallen already. Give the argument `learning_rate`.",
                stacklevel=2,
            )
        self._to_begin = False
        self.model.optimizer.learning_rate = self._schedule.at(t)


class InverseTimeDecay(Rate):
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
        super().__init__(schedules.InverseTimeDecay(1.0, decay), per, learning_rate)


class StepDecay(Rate):
    """Sets the learning rate to `learning_rate * factor ** (t // every)`.

    Args:
        factor, every: as in `ks.schedules.StepDecay`.
        per, learning_rate: as in `InverseTimeDecay`, which tells of History, resumed trainings and errors, too.

    Example:

    >>> ten_times_smaller_after_each_five_epochs = ks.callbacks.StepDecay(0.1, every=5)
    """

    def __init__(self, factor, every, per="epoch", learning_rate=None):
        super().__init__(schedules.StepDecay(1.0, factor, every), per, learning_rate)


class ExponentialDecay(Rate):
    """Sets the learning rate to `learning_rate * exp(-decay * t)`.

    Args:
        decay: as in `ks.schedules.ExponentialDecay`.
        per, learning_rate: as in `InverseTimeDecay`, which tells of History, resumed trainings and errors, too.

    Example:

    >>> per_step = ks.callbacks.ExponentialDecay(1e-4, per="step", learning_rate=1e-3)
    """

    def __init__(self, decay, per="epoch", learning_rate=None):
        super().__init__(schedules.ExponentialDecay(1.0, decay), per, learning_rate)


class CosineDecay(Rate):
    """Sets the learning rate by half a cosine, after a warm-up in a line.

    Args:
        steps, warmup, final: as in `ks.schedules.CosineDecay`; epochs, if it is `per="epoch"`.
        per, learning_rate: as in `InverseTimeDecay`, which tells of History, resumed trainings and errors, too.

    Example:

    >>> over_a_training_of_20_epochs = ks.callbacks.CosineDecay(20, warmup=2)
    """

    def __init__(self, steps, warmup=0, final=0.0, per="epoch", learning_rate=None):
        super().__init__(schedules.CosineDecay(1.0, steps, warmup, final), per, learning_rate)

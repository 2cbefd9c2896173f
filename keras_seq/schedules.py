"""Learning rates that change over a training, with `t` the step or the epoch.

    learning_rate / (1 + decay t)                              InverseTimeDecay
    learning_rate * factor ** (t // every)                     StepDecay
    learning_rate * exp(-decay t)                              ExponentialDecay
    learning_rate * (t + 1) / warmup                           CosineDecay, t < warmup
    learning_rate * (final + (1 - final) (1 + cos(pi p)) / 2)  … then, p = (t - warmup) / (steps - warmup), at most 1

Cosine after Loshchilov and Hutter (2017, arXiv 1608.03983, without restarts), warm-up after Goyal et al. (2017, arXiv
1706.02677). Compiled code has them in float32; `ks.callbacks` has each as a callback, in float64, for an optimizer
with a plain rate.
"""

import inspect
import math

import keras
import numpy as np
from keras import ops

from keras_seq.checks import natural_number, number_at_least_zero, positive_integer, positive_number


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A rate by a formula of `t`, which a subclass writes as `_rate(t, xp)`.

    Args:
        learning_rate: the rate that the formula begins with.
        steps_per_epoch: None to count steps, or the steps in an epoch, to change the rate from epoch to epoch.
        name: of the schedule.
    """

    def __init__(self, learning_rate, steps_per_epoch=None, name=None):
        self.learning_rate = positive_number("learning_rate", learning_rate)
        self.steps_per_epoch = None
        if steps_per_epoch is not None:
            self.steps_per_epoch = positive_integer("steps_per_epoch", steps_per_epoch)
        self.name = name

    def __call__(self, step):
        t = ops.cast(step, "int32")
        if self.steps_per_epoch is not None:  # in integers: compiled float division can fall short of a whole epoch
            t = ops.floor_divide(t, self.steps_per_epoch)
        return self._rate(t, ops)

    def at(self, t):
        """The rate at an integer `t`, step or epoch, as a `float`: the formula in float64."""
        return float(self._rate(np.asarray(t), np))

    def _rate(self, t, xp):
        """The formula for integers `t`, with `xp` `keras.ops` or `numpy`."""
        raise NotImplementedError

    def get_config(self):
        """The arguments of the constructor."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}


def _real(t, xp):
    """Integers as numbers to compute with: float32 in compiled code, else float64."""
    return ops.cast(t, "float32") if xp is ops else t.astype("float64")


@keras.saving.register_keras_serializable("keras_seq")
class InverseTimeDecay(Schedule):
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
        super().__init__(learning_rate, steps_per_epoch, name)
        self.decay = number_at_least_zero("decay", decay)

    def _rate(self, t, xp):
        return self.learning_rate / (1.0 + self.decay * _real(t, xp))


@keras.saving.register_keras_serializable("keras_seq")
class StepDecay(Schedule):
    """`rate = learning_rate * factor ** (t // every)`: a staircase.

    Args:
        learning_rate: the rate of the first stair.
        factor: by which the rate is multiplied from stair to stair, above 0 and at most 1.
        every: how many steps, or epochs, a stair is long.
        steps_per_epoch: as in `InverseTimeDecay`.

    Example:

    >>> schedule = ks.schedules.StepDecay(0.1, factor=0.5, every=3)
    >>> [round(float(schedule(step)), 4) for step in (0, 2, 3, 6)]
    [0.1, 0.1, 0.05, 0.025]
    """

    def __init__(self, learning_rate, factor, every, steps_per_epoch=None, name=None):
        super().__init__(learning_rate, steps_per_epoch, name)
        self.factor = positive_number("factor", factor)
        if self.factor > 1:
            raise ValueError(f"Argument `factor` must be above 0 and at most 1, got {factor!r}: rates are to fall.")
        self.every = positive_integer("every", every)

    def _rate(self, t, xp):
        return self.learning_rate * xp.power(self.factor, _real(xp.floor_divide(t, self.every), xp))


@keras.saving.register_keras_serializable("keras_seq")
class ExponentialDecay(Schedule):
    """`rate = learning_rate * exp(-decay * t)`.

    Args:
        learning_rate: the rate at the start.
        decay: how fast it falls; at `t = 0.693 / decay` it has halved.
        steps_per_epoch: as in `InverseTimeDecay`.

    Example:

    >>> schedule = ks.schedules.ExponentialDecay(0.1, decay=0.5)
    >>> [round(float(schedule(step)), 4) for step in (0, 1, 2)]
    [0.1, 0.0607, 0.0368]
    """

    def __init__(self, learning_rate, decay, steps_per_epoch=None, name=None):
        super().__init__(learning_rate, steps_per_epoch, name)
        self.decay = number_at_least_zero("decay", decay)

    def _rate(self, t, xp):
        return self.learning_rate * xp.exp(-self.decay * _real(t, xp))


@keras.saving.register_keras_serializable("keras_seq")
class CosineDecay(Schedule):
    """Up in a line over `warmup` steps, then half a cosine down until `steps`; there it stays.

    The first of the steps that warm up has `learning_rate / warmup`, the last the whole rate: none has a rate of 0.

    Args:
        learning_rate: the highest rate.
        steps: how many steps, or epochs, there are up to the end of the cosine; those that warm up are among them.
        warmup: how many of them warm up.
        final: the share of the rate that is left in the end.
        steps_per_epoch: as in `InverseTimeDecay`; then `steps` and `warmup` count epochs.

    Example:

    >>> schedule = ks.schedules.CosineDecay(0.1, steps=10, warmup=2, final=0.1)
    >>> [round(float(schedule(step)), 4) for step in (0, 1, 2, 6, 10, 11)]
    [0.05, 0.1, 0.1, 0.055, 0.01, 0.01]
    """

    def __init__(self, learning_rate, steps, warmup=0, final=0.0, steps_per_epoch=None, name=None):
        super().__init__(learning_rate, steps_per_epoch, name)
        self.steps, self.warmup = positive_integer("steps", steps), natural_number("warmup", warmup)
        if self.warmup >= self.steps:
            raise ValueError(f"Argument `warmup` must be below `steps`, {self.steps}, got {self.warmup}.")
        self.final = number_at_least_zero("final", final)
        if self.final > 1:
            raise ValueError(f"Argument `final` must be a share, from 0 to 1, got {final!r}.")

    def _rate(self, t, xp):
        rising = (_real(t, xp) + 1.0) / max(self.warmup, 1)
        done = _real(xp.clip(t - self.warmup, 0, self.steps - self.warmup), xp) / (self.steps - self.warmup)
        falling = self.final + (1.0 - self.final) * 0.5 * (1.0 + xp.cos(math.pi * done))
        return self.learning_rate * xp.where(t < self.warmup, rising, falling)

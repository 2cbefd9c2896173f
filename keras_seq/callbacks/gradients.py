"""What the gradients of a training are like: how long, how often clipped, and where they stop to be numbers."""

import contextlib
import functools
import math
import warnings

import keras
from keras import ops

from keras_seq import compat
from keras_seq.backend import training
from keras_seq.errors import InputError

_STEPS, _SUM, _CLIPPED, _NONFINITE = range(4)  # what is summed


class GradientMonitor(keras.callbacks.Callback):
    """Puts into the logs of each epoch how long the gradients were, and stops a training that they have broken.

        norm = sqrt(sum_k ||g_k||**2)      over all trained weights, before clipping

    In `History`, the progress bar, and TensorBoard if its callback comes later in the list:

    - `gradient_norm` and `gradient_norm_max`: mean and maximum of the norm over the steps of the epoch whose gradients
      are finite; NaN where none is;
    - `clipped_share`: the share of these steps in which the optimizer's own clipping (`clipnorm`, `global_clipnorm` or
      `clipvalue`) changed anything; not there for an optimizer that does not clip;
    - `nonfinite_share`: the share of all steps with NaN or infinite gradients, or such that their norm is none in
      float32.

    At the first such gradient a warning names the first weight, in the order of the model, and the step that had it;
    with `stop` the training ends, one step later at the most. The weights are then spoilt already:
    `ks.callbacks.SafeBackup` and `keras.callbacks.ModelCheckpoint` keep good ones.

    Norms are computed in float32, within the compiled step. A `LossScaleOptimizer` (half precision) looks for its scale
    by trial: steps whose scaled gradients overflow are skipped by it, and count in `nonfinite_share` alone; only once
    the scale has fallen below 1, which no overflow explains, they are what is warned of. With
    `gradient_accumulation_steps` the gradients are those of each batch, and there is no `clipped_share`: what is
    clipped is a mean of several. A `train_step` of one's own is seen as far as it uses `model.optimizer`. Of several
    monitors in a list the last one sees the steps. Each `fit` with a monitor compiles the step anew, and so does the
    next one without.

    Attributes: `first_nonfinite`, `(path of the weight, step)` or None; steps are counted from 0 by
    `optimizer.iterations`, so those of a resumed training go on.

    Args:
        stop: whether the training ends at gradients that are not finite.

    Raises:
        ValueError: for a `stop` that is no boolean.
        InputError: when a training begins that `tf.distribute` spreads over several devices.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile(keras.optimizers.SGD(0.1, clipnorm=1.0), "mse")
    >>> monitor = ks.callbacks.GradientMonitor()
    >>> history = model.fit(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[monitor]).history
    >>> [round(history[name][0], 3) for name in ("gradient_norm", "clipped_share", "nonfinite_share")]
    [3.464, 1.0, 0.0]
    """

    def __init__(self, stop=True):
        super().__init__()
        if not isinstance(stop, bool):
            raise ValueError(f"Argument `stop` must be True or False, got {stop!r}.")
        self.stop = stop
        self.first_nonfinite = None
        self._tally, self._paths = training.Tally(), []

    def on_train_begin(self, logs=None):
        model = self.model
        strategy = getattr(model, "distribute_strategy", None)
        if getattr(strategy, "num_replicas_in_sync", 1) > 1:
            raise InputError(
                "ks.callbacks.GradientMonitor sees the gradients of one device, and this training has "
                f"{strategy.num_replicas_in_sync}: leave it out, or train on one."
            )
        self.first_nonfinite, self._tally = None, training.Tally()
        step, optimizer = model.train_step, model.optimizer

        def train_step(*arguments):  # not with `self.model`, which on JAX puts the state of the last step in place
            with _replaced(optimizer, *training.observed_apply(optimizer, functools.partial(self._observe, model))):
                return step(*arguments)

        # A function of its own, made anew: a compiled one would go on without the observation, and JAX takes methods
        # of one object for the same function.
        with _replaced(model, "train_step", train_step):
            model.train_function = None
            model.make_train_function()

    def on_train_batch_begin(self, batch, logs=None):
        if self.stop:  # here, since Keras runs batches one after the other for callbacks that look at their ends
            self._judge(self._tally.look(wait=False))

    def on_epoch_end(self, epoch, logs=None):
        found = self._tally.look()
        self._tally.clear()
        if found is None or not found[0][_STEPS]:
            warnings.warn(
                "ks.callbacks.GradientMonitor has seen no step of the optimizer in this epoch: the model's "
                "`train_step` goes past `model.optimizer`, or another GradientMonitor comes later in the list.",
                stacklevel=2,
            )
            return
        self._judge(found)
        if logs is not None:
            logs.update(self._summary(*found))

    def on_train_end(self, logs=None):
        self.model.train_function = None  # the next training is not observed

    def _observe(self, model, gradients, variables):
        """Count a step, in compiled code, before the optimizer applies it."""
        optimizer = model.optimizer
        if variables is None:
            variables = compat.trained_by(optimizer) or model.trainable_variables
        given = [(g, v.path) for g, v in zip(gradients, variables, strict=True) if g is not None]
        if not given:
            return  # Keras will say so
        self._paths = [path for _, path in given]
        scale = _scale_of(optimizer)
        dense, rows = zip(*(_unscaled(*training.dense_and_rows(g), scale) for g, _ in given), strict=True)
        squares = [_squared(g) for g in dense]
        as_clipped = [one if g is row else _squared(row) for one, g, row in zip(squares, dense, rows, strict=True)]
        clipped = _is_clipped(getattr(optimizer, "inner_optimizer", optimizer), as_clipped, rows)
        squares = ops.stack(squares)
        norm = ops.sqrt(ops.sum(squares))
        finite, broken = ops.isfinite(norm), ops.logical_not(ops.isfinite(squares))
        if hasattr(optimizer, "inner_optimizer"):
            broken = ops.logical_and(broken, scale < 1)
        step = ops.cast(optimizer.iterations, "float32")
        sums = [1.0, ops.where(finite, norm, 0.0), ops.logical_and(finite, clipped), ops.logical_not(finite)]
        maxima = [ops.where(finite, norm, -math.inf)[None], ops.where(broken, -step, -math.inf)]
        self._tally.add(ops.stack([ops.cast(one, "float32") for one in sums]), ops.concatenate(maxima))

    def _judge(self, found):
        """Warn of the first gradient that was not finite, if there is one, and stop."""
        if found is None or self.first_nonfinite is not None:
            return
        firsts = found[1][1:]  # minus the step at which each weight first had such a gradient
        if not (firsts > -math.inf).any():
            return
        self.first_nonfinite = self._paths[int(firsts.argmax())], int(-firsts.max())
        path, step = self.first_nonfinite
        then = "The training is stopped" if self.stop else "The training goes on, with weights that are spoilt"
        warnings.warn(
            f"The gradient of {path!r} is not finite at step {step} (the first of them, counted from 0 by the "
            f"optimizer). {then}. Look for NaN in the data of that batch, and for a loss that can be infinite; if "
            "norms had grown before, lower the learning rate or the norm that gradients are clipped to.",
            stacklevel=2,
        )
        self.model.stop_training = self.stop or self.model.stop_training

    def _summary(self, sums, maxima):
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        steps = sums[_STEPS] - sums[_NONFINITE]
        mean, clipped = ([float(sums[i] / steps) for i in (_SUM, _CLIPPED)]) if steps else (math.nan, math.nan)
        found = {"gradient_norm": mean, "gradient_norm_max": float(maxima[0]) if steps else math.nan}
        if _clipping_of(optimizer) is not None:
            found["clipped_share"] = clipped
        return {**found, "nonfinite_share": float(sums[_NONFINITE] / sums[_STEPS])}


def _squared(gradient):
    """The sum of the squares, in float32."""
    return ops.sum(ops.square(ops.cast(gradient, "float32")))


def _scale_of(optimizer):
    """By what the loss was multiplied, so that gradients are so many times too long; or None."""
    if hasattr(optimizer, "inner_optimizer"):
        return ops.cast(optimizer.dynamic_scale, "float32")
    return optimizer.loss_scale_factor


def _unscaled(dense, rows, scale):
    """Both forms of a gradient, which may be the same tensor, as they are without the scale."""
    if scale is None:
        return dense, rows
    whole = ops.cast(dense, "float32") / scale
    return whole, whole if rows is dense else ops.cast(rows, "float32") / scale


def _clipping_of(optimizer):
    """`(way, size)` in which an optimizer clips the gradients of each step, or None. As in Keras the first acts."""
    if not optimizer.gradient_accumulation_steps:
        for way in ("clipnorm", "global_clipnorm", "clipvalue"):
            if getattr(optimizer, way):
                return way, getattr(optimizer, way)
    return None


def _is_clipped(optimizer, squares, gradients):
    """Whether the clipping of an optimizer changes these gradients, of which the sums of squares are given."""
    way, size = _clipping_of(optimizer) or (None, math.inf)
    if way == "clipnorm":
        largest = ops.sqrt(ops.max(ops.stack(squares)))
    elif way == "clipvalue":
        largest = ops.max(ops.stack([ops.max(ops.abs(ops.cast(g, "float32"))) for g in gradients]))
    else:
        largest = ops.sqrt(ops.sum(ops.stack(squares)))
    return largest > size


@contextlib.contextmanager
def _replaced(owner, name, value):
    """Meanwhile an attribute of an object, past Keras's tracking, is another."""
    before = vars(owner).copy()
    vars(owner)[name] = value
    try:
        yield
    finally:
        if name in before:
            vars(owner)[name] = before[name]
        else:
            del vars(owner)[name]

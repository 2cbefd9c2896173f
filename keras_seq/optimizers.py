"""Optimizers that Keras has not, and the clipping of gradients."""

import warnings

import keras
from keras import ops

from keras_seq import compat
from keras_seq.backend import training
from keras_seq.checks import number_at_least_zero, positive_number, share

_CLIPPINGS = ("global_clipnorm", "clipnorm", "clipvalue")  # of two that are given, the first acts


@keras.saving.register_keras_serializable("keras_seq")
class AdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` that lets biases, and the factors and shifts of norms, undecayed.

    Decay pulls weights towards zero, `w -= learning_rate * weight_decay * w` (Loshchilov and Hutter, 2019,
    arXiv 1711.05101). Keras's own decays all variables, unless told by `exclude_from_weight_decay` each time an
    optimizer is made, which a reloaded model forgets; this one knows by itself.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(ks.optimizers.AdamW(1e-3, weight_decay=0.01, clipnorm=1.0), "mse")
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.exclude_from_weight_decay()

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Let more variables undecayed: see `keras.optimizers.Optimizer.exclude_from_weight_decay`."""
        # On TensorFlow the patterns are sought in whole paths: what they find must stand behind the last slash.
        own = [f"{name}[^/]*$" for name in ("bias", "gamma", "beta")]
        super().exclude_from_weight_decay(var_list, [*own, *(var_names or [])])


@keras.saving.register_keras_serializable("keras_seq")
class GravesRMSprop(keras.optimizers.Optimizer):
    """RMSprop as Graves has it (2013, arXiv 1308.0850, eq. 38 to 45), which the papers on memories use.

        n = rho n + (1 - rho) g**2,   m = rho m + (1 - rho) g
        d = momentum d + learning_rate g / sqrt(max(n - m**2, 0) + epsilon),   w = w - d

    With the epsilon of Keras, 1e-7, steps stay as long as before when a task is learnt and gradients vanish, and a
    model that knew it walks away again. And where gradients are large and steady `n - m**2` falls below zero by
    rounding, of which `keras.optimizers.RMSprop(centered=True)` takes the root.

    Args:
        learning_rate: as above, a number or a schedule.
        rho, momentum: as above, at least 0 and below 1.
        epsilon: as above, positive.
        **kwargs: of `keras.optimizers.Optimizer`.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(ks.optimizers.GravesRMSprop(2e-4, global_clipnorm=10.0), "mse")
    """

    def __init__(self, learning_rate=1e-4, rho=0.95, momentum=0.9, epsilon=1e-4, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho, self.momentum = share("rho", rho), share("momentum", momentum)
        self.epsilon = positive_number("epsilon", epsilon)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        slots = [self.add_optimizer_variables(variables, name) for name in ("square", "mean", "step")]
        self._slots = list(zip(*slots, strict=True))

    def update_step(self, gradient, variable, learning_rate):
        n, m, d = self._slots[compat.place_of(self, variable)]
        gradient, _ = training.dense_and_rows(gradient)  # a word that was read twice has two rows: squares are of sums
        g, rate = (ops.cast(one, variable.dtype) for one in (gradient, learning_rate))
        self.assign(n, self.rho * n + (1 - self.rho) * ops.square(g))
        self.assign(m, self.rho * m + (1 - self.rho) * g)
        spread = ops.maximum(n - ops.square(m), 0)
        self.assign(d, self.momentum * d + rate * g * ops.rsqrt(spread + self.epsilon))
        self.assign_sub(variable, d)

    def get_config(self):
        return {**super().get_config(), "rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}


def adam(learning_rate, weight_decay=0.0, clipnorm=None, **kwargs):
    """Adam, or `AdamW` where weights are to decay: a decay of zero would cost a pass over all weights.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: of `AdamW`.
        clipnorm: as in `clipping`.
        **kwargs: of `keras.optimizers.Adam`.
    """
    kwargs |= clipping(clipnorm)
    if not number_at_least_zero("weight_decay", weight_decay):
        return keras.optimizers.Adam(learning_rate, **kwargs)
    return AdamW(learning_rate, weight_decay=weight_decay, **kwargs)


def clipping(clipnorm):
    """The arguments of a Keras optimizer that clip gradients as asked for: what `clipnorm=` of our models takes.

    A recurrent network multiplies its gradient by the same matrix at each step, so that now and then one is a thousand
    times as long as the others, and undoes what many steps have learned. Clipping bounds it to a size `c`, for the
    gradient `g_k` of each weight `k`:

        clipnorm          g_k * min(1, c / ||g_k||)                     each weight by itself
        global_clipnorm   g_k * min(1, c / sqrt(sum_j ||g_j||**2))      all by one factor
        clipvalue         min(max(g_k, -c), c)                          each number by itself

    `global_clipnorm` is that of Pascanu, Mikolov and Bengio (2013, arXiv 1211.5063): the step is shorter, its direction
    that of the gradient. `clipnorm` keeps the direction for each weight, not for all together: a weight with a long
    gradient does not slow the others down, which suits Adam, and 1.0 is the default here. `clipvalue` bends the
    gradient itself towards the diagonal; take it only to repeat what somebody else has done.
    `ks.callbacks.GradientMonitor` tells how long gradients are, and what share of the steps is clipped. On TensorFlow,
    Keras clips the gradient of an embedding by the rows that it was read in, before those of one word are summed.

    Args:
        clipnorm: a number for `clipnorm`, None for no clipping, or a dict of one of the three, such as
            `{"global_clipnorm": 1.0}`. Keras raises where two are given; here there is a warning, and of several that
            are not None the one acts that changes the direction least, in the order global_clipnorm, clipnorm,
            clipvalue.

    Returns:
        A dict of one argument of `keras.optimizers.Optimizer`, or an empty one.

    Raises:
        ValueError: for other keys, or a size that is no number above zero.

    Example:

    >>> ks.optimizers.clipping(1.0), ks.optimizers.clipping({"global_clipnorm": 5}), ks.optimizers.clipping(None)
    ({'clipnorm': 1.0}, {'global_clipnorm': 5.0}, {})
    """
    given = clipnorm if isinstance(clipnorm, dict) else {"clipnorm": clipnorm}
    unknown = [name for name in given if name not in _CLIPPINGS]
    if unknown:
        raise ValueError(
            f"Argument `clipnorm` must be a number, None, or a dict of one of {', '.join(_CLIPPINGS)}, got the key "
            f"{unknown[0]!r}."
        )
    asked = {name: positive_number(name, given[name]) for name in _CLIPPINGS if given.get(name) is not None}
    if len(asked) > 1:
        acts, *others = asked
        warnings.warn(
            f"Argument `clipnorm` asks for {', '.join(asked)}, and an optimizer clips in one way: {acts}={asked[acts]} "
            f"acts, {' and '.join(others)} not. Leave out what is not to act.",
            stacklevel=4,  # where the factory was called
        )
        return {acts: asked[acts]}
    return asked

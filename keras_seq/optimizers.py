"""Optimizers that Keras has not."""

import numbers

import keras


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


def adam(learning_rate, weight_decay=0.0, **kwargs):
    """Adam, or `AdamW` where weights are to decay: a decay of zero would cost a pass over all weights."""
    if not isinstance(weight_decay, numbers.Real) or not 0 <= weight_decay < float("inf"):
        raise ValueError(f"Argument `weight_decay` must be at least 0, got {weight_decay!r}.")
    if not weight_decay:
        return keras.optimizers.Adam(learning_rate, **kwargs)
    return AdamW(learning_rate, weight_decay=weight_decay, **kwargs)

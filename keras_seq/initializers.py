"""How weights start, beyond what `keras.initializers` has."""

import keras
from keras import ops

from keras_seq.checks import positive_number

__all__ = ["Chrono"]


@keras.saving.register_keras_serializable("keras_seq")
class Chrono(keras.initializers.Initializer):
    """Starts the bias of an LSTM or GRU such that its state lasts for up to `max_lag` steps (Tallec and Ollivier, 2018,
    arXiv 1804.11188, eq. 16).

        u ~ U[1, max_lag - 1], one for each unit
        b_f = log u,   b_i = -log u,   b_g = b_o = 0       cell="lstm", columns i, f, g, o
        b_z = log u,   b_r = b_n = 0                       cell="gru", columns z, r, n; z keeps the old state

    A gate with bias `log u` keeps `u / (1 + u)` of the state at each step while nothing else speaks: half of it is gone
    after about `0.7 (u + 1)` steps. Of a GRU that resets after the product (`reset_after=True`: two rows of biases,
    whose sums are what its gates see) the first row has `log u`, the second is zero.

    Give it as `bias_initializer`. The layers of `keras_seq` hand it the whole bias, and leave aside
    `unit_forget_bias`; `keras.layers.LSTM` must be given `unit_forget_bias=False` with it, or it would start parts of
    the bias, each by itself, as if they were whole.

    Args:
        max_lag: the longest lag that the layer is to bridge, in steps, above 2.
        cell: `"lstm"` or `"gru"`, whose bias it is: also for the layers with peepholes or norms.
        seed: an integer or a `keras.random.SeedGenerator`, as of `keras.initializers.RandomUniform`: two layers that
            share an initializer with a seed and have as many units start alike.

    Call arguments:
        shape: `(4H,)` for an LSTM, `(3H,)` or `(2, 3H)` for a GRU.

    Raises:
        ValueError: for a `max_lag` or `cell` that cannot be; when called, for a shape that is not that of such a bias.

    Example:

    >>> layer = ks.layers.LSTM(64, bias_initializer=ks.initializers.Chrono(max_lag=100, seed=0))
    >>> layer.build((None, None, 3))
    >>> i, f, g, o = np.split(layer.cell.bias.numpy(), 4)
    >>> bool((f == -i).all()), bool(f.min() >= 0), bool(f.max() <= np.log(99))
    (True, True, True)
    """

    sets_all_gates = True  # a cell must not start some of the gates otherwise

    def __init__(self, max_lag, cell="lstm", seed=None):
        self.max_lag = positive_number("max_lag", max_lag)
        if self.max_lag <= 2:
            raise ValueError(f"Argument `max_lag` must be above 2, got {max_lag!r}: u is drawn from 1 to max_lag - 1.")
        if cell not in ("lstm", "gru"):
            raise ValueError(f"Argument `cell` must be 'lstm' or 'gru', got {cell!r}.")
        self.cell = cell
        self._lags = keras.initializers.RandomUniform(1.0, self.max_lag - 1.0, seed=seed)

    def __call__(self, shape, dtype=None):
        gates = 4 if self.cell == "lstm" else 3
        rows = () if self.cell == "lstm" or len(shape) == 1 else (2,)
        if tuple(shape[:-1]) != rows or shape[-1] % gates:
            wanted = "(4H,)" if self.cell == "lstm" else "(3H,) or (2, 3H)"
            raise ValueError(
                f"ks.initializers.Chrono(cell={self.cell!r}) is for a bias of shape {wanted}, got {tuple(shape)}: give "
                "it as `bias_initializer`, name the kind of cell, and give keras.layers.LSTM `unit_forget_bias=False`."
            )
        units = shape[-1] // gates
        lasting = ops.cast(ops.log(self._lags((units,), "float32")), dtype or keras.config.floatx())
        zeros = ops.zeros((units,), lasting.dtype)
        bias = ops.concatenate([-lasting, lasting, zeros, zeros] if gates == 4 else [lasting, zeros, zeros])
        return ops.stack([bias, ops.zeros_like(bias)]) if rows else bias

    def get_config(self):
        """The arguments of the constructor."""
        return {"max_lag": self.max_lag, "cell": self.cell, "seed": self._lags.get_config()["seed"]}


def fresh(initializer):
    """An initializer that draws anew: one without a seed gives the same numbers to each weight of a shape.

    With a seed it stays as it was asked for; a plain function is given back.
    """
    return initializer.clone() if hasattr(initializer, "clone") else initializer

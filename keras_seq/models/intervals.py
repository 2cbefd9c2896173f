"""Intervals of forecasts, calibrated on windows that the training never saw.

Split conformal prediction (Vovk et al., 2005; Lei et al., 2018, arXiv 1604.04173; of quantiles: Romano et al., 2019,
arXiv 1905.03222, eq. 6 to 8), for each step of the horizon. With the scores `e[1] .. e[n]` of n windows,

    a point `p`               e = |y - p|               interval  p - c .. p + c
    quantiles `l` and `u`     e = max(l - y, y - u)     interval  l - c .. u + c
    mean `m`, deviation `s`   e = |y - m| / s           interval  m - c s .. m + c s

where `c` is the ceil((n + 1) level)-th smallest score. A new window's value is inside with a probability of at least
`level`, if it is like those windows; of overlapping ones and a series that changes that holds approximately.
"""

import numbers

import numpy as np
from keras import ops

FEWEST = 5  # scores that should lie beyond: of fewer windows the steps are taken together


def checked_levels(level):
    """Levels of intervals in percent, as an ascending list.

    Raises:
        ValueError: for what is no number between 0 and 100, or twice there.
    """
    levels = list(level) if isinstance(level, (list, tuple)) else [level]
    good = all(isinstance(one, numbers.Real) and not isinstance(one, bool) and 0 < one < 100 for one in levels)
    if not good or len(set(levels)) < len(levels):
        raise ValueError(
            f"Argument `level` must be different numbers between 0 and 100, such as [80, 90]; got {level!r}."
        )
    return sorted(levels)


def quantiles_of(levels):
    """The median, and the ends of intervals of these levels: a list for `outputs=`."""
    return sorted({0.5, *(round(0.5 + side * level / 200, 6) for level in levels for side in (-1, 1))})


def parted(kind, y, level=None):
    """Centre, lower and upper end, `(..., F, C)` each, and unit of what a model says.

    Args:
        kind: of `keras_seq.models.outputs`.
        y: what the model says.
        level: in percent; None for the centre alone, then the ends are it.

    Raises:
        ValueError: where quantiles have no such ends.
    """
    name = type(kind).__name__
    if name == "Point":
        return y, y, y, 1.0
    if name == "Gaussian":
        return y[..., 0], y[..., 0], y[..., 0], y[..., 1]
    centre = y[..., kind.middle]
    if level is None:
        return centre, centre, centre, 1.0
    ends = [np.isclose(kind.levels, 0.5 + side * level / 200, atol=1e-6) for side in (-1, 1)]
    if not all(end.any() for end in ends):
        raise ValueError(
            f"Argument `level` has {level}, whose ends {0.5 - level / 200:g} and {0.5 + level / 200:g} are not among "
            f"the quantiles {kind.levels} of `outputs`: add them, or leave `outputs='quantiles'` to the levels."
        )
    lower, upper = (y[..., end.argmax()] for end in ends)
    return centre, lower, upper, 1.0


def calibrated(kind, y_pred, y_true, level):
    """The constants `c` `(F, C)` of a level.

    Args:
        y_pred: what the model says of windows, `(N, F, C)` or with an axis more.
        y_true: their targets `(N, F, C)`, NaN where missing.
    """
    _, lower, upper, unit = parted(kind, y_pred, level)
    scores = np.maximum(lower - y_true, y_true - upper) / unit  # of a point |y - p|
    steps, channels = scores.shape[1:]
    found = np.empty((steps, channels))
    for c in range(channels):
        together = _quantile(scores[..., c].reshape(-1), level)
        for f in range(steps):
            known = np.count_nonzero(~np.isnan(scores[:, f, c]))
            few = known * (1 - level / 100) < FEWEST
            found[f, c] = together if few else _quantile(scores[:, f, c], level)
    return found


def interval(kind, y, level, constants):
    """Lower and upper end, `(N, F, C)`, of forecasts; the centre is between them."""
    centre, lower, upper, unit = parted(kind, y, level)
    lower, upper = lower - constants * unit, upper + constants * unit
    return ops.minimum(lower, centre), ops.maximum(upper, centre)


def _quantile(scores, level):
    """The ceil((n + 1) level)-th smallest score that is known; the largest where there is none such."""
    scores = np.sort(scores[~np.isnan(scores)])
    if not len(scores):
        return np.nan
    return scores[min(int(np.ceil((len(scores) + 1) * level / 100)), len(scores)) - 1]

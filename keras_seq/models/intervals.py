"""Intervals of forecasts, calibrated on windows that the training never saw.

Split conformal prediction (Vovk et al., 2005; Lei et al., 2018, arXiv 1604.04173; of quantiles: Romano et al., 2019,
arXiv 1905.03222, eq. 6 to 8), for each step of the horizon. With the scores `e[1] .. e[n]` of n windows,

    a point `p`               e = |y - p|               interval  p - c .. p + c
    quantiles `l` and `u`     e = max(l - y, y - u)     interval  l - c .. u + c
    mean `m`, deviation `s`   e = |y - m| / s           interval  m - c s .. m + c s

where `c` is the ceil((n + 1) level)-th smallest score. A new window's value is inside with a probability of at least
`level`, if it is like those windows and they are enough, n >= level / (1 - level); of overlapping windows, and of a
series that changes, that holds approximately. Of fewer windows `c` is the largest score of any step.
"""

import math
import numbers
import warnings

import numpy as np
from keras import ops

from keras_seq.errors import InputError


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
    centre = kind.median(y)
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

    Returns:
        The constants, and the least number of windows for a step.
    """
    _, lower, upper, unit = parted(kind, y_pred, level)
    scores = np.sort(np.maximum(lower - y_true, y_true - upper) / unit, axis=0)  # of a point |y - p|; NaN comes last
    known = (~np.isnan(scores)).sum(axis=0)  # (F, C)
    ranks = np.ceil((known + 1) * level / 100).astype(int)
    found = np.take_along_axis(scores, np.minimum(ranks, len(scores))[None] - 1, axis=0)[0]
    largest = np.nanmax(scores, axis=(0, 1), initial=-np.inf)
    return np.where(ranks > known, largest, found), int(known.min())


def interval(kind, y, level, constants):
    """Lower and upper end, `(N, F, C)`, of forecasts; the centre is between them."""
    centre, lower, upper, unit = parted(kind, y, level)
    lower, upper = lower - constants * unit, upper + constants * unit
    return ops.minimum(lower, centre), ops.maximum(upper, centre)


def constants_of(kind, said, truth, levels, names):
    """The constants of all levels, `{level: (F, C)}`, of targets with these names.

    Raises:
        InputError: for a target of which no value is known.
    """
    empty = [name for c, name in enumerate(names) if np.isnan(truth[..., c]).all()]
    if empty:
        raise InputError(
            f"No value of {empty[0]!r} is known in the validation part, so that nothing can be judged there: give a "
            "larger `validation`, or fill in what is missing."
        )
    found = {}
    for level in levels:
        found[level], windows = calibrated(kind, said, truth, level)
        if (windows + 1) * level / 100 > windows:
            warnings.warn(
                f"Intervals of {level:g} % need {math.ceil(level / (100 - level))} validation windows for each step, "
                f"there are {windows}: they are as wide as the largest error, and may hold less. Give a larger "
                "`validation`.",
                stacklevel=4,
            )
    return found


def columns_of(kind, said, constants, names, inverse):
    """Forecasts and the ends of their intervals, a column `(N, F)` for each: `y`, `y-lo-80`, `y-hi-80`, ….

    Args:
        said: what the model says.
        constants: `{level: (F, C)}`.
        names: of the targets.
        inverse: from scaled values `(N, F, C)` to those in the unit of the frame.
    """
    centre = inverse(parted(kind, said)[0])
    ends = {one: [inverse(np.asarray(end)) for end in interval(kind, said, one, c)] for one, c in constants.items()}
    columns = {}
    for c, name in enumerate(names):
        columns[name] = centre[..., c]
        for one, both in ends.items():
            columns |= {f"{name}-{side}-{one:g}": end[..., c] for side, end in zip(("lo", "hi"), both, strict=True)}
    return columns

"""What norms of gradients say: how they decay per step, how far back they reach, and in words what that means.

With d the number of kept steps that a row still reads after a step, and n[d] the norm of the gradient there:

    n[d] ~ C gamma^d            gamma: the decay per step (Pascanu et al., 2013, arXiv 1211.5063, section 2.1)
    memory = max {d : n[d] >= 0.01 max n}

and with e[d] the norm of what comes in there from outside of the layer, by its output, and J the Jacobian of one step:

    n[d] <= sum over k <= d of |J ... J| e[k]       so where n[d] > 100 sum_k e[k], a product of J has a norm above 100
"""

from typing import NamedTuple

import numpy as np

REACH = 0.01  # the share of the largest norm that still counts as a gradient
GROWTH = 100.0  # how much the gradient may grow on its way through the sequence
_AT_THE_END = 0.99  # the share of what comes in that is called all of it
_MOST = 500  # points that a line is fitted to: all pairs of them are looked at

_VANISHING = {
    "SimpleRNN": "an LSTM or GRU in its place; recurrent_initializer='orthogonal'",
    "LSTM": "forget gates that start open (unit_forget_bias=True, or for a lag that is known ks.initializers.Chrono)",
    "GRU": "an update gate that starts at keeping (a positive bias of z, or ks.initializers.Chrono)",
    "": "a cell with gates (LSTM, GRU); recurrent_initializer='orthogonal'",
}
_FOR_ALL = "shorter sequences; attention or pooling over all steps, which bring the loss nearer"
_EXPLODING = (
    "clipping (clipnorm=1.0 of the optimizer); a smaller or orthogonal recurrent start; a lower rate; shorter windows "
    "with carried states (truncated backpropagation: stateful=True and ks.data.stream_dataset)"
)


class Decay(NamedTuple):
    """What `decay_of` finds.

    Attributes:
        scale, gamma: C and gamma; NaN where fewer than two norms are finite and above zero.
        memory: in steps, as above.
        at_least: whether the sequence ends before the gradient does: `memory` is then a lower bound.
        verdict: "exploding", "vanishing", "healthy" or "no gradient"; see `ks.diagnostics.gradient_flow`.
        enters: where the gradient comes in from outside of the layer: "last step" or "all steps".
    """

    scale: float
    gamma: float
    memory: int
    at_least: bool
    verdict: str
    enters: str


def decay_of(norms, direct):
    """The `Decay` of norms n `(D,)` by distance, infinite where they overflowed, with e `(D,)` as above."""
    scale, gamma = _line(norms)
    largest = norms.max(initial=0.0)
    enters = "last step" if direct[0] >= _AT_THE_END * direct.sum() else "all steps"
    if largest == 0:
        return Decay(scale, gamma, 0, False, "no gradient", enters)
    reached = norms == np.inf if np.isinf(largest) else norms >= REACH * largest
    memory = int(np.flatnonzero(reached)[-1])
    at_least = memory == len(norms) - 1
    exploding = np.isinf(largest) or (norms > GROWTH * np.cumsum(direct)).any()
    verdict = "exploding" if exploding else "healthy" if at_least else "vanishing"
    return Decay(scale, gamma, memory, at_least, verdict, enters)


def _line(norms):
    """`(C, gamma)`: through the logarithms, by the median of the slopes of all pairs of points (Theil and Sen).

    A few norms that stand apart, such as a first one of zero distance, do not turn it, as they would turn least
    squares.
    """
    d = np.flatnonzero(np.isfinite(norms) & (norms > 0))
    if len(d) < 2:
        return np.nan, np.nan
    d = d[np.unique(np.linspace(0, len(d) - 1, _MOST).round().astype(int))]
    logs = np.log(norms[d])
    first, second = np.triu_indices(len(d), 1)
    slope = np.median((logs[second] - logs[first]) / (d[second] - d[first]))
    return float(np.exp(np.median(logs - slope * d))), float(np.exp(slope))


def by_distance(squares, keep):
    """Norms `(D,)` by distance, from squares `(B, T)` and booleans `(B, T)` in the order of reading.

    `n[d]^2 = (rows / rows that have a d) * sum of their squares`: in a padded batch the rows that are long enough stand
    for those that are not. Without padding it is the plain sum. What is written at a masked step is the output of the
    kept one before it, and counts there.
    """
    squares, keep = squares[keep.any(axis=1)], keep[keep.any(axis=1)]
    still_read = np.cumsum(keep[:, ::-1], axis=1)[:, ::-1] - keep
    rows = np.bincount(still_read[keep], minlength=1)
    sums = np.bincount(still_read.ravel(), squares.ravel(), minlength=len(rows))[: len(rows)]
    return np.sqrt(sums * len(keep) / np.maximum(rows, 1))


def remedy(verdict, cell_name):
    """What to try, in words; None where there is nothing to mend."""
    if verdict == "exploding":
        return _EXPLODING
    if verdict != "vanishing":
        return None
    kind = next(kind for kind in _VANISHING if kind in cell_name)
    return f"{_VANISHING[kind]}; {_FOR_ALL}"

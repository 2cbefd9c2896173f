"""Clockwork recurrent network (Koutník, Greff, Gomez and Schmidhuber, 2014, arXiv 1402.3511, section 3).

The units are modules 1 to g, with periods T_1 < … < T_g. At step t, counted from 0:

    h_i(t) = tanh(x(t) W_i + sum over j >= i of h_j(t-1) U_ji + b_i)        where t mod T_i = 0
    h_i(t) = h_i(t-1)                                                       elsewhere

Slow modules are read by fast ones, and never the other way. All modules fire at t = 0.

Weights: `kernel` W `(D, H)`, `recurrent_kernel` U `(H, H)`, `bias` b `(H,)`, as in `keras.layers.SimpleRNNCell`; the
columns of the fastest module come first. U is block lower triangular in `h U` (the paper writes `W h`, where it is
upper): its blocks above the diagonal, from fast to slow, count as zero, whatever numbers stand there.
"""

from itertools import pairwise

import keras
import numpy as np
from keras import ops

from keras_seq.cells.base import KernelCell, dropped
from keras_seq.checks import positive_integer
from keras_seq.kernels.clockwork import LONGEST_CYCLE, ClockworkKernel, cycle

# What integers a float counts up to without a gap. `keras.layers.RNN` makes floats of all states.
_COUNTS_TO = {"bfloat16": 2**8, "float16": 2**11, "float32": 2**24}


def clockwork_step(projected, h, h_in, clock, recurrent_kernel, periods, activation=ops.tanh):
    """`h` after one step.

    `projected` = x W + b, `h` before the step and `h_in`, which enters the product, are `(B, H)`; `clock` `(B, 1)`
    counts the steps before this one; `periods` `(H,)` are those of the units; `recurrent_kernel` has zeros from fast to
    slow.
    """
    fires = ops.equal(ops.mod(clock, periods), 0)
    return ops.where(fires, activation(projected + ops.matmul(h_in, recurrent_kernel)), h)


def slow_to_fast(recurrent_kernel, module_units):
    """U `(H, H)` with zeros in the blocks that lead from a module to a slower one."""
    module = np.repeat(np.arange(len(module_units)), module_units)
    return ops.where(module[:, None] >= module, recurrent_kernel, ops.zeros_like(recurrent_kernel))


@keras.saving.register_keras_serializable("keras_seq")
class ClockworkRNNCell(KernelCell):
    """One step of a clockwork network: modules of units, each of which changes at every T_i-th step alone.

    It runs in `ks.layers.RNN`, and in `keras.layers.RNN` and `keras.layers.Bidirectional` too.

    Args:
        units: size `H` of output and state, all modules together.
        periods: the periods `T_1 < … < T_g` of the modules, in steps; any ascending integers from 1 on.
        module_units: the size of each module, in the order of `periods`. None: `units` in equal parts.
        activation, use_bias, kernel_initializer …, dropout, recurrent_dropout, seed: as in `SimpleRNNCell`.
            Initializers, regularizers and constraints act on the whole `recurrent_kernel`, also on what counts as zero.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with `h` `(B, H)` and the clock `(B, 1)`, an int32: how many steps a row has read, in the
            order of reading, so from the end with `go_backwards`. Masked steps do not count. It begins anew after the
            least common multiple of the periods, when all modules fire (after 2**30 steps where that is larger).
        training: whether dropout acts.

    Returns:
        `(h, [h, clock])`.

    Raises:
        ValueError: for periods that are no ascending integers from 1 on, or sizes of modules that do not fit; and, in
            the call, for a clock that `keras.layers.RNN` has made a float of half precision too short to count it.

    Example:

    >>> cell = ClockworkRNNCell(6, periods=(1, 2, 5))
    >>> output, (h, clock) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape, clock.shape
    (TensorShape([2, 6]), TensorShape([2, 1]))
    """

    state_names = ("h", "clock")
    state_dtypes = (None, "int32")

    def __init__(self, units, periods=(1, 2, 4, 8), module_units=None, **kwargs):
        super().__init__(units, **kwargs)
        self.periods = _ascending(periods)
        self.module_units = None if module_units is None else _sizes(module_units, self.units, self.periods)
        count = len(self.periods)
        if module_units is None and self.units % count:
            raise ValueError(
                f"Argument `units` must be a multiple of {count}, the number of `periods`, for modules of one size, "
                f"got {self.units}: change `units`, or give `module_units`, the size of each module."
            )
        self._sizes = tuple(self.module_units or [self.units // count] * count)
        self.state_size = [self.units, 1]

    def prepare(self, states, training=False):
        """`(U, mask)`: the recurrent kernel with zeros from fast to slow, and the mask of recurrent dropout or None."""
        recurrent_kernel, mask = super().prepare(states, training)
        return slow_to_fast(recurrent_kernel, self._sizes), mask

    def step(self, projected, states, constants):
        recurrent_kernel, mask = constants
        h, clock = states
        count = ops.cast(self._checked(clock), "int32")
        periods = np.repeat(np.array(self.periods, "int32"), self._sizes)
        h = clockwork_step(projected, h, dropped(h, mask), count, recurrent_kernel, periods, self.activation)
        return h, [h, ops.cast(ops.mod(count + 1, cycle(self.periods)), clock.dtype)]

    def _checked(self, clock):
        longest = _COUNTS_TO.get(keras.backend.standardize_dtype(clock.dtype))
        if longest and cycle(self.periods) > longest:
            raise ValueError(
                f"Cell {self.name!r} must count {cycle(self.periods)} steps, an integer, and got its clock as "
                f"{clock.dtype}, which counts to {longest}: run it in ks.layers.RNN, which keeps it one."
            )
        return clock

    def sequence_kernel(self, anew=False):
        """The modules one after the other, the slowest first: see `keras_seq.kernels.clockwork`.

        `anew`: all rows start from `get_initial_state`.
        """
        anew = anew and type(self).get_initial_state is ClockworkRNNCell.get_initial_state  # at 0
        return ClockworkKernel(self.activation, tuple(self.periods), self._sizes, anew)


def _ascending(periods):
    try:
        found = [positive_integer("periods", period) for period in periods]
    except (TypeError, ValueError):
        found = []
    if not found or any(a >= b for a, b in pairwise([*found, LONGEST_CYCLE])):
        raise ValueError(
            f"Argument `periods` must be ascending positive integers, one for each module, such as (1, 2, 4), got "
            f"{periods!r}."
        )
    return found


def _sizes(module_units, units, periods):
    try:
        found = [positive_integer("module_units", size) for size in module_units]
    except (TypeError, ValueError):
        found = []
    if len(found) != len(periods) or sum(found) != units:
        raise ValueError(
            f"Argument `module_units` must be {len(periods)} positive integers, one for each of `periods`, that add up "
            f"to `units`, {units}, got {module_units!r}."
        )
    return found

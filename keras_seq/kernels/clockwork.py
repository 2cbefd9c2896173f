"""The kernel of `ClockworkRNNCell`: its modules one after the other, the slowest first.

No module reads a faster one. So module i, with period T_i, is a simple recurrent network over its own ticks, every
T_i-th step, and reads there x and what the slower modules said one step before:

    y_i[k] = act(x(t_k) W_i + slower(t_k - 1) U_slower + b_i + y_i[k-1] U_ii)           t_k = t_0 + k T_i
    h_i(t) = y_i[k] from t_k on, until the next tick

Each loop holds products of the size of its module alone, T / T_i of them; the rest are two products for all ticks of a
module. Backpropagation through time is that of `simple_rnn.py`, by hand, module by module; what lies between modules,
reading at ticks, these products, and holding until the next tick, is left to autodiff.

Masked steps do not count: those that are kept are moved to the front of their rows. Where clocks may differ, each row
has ticks of its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from keras import ops

from keras_seq.backend import native
from keras_seq.kernels.bptt import whole_sequence
from keras_seq.kernels.kernel import affine, dropped
from keras_seq.kernels.rows import kept_so_far, to_the_front
from keras_seq.kernels.simple_rnn import projected_simple_rnn_kernel

LONGEST_CYCLE = 2**30  # an int32, with room for the steps of a sequence


@dataclass(frozen=True)
class ClockworkKernel:
    """What `kernels.run` reads of a clockwork recurrence: activation, periods and sizes of its modules, fast to slow.

    States are h `(B, H)` and the clock `(B, 1)`, weights W `(D, H)` and b, constants U `(H, H)` and the mask of
    recurrent dropout.
    """

    activation: Callable
    periods: tuple
    module_units: tuple
    anew: bool = False  # whether the clocks of all rows are known to be at 0

    project = staticmethod(affine)
    mask_at = 1


def cycle(periods):
    """After how many steps a clock begins anew: the least common multiple of the periods, 2**30 if that is larger."""
    return min(math.lcm(*periods), LONGEST_CYCLE)


@whole_sequence.register
def _(kernel: ClockworkKernel, arguments, return_sequences, compiled, by_hand):
    x, keep, (h, clock), weights, (recurrent_kernel, dropout) = arguments
    steps, around, simple = ops.shape(x)[1], cycle(kernel.periods), projected_simple_rnn_kernel(kernel.activation)
    time, count = ops.mod(clock, around), steps
    if keep is not None:
        so_far, count = kept_so_far(keep), ops.sum(ops.cast(keep, "int32"), axis=1, keepdims=True)  # (B, T), (B, 1)
        x = to_the_front(x, keep)
    said, ends = [], []  # of the modules, the fastest first: before each step and after the last (B, T + 1, ·); (B, ·)
    columns = [slice(*ends) for ends in pairwise(accumulate(kernel.module_units, initial=0))]
    for period, own in reversed(list(zip(kernel.periods, columns, strict=True))):
        ticks = _Together(period, steps) if kernel.anew else _RowByRow(period, steps, time)
        kept = None if keep is None and ticks.all_there else ticks.times < count
        projected = _projected(ticks, x, said, weights, recurrent_kernel, dropout, own)
        among_itself = (recurrent_kernel[own, own], None if dropout is None else dropout[:, own])
        module = (projected, kept, [h[:, own]], (), among_itself)
        outputs, (end,) = whole_sequence(simple, module, True, compiled, by_hand)
        said.insert(0, ticks.held(h[:, None, own], outputs))
        ends.insert(0, end)
    states = [ops.concatenate(ends, axis=-1), ops.where(count > 0, ops.mod(time + count, around), clock)]
    if not return_sequences:
        return None, states
    said = ops.concatenate(said, axis=-1)
    return native.cut(said, 1, steps) if keep is None else native.gather(said, so_far, rows=True), states


class _Together:
    """The ticks of a module where every row begins with one."""

    all_there = True

    def __init__(self, period, steps):
        self.period, self.steps = period, steps
        self.times = period * ops.expand_dims(ops.arange((steps + period - 1) // period), 0)  # (1, K)

    def of(self, sequence):
        """What a sequence `(B, T, ·)`, or a longer one, has at the ticks: `(B, K, ·)`."""
        return native.every(sequence, self.period, self.steps)

    def held(self, start, outputs):
        """From a state `(B, 1, ·)` and those after each tick `(B, K, ·)`: before each step, and after the last."""
        known = isinstance(self.steps, int)  # a period may be much longer than the sequence
        outputs = ops.repeat(outputs, min(self.period, max(self.steps, 1)) if known else self.period, axis=1)
        return native.cut(ops.concatenate([start, outputs], axis=1), 0, self.steps + 1)


class _RowByRow(_Together):
    """The same where each row is at another time of its clock `(B, 1)`. The last tick may lie behind the last step."""

    def __init__(self, period, steps, clock):
        super().__init__(period, steps)
        self.all_there = period == 1
        self.first = ops.mod(-clock, period)
        self.times = self.first + self.times  # (B, K)

    def of(self, sequence):
        return native.gather(sequence, ops.minimum(self.times, self.steps - 1), rows=True)

    def held(self, start, outputs):
        ticks_before = (ops.arange(self.steps + 1) - self.first + self.period - 1) // self.period
        return native.gather(ops.concatenate([start, outputs], axis=1), ticks_before, rows=True)


def _projected(ticks, x, slower, weights, recurrent_kernel, dropout, own):
    """What a module reads at its ticks, under its weights: x, and what the slower modules said one step before."""
    kernel, bias = weights
    projected = affine(ticks.of(x), (kernel[:, own], None if bias is None else bias[own]))
    if not slower:
        return projected
    said = ops.concatenate([ticks.of(one) for one in slower], axis=-1)
    said = dropped(said, None if dropout is None else ops.expand_dims(dropout[:, own.stop :], 1))
    return projected + affine(said, (recurrent_kernel[own.stop :, own], None))

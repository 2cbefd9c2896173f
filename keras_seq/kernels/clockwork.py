"""The kernel of `ClockworkRNNCell`: its modules one after the other, the slowest first.

No module reads a faster one. So module i, with period T_i, is a simple recurrent network over its own ticks, which are
every T_i-th step, and reads there x and what the slower modules said one step before, side by side:

    y_i[k] = act([x(t_k), slower(t_k - 1)] [W_i; U_slower] + b_i + y_i[k-1] U_ii)       t_k = t_0 + k T_i
    h_i(t) = y_i[k] from t_k on, until the next tick

Of T products with H x H numbers T / T_i are left with those of each module, and one for all ticks of a module before its
loop. Backpropagation through time is that of `simple_rnn.py`, by hand, module by module; what lies between modules,
reading at ticks and holding until the next, is left to autodiff.

Each row may have ticks of its own: the kept steps of a row are moved to its front, and its clock says at which of them
each module ticks first.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from keras import ops

from keras_seq.backend import native
from keras_seq.kernels.bptt import whole_sequence
from keras_seq.kernels.kernel import affine
from keras_seq.kernels.rows import kept_so_far, to_the_front
from keras_seq.kernels.simple_rnn import simple_rnn_kernel

LONGEST_CYCLE = 2**30  # an int32, with room for the steps of a sequence


@dataclass(frozen=True)
class ClockworkKernel:
    """What `kernels.run` reads of a clockwork recurrence: activation, periods and sizes of its modules, fast to slow.

    States are h `(B, H)` and the clock `(B, 1)`, weights W `(D, H)` and b, constants U `(H, H)` and the mask of dropout.
    """

    activation: Callable
    periods: tuple
    module_units: tuple

    project = staticmethod(affine)
    mask_at = 1


def cycle(periods):
    """After how many steps a clock begins anew: the least common multiple of the periods, 2**30 if that is larger."""
    return min(math.lcm(*periods), LONGEST_CYCLE)


def columns_of(module_units):
    """The columns of each module, as slices."""
    return [slice(*ends) for ends in pairwise(accumulate(module_units, initial=0))]


class _Module(NamedTuple):
    """A module that has run: its first tick `(B, 1)`, its period, and its states before that and after each tick."""

    first: Any
    period: int
    states: Any  # (B, K + 1, ·)

    def after(self, steps):
        """What it says when so many steps `(B, N)` have been: `(B, N, ·)`."""
        ticks = (steps - self.first + self.period - 1) // self.period
        return native.gather(self.states, ticks, rows=True)


@whole_sequence.register
def _(kernel: ClockworkKernel, arguments, return_sequences, compiled, by_hand):
    x, keep, (h, clock), weights, constants = arguments
    steps, around = ops.shape(x)[1], cycle(kernel.periods)
    clock = ops.mod(clock, around)
    if keep is None:
        so_far, count = ops.reshape(ops.arange(1, steps + 1), (1, -1)), steps
    else:
        so_far, count = kept_so_far(keep), ops.sum(ops.cast(keep, "int32"), axis=1, keepdims=True)
        x = to_the_front(x, keep)
    modules = []  # those that have run, the fastest first
    for period, columns in reversed(list(zip(kernel.periods, columns_of(kernel.module_units), strict=True))):
        first, start = ops.mod(-clock, period), h[:, columns]
        ticks = first + period * ops.arange((steps + period - 1) // period)  # (B, K)
        kept = None if keep is None and period == 1 else ticks < count
        read = _read(x, modules, ops.minimum(ticks, steps - 1), constants[1], columns.stop, every=period == 1)
        own = _own(weights, constants, columns)
        simple = simple_rnn_kernel(kernel.activation)
        outputs, _ = whole_sequence(simple, (read, kept, [start], *own), True, compiled, by_hand)
        states = ops.concatenate([ops.expand_dims(start, 1), outputs], axis=1)
        modules.insert(0, _Module(first, period, states))
    outputs = _side_by_side(modules, so_far) if return_sequences else None
    last = _side_by_side(modules, ops.zeros_like(clock) + count)[:, 0]
    return outputs, [last, ops.mod(clock + count, around)]


def _side_by_side(modules, steps):
    return ops.concatenate([module.after(steps) for module in modules], axis=-1)


def _read(x, slower, at, dropout, begin, every):
    """What a module reads at its ticks: x, and what the slower modules said before. `every`: it ticks at each step."""
    own = x if every else native.gather(x, at, rows=True)
    if not slower:
        return own
    said = _side_by_side(slower, at)
    return ops.concatenate([own, said if dropout is None else said * ops.expand_dims(dropout[:, begin:], 1)], axis=-1)


def _own(weights, constants, columns):
    """Weights and constants of the recurrence of a module: the slower ones are a part of what it reads."""
    (kernel, bias), (recurrent_kernel, dropout) = weights, constants
    kernel = ops.concatenate([kernel[:, columns], recurrent_kernel[columns.stop :, columns]], axis=0)
    bias = None if bias is None else bias[columns]
    return (kernel, bias), (recurrent_kernel[columns, columns], None if dropout is None else dropout[:, columns])

"""Which of the ways to run a cell over a sequence is taken: the only place that decides.

    loop              the cell's step, projection and all, at each time step; gradients by autodiff
    hoisted loop      the projection of all steps first, as one product, then the loop
    kernel            backpropagation through time by hand
    compiled kernel   the same with its loops compiled by XLA
    cudnn             cuDNN's LSTM or GRU, on a GPU

The last two are for training only: an export, which is traced without, must hold neither.
The thresholds are those that `benchmarks/thresholds.py` measured and wrote to `thresholds.json`. Where a device has
none, as GPUs today, the loop is taken, hoisted where the cell says so.
"""

import functools
import json
import logging
import math
import pathlib

from keras_seq.backend import native
from keras_seq.kernels.cudnn import why_no_cudnn
from keras_seq.kernels.kernel import has_derivative, is_of_one_class

IMPLEMENTATIONS = ("auto", "loop", "kernel", "cudnn")
USUAL_BATCH = 32  # stands for a batch size that is not known before the graph runs
FEWEST_STEPS = 8  # below, what a kernel does before and after its loop is not worth it

log = logging.getLogger("keras_seq")


def resolve(cell, batch, steps, training, *, masked=False, use_cudnn=None, forced=False):
    """The way to run a cell: "loop", "hoisted loop", "kernel", "compiled kernel" or "cudnn".

    Args:
        cell: a cell; what its `implementation` says is done, and "auto" leaves it to the table of thresholds.
        batch, steps: `B` and `T`, None where they are not known.
        training: whether the pass trains. Exports are traced with False.
        masked: whether there is a mask.
        use_cudnn: what the layer says, True, False or "auto"; it wins. None if it says nothing.
        forced: whether it must be a kernel, because another cell of a stack asks for one.

    Raises:
        ValueError: if a kernel or cuDNN is asked for and cannot run; the message says why.
    """
    if use_cudnn is True or (cell.implementation == "cudnn" and use_cudnn is not False):
        asked = "`use_cudnn=True`" if use_cudnn is True else "`implementation='cudnn'`"
        _refuse_if(why_no_cudnn(cell, masked, training), cell, f"by cuDNN, by {asked}", "Leave it at 'auto'.")
        if training:
            return "cudnn"
    if cell.implementation == "kernel" or forced:
        reason = "it has `implementation='loop'`." if cell.implementation == "loop" else why_no_kernel(cell)
        remedy = "Use `implementation='auto'` or 'loop'."
        _refuse_if(reason, cell, "as a kernel, by `implementation='kernel'`", remedy)
        return _kernel(training)
    if use_cudnn == "auto" and cell.implementation == "auto" and training and not why_no_cudnn(cell, masked, True):
        return "cudnn"
    limits = _limits(type(cell), cell.units, bool(training)) if hasattr(cell, "units") else None
    if limits is None:
        return "hoisted loop" if cell.hoists_projection else "loop"
    batch = min(USUAL_BATCH if batch is None else batch, limits["largest"])
    worth_it = training and batch <= limits.get("kernel", 0) and not (steps is not None and steps < FEWEST_STEPS)
    if cell.implementation != "loop" and worth_it and not why_no_kernel(cell):
        return _kernel(training)
    return "hoisted loop" if batch <= limits["hoisted"] else "loop"


def _refuse_if(reason, cell, how, remedy):
    if reason:
        raise ValueError(f"Cell {cell.name!r} is to run {how}, and cannot: {reason} {remedy}")


def _kernel(training):
    return "compiled kernel" if training and native.COMPILES_KERNELS else "kernel"


def why_no_kernel(cell):
    """None if a cell has a kernel, else the reason, as a sentence."""
    if not hasattr(cell, "sequence_kernel"):
        return f"there is none for {type(cell).__name__}."
    if not is_of_one_class(type(cell)):
        return f"{type(cell).__name__} changes the step of the cell that it derives from."
    unknown = [
        f"{name}={getattr(activation, '__name__', activation)}"
        for name, activation in cell.activations().items()
        if not has_derivative(activation)
    ]
    if unknown:
        return f"{', '.join(unknown)} is none of tanh, sigmoid, relu and linear."
    return None


def _limits(cls, units, training):
    """The largest batch sizes for which a kernel, and a projection before the loop, are worth it, and the largest that
    was measured; None where nothing was. Between two widths that were measured, in proportion to their logarithms."""
    by_name = _table().get(f"{native.NAME} {native.device()}", {})
    name = next((n for n in (base.__name__.removesuffix("Cell") for base in cls.__mro__) if n in by_name), None)
    if name is None:
        return None
    by_units = {int(u): row for u, row in by_name[name]["training" if training else "inference"].items()}
    below = max((u for u in by_units if u <= units), default=min(by_units))
    above = min((u for u in by_units if u >= units), default=max(by_units))
    if below == above:
        return by_units[below]
    share = math.log(units / below) / math.log(above / below)
    pairs = {key: (by_units[below][key], by_units[above][key]) for key in by_units[below]}
    return {key: low ** (1 - share) * high**share for key, (low, high) in pairs.items()}


@functools.cache
def _table():
    return json.loads((pathlib.Path(__file__).parent / "thresholds.json").read_text())["limits"]

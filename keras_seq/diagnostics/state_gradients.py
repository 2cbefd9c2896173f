"""The gradient of a model's loss with respect to the states of its recurrent layers, on the loop's perturbation seam.

A term `p[t]`, zero, is added to each state as it leaves step t. Then dL/dp[t] is dL/ds[t], and all of them come from
one forward and one backward pass. The layers are lent another `inner_loop` for as long as the model is traced.
"""

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_seq import compat
from keras_seq.backend import native
from keras_seq.diagnostics.batches import loss_of, outputs_of
from keras_seq.diagnostics.inner_loops import Runner, known, loops_replaced, names_of_states, recurrent_layers


@dataclass
class Call:
    """One call of a recurrent layer within the model, and gradients with respect to what it computes.

    Attributes:
        layer: the layer.
        nth: how often the layer was called before.
        names: of the states that are floats.
        keep: booleans `(B, T)`, false at masked steps, in the order of time.
        specs: shapes and dtypes: first for each of the states over time `(B, T, ...)`, then of the outputs,
            `(B, T, ...)` or `(B, ...)`, then of the states at the end `(B, ...)`.
        gradients: arrays of those shapes, in the order of reading. Those with respect to outputs and to the states at
            the end are what comes in from outside of the layer.
    """

    layer: Any
    nth: int
    names: list
    keep: Any
    specs: list = field(default_factory=list)
    gradients: list = field(default_factory=list)


class StateGradients:
    """Measures one model on batches of one form; compiled once, when it is first called.

    Args:
        model: a compiled model.
        batch: `(x, y, sample_weight)`, nests of arrays; None where there is none.
        from_last: whether the loss counts through the last kept step of each output alone.
    """

    def __init__(self, model, batch, from_last=False):
        self.model, self.from_last = model, from_last
        self.runners = [Runner(layer) for layer in recurrent_layers(model)]
        self.outputs = []
        # The scope is outside of what is traced: in it, Keras may make the variables of a loss.
        with keras.StatelessScope(), self._seam() as self.calls:
            native.spec_of(self._loss, *batch)
        self._program = native.gradient_program(self._perturbed_loss, model.variables)

    def __call__(self, batch):
        """The loss of a batch, and a list of `Call`s."""
        specs = [spec for call in self.calls for spec in call.specs]
        loss, keeps, gradients = self._program([np.zeros(*spec) for spec in specs], *batch)
        gradients = iter(map(ops.convert_to_numpy, gradients))
        return float(loss), [
            replace(call, keep=ops.convert_to_numpy(keep), gradients=[next(gradients) for _ in call.specs])
            for call, keep in zip(self.calls, keeps, strict=True)
        ]

    def _loss(self, x, y, sample_weight):
        outputs = outputs_of(self.model, x)
        self.outputs = [tuple(one.shape) for one in tree.flatten(outputs)]
        outputs = tree.map_structure(_through_last, outputs) if self.from_last else outputs
        return loss_of(self.model, x, y, outputs, sample_weight)

    def _perturbed_loss(self, perturbations, *batch):
        with self._seam(iter(perturbations)) as calls:
            loss = self._loss(*batch)
        return loss, [call.keep for call in calls]

    @contextlib.contextmanager
    def _seam(self, perturbations=None):
        """Within it, each call of a recurrent layer takes what it wants of `perturbations`, and is noted in a list."""
        calls = []
        with loops_replaced((one.layer, self._loop_of(one, perturbations, calls)) for one in self.runners):
            yield calls

    def _loop_of(self, runner, perturbations, calls):
        """What stands in for the `inner_loop` of a layer, with its signature."""
        layer = runner.layer

        def inner_loop(sequences, initial_state, mask=None, training=False, **how):
            first, mask = tree.flatten(sequences)[0], tree.flatten(mask)[0]
            lead = (known(layer, first.shape[0], "rows"), known(layer, first.shape[1], "time steps"))
            keep = ops.ones(lead, "bool") if mask is None else ops.cast(mask, "bool")
            states = runner.states(initial_state, lead[0])
            call = Call(layer, sum(one.layer is layer for one in calls), _names(layer.cell, states), keep)
            calls.append(call)
            added = tree.map_structure(lambda s: ops.zeros((*lead, *s.shape[1:]), s.dtype), states)
            added = _perturbed(added, perturbations, call.specs)
            if how.get("perturbation") is not None:  # the model's own
                added = tree.map_structure(ops.add, added, how["perturbation"])
            how = {**how, "perturbation": added} if perturbations is not None else how
            output, last, *others = runner(sequences, states, mask, training, **how)
            output = _perturbed(output, perturbations, call.specs)
            last = _perturbed(last, perturbations, call.specs)
            return runner.result(initial_state, output, last, *others)

        return inner_loop


def _perturbed(tensors, perturbations, specs):
    """A nest of tensors with the next of `perturbations` (none if None) added to each of floats; notes their `specs`.

    In half precision they are float32: their gradients then are, too.
    """

    def plus(tensor):
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if not keras.backend.is_float_dtype(dtype):
            return tensor
        specs.append((tuple(tensor.shape), "float64" if dtype == "float64" else "float32"))
        return tensor if perturbations is None else tensor + ops.cast(next(perturbations), dtype)

    return tree.map_structure(plus, tensors)


def _names(cell, states):
    """Names of the states that are floats."""
    floats = [keras.backend.is_float_dtype(keras.backend.standardize_dtype(s.dtype)) for s in tree.flatten(states)]
    return [name for name, is_float in zip(names_of_states(cell, states), floats, strict=True) if is_float]


def _through_last(output):
    """An output `(B, T, ...)` through whose last kept step alone a gradient flows; any other as it is."""
    if len(output.shape) < 3:
        return output
    mask = compat.mask_of(output)
    keep = ops.ones(ops.shape(output)[:2], "bool") if mask is None else ops.cast(mask, "bool")
    steps = ops.arange(ops.shape(output)[1])
    last = ops.max(ops.where(keep, steps, -1), axis=1, keepdims=True)  # (B, 1)
    is_last = ops.reshape(steps == last, (*ops.shape(keep), *[1] * (len(output.shape) - 2)))
    return compat.with_mask(ops.where(is_last, output, ops.stop_gradient(output)), mask)

"""`gate_activations`: how open the gates of LSTMs and GRUs are, step by step, on a batch of a user's own."""

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from keras_seq import compat
from keras_seq.diagnostics.batches import array_of, batch_of, called, check_built, check_finite, outputs_of, tokens_of
from keras_seq.diagnostics.gates import GateActivations, Gates
from keras_seq.diagnostics.inner_loops import (
    Runner,
    as_ours,
    known,
    loops_replaced,
    names_of,
    recurrent_layers,
    replaced,
)
from keras_seq.errors import InputError
from keras_seq.layers.stacked import has_parts


def gate_activations(model, x, layer=None):
    """The values of the gates of recurrent layers, for each row, step and unit of a batch, as in inference.

    LSTMs (plain, with peepholes, a projection or layer normalisation) have `i`, `f` and `o`, the shares that are
    written, kept and shown, and the candidate `g`; GRUs `z` (the share of `h` that is kept), `r` and the candidate `n`.
    The values are those of the cell's own equations, computed by what its step computes them by, from the inputs and
    states that it meets at that step.

    Cells are found at any depth, in `Bidirectional`, stacks, nested models, as controllers of a memory and in
    `AttentionCell`, ours or those of `keras.layers`; a layer that is called twice is reported per call. All are run by
    the loop of this package, one step after the other. The model, its states and seeds are left as they were.

    Args:
        model: a built `keras.Model` or recurrent layer.
        x: a batch, as the model takes it, without targets: arrays `(B, T, ...)`, a list or dict of them; text models
            take strings, or ids.
        layer: which recurrent layer to look at, itself or its name (of a `Bidirectional` both directions); None for
            all that have gates.

    Returns:
        A `GateActivations`: `.parts` with the arrays `(B, T, H)`, `.frame`, `.plot(row=0)`. Masked steps are NaN.

    Raises:
        InputError: for a model that is not built, has no gates or does not read the layer; for `x` of a wrong shape,
            or that is not finite.

    Example:

    >>> layer = LSTM(3)
    >>> layer.build((None, None, 5))
    >>> gates = ks.diagnostics.gate_activations(layer, np.ones((2, 7, 5)))
    >>> gates.parts[0].values["f"].shape
    (2, 7, 3)
    >>> gates.frame.columns.tolist()
    ['layer', 'call', 'direction', 'cell', 'gate', 'step', 'low', 'median', 'high', 'near_0', 'near_1']
    """
    check_built(model)
    listeners = _listeners(model, layer)
    batch = batch_of(model, x, None, None)
    check_finite(batch)
    calls = []
    with keras.StatelessScope(), loops_replaced((one.layer, one.loop(calls)) for one in listeners):
        outputs_of(model, tree.map_structure(ops.convert_to_tensor, batch[0]))
    if not calls:
        raise InputError(f"{called(model)} calls none of the layers with gates: there is nothing to read.")
    names, tokens = names_of(call.layer for call in calls), tokens_of(model, batch[0])
    parts = [
        Gates(
            layer=names[id(call.layer)],
            call=call.nth,
            direction="backward" if call.layer.go_backwards else "forward",
            cell=path,
            values=values,
            of_tokens=tokens is not None and batch[0].shape == call.keep.shape,
        )
        for call in calls
        for path, values in call.in_time()
    ]
    return GateActivations(parts, tokens)


@dataclass
class _Call:
    """One call of a layer: booleans `keep` `(B, T)`, and by the path of each cell with gates a list of dicts, a step
    each, in the order of reading."""

    layer: Any
    nth: int
    keep: Any
    heard: dict

    def in_time(self):
        """Pairs: the path of a cell, and its gates `(B, T, H)` by name, NaN at masked steps."""
        for path, steps in self.heard.items():
            steps = steps[::-1] if self.layer.go_backwards else steps
            arrays = {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}
            yield path, {name: np.where(self.keep[..., None], a, np.nan) for name, a in arrays.items()}


def has_gates(model):
    """Whether a recurrent layer of a model has gates."""
    return any(_Listener(one).gated for one in recurrent_layers(model))


class _Listener:
    """Runs a recurrent layer step by step, and hears what the gates of its cells are."""

    def __init__(self, layer):
        self.layer, self.cell = layer, as_ours(layer.cell)
        self.runner = Runner(layer, self.cell)
        self.gated = dict(_gated(self.cell))

    def loop(self, calls):
        """What stands in for the `inner_loop` of the layer, with its signature; adds a `_Call` to `calls`."""

        def inner_loop(sequences, initial_state, mask=None, training=False, **how):
            first, mask = tree.flatten(sequences)[0], tree.flatten(mask)[0]
            lead = known(self.layer, first.shape[0], "rows"), known(self.layer, first.shape[1], "time steps")
            if not lead[1]:
                raise InputError(f"Layer {self.layer.name!r} reads sequences of no steps: give at least one.")
            keep = np.ones(lead, bool) if mask is None else _array(self.layer, mask).astype(bool)
            nth = sum(one.layer is self.layer for one in calls)
            self._check_features(first)
            call = _Call(self.layer, nth, keep, {path: [] for path in self.gated})
            calls.append(call)
            states = self.runner.states(initial_state, lead[0])
            with contextlib.ExitStack() as stack:
                stack.enter_context(replaced(self.runner.rnn, "unroll", True))
                for path, cell in self.gated.items():
                    stack.enter_context(replaced(cell, "step", self._hearing(cell, call.heard[path])))
                return self.runner.result(initial_state, *self.runner(sequences, states, mask, training, **how))

        return inner_loop

    def _check_features(self, sequences):
        lowest = next(iter(getattr(self.cell, "cells", [self.cell])))
        kernel = getattr(lowest, "kernel", None)
        if kernel is not None and sequences.shape[-1] != kernel.shape[0]:
            raise InputError(
                f"Layer {self.layer.name!r} reads sequences (B, T, D) with D = {kernel.shape[0]}, got shape "
                f"{tuple(sequences.shape)}."
            )

    def _hearing(self, cell, heard):
        step = cell.step

        def heard_step(projected, states, constants):
            values = cell.gate_values(projected, states, constants)
            heard.append({name: _array(self.layer, value) for name, value in values.items()})
            return step(projected, states, constants)

        return heard_step


def _gated(cell, path=()):
    """Pairs of a path, "" or such as "0" or "controller", and a cell with gates, of a cell and all inside of it."""
    if _has_gates(cell):
        yield "_".join(path), cell
    inner = [(str(i), one) for i, one in enumerate(getattr(cell, "cells", []))]
    inner += [(name, getattr(cell, name)) for name in ("cell", "controller") if hasattr(cell, name)]
    for name, one in inner:
        yield from _gated(one, (*path, name))


def _has_gates(cell):
    """Whether a cell says its gates; not where a subclass writes another step, or `call`, and not them."""
    if not hasattr(cell, "gate_values") or not has_parts(cell):
        return False
    where = {name: next(c for c in type(cell).__mro__ if name in vars(c)) for name in ("gate_values", "step")}
    return issubclass(where["gate_values"], where["step"])


def _listeners(model, layer):
    """For the recurrent layers with gates that are asked for."""
    found = recurrent_layers(model)
    if layer is not None:
        named = [one for one in compat.inner_layers(model) if one is layer or one.name == layer]
        if not named:
            raise InputError(
                f"Argument `layer` must be a layer of {called(model)} or its name, got {layer!r}: recurrent ones are "
                f"{[one.name for one in found]}."
            )
        found = [one for outer in named for one in recurrent_layers(outer)]
    listeners = [one for one in map(_Listener, found) if one.gated]
    if not listeners:
        raise InputError(
            f"{called(model if layer is None else named[0])} has no gates, as LSTM and GRU and their variants in "
            f"ks.layers have; its recurrent cells are {[type(one.cell).__name__ for one in found]}."
        )
    return listeners


def _array(layer, tensor):
    """`array_of`, but no tensor of a compiled function has any values."""
    try:
        return array_of(tensor)
    except (NotImplementedError, TypeError) as error:
        raise InputError(
            f"Layer {layer.name!r} is called inside of a compiled function, where values cannot be read: look at that "
            "layer alone, on what it is given."
        ) from error

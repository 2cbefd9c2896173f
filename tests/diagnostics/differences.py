"""Gradients with respect to states by central differences, one step of a cell at a time: no loop and no seam."""

import contextlib

import keras
import numpy as np
from keras import ops, tree

import keras_seq as ks
from keras_seq.layers.stacked import call_cell, cells_within
from keras_seq.layers.states import initial_states
from tests.cases import ON_JAX, TANH, D, randomize

B, T, OUT = 2, 4, 2


@contextlib.contextmanager
def eagerly():
    """Nothing is compiled: faster for one small call."""
    if ON_JAX:
        import jax

        with jax.disable_jit():
            yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def model_of(layers, rng, steps=T):
    """A float64 model with random weights: the layers, and of all floats that the last gives a linear layer."""
    x = inputs = keras.Input((steps, D), dtype="float64")
    for layer in layers:
        x = layer(x)
    floats = [y for y in tree.flatten(x) if "float" in keras.backend.standardize_dtype(y.dtype)]
    flat = [keras.layers.Reshape((-1,), dtype="float64")(y) for y in floats]
    joined = keras.layers.Concatenate(dtype="float64")(flat) if len(flat) > 1 else flat[0]
    model = keras.Model(inputs, keras.layers.Dense(OUT, dtype="float64")(joined))
    model.compile("sgd", keras.losses.MeanSquaredError(dtype="float64"))
    for layer in layers:
        for cell in [c for one in directions(layer) for c in cells_within(one.cell)]:
            if ON_JAX and getattr(cell, "activation", None) is keras.activations.tanh:
                cell.activation = TANH  # Keras's computes in float32 there
    randomize(model, rng)
    for layer in filter(_allots, layers):
        _write_by_content(layer.cell)
    return model


def _allots(layer):
    return isinstance(getattr(layer, "cell", None), ks.layers.DNCCell)


def _write_by_content(cell):
    """Close the allocation gate: what is allotted jumps where slots are alike, as they are at the start."""
    bias = np.array(ops.convert_to_numpy(cell.interface_bias))
    *_, gate, _, _ = np.cumsum([0, *cell.interface_parts()[:-1]])
    bias[gate] = -99
    cell.interface_bias.assign(bias)


def directions(layer):
    return [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]


def norms_by_differences(model, layers, x, y, measured, epsilon):
    """`{(state's place): norms (T,)}` for the states of one recurrent layer, in the order of time."""
    states = initial_states(measured.cell, len(x))
    found = []
    for place, state in enumerate(tree.flatten(states)):
        if "float" not in keras.backend.standardize_dtype(state.dtype):
            continue
        size = int(np.prod(state.shape[1:]))
        # A row for each time step, entry and sign, of each row of the batch: all differences at once.
        pushes = np.zeros((T, T, size, 2, len(x), size))
        for t in range(T):
            for j in range(size):
                pushes[t, t, j, 0, :, j], pushes[t, t, j, 1, :, j] = epsilon, -epsilon
        pushes = pushes.reshape(T, -1, *state.shape[1:])
        copies = T * size * 2
        rows = np.tile(x, (copies, *[1] * (x.ndim - 1)))
        losses = _losses(model, layers, rows, np.tile(y, (copies, 1)), measured, place, pushes)
        losses = losses.reshape(T, size, 2, len(x)) / len(x)
        gradients = (losses[:, :, 0] - losses[:, :, 1]) / (2 * epsilon)  # (T, entries, B), in the order of reading
        norms = np.sqrt(np.square(gradients).sum(axis=(1, 2)))
        found.append(norms[::-1] if measured.go_backwards else norms)
    return found


def _losses(model, layers, x, y, measured, place, pushes):
    """The loss of each row by itself."""
    for layer in layers:
        ran = [_run(one, x, place, pushes if one is measured else None) for one in directions(layer)]
        outputs = _joined(layer, *ran) if len(ran) == 2 else ran[0]
        x = outputs[0]
    floats = [o for o in map(ops.convert_to_numpy, outputs) if o.dtype.kind == "f"]
    kernel, bias = (ops.convert_to_numpy(w) for w in model.layers[-1].weights)
    predicted = np.concatenate([o.reshape(len(o), -1) for o in floats], axis=1) @ kernel + bias
    return np.square(predicted - y).mean(axis=1)


def _run(layer, x, place, pushes):
    """What a layer returns, in a flat list, with terms `(T, B, ...)` added to one of its states as it leaves a step."""
    states, outputs = initial_states(layer.cell, len(x)), []
    for t, at in enumerate(range(T)[::-1] if layer.go_backwards else range(T)):
        count = len(tree.flatten(states))
        added = [pushes[t] if pushes is not None and i == place else 0 for i in range(count)]
        output, states = _step(layer.cell, x[:, at], states, iter(added))
        outputs.append(output)
    over_time = tree.map_structure(lambda *y: ops.stack(y, axis=1), *outputs)
    output = tree.flatten(over_time if layer.return_sequences else outputs[-1])
    return [*output, *(tree.flatten(states) if layer.return_state else [])]


def _step(cell, x, states, added):
    """One step; each state is what it was given and shows it upwards, be it through a stack."""
    if hasattr(cell, "cells"):
        new = []
        for one, own in zip(cell.cells, states, strict=True):
            x, state = _step(one, x, own, added)
            new.append(state)
        return x, new
    output, new = call_cell(cell, ops.convert_to_tensor(x), states, False)
    pushed = {}
    for state in tree.flatten(new):
        push = next(added)
        pushed[id(state)] = state if isinstance(push, int) else state + ops.cast(push, state.dtype)
    shown = tree.map_structure(lambda one: pushed.get(id(one), one), output)
    return shown, tree.map_structure(lambda one: pushed[id(one)], new)


def _joined(layer, forward, backward):
    """What `Bidirectional` makes of both directions: each an output and states."""
    if layer.return_sequences:
        backward = [ops.flip(backward[0], axis=1), *backward[1:]]
    outputs = {
        "concat": lambda a, b: [ops.concatenate([a, b], axis=-1)],
        "sum": lambda a, b: [a + b],
        None: lambda a, b: [a, b],
    }[layer.merge_mode](forward[0], backward[0])
    return [*outputs, *forward[1:], *backward[1:]]


def check(layers, rng, tolerance=1e-6, epsilon=1e-5):
    """All norms of `gradient_flow` against differences."""
    model = model_of(layers, rng)
    x, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, OUT))
    flow = ks.diagnostics.gradient_flow(model, x, y)
    expected = [
        norms
        for layer in layers
        for one in directions(layer)
        for norms in norms_by_differences(model, layers, x, y, one, epsilon)
    ]
    # What a closed allocation gate hides.
    unread = ("usage", "write_weights") if any(map(_allots, layers)) else ()
    assert len(flow.curves) == len(expected) > 0
    for curve, norms in zip(flow.curves, expected, strict=True):
        np.testing.assert_allclose(curve.norms, norms, atol=tolerance * max(1, norms.max()), err_msg=curve.label)
        assert norms.max() > 1e-3 or curve.label.endswith(unread)
    return flow

"""What one step does to a gradient: norms of its Jacobian, and the spectral radius of the recurrent kernel.

    dL/ds[t-1] = J[t]^T dL/ds[t] + what comes in at t-1,        J[t] = ds[t]/ds[t-1]

A product of Jacobians whose norms are below 1 vanishes; it can explode only where some are above 1 (Pascanu et al.,
2013, arXiv 1211.5063, section 2.1).
"""

import keras
import numpy as np
from keras import ops, tree

from keras_seq.backend import native
from keras_seq.cells.base import takes_memory
from keras_seq.checks import check_sequences, positive_integer
from keras_seq.diagnostics.batches import array_of
from keras_seq.diagnostics.inner_loops import by_loop
from keras_seq.errors import InputError
from keras_seq.layers.rnn import RNN
from keras_seq.layers.stacked import call_cell, cells_within
from keras_seq.layers.states import initial_states

_GATES = {1: ("h",), 3: ("z", "r", "n"), 4: ("i", "f", "g", "o")}
_AT_ONCE = 2**24  # numbers that the Jacobians of a chunk of steps may hold


def jacobian_norms(layer, sequences, rows=4):
    """The largest singular value of ds[t]/ds[t-1] at each step, of all states of a cell together.

        norm[t] = mean over rows b of the largest singular value of J[b, t] (N, N),      N entries of the states

    Exact, by N products of a vector and the Jacobian at each step, so for states of up to some hundreds of entries.
    Without a mask: give rows of which each step counts. Without dropout.

    Args:
        layer: a built recurrent layer, ours or of `keras.layers`, whose states are floats; of a `Bidirectional` its
            `forward_layer` or `backward_layer`.
        sequences: what the layer reads, `(B, T, D)`.
        rows: how many of the `B` are looked at.

    Returns:
        An array `(T,)`, in the order of time.

    Raises:
        InputError: for another layer, one that is not built, or one whose cell reads a memory or counts.

    Example:

    >>> layer = SimpleRNN(3, activation="linear", recurrent_initializer=keras.initializers.Identity(0.5))
    >>> layer.build((None, None, 5))
    >>> ks.diagnostics.jacobian_norms(layer, np.ones((2, 4, 5))).round(3).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """
    _check_recurrent(layer)
    x = ops.convert_to_tensor(np.asarray(sequences)[: positive_integer("rows", rows)], layer.compute_dtype)
    check_sequences(layer, [x.shape])
    if layer.go_backwards:
        x = ops.flip(x, axis=1)
    runner = RNN(layer.cell, return_sequences=True, dtype=layer.dtype_policy, name=layer.name)
    with by_loop(layer):
        *_, trace = runner(x, return_trace=True)
    start = initial_states(runner.cell, x.shape[0])
    if not all(keras.backend.is_float_dtype(keras.backend.standardize_dtype(s.dtype)) for s in tree.flatten(start)):
        raise InputError(f"Layer {layer.name!r} has states that are no floats: they have no Jacobian.")
    before = tree.map_structure(lambda s, over: ops.concatenate([s[:, None], over[:, :-1]], axis=1), start, trace)
    entries = sum(int(np.prod(s.shape[1:])) for s in tree.flatten(start))
    steps = max(1, _AT_ONCE // (x.shape[0] * entries**2))
    jacobians = _jacobians_of(runner.cell, start, entries)
    norms = [
        jacobians(*tree.map_structure(lambda z, at=at: z[:, at : at + steps], (x, before)))
        for at in range(0, x.shape[1], steps)
    ]
    norms = np.concatenate(norms, axis=1).mean(axis=0)
    return norms[::-1] if layer.go_backwards else norms


def _jacobians_of(cell, template, entries):
    """A function of inputs and states before `(B, K, ...)`: the largest singular values `(B, K)`.

    Each step of each row stands `N` times in one batch, row n weighed by the n-th unit vector: the gradient is then the
    n-th row of its Jacobian.
    """

    def weighed(flat, x, units):
        states = tree.pack_sequence_as(template, flat)
        _, new = call_cell(cell, x, states, training=False)
        new = [ops.reshape(one, (units.shape[0], -1)) for one in tree.flatten(new)]
        return ops.sum(ops.concatenate(new, axis=1) * ops.cast(units, new[0].dtype)), []

    program = native.gradient_program(weighed, cell.variables)

    def norms(x, before):
        lead = tuple(x.shape[:2])
        count = lead[0] * lead[1]
        x, *before = (
            ops.repeat(ops.reshape(one, (count, *one.shape[2:])), entries, axis=0) for one in (x, *tree.flatten(before))
        )
        _, _, gradients = program(before, x, np.tile(np.eye(entries), (count, 1)))
        flat = [array_of(g).reshape(count, entries, -1) for g in gradients]
        return np.linalg.norm(np.concatenate(flat, axis=2), ord=2, axis=(1, 2)).reshape(lead)

    return norms


def spectral_radius(layer):
    """The largest absolute eigenvalue of the recurrent kernel, for each gate.

    Of a linear `SimpleRNN` gradients decay by it in the long run; of the others it says how the gates, or the
    candidate, answer to `h`. With a projection, of the product of the recurrent kernel with the projection.

    Args:
        layer: a built recurrent layer or cell with a `recurrent_kernel` `(H, G H)`; of a stack, one of its cells.

    Returns:
        A dict: `{"h": …}` for one block (`SimpleRNN`), `z`, `r`, `n` for three (`GRU`), `i`, `f`, `g`, `o` for four
        (`LSTM`).

    Raises:
        InputError: for a layer that is not built, or without such a kernel.

    Example:

    >>> layer = LSTM(4)
    >>> layer.build((None, None, 5))
    >>> sorted(ks.diagnostics.spectral_radius(layer))
    ['f', 'g', 'i', 'o']
    """
    cell = getattr(layer, "cell", layer)
    gates = gates_of_kernel(cell)
    if not gates:
        raise InputError(
            "Argument `layer` must be a built recurrent layer or cell with a `recurrent_kernel` of 1, 3 or 4 blocks of "
            f"units, got {type(layer).__name__}: call it on its inputs first; of a stack give one of "
            "`layer.cell.cells`, of a Bidirectional its `forward_layer` or `backward_layer`."
        )
    blocks = dict(zip(gates, np.split(array_of(cell.recurrent_kernel), len(gates), axis=1), strict=True))
    projection = getattr(cell, "projection_kernel", None)
    if projection is not None:
        blocks = {name: block @ array_of(projection) for name, block in blocks.items()}
    return {name: float(np.abs(np.linalg.eigvals(block)).max()) for name, block in blocks.items()}


def gates_of_kernel(cell):
    """Letters of the blocks of a cell's recurrent kernel `(H, G H)` or `(P, G H)`; () where it is no such kernel."""
    kernel, projection = (getattr(cell, name, None) for name in ("recurrent_kernel", "projection_kernel"))
    if kernel is None or len(kernel.shape) != 2:
        return ()
    width = (kernel if projection is None else projection).shape[0]
    return _GATES.get(kernel.shape[1] / width, ())


def _check_recurrent(layer):
    if not isinstance(layer, keras.layers.RNN) or not layer.built:
        raise InputError(
            f"Argument `layer` must be a built recurrent layer (RNN, LSTM, GRU …), got {type(layer).__name__}: call it "
            "on its inputs first; of a model give one of its layers, of a Bidirectional one direction."
        )
    if any(takes_memory(cell) for cell in cells_within(layer.cell)):
        raise InputError(f"The cell of layer {layer.name!r} reads a memory with each call: its step has no fixed form.")

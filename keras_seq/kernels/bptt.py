"""Backpropagation through time by hand, over a whole sequence: the loops that run a kernel.

The sequence is read in chunks of K steps. In each, what concerns all steps at once (projections, gradients of weights)
is done in bulk, on arrays that fit the cache; the loop over its steps holds the rest, and may be compiled: then for K
steps, whatever T is.
"""

import functools

from keras import ops, tree

from keras_seq.backend import native
from keras_seq.backend.loop import in_reading_order, shown_output, where_rows
from keras_seq.kernels.kernel import wide


def run(
    kernel,
    inputs,
    states,
    weights,
    constants,
    *,
    compiled=False,
    by_hand=True,
    mask=None,
    go_backwards=False,
    zero_output_for_mask=False,
    return_sequences=True,
):
    """`(output, states)` of a kernel over `inputs` `(B, T, D)`, as `backend.loop.loop` gives them for the cell's step.

    Args:
        kernel: a `Kernel`, or what else `whole_sequence` knows.
        inputs: `(B, T, D)`.
        states: the states to start from.
        weights, constants: see `Kernel`.
        compiled: whether loops are compiled (on JAX they always are).
        by_hand: whether gradients are those written by hand: of first order on TensorFlow, in reverse mode on JAX. They
            cannot be written to a SavedModel, so without training they are left to autodiff.
        mask, go_backwards, zero_output_for_mask, return_sequences: as in `loop`.
    """
    x, keep = read = in_reading_order(inputs, mask, go_backwards)
    size = native.rows_to_compile_for(inputs) if compiled else None
    if size is not None:
        batch, dropout = ops.shape(inputs)[0], constants[kernel.mask_at]
        x, keep, states, dropout = _with_rows(size, (x, keep, states, dropout))
        constants = (*constants[: kernel.mask_at], dropout, *constants[kernel.mask_at + 1 :])
    arguments = (x, keep, states, weights, constants)
    outputs, states = whole_sequence(kernel, arguments, return_sequences, compiled, by_hand)
    if size is not None:
        outputs, states = tree.map_structure(lambda y: None if y is None else y[:batch], (outputs, states))
    output = outputs if return_sequences else states[0]
    return shown_output(output, *read, return_sequences, zero_output_for_mask), states


def _with_rows(size, nest):
    """Tensors with as many rows, the last ones zeros."""

    def padded(tensor):
        if tensor is None:
            return None
        batch, *rest = ops.shape(tensor)
        return ops.concatenate([tensor, ops.zeros((size - batch, *rest), tensor.dtype)])

    return tree.map_structure(padded, nest)


@functools.singledispatch
def whole_sequence(kernel, arguments, return_sequences, compiled, by_hand):
    """`(outputs, states)`: the outputs of all steps `(B, T, H)`, or None, and the last states.

    This is for a `Kernel`; one that is made of others, as `clockwork.py` is, registers its own way.
    `arguments` are `x`, `(B, T, D)` in the order of reading; `keep`, None or booleans `(B, T)`, false where the states
    stay; `states`, `weights` and `constants`.
    """
    chunks = native.Chunks(arguments[0])
    forward_pass, backward_pass = _passes(kernel, compiled, by_hand)

    def forward(arguments):
        x, keep, states, weights, constants = arguments

        def body(states, steps, chunk):
            projected = kernel.project(chunk[0], weights)
            last, after, saved = forward_pass(steps, projected, chunk[1], states, constants)
            return last, ((states, after, saved) if by_hand else (None, [after[0]], None))

        xs = chunks.split((x, keep))
        states, (first, after, saved) = chunks.loop(body, states, xs)
        outputs = None
        if return_sequences:
            outputs = chunks.join(after[0])
            after = [chunks.split(outputs), *after[1:]]  # what is returned need not be kept a second time
        return (outputs, states), (xs, first, after, saved)

    def backward(arguments, kept, d_results):
        _, _, _, weights, constants = arguments
        d_outputs, d_states = d_results

        def body(carry, steps, chunk):
            d_states, d_weights, d_constants = carry
            (x, keep), first, after, saved, d_outputs = chunk
            before = _shifted(first, after)
            d_states, d = backward_pass(steps, d_outputs, d_states, before, after, saved, keep, constants)
            dx, of_weights = kernel.unproject(d[0], x, weights)
            of_constants = kernel.sums(d, before, after, saved, constants)
            return (d_states, _added(d_weights, of_weights), _added(d_constants, of_constants)), dx

        carry = (d_states, _wide_zeros(weights), _wide_zeros(constants))
        xs = (*kept, chunks.split(d_outputs))
        (d_states, d_weights, d_constants), dx = chunks.loop(body, carry, xs, reverse=True)
        return chunks.join(dx), None, d_states, _as(weights, d_weights), _as(constants, d_constants)

    return native.with_gradient(forward, backward)(arguments) if by_hand else forward(arguments)[0]


@functools.cache
def _passes(kernel, compiled, by_hand):
    """The loops over the steps of a chunk, in both directions. One function for all layers: what is compiled for a
    shape serves them all."""

    def forward_pass(steps, projected, keep, states, constants):
        """`(states, after, saved)`: the last states, those after each step, and what the way back needs."""
        step = kernel.forward(constants)

        def body(states, x):
            projected, keep = x
            new, saved = step(projected, states)
            new = new if keep is None else where_rows(keep, new, states)
            return new, (new, saved if by_hand else None)

        last, (after, saved) = native.scan(body, states, (projected, keep), steps=steps)
        return last, after, saved

    def backward_pass(steps, d_outputs, d_states, before, after, saved, keep, constants):
        """`(d_states, d)`: the gradient of the states before the chunk, and the kernel's `d` of each step."""
        step = kernel.backward(constants)

        def body(d_states, x):
            d_output, before, after, saved, keep = x
            d_states = d_states if d_output is None else [d_states[0] + d_output, *d_states[1:]]
            d_before, d = step(d_states, before, after, saved)
            if keep is not None:
                d_before = where_rows(keep, d_before, d_states)
                d = where_rows(keep, d, _zeros_like(d))
            return d_before, d

        return native.scan(body, d_states, (d_outputs, before, after, saved, keep), reverse=True, steps=steps)

    return (
        (native.compiled(forward_pass), native.compiled(backward_pass)) if compiled else (forward_pass, backward_pass)
    )


def _shifted(first, after):
    """The states before each step, from those before the first and those after each."""
    return tree.map_structure(lambda f, a: ops.concatenate([ops.expand_dims(f, 0), a[:-1]]), first, after)


def _zeros_like(nest):
    return tree.map_structure(lambda x: None if x is None else ops.zeros_like(x), nest)


def _wide_zeros(nest):
    """What sums start from: over many steps a half precision would lose what is small."""
    return tree.map_structure(lambda x: None if x is None else ops.zeros_like(wide(x)), nest)


def _as(nest, gradients):
    """Gradients in the dtypes of what they are gradients of."""
    return tree.map_structure(lambda x, g: None if x is None else ops.cast(g, x.dtype), nest, gradients)


def _added(sums, terms):
    """Gradients so far, and those of one more chunk: None where there is none."""
    return tree.map_structure(lambda s, t: s if t is None else s + ops.cast(t, s.dtype), sums, terms)

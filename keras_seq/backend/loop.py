"""The loop over time: one meaning of masks and states for every cell and both backends.

At step t, with `keep[t]` the mask (B,) and `step(x[t], s[t-1]) = (y, s)`:

    s[t] = s       where keep[t], else s[t-1]
    y[t] = y       where keep[t], else y[t-1];   y[-1] = 0

so that each row ends as if its masked steps had been cut out, wherever they stand.
"""

import keras
from keras import ops, tree

from keras_seq.backend import native
from keras_seq.checks import fits


def loop(
    step,
    inputs,
    states,
    *,
    mask=None,
    go_backwards=False,
    unroll=False,
    zero_output_for_mask=False,
    return_sequences=True,
    return_trace=False,
    perturbation=None,
):
    """Run `step(inputs, states) -> (output, states)` over the second axis of `inputs`.

    Args:
        step: function of one step's inputs `(B, ...)` and the states before it.
        inputs: a nest of tensors `(B, T, ...)`; `T` may be 0.
        states: a nest of tensors `(B, ...)`. Structure and dtypes hold for all steps.
        mask: None, or booleans `(B, T)`, false where a step does not count.
        go_backwards: read the last step first. Outputs come in the order of reading.
        unroll: one copy of the step for each time step (`T` must be known) in place of a loop in the graph.
        zero_output_for_mask: with `return_sequences`, outputs of masked steps are zero.
        return_sequences: whether to keep the outputs of all steps.
        return_trace: whether to keep the states after each step.
        perturbation: None, or a nest like the states, of tensors `(B, T, ...)` in the order of reading. Then `step`
            is given the entry of its step as a third argument, and adds it to its new states. The gradient of a loss
            with respect to the entry at t, read at zero, is that with respect to the state after step t, as far as
            the step lets the loss see the state that it returns. The entry of a masked step has no effect.

    Returns:
        `(output, states)`: outputs `(B, T, ...)`, or `(B, ...)` of the last step; and the states after it. With
        `return_trace` a third: a nest like the states, of tensors `(B, T, ...)` in the order of reading.
    """
    inputs, mask = in_reading_order(inputs, mask, go_backwards)
    xs = (inputs,) if mask is None else (inputs, mask)
    xs = tree.map_structure(lambda x: ops.swapaxes(x, 0, 1), xs)
    if perturbation is not None:
        xs = (*xs, tree.map_structure(lambda p: ops.swapaxes(ops.convert_to_tensor(p), 0, 1), perturbation))

    def step_of(states, x):
        return step(x[0], states) if perturbation is None else step(x[0], states, x[-1])

    in_python = unroll or native.runs_eagerly() or tree.flatten(xs)[0].shape[0] == 0
    # The previous output is carried only where something asks for it: autodiff would store it at each step. Most cells
    # show one of their states, which is carried and held anyway.
    holds_output = mask is not None or not return_sequences
    spec, shown = _output_of(step_of, states, xs) if holds_output and not in_python else (None, None)
    carries_output = holds_output and shown is None

    def body(carry, x):
        output, new_states = step_of(carry[0], x)
        new_states = _in_form_of(carry[0], new_states)
        if mask is not None:
            new_states = where_rows(x[1], new_states, carry[0])
        emitted = output
        if shown is not None:
            emitted = tree.flatten(new_states)[shown]
        elif mask is not None:
            zeros = tree.map_structure(ops.zeros_like, output)
            held = where_rows(x[1], output, carry[1] if len(carry) == 2 else zeros)
            emitted = where_rows(x[1], output, zeros) if zero_output_for_mask else held
            output = held
        kept = ([emitted] if return_sequences else []) + ([new_states] if return_trace else [])
        return (new_states, output) if carries_output else (new_states,), kept

    if in_python:
        carry, kept = _python_scan(body, (states,), xs)
    else:
        carry, kept = native.scan(
            body, (states, _zeros(spec, step_of, states, xs)) if carries_output else (states,), xs
        )
    kept = tree.map_structure(lambda y: ops.swapaxes(y, 0, 1), kept)
    output = kept[0] if return_sequences else (carry[1] if carries_output else tree.flatten(carry[0])[shown])
    if shown is not None:
        output = shown_output(output, inputs, mask, return_sequences, zero_output_for_mask)
    return (output, carry[0], kept[-1]) if return_trace else (output, carry[0])


def in_reading_order(inputs, mask, go_backwards):
    """Inputs and mask (or None) with the step that is read first in front; inputs are zero at masked steps."""
    if mask is not None:
        mask = ops.cast(mask, "bool")
        # What stands at masked steps must not count, be it NaN: a gradient of zero times NaN would be NaN.
        inputs = tree.map_structure(lambda x: zero_where_masked(x, mask), inputs)
    inputs = tree.map_structure(ops.convert_to_tensor, inputs)
    if not go_backwards:
        return inputs, mask
    return tree.map_structure(lambda x: ops.flip(x, axis=1), inputs), None if mask is None else ops.flip(mask, axis=1)


def shown_output(state, inputs, mask, return_sequences, zero_output_for_mask):
    """The output of a cell that shows a state, from that state `(B, T, ...)` or `(B, ...)`: zero where there is none.

    `inputs` and `mask` are what `in_reading_order` gave.
    """
    written = _written(inputs, mask, return_sequences, zero_output_for_mask)
    return state if written is None else where_rows(written, state, ops.zeros_like(state))


def zero_where_masked(inputs, mask):
    """Inputs (B, T, ...) with zeros at the masked steps; integers and booleans as they are."""
    inputs = ops.convert_to_tensor(inputs)
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(inputs.dtype)):
        return inputs
    return where_rows(ops.cast(mask, "bool"), inputs, ops.zeros_like(inputs))


def _written(inputs, mask, return_sequences, zero_output_for_mask):
    """Where a state is the output; elsewhere, as before the first kept step, there is none, and it is zero.

    Booleans `(B, T)` or `(B,)`; without a mask, for all rows, `()`, or None if there is a step for certain.
    """
    if mask is None:
        first = tree.flatten(inputs)[0]
        return None if first.shape[1] else ops.convert_to_tensor(ops.shape(first)[1] > 0)
    if not return_sequences:
        return ops.any(mask, axis=1)
    return mask if zero_output_for_mask else seen(mask)


def seen(keep):
    """Booleans `(B, T)`: whether there was a kept step so far."""
    return ops.cumsum(ops.cast(keep, "int32"), axis=1) > 0


def _in_form_of(states, new_states):
    """New states with the structure and the dtypes of the old ones."""
    flat, new_flat = tree.flatten(states), tree.flatten(new_states)
    if len(flat) != len(new_flat):
        raise ValueError(
            f"A cell must return as many states as it is given: it was given {len(flat)} and returned {len(new_flat)}."
        )
    shapes = [[tuple(s.shape[1:]) for s in nest] for nest in (flat, new_flat)]
    if not all(map(fits, *shapes)):
        raise ValueError(
            "A cell must return states of the shapes that it is given (here without the batch): it was given "
            f"{shapes[0]} and returned {shapes[1]}."
        )
    return tree.pack_sequence_as(states, [ops.cast(new, old.dtype) for old, new in zip(flat, new_flat, strict=True)])


def where_rows(keep, new, old):
    """`new` where `keep`, else `old`, for each pair of tensors of two nests; `keep` has their first axes."""

    def select(n, o):
        condition = keep
        for _ in range(len(n.shape) - len(keep.shape)):
            condition = ops.expand_dims(condition, -1)
        return ops.where(condition, n, o)

    return tree.map_structure(select, new, old)


def shown_state(output, states, new_states):
    """Which of the flat states the output of a step is: the very tensor, which is carried as it is. Else None."""
    pairs = enumerate(zip(tree.flatten(states), tree.flatten(new_states), strict=False))
    return next((i for i, (old, new) in pairs if new is output and new.dtype == old.dtype), None)


def _output_of(step_of, states, xs):
    """What the step's output is, without running it: its form, and which of the states it is, if it is one."""
    shown = None

    def traced(states, x):
        nonlocal shown
        output, new_states = step_of(states, x)
        shown = shown_state(output, states, new_states)
        return output

    return native.spec_of(traced, states, tree.map_structure(native.spec_of_step, xs)), shown


def _zeros(spec, step_of, states, xs):
    """Zeros in the form of an output: what a sequence starts from."""
    if any(None in y.shape[1:] for y in tree.flatten(spec)):  # a size that only a step knows
        output, _ = step_of(states, tree.map_structure(lambda x: ops.zeros(ops.shape(x)[1:], x.dtype), xs))
        return tree.map_structure(ops.zeros_like, output)
    batch = ops.shape(tree.flatten(xs)[0])[1]
    return tree.map_structure(lambda y: ops.zeros((batch, *y.shape[1:]), y.dtype), spec)


def _python_scan(body, carry, xs):
    """The contract of `native.scan`, by a loop in Python."""
    steps = tree.flatten(xs)[0].shape[0]
    if steps == 0:
        return _python_scan_of_nothing(body, carry, xs)
    ys = []
    for time in range(steps):
        carry, y = body(carry, tree.map_structure(lambda x, time=time: x[time], xs))
        ys.append(y)
    return carry, tree.map_structure(lambda *y: ops.stack(y), *ys)


def _python_scan_of_nothing(body, carry, xs):
    """No step at all: the first states, and zeros in the form of the outputs, which one step on zeros shows."""
    (_, *output), y = body(carry, tree.map_structure(lambda x: ops.zeros(ops.shape(x)[1:], x.dtype), xs))
    output = tree.map_structure(ops.zeros_like, output)
    return (carry[0], *output), tree.map_structure(lambda y: ops.zeros((0, *ops.shape(y)), y.dtype), y)

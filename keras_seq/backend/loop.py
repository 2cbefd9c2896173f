"""The loop over time: one meaning of masks and states for every cell and both backends.

At step t, with `keep[t]` the mask (B,) and `step(x[t], s[t-1]) = (y, s)`:

    s[t] = s       where keep[t], else s[t-1]
    y[t] = y       where keep[t], else y[t-1];   y[-1] = 0

so that each row ends as if its masked steps had been cut out, wherever they stand.
"""

from keras import ops, tree

from keras_seq.backend import native


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

    Returns:
        `(output, states)`: outputs `(B, T, ...)`, or `(B, ...)` of the last step; and the states after it.
    """
    xs = (inputs,) if mask is None else (inputs, ops.cast(mask, "bool"))
    xs = tree.map_structure(lambda x: ops.swapaxes(ops.convert_to_tensor(x), 0, 1), xs)
    if go_backwards:
        xs = tree.map_structure(lambda x: ops.flip(x, axis=0), xs)
    # The previous output is carried only where something asks for it: autodiff would store it at each step.
    carries_output = mask is not None or not return_sequences

    def body(carry, x):
        states = carry[0]
        output, new_states = step(x[0], states)
        new_states = _in_form_of(states, new_states)
        emitted = output
        if mask is not None:
            new_states = _where(x[1], new_states, states)
            zeros = tree.map_structure(ops.zeros_like, output)
            held = _where(x[1], output, carry[1] if len(carry) == 2 else zeros)
            emitted = _where(x[1], output, zeros) if zero_output_for_mask else held
            output = held
        carry = (new_states, output) if carries_output else (new_states,)
        return carry, (emitted,) if return_sequences else ()

    if unroll or native.runs_eagerly() or tree.flatten(xs)[0].shape[0] == 0:
        carry, outputs = _python_scan(body, (states,), xs)
    else:
        carry = (states, _zero_output(step, xs[0], states)) if carries_output else (states,)
        carry, outputs = native.scan(body, carry, xs)
    if not return_sequences:
        return carry[1], carry[0]
    return tree.map_structure(lambda y: ops.swapaxes(y, 0, 1), outputs[0]), carry[0]


def _in_form_of(states, new_states):
    """New states with the structure and the dtypes of the old ones."""
    flat, new_flat = tree.flatten(states), tree.flatten(new_states)
    if len(flat) != len(new_flat):
        raise ValueError(
            f"A cell must return as many states as it is given: it was given {len(flat)} and returned {len(new_flat)}."
        )
    return tree.pack_sequence_as(states, [ops.cast(new, old.dtype) for old, new in zip(flat, new_flat, strict=True)])


def _where(keep, new, old):
    """`new` where `keep` (B,), else `old`, for each pair of tensors (B, ...) of two nests."""

    def select(n, o):
        return ops.where(ops.reshape(keep, (-1, *[1] * (len(n.shape) - 1))), n, o)

    return tree.map_structure(select, new, old)


def _zero_output(step, inputs, states):
    """Zeros in the form of the step's output: what a sequence starts from."""
    first = tree.map_structure(lambda x: ops.zeros((ops.shape(x)[1], *x.shape[2:]), x.dtype), inputs)
    output, _ = native.spec_of(step, first, states)
    batch = ops.shape(tree.flatten(inputs)[0])[1]
    return tree.map_structure(lambda y: ops.zeros((batch, *y.shape[1:]), y.dtype), output)


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
    (_, *output), y = body(carry, tree.map_structure(lambda x: ops.zeros(x.shape[1:], x.dtype), xs))
    output = tree.map_structure(ops.zeros_like, output)
    return (carry[0], *output), tree.map_structure(lambda y: ops.zeros((0, *y.shape), y.dtype), y)

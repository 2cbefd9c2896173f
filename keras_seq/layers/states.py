"""States of a recurrent layer: those that it starts from, their shapes, and what is wrong with those it is given."""

import keras
from keras import ops, tree

from keras_seq.backend.loop import where_rows
from keras_seq.cells.base import zero_states
from keras_seq.checks import fits


def initial_states(cell, batch_size):
    """The states that a sequence starts from: the cell's own, in a list; zeros if it says none."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
        return list(states) if tree.is_nested(states) else [states]
    return zero_states(cell.state_size, batch_size, getattr(cell, "compute_dtype", None) or keras.config.floatx())


def in_form_of(template, states):
    """States in the structure and the dtypes of a template."""
    pairs = zip(tree.flatten(states), tree.flatten(template), strict=True)
    cast = [ops.cast(ops.convert_to_tensor(state), wanted.dtype) for state, wanted in pairs]
    return tree.pack_sequence_as(template, cast)


def _alike(states, template):
    """Whether states are nested as a template is, lists and tuples alike, or are a flat list of its tensors."""
    flat = isinstance(states, (list, tuple)) and not any(map(tree.is_nested, states))
    return flat or not tree.is_nested(states) or _form(states) == _form(template)


def _form(nest):
    """How tensors are nested, in words of lists and dicts, with a dot for each tensor."""
    if isinstance(nest, dict):
        return {key: _form(value) for key, value in nest.items()}
    return [_form(value) for value in nest] if isinstance(nest, (list, tuple)) else "·"


def check_states(name, states, template, lead):
    """Raise unless `states` are tensors like those of `template` (1, ...), with the axes `lead` in place of the first.

    Args:
        name: what to call the argument in the message.
        states: a nest of tensors, or None.
        template: a nest of tensors.
        lead: sizes of the leading axes, None where unknown.
    """
    if states is None:
        return
    if not _alike(states, template):
        raise ValueError(f"{name} must be a nest like {_form(template)}, or a flat list, got {_form(states)}.")
    wanted = [(*lead, *s.shape[1:]) for s in tree.flatten(template)]
    given = [tuple(getattr(s, "shape", ())) for s in tree.flatten(states)]
    if len(given) != len(wanted) or not all(map(fits, given, wanted)):
        raise ValueError(
            f"{name} must be {len(wanted)} tensor(s) of shapes {wanted}, in a nest like the cell's "
            f"`get_initial_state`, got {len(given)} of shapes {given}."
        )


def resetting(step, start, go_backwards):
    """A step that starts anew, from the states `start`, where its input says so.

    Its inputs are `(x, begins)`, its states `(states, pending)`: `begins` and `pending` are booleans `(B,)`.
    """

    def resetting_step(inputs, states, perturbation=None):
        x, begins = inputs
        states, pending = states
        states = where_rows(pending if go_backwards else begins, start, states)
        output, new_states = step(x, states) if perturbation is None else step(x, states, perturbation)
        return output, (new_states, begins)

    return resetting_step


def begun(reset_mask, mask):
    """Booleans `(B,)`: whether the first kept step `(B, T)` begins a sequence, where reading backwards ends."""
    begins = ops.cast(reset_mask, "bool")
    keep = ops.ones_like(begins) if mask is None else ops.cast(mask, "bool")
    first = ops.logical_and(keep, ops.cumsum(ops.cast(keep, "int32"), axis=1) == 1)
    return ops.any(ops.logical_and(begins, first), axis=1)


def map_shapes(function, shapes):
    """`function` of each shape, a tuple of sizes, in a nest of shapes."""
    if isinstance(shapes, dict):
        return {key: map_shapes(function, value) for key, value in shapes.items()}
    if isinstance(shapes, (list, tuple)) and not all(size is None or isinstance(size, int) for size in shapes):
        return [map_shapes(function, value) for value in shapes]
    return function(tuple(shapes))


def all_shapes(shapes):
    """The shapes in a nest of shapes, in a list."""
    found = []
    map_shapes(found.append, shapes)
    return found

"""What all decoders share: the step that they are given, the limits of the rows, and what they return.

    logits[t], s[t] = step(y[t-1], s[t-1]);   y[-1] = start, s[-1] = state
    log p(y)        = sum over t of  log softmax(logits[t])[y[t]]

A row ends with its end token, or where its limit is.
"""

import numbers
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from keras_seq.backend import native
from keras_seq.checks import fits, natural_number

NOTHING = -1  # stands where no token has been written, and for an end token that never comes


class Decoded(NamedTuple):
    """What a decoder returns: `L` is `max_length`; with beams, axis `n` follows the batch, the best in front.

    Attributes:
        tokens: int32 `(B, L)` or `(B, n, L)`: the tokens, the end token among them, and `pad` behind the last.
        lengths: int32 `(B,)` or `(B, n)`: how many they are; the end token counts.
        scores: float32 `(B,)` or `(B, n)`: their log-probability, which `beam_search` divides by a penalty.
    """

    tokens: Any
    lengths: Any
    scores: Any


class Step:
    """A user's step as a function of a flat list of states, which checks what it returns."""

    def __init__(self, step, state, end):
        self.step, self.state, self.end = step, state, end

    def __call__(self, tokens, leaves):
        """Logits `(rows, V)` in float32, and the new leaves."""
        state = tree.pack_sequence_as(self.state, leaves)
        returned = self.step(tokens, state)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise ValueError(f"Argument `step` must return a pair (logits, state), got {type(returned).__name__}.")
        logits, new_state = ops.convert_to_tensor(returned[0]), returned[1]
        self._check(logits, tokens)
        try:
            tree.assert_same_structure(state, new_state)
            new_state = tree.map_structure(ops.convert_to_tensor, new_state)
            same = _forms_fit(tree.flatten(new_state), leaves)
        except (TypeError, ValueError):
            same = False
        if not same:
            raise ValueError(
                "Argument `step` must return a state of the structure, shapes and dtypes that it is given: it was "
                f"given {_described(state)} and returned {_described(new_state)}."
            )
        new_leaves = map(_with_rows_of, tree.flatten(new_state), leaves)
        return ops.cast(_with_rows_of(logits, tokens), "float32"), list(new_leaves)

    def _check(self, logits, tokens):
        shape = tuple(logits.shape)
        if len(shape) != 2 or shape[1] is None or not fits(shape[:1], tokens.shape):
            raise ValueError(
                "Argument `step` must return logits (B, V), a row for each token that it is given and V known: it was "
                f"given tokens of shape {tuple(tokens.shape)} and returned logits of shape {shape}."
            )
        if not keras.backend.is_float_dtype(_dtype(logits)):
            raise ValueError(f"Argument `step` must return logits of floats, got {_dtype(logits)}.")
        if self.end >= shape[1]:
            raise ValueError(
                f"Argument `end` must be below the number of tokens that `step` scores, {shape[1]}, got {self.end}: "
                "for a sequence without an end token give None."
            )


def one_token_at_a_time(choose, step, tokens, leaves, limits, max_length, pad):
    """Decode by `choose(t, logits) -> (tokens, log-probabilities)`, `(B,)` both: one hypothesis for each row."""
    places = ops.arange(max_length, dtype="int32")

    def body(t, tokens, leaves, history, scores, running):
        logits, leaves = step(tokens, leaves)
        tokens, gains = choose(t, logits)
        history = ops.where(running[:, None] & (places == t), tokens[:, None], history)
        scores = ops.where(running, scores + gains, scores)
        return t + 1, tokens, leaves, history, scores, running & (tokens != step.end) & (t + 1 < limits)

    batch = ops.shape(tokens)[0]
    history = ops.full((batch, max_length), NOTHING, "int32")
    first = (ops.zeros((), "int32"), tokens, leaves, history, ops.zeros((batch,), "float32"), limits > 0)
    *_, history, scores, _ = ops.while_loop(lambda *carry: ops.any(carry[-1]), body, first)
    return decoded(history, scores, pad)


def checked(step, start, state, end, max_length, limits, pad):
    """The arguments of every decoder as it needs them: a `Step`, tokens, flat states, limits `(B,)` from 0 to L."""
    if not callable(step):
        raise ValueError(f"Argument `step` must be a function step(tokens, state) -> (logits, state), got {step!r}.")
    natural_number("max_length", max_length)
    end = NOTHING if end is None else natural_number("end", end)
    if isinstance(pad, bool) or not isinstance(pad, numbers.Integral):
        raise ValueError(f"Argument `pad` must be an integer, got {pad!r}.")
    start = ops.convert_to_tensor(start)
    if len(start.shape) != 1 or not _is_integer(start):
        raise ValueError(
            "Argument `start` must hold one integer for each row, of shape (B,), got shape "
            f"{tuple(start.shape)} and dtype {_dtype(start)}."
        )
    start = ops.cast(start, "int32")
    if any(leaf is None for leaf in tree.flatten(state)):
        raise ValueError(f"Argument `state` must hold tensors only, got {_described(state)}: leave None out.")
    state = tree.map_structure(ops.convert_to_tensor, state)
    leaves = tree.flatten(state)
    if not all(fits(leaf.shape[:1], start.shape) for leaf in leaves):
        raise ValueError(
            f"Argument `state` must hold tensors (B, ...) with a row for each of the {start.shape[0]} tokens of "
            f"`start`, got {_described(state)}."
        )
    return Step(step, state, end), start, leaves, _within(max_length, limits, start)


def _within(max_length, limits, start):
    """Limits `(B,)` of the rows, from 0 to `max_length`."""
    if limits is None or isinstance(limits, numbers.Integral):
        limits = max_length if limits is None else min(max_length, natural_number("limits", limits))
    limits = ops.convert_to_tensor(limits)
    if not _is_integer(limits) or len(limits.shape) > 1 or not fits(limits.shape, start.shape[: len(limits.shape)]):
        raise ValueError(
            f"Argument `limits` must be an integer or hold one for each row, of shape (B,) = {tuple(start.shape)}, got "
            f"shape {tuple(limits.shape)} and dtype {_dtype(limits)}."
        )
    limits = ops.minimum(limits, ops.convert_to_tensor(max_length, "int32"))  # in the wider of the two dtypes
    return ops.broadcast_to(ops.maximum(ops.cast(limits, "int32"), 0), ops.shape(start))


def decoded(history, scores, pad):
    """What is returned, from tokens `(..., L)` with `NOTHING` behind the last."""
    written = history != NOTHING
    lengths = ops.cast(ops.sum(written, axis=-1), "int32")
    return Decoded(ops.where(written, history, int(pad)), lengths, scores)


def _with_rows_of(tensor, like):
    """The tensor with a known number of rows, if `like` has one: what goes round a loop must not lose it."""
    return native.with_batch_size(tensor, like.shape[0]) if tensor.shape[0] is None else tensor


def _forms_fit(new, old):
    pairs = zip(new, old, strict=True)
    return all(fits(a.shape, b.shape) and _dtype(a) == _dtype(b) for a, b in pairs)


def _described(nest):
    """A nest with the dtype and shape of each leaf in its place, in a message."""

    def describe(leaf):
        return f"{_dtype(leaf)}{tuple(leaf.shape)}" if hasattr(leaf, "shape") else repr(leaf)

    return str(tree.map_structure(describe, nest)).replace("'", "")


def _dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def _is_integer(tensor):
    return "int" in _dtype(tensor)

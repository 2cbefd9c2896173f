"""Beam search (Graves, 2012, "Sequence Transduction with Recurrent Neural Networks"), by Wu et al. (2016, eq. 14).

    score(y) = log p(y) / penalty(|y|),   penalty(n) = ((5 + n) / 6) ** length_penalty

At each step, of all continuations of the `K` live hypotheses of a row, in the order of log p:

- those among the best `K` that end are finished: the best `n_best` by score are kept, and never change;
- the best `K` of those that do not end live on.

The greedy hypothesis comes first in this order, as long as it lives: so no result is worse than greedy decoding. A row
stops where no live hypothesis can come to a better score than the finished ones: log p falls with each token, so its
bound is log p / penalty(n) at the most favourable length n that is left.
"""

import numbers

import numpy as np
from keras import ops, tree

from keras_seq.backend import native
from keras_seq.checks import positive_integer
from keras_seq.decoding.logits import largest, log_probabilities
from keras_seq.decoding.loop import NOTHING, checked, decoded

INF = float("inf")


def beam_search(
    step,
    start,
    state,
    *,
    end,
    max_length,
    limits=None,
    pad=0,
    width=4,
    length_penalty=0.0,
    n_best=1,
):
    """The best hypotheses of a search that follows `width` of them at a time.

    A hypothesis that has no end token at the limit of its row counts as it is. With `width=1` the result is that of
    `greedy`, and with any width its score is at least as good.

    Args:
        step, start, state, end, max_length, limits, pad: as those of `greedy`, `start` and `state` with `B` rows. But
            `step` is called with `B * width` rows, those of a row of the batch side by side, and what else it reads,
            as an encoder's outputs, must have as many: see `tile_beams`. It may be called with hypotheses that do
            not count.
        width: `K`, the number of live hypotheses; it may be larger than the vocabulary.
        length_penalty: exponent of the penalty: above 0 for longer results, below 0 for shorter ones.
        n_best: `n`, the number of hypotheses returned for each row; at most `width`.

    Returns:
        `Decoded(tokens, lengths, scores)` of shapes `(B, n, L)`, `(B, n)`, `(B, n)`, the best in front; scores are
        log-probabilities, in float32, divided by the penalty. Where fewer hypotheses were found (none has probability
        0), the rest has score -inf and length 0. A row whose limit is 0 has one hypothesis, of length and score 0.

    Raises:
        ValueError: a wrong argument, or a step that returns something else.

    Example:

    >>> logits = np.log([[0.1, 0.5, 0.4], [0.4, 0.3, 0.3], [0.01, 0.01, 0.98]]).astype("float32")
    >>> step = lambda tokens, state: (keras.ops.take(logits, tokens, axis=0), state)
    >>> decoded = ks.decoding.beam_search(step, np.array([0]), [], end=None, max_length=2, width=2, n_best=2)
    >>> np.asarray(decoded.tokens).tolist(), [f"{score:.3f}" for score in np.exp(decoded.scores[0])]
    ([[[2, 2], [1, 0]]], ['0.392', '0.200'])
    """
    width, n_best = positive_integer("width", width), positive_integer("n_best", n_best)
    if n_best > width:
        raise ValueError(f"Argument `n_best` must be at most `width`, {width}, got {n_best}.")
    step, start, leaves, limits = checked(step, start, state, end, max_length, limits, pad)
    penalty = penalties(length_penalty, max_length)
    batch = ops.shape(start)[0]
    limits = limits[:, None]
    reach = native.gather(penalty, limits) if length_penalty > 0 else None
    first_of_row = width * ops.arange(batch, dtype="int32")[:, None]
    of_finished = ops.broadcast_to(width + ops.arange(n_best, dtype="int32"), (batch, n_best))
    no_tokens = ops.full((batch, n_best), NOTHING, "int32")
    positions = ops.arange(max_length, dtype="int32")

    def body(t, tokens, leaves, live, greedy, finished, history, running):
        logits, leaves = step(tokens, leaves)

        # Candidates, the best in front. No more than 2 K of one hypothesis are among the best 2 K of all.
        each = min(2 * width, logits.shape[1])
        values, ids = largest(logits, each)
        # (A slice of the values would keep XLA from finding the `top_k` in its graph: it would sort all.)
        gains = log_probabilities(values, logits, ops.max(values, axis=1, keepdims=True))
        totals = ops.reshape(ops.reshape(live, (-1, 1)) + gains, (-1, width * each))
        of_greedy = totals[:, :1]
        greedy = greedy & (of_greedy > -INF)
        ranks, order = ops.top_k(_with_first(totals, INF, greedy), min(2 * width, width * each))
        totals = _with_first(ranks, of_greedy, greedy)
        parents, tokens = order // each, native.gather(ops.reshape(ids, (-1, width * each)), order, rows=True)
        ends = (tokens == step.end) | (t + 1 >= limits)

        # Those that are finished, with those before, and those that live on.
        offered = totals[:, :width] / native.gather(penalty, t + 1)
        offered = ops.where(ends[:, :width] & running, offered, -INF)
        finished, best = ops.top_k(ops.concatenate([finished, offered], axis=1), n_best)
        ranks, kept = ops.top_k(ops.where(ends, -INF, ranks), width)
        greedy = greedy & ~ends[:, :1]
        live = _with_first(ranks, of_greedy, greedy)

        # All that is known of them moves to where they are now: live ones first, then finished ones.
        chosen = ops.concatenate([n_best + kept, best], axis=1)
        sources = native.gather(ops.concatenate([of_finished, parents], axis=1), chosen, rows=True)
        tokens = native.gather(ops.concatenate([no_tokens, tokens], axis=1), chosen, rows=True)
        history = ops.where(positions == t, tokens[:, :, None], native.gather(history, sources, rows=True))
        moved = ops.reshape(first_of_row + sources[:, :width], (-1,))
        leaves = [native.gather(leaf, moved) for leaf in leaves]

        bound = ops.max(live, axis=1, keepdims=True) / (native.gather(penalty, t + 2) if reach is None else reach)
        running = running & (t + 1 < limits) & (bound > ops.min(finished, axis=1, keepdims=True))
        return t + 1, ops.reshape(tokens[:, :width], (-1,)), leaves, live, greedy, finished, history, running

    running = limits > 0
    alone = ops.arange(width, dtype="int32") == 0  # the first step has one hypothesis
    live = ops.broadcast_to(ops.where(alone, 0.0, -INF), (batch, width))
    empty = ~running & (ops.arange(n_best, dtype="int32") == 0)
    finished = ops.where(empty, 0.0, -INF)
    history = ops.full((batch, width + n_best, max_length), NOTHING, "int32")
    tokens, leaves = tile_beams((start, leaves), width)
    greedy = ops.ones((batch, 1), "bool")
    first = (ops.zeros((), "int32"), tokens, leaves, live, greedy, finished, history, running)
    *_, finished, history, _ = ops.while_loop(lambda *carry: ops.any(carry[-1]), body, first)
    return decoded(ops.where(finished[:, :, None] > -INF, history[:, width:], NOTHING), finished, pad)


def tile_beams(nest, width):
    """Each row of each tensor `width` times: `(B, ...)` becomes `(B * width, ...)`.

    For what a step reads and never changes; the state that `beam_search` is given it tiles itself.

    Example:

    >>> np.asarray(ks.decoding.tile_beams(np.array([3, 5]), 2)).tolist()
    [3, 3, 5, 5]
    """
    width = positive_integer("width", width)

    def tile(x):
        x = ops.convert_to_tensor(x)
        if not len(x.shape):
            raise ValueError(f"Argument `nest` must hold tensors (B, ...), got a scalar, {x}.")
        rows, *sizes = ops.shape(x)
        return ops.reshape(ops.broadcast_to(x[:, None], (rows, width, *sizes)), (rows * width, *sizes))

    return tree.map_structure(tile, nest)


def _with_first(x, value, where):
    """`x` `(B, N)` with another value in its first column, in the rows of `where` `(B, 1)`."""
    return ops.where(where & (ops.arange(x.shape[1], dtype="int32") == 0), value, x)


def penalties(length_penalty, max_length):
    """The penalty of each length to one beyond `max_length`, in float32."""
    if isinstance(length_penalty, bool) or not isinstance(length_penalty, numbers.Real):
        raise ValueError(f"Argument `length_penalty` must be a finite number, got {length_penalty!r}.")
    with np.errstate(over="ignore", under="ignore"):
        values = (((5 + np.arange(max_length + 2)) / 6) ** length_penalty).astype("float32")
    if not np.all(np.isfinite(values) & (values >= np.finfo("float32").tiny)):
        raise ValueError(
            f"Argument `length_penalty` must be finite and so small that the penalty of {max_length} tokens, "
            f"((5 + {max_length}) / 6) ** length_penalty, fits into float32, got {length_penalty!r}."
        )
    return ops.convert_to_tensor(values)

"""One hypothesis for each row: the likeliest token at each step, or a token drawn at random.

Drawn, with z the logits, from softmax(z / temperature), of which are kept

- with `top_k` the k likeliest tokens (Fan et al., 2018, "Hierarchical Neural Story Generation", section 3.3);
- with `top_p`, of what is left, the fewest tokens whose probability reaches p (Holtzman et al., 2020, "The Curious Case
  of Neural Text Degeneration", eq. 2 and 3).

The token is the first whose cumulative probability exceeds u, which is uniform in [0, 1).
"""

import keras
from keras import ops

from keras_seq.backend import native
from keras_seq.checks import positive_integer, positive_number
from keras_seq.decoding.logits import finite, largest, log_probabilities
from keras_seq.decoding.loop import checked, one_token_at_a_time


def greedy(step, start, state, *, end, max_length, limits=None, pad=0):
    """The likeliest token at each step, the first of them where several are.

    Args:
        step: function `step(tokens, state) -> (logits, state)` of the last tokens `(B,)`, int32, and a nest of tensors
            `(B, ...)`. It returns logits `(B, V)`, which may be -inf, and a state of the same structure, shapes and
            dtypes. It is traced once, so it must not update variables, and it is run for rows that have ended, too,
            while others go on.
        start: integers `(B,)`: the tokens of the first step. They are not among those returned.
        state: the first state, a nest of tensors `(B, ...)`; `[]` for none.
        end: the token that ends a row, or None.
        max_length: `L`, the most tokens for any row; an integer, 0 or more.
        limits: the most tokens for each row, an integer or integers `(B,)`; cut to between 0 and `max_length`, which is
            the default. A tensor can change without new tracing.
        pad: what stands behind the last token of a row.

    Returns:
        `Decoded(tokens, lengths, scores)` of shapes `(B, L)`, `(B,)`, `(B,)`; scores are log-probabilities, in float32.
        A row whose limit is 0 has length and score 0.

    Raises:
        ValueError: a wrong argument, or a step that returns something else.

    Example:

    >>> logits = np.log([[0.1, 0.6, 0.3], [0.5, 0.1, 0.4], [0.2, 0.2, 0.6]]).astype("float32")  # row: the last token
    >>> step = lambda tokens, state: (keras.ops.take(logits, tokens, axis=0), state)
    >>> decoded = ks.decoding.greedy(step, np.array([0, 2]), [], end=2, max_length=4, pad=9)
    >>> np.asarray(decoded.tokens).tolist(), np.asarray(decoded.lengths).tolist()
    ([[1, 0, 1, 0], [2, 9, 9, 9]], [4, 1])
    >>> [f"{score:.2f}" for score in np.exp(decoded.scores)]
    ['0.09', '0.60']
    """
    step, *rows = checked(step, start, state, end, max_length, limits, pad)

    def choose(_, logits):
        highest, tokens = largest(logits, 1)
        return tokens[:, 0], log_probabilities(highest, logits, highest)[:, 0]

    return one_token_at_a_time(choose, step, *rows, max_length, pad)


def sample(
    step,
    start,
    state,
    *,
    end,
    max_length,
    limits=None,
    pad=0,
    temperature=1.0,
    top_k=None,
    top_p=None,
    seed=None,
):
    """A token drawn at random at each step. A token of probability 0 is never drawn.

    Args:
        step, start, state, end, max_length, limits, pad: as those of `greedy`.
        temperature: what logits are divided by: above 1 for more variety, below 1 for less.
        top_k: None, or the number of tokens, the likeliest, that are drawn from.
        top_p: None, or a number above 0 and at most 1: only the fewest tokens, the likeliest, whose probability reaches
            it are drawn from. `top_k` is applied first. Without `top_k` the whole vocabulary is sorted at each step,
            which is slow.
        seed: an integer (the same tokens in each call), a `keras.random.SeedGenerator`, or None, as in Keras.

    Returns:
        `Decoded(tokens, lengths, scores)` as that of `greedy`; scores are log-probabilities under softmax(logits),
        before temperature, `top_k` and `top_p`.

    Raises:
        ValueError: a wrong argument, or a step that returns something else.

    Example:

    >>> logits = np.array([[0.0, 1.0], [-np.inf, 0.0]])  # nothing but 1 comes after 1
    >>> step = lambda tokens, state: (keras.ops.take(logits, tokens, axis=0), state)
    >>> decoded = ks.decoding.sample(step, np.zeros(5, int), [], end=None, max_length=3, seed=0)
    >>> bool(np.all(np.diff(decoded.tokens) >= 0))
    True
    """
    how = {"end": end, "max_length": max_length, "limits": limits, "pad": pad}
    how |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    return sample_by(lambda shape: keras.random.uniform(shape, dtype="float32", seed=seed), step, start, state, **how)


def sample_by(uniform, step, start, state, *, end, max_length, limits=None, pad=0, temperature, top_k, top_p):
    """`sample` with numbers that the function `uniform(shape)` draws, float32 in [0, 1)."""
    temperature = positive_number("temperature", temperature)
    temperature = min(max(temperature, 1e-30), 1e30)  # as a float32 beyond these it could be 0 or inf
    top_k = None if top_k is None else positive_integer("top_k", top_k)
    top_p = 1.0 if top_p is None else positive_number("top_p", top_p)
    if top_p > 1:
        raise ValueError(f"Argument `top_p` must be at most 1, got {top_p!r}.")
    step, tokens, *rows = checked(step, start, state, end, max_length, limits, pad)
    # Drawn here, because a seed that a loop's body updates would keep a tracer on JAX.
    numbers = uniform((max(1, max_length), ops.shape(tokens)[0]))

    def choose(t, logits):
        size = logits.shape[1]
        if top_k is None and top_p == 1:
            kept, ids, highest = logits, None, ops.max(logits, axis=1, keepdims=True)
        else:
            kept, ids = largest(logits, min(top_k or size, size))
            highest = ops.max(kept, axis=1, keepdims=True)
        place = _drawn(ops.exp((kept - finite(highest)) / temperature), native.gather(numbers, t), top_p)
        gains = log_probabilities(native.gather(kept, place, rows=True), logits, highest)
        return (place if ids is None else native.gather(ids, place, rows=True))[:, 0], gains[:, 0]

    return one_token_at_a_time(choose, step, tokens, *rows, max_length, pad)


def _drawn(shares, uniform, top_p):
    """Places `(B, 1)` drawn with probabilities in proportion to `shares` `(B, N)`; with `top_p` < 1 these must fall."""
    mass = ops.cumsum(shares, axis=1)
    # Where a sum rounds, it may step up at a share of 0 (and parallel sums do): such a place is never possible.
    possible = shares > 0
    if top_p < 1:
        possible = possible & (mass - shares < top_p * mass[:, -1:])
    total = ops.max(ops.where(possible, mass, 0.0), axis=1, keepdims=True)
    reached = possible & (mass > uniform[:, None] * total)
    size = shares.shape[1]
    first = ops.min(ops.where(reached, ops.arange(size, dtype="int32"), size), axis=1, keepdims=True)
    return first % size  # the first place of all where nothing is possible

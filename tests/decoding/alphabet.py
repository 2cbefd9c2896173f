"""A stub without a model, and what decoders must make of it: NumPy, float64, one row and one hypothesis at a time.

The logits of a row depend on all tokens so far, the start among them, by way of a number that the state carries.
"""

import functools

import keras
import numpy as np
from keras import ops

import keras_seq as ks

P = 101  # so many different distributions has a row
PAD = -5


class Alphabet:
    """Random logits `(B, P, V)`, each forbidden (-inf) with a probability."""

    def __init__(self, rng, rows, size, forbidden=0.0):
        # Flat ones and peaked ones: where the latter come late, a search loses the greedy hypothesis on its way.
        self.table = rng.choice([0.5, 5.0], size=(rows, P, 1)) * rng.normal(size=(rows, P, size))
        self.table[rng.random(self.table.shape) < forbidden] = -np.inf
        self.start = rng.integers(0, size, rows)
        self.rows, self.size = rows, size

    def tensors(self):
        return self.table.astype("float32"), self.start.astype("int32")

    def log_probabilities(self, row, prefix):
        """Of each token after those of `prefix`."""
        h = 0
        for token in (self.start[row], *prefix):
            h = next_hash(h, token)
        return log_softmax(self.table[row, h])

    def score(self, row, tokens):
        """The log-probability of a hypothesis."""
        return sum(self.log_probabilities(row, tokens[:i])[token] for i, token in enumerate(tokens))


def next_hash(h, token):
    return (31 * h + token + 7) % P


def log_softmax(logits):
    if np.all(logits == -np.inf):
        return logits
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def step_of(table):
    """The step that reads a table `(rows, P, V)`; its state is the hash of all tokens that it was given, `(B,)`."""
    rows, _, size = ops.shape(table)
    flat = ops.reshape(table, (-1, size))

    def step(tokens, state):
        h = next_hash(state["hash"], tokens)
        return ops.take(flat, h + P * ops.arange(rows, dtype="int32"), axis=0), {"hash": h}

    return step


def first_state(rows):
    return {"hash": ops.zeros((rows,), "int32")}


# --- what is expected ---


def penalty(length, exponent):
    return ((5 + length) / 6) ** exponent


def greedy(alphabet, row, end, limit):
    tokens = ()
    while len(tokens) < limit and end not in tokens:
        tokens += (int(np.argmax(alphabet.log_probabilities(row, tokens))),)
    return tokens


def every_hypothesis(alphabet, row, end, limit, exponent):
    """All that end, or are as long as the limit, as `(score, tokens)`, the best in front."""
    found, begun = [], [()]
    while begun:
        tokens = begun.pop()
        if len(tokens) == limit or end in tokens:
            found.append((alphabet.score(row, tokens) / penalty(len(tokens), exponent), tokens))
        else:
            begun += [(*tokens, token) for token in range(alphabet.size)]
    return sorted((one for one in found if one[0] > -np.inf), reverse=True)


def beam_search(alphabet, row, end, limit, width, exponent, n_best, keeps_greedy=True, stops=True):
    """`(score, tokens)` of what a search finds, the best in front, and the number of its steps."""
    if limit == 0:
        return [(0.0, ())], 0
    live, finished, protected = [(0.0, ())], [], greedy(alphabet, row, end, limit)
    for length in range(1, limit + 1):
        candidates = []
        for total, tokens in live:
            for token, gain in enumerate(alphabet.log_probabilities(row, tokens)):
                is_greedy = keeps_greedy and (*tokens, token) == protected[:length]
                candidates.append((is_greedy, total + gain, (*tokens, token)))
        candidates = sorted((one for one in candidates if one[1] > -np.inf), reverse=True)
        for _, total, tokens in candidates[:width]:
            if end in tokens or length == limit:
                finished.append((total / penalty(length, exponent), tokens))
        finished = sorted(finished, reverse=True)[:n_best]
        live = [(total, tokens) for _, total, tokens in candidates if end not in tokens][:width]
        left = range(length + 1, limit + 1)
        reachable = [total / penalty(n, exponent) for total, _ in live for n in left]
        if not reachable or (stops and len(finished) == n_best and max(reachable) <= finished[-1][0]):
            break
    return finished, length


# --- what is got ---


def compiled(function):
    """The function, compiled for the backend that runs."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, autograph=False, reduce_retracing=True)


@functools.cache
def compiled_beam_search(max_length, **options):
    """A compiled function of table, start and limits: one for all tests that search in the same way."""

    def search(table, start, limits):
        step = step_of(ks.decoding.tile_beams(table, options["width"]))
        state = first_state(ops.shape(start)[0])
        return ks.decoding.beam_search(step, start, state, max_length=max_length, limits=limits, pad=PAD, **options)

    return compiled(search)


def found(decoded):
    """For each row its hypotheses `(score, tokens)`. Checks that there is `PAD` where there are no tokens."""
    rows = []
    for tokens, lengths, scores in zip(*map(np.asarray, decoded), strict=True):
        assert not np.isnan(scores).any()
        assert all((t[n:] == PAD).all() and PAD not in t[:n] for t, n in zip(tokens, lengths, strict=True))
        assert not lengths[scores == -np.inf].any()
        hypotheses = zip(scores.tolist(), tokens.tolist(), lengths, strict=True)
        rows.append([(score, tuple(t[:n])) for score, t, n in hypotheses if score > -np.inf])
    return rows


def check_same(got, expected):
    """Two lists of hypotheses `(score, tokens)` agree."""
    assert [tokens for _, tokens in got] == [tokens for _, tokens in expected]
    np.testing.assert_allclose([score for score, _ in got], [score for score, _ in expected], rtol=1e-5, atol=1e-5)

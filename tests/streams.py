"""What the tests of streaming share: to run a model chunk by chunk, and to compare that with the whole."""

import keras
import numpy as np
from keras import ops

import keras_seq as ks
from tests.cases import ON_JAX, D, arrays, close, padded, randomize


def streamed(stream, chunks, whole=None):
    """The outputs for each chunk, without the states, each a list."""
    chunks = [chunk if isinstance(chunk, dict) else {"inputs": chunk} for chunk in chunks]
    states = stream.get_initial_state(len(next(iter(chunks[0].values()))))
    kinds = {name: (state.shape, state.dtype) for name, state in states.items()}
    outputs = []
    for chunk in chunks:
        states = stream({**chunk, **states, **(whole or {})})
        outputs.append([states.pop(name) for name in sorted(set(states) - set(kinds))])
        assert {name: (state.shape, state.dtype) for name, state in states.items()} == kinds
    return outputs


def cut(rng, x, chunks=6):
    """A sequence in chunks of random lengths, 0 and 1 among them; and where each ends."""
    ends = np.sort(rng.integers(0, x.shape[1] + 1, chunks - 2))
    ends = [*ends, min(ends[-1] + 1, x.shape[1]), x.shape[1]]
    return np.split(x, ends[:-1], axis=1), ends


def check(model, x, rng, atol=1e-6, stream=None, repeats=1 if ON_JAX else 3):
    stream = stream or ks.layers.streaming(model)
    whole = arrays(model(x))
    for _ in range(repeats):
        chunks, ends = cut(rng, x)
        outputs = [arrays(of_chunk) for of_chunk in streamed(stream, chunks)]
        for i, expected in enumerate(whole):
            parts = [of_chunk[i] for of_chunk in outputs]
            if sum(part.shape[1] for part in parts) == x.shape[1] and expected.ndim > 2 and stream_like(parts, ends):
                close(np.concatenate(parts, axis=1), expected, atol=atol, rtol=1e-5)
            else:  # the output so far
                for part, end in zip(parts, ends, strict=True):
                    close(part, arrays(model(x[:, :end]))[i], atol=atol, rtol=1e-5)
    return stream


def stream_like(parts, ends):
    return [part.shape[1] for part in parts] == np.diff([0, *ends]).tolist()


def masked_ids(rng):
    """Ids in rows of each kind: whole, left-padded, right-padded, with gaps, masked in full."""
    _, mask = padded(rng)
    return np.where(mask, rng.integers(1, 13, mask.shape), 0)


def sequential(*layers, rng, shape=(None, D), **kwargs):
    return randomize(keras.Sequential([keras.Input(shape, **kwargs), *layers]), rng)


def arrays_by_name(states):
    return {name: ops.convert_to_numpy(state) for name, state in states.items()}

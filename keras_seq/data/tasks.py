"""Generated tasks on which recurrent layers are compared: each needs a memory of a known kind and length.

All are NumPy arrays; the same arguments and seed give the same arrays.
"""

import numpy as np

from keras_seq.checks import natural_number, positive_integer
from keras_seq.data.memory_batches import memory_dataset
from keras_seq.data.memory_tasks import associative_recall, copy, repeat_copy

__all__ = ["adding", "associative_recall", "copy", "copy_memory", "memory_dataset", "repeat_copy", "wave"]


def adding(count, steps, seed=0):
    """The adding problem: the sum of the two numbers of a row that are marked.

    Hochreiter and Schmidhuber (1997), section 5.4, in the form of Arjovsky et al. (2016, arXiv 1511.06464): numbers are
    uniform in [0, 1); one is marked in the first half of the row, one in the second.

    Whoever always says 1 has a mean squared error of 1/6, about 0.167.

    Args:
        count: how many rows.
        steps: `T`, at least 2.
        seed: an integer, 0 or more.

    Returns:
        `(x, y)`, float32: `x` `(count, T, 2)`, the number and its mark (0 or 1); `y` `(count, 1)`.

    Raises:
        ValueError: for a count or steps that are no positive integers, or fewer than 2 steps.

    Example:

    >>> x, y = adding(3, 6)
    >>> x.shape, np.allclose((x[..., 0] * x[..., 1]).sum(axis=1, keepdims=True), y)
    ((3, 6, 2), True)
    """
    count, steps, seed = (
        positive_integer("count", count),
        positive_integer("steps", steps),
        natural_number("seed", seed),
    )
    if steps < 2:
        raise ValueError(f"Argument `steps` must be at least 2, for two marked numbers, got {steps}.")
    rng = np.random.default_rng(seed)
    numbers, marks, rows = rng.random((count, steps), "float32"), np.zeros((count, steps), "float32"), np.arange(count)
    marks[rows, rng.integers(0, steps // 2, count)] = 1
    marks[rows, rng.integers(steps // 2, steps, count)] = 1
    return np.stack([numbers, marks], axis=-1), (numbers * marks).sum(axis=1, keepdims=True)


def copy_memory(count, lag, symbols=8, length=10, seed=0):
    """Copy memory: say again, after a lag, the symbols at the beginning of a row.

    Hochreiter and Schmidhuber (1997), in the form of Arjovsky et al. (2016, arXiv 1511.06464), section 4.1: `length`
    symbols, `lag - 1` blanks, a delimiter, and `length` blanks, `T = lag + 2 * length` in all. Blanks are to be said
    until the delimiter has been read, and then the symbols.

    Whoever remembers none has a cross-entropy of `length * log(symbols) / (lag + 2 * length)` a step.

    Args:
        count: how many rows.
        lag: from the end of the symbols to the first step at which they are said again.
        symbols: how many there are to draw from.
        length: how many are drawn.
        seed: an integer, 0 or more.

    Returns:
        `(x, y)`, int32, `(count, T)`: 0 is the blank, 1 to `symbols` are symbols, `symbols + 1` is the delimiter.

    Raises:
        ValueError: for arguments that are no positive integers.

    Example:

    >>> x, y = copy_memory(1, 4, length=3)
    >>> print(x[0], y[0])
    [7 6 5 0 0 0 9 0 0 0] [0 0 0 0 0 0 0 7 6 5]
    """
    given = {"count": count, "lag": lag, "symbols": symbols, "length": length}
    count, lag, symbols, length = (positive_integer(name, value) for name, value in given.items())
    rng = np.random.default_rng(natural_number("seed", seed))
    x, y = np.zeros((2, count, lag + 2 * length), "int32")
    x[:, :length] = y[:, -length:] = rng.integers(1, symbols + 1, (count, length))
    x[:, length + lag - 1] = symbols + 1
    return x, y


def wave(steps=320, sinusoids=8, seed=0):
    """A wave to be generated without any input: a sum of sinusoids over three octaves.

    Stands for the generation task of Koutník et al. (2014, arXiv 1402.3511), section 4.1, which takes 320 points of
    recorded sound. Frequencies go in equal ratios from 2 to 16 cycles in `steps`; amplitudes are uniform in [0.5, 1),
    phases are uniform. The sum is shifted and scaled so that its least value is -1 and its largest 1.

    Whoever always says its mean has its variance as mean squared error, which is a normalised error (NMSE) of 1.

    Args:
        steps: `T`.
        sinusoids: how many, at least 8.
        seed: an integer, 0 or more: of amplitudes and phases.

    Returns:
        `(T, 1)`, float32.

    Raises:
        ValueError: for steps that are no positive integer, at least 2, or fewer than 8 sinusoids.

    Example:

    >>> y = wave()
    >>> y.shape, float(y.min()), float(y.max())
    ((320, 1), -1.0, 1.0)
    """
    steps, sinusoids = positive_integer("steps", steps), positive_integer("sinusoids", sinusoids)
    for name, value, least in (("steps", steps, 2), ("sinusoids", sinusoids, 8)):
        if value < least:
            raise ValueError(f"Argument `{name}` must be at least {least}, got {value}.")
    rng = np.random.default_rng(natural_number("seed", seed))
    cycles = np.geomspace(2, 16, sinusoids)
    amplitudes, phases = rng.uniform(0.5, 1, sinusoids), rng.uniform(0, 2 * np.pi, sinusoids)
    y = np.sin(2 * np.pi * np.arange(steps)[:, None] / steps * cycles + phases) @ amplitudes
    y = (y - y.min()) / (y.max() - y.min())
    return (2 * y - 1)[:, None].astype("float32")

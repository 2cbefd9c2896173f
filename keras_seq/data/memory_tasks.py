"""The tasks of the papers on memory: copy, repeat copy and associative recall. All of it is generated.

Time runs to the right and `·` is 0. `x` are inputs, `y` targets, `w` weights: 1 where an answer is due. While it is,
the inputs are 0. Three vectors of random bits are `abc`; in associative recall `AAA` is an item of three vectors.

Copy (Graves et al., 2014, arXiv 1410.5401, section 4.1), here of 3 vectors:

    x bits   abc····        y bits   ····abc
    x end    ···1···        w        ····111

Repeat copy (section 4.2), here of 3 vectors, 2 times. Flags are those of the code of the DNC (google-deepmind/dnc): a
start marker, and the count `c = repeats / norm`, which ends the input; the paper centres and scales the count, so that
one count in the middle of a range would be 0, and no mark at all:

    x bits   ·abc········   y bits   ·····abcabc·
    x start  1···········   y end    ···········1
    x count  ····c·······   w        ·····1111111

Associative recall (section 4.3), here of 3 items; asked for is the item that followed the one shown:

    x bits   ·AAA·BBB·CCC·BBB····   y bits   ·················CCC
    x item   1···1···1···········   w        ·················111
    x query  ············1···1···
"""

from dataclasses import dataclass

import numpy as np

from keras_seq.checks import natural_number, positive_integer, positive_number


@dataclass(frozen=True)
class Copy:
    """What of a task depends on its sizes. A case is one choice of them: here `(length,)`."""

    length: object = (1, 20)
    bits: int = 8

    def __post_init__(self):
        positive_integer("bits", self.bits)

    @property
    def widths(self):
        """Channels of inputs and of targets."""
        return self.bits + 1, self.bits

    def cases(self):
        return [(length,) for length in _range("length", self.length)]

    def steps(self, length):
        return 2 * length + 1

    def write(self, rng, x, y, w, length):
        """Put one row into zeros `x (T, D)`, `y (T, bits)` and `w (T,)`."""
        bits = _random_bits(rng, length, self.bits)
        x[:length, : self.bits] = bits
        x[length, self.bits] = 1
        y[length + 1 : 2 * length + 1] = bits
        w[length + 1 : 2 * length + 1] = 1


@dataclass(frozen=True)
class RepeatCopy:
    """Cases are `(length, repeats)`."""

    length: object = (1, 10)
    repeats: object = (1, 10)
    bits: int = 8
    norm: float = 10

    def __post_init__(self):
        positive_integer("bits", self.bits)
        positive_number("norm", self.norm)

    @property
    def widths(self):
        return self.bits + 2, self.bits + 1

    def cases(self):
        repeats = _range("repeats", self.repeats)
        return [(length, n) for length in _range("length", self.length) for n in repeats]

    def steps(self, length, repeats):
        return length * (repeats + 1) + 3

    def write(self, rng, x, y, w, length, repeats):
        bits = _random_bits(rng, length, self.bits)
        x[0, self.bits] = 1
        x[1 : length + 1, : self.bits] = bits
        x[length + 1, self.bits + 1] = repeats / self.norm
        begin, end = length + 2, length + 2 + length * repeats
        y[begin:end, : self.bits] = np.tile(bits, (repeats, 1))
        y[end, self.bits] = 1
        w[begin : end + 1] = 1


@dataclass(frozen=True)
class AssociativeRecall:
    """Cases are `(items,)`."""

    items: object = (2, 6)
    item_length: int = 3
    bits: int = 6

    def __post_init__(self):
        positive_integer("bits", self.bits)
        positive_integer("item_length", self.item_length)

    @property
    def widths(self):
        return self.bits + 2, self.bits

    def cases(self):
        return [(items,) for items in _range("items", self.items, least=2)]

    def steps(self, items):
        return (items + 1) * (self.item_length + 1) + 1 + self.item_length

    def write(self, rng, x, y, w, items):
        bits = _random_bits(rng, items * self.item_length, self.bits).reshape(items, self.item_length, self.bits)
        asked = rng.integers(items - 1)
        for start, item in enumerate([*bits, bits[asked]]):
            at = start * (self.item_length + 1)
            x[at, self.bits + (start == items)] = 1
            x[at + 1 : at + 1 + self.item_length, : self.bits] = item
        end = (items + 1) * (self.item_length + 1)
        x[end, self.bits + 1] = 1
        y[end + 1 : end + 1 + self.item_length] = bits[asked + 1]
        w[end + 1 : end + 1 + self.item_length] = 1


def copy(rows, length=(1, 20), bits=8, seed=0):
    """Vectors of random bits, an end marker, and the same vectors to be said: `keras_seq.data.memory_tasks` draws it.

    Args:
        rows: how many sequences.
        length: how many vectors each has: a number, or the least and the most, all numbers between being as likely.
        bits: of a vector.
        seed: the same arguments give the same arrays.

    Returns:
        Inputs `(rows, T, bits + 1)`, targets `(rows, T, bits)` and weights `(rows, T)`, 1 where an answer is due,
        all float32: `x, y, sample_weight` of `fit`. T is `2 * length + 1` of the greatest length; shorter rows are
        followed by zeros.

    Raises:
        ValueError: for numbers that cannot be.

    Example:

    >>> x, y, w = ks.data.tasks.copy(rows=1, length=3, bits=2, seed=3)
    >>> x[0].T
    array([[1., 0., 0., 0., 0., 0., 0.],
           [0., 0., 1., 0., 0., 0., 0.],
           [0., 0., 0., 1., 0., 0., 0.]], dtype=float32)
    >>> y[0].T
    array([[0., 0., 0., 0., 1., 0., 0.],
           [0., 0., 0., 0., 0., 0., 1.]], dtype=float32)
    >>> w
    array([[0., 0., 0., 0., 1., 1., 1.]], dtype=float32)
    """
    return _rows_of(Copy(length, bits), rows, seed)


def repeat_copy(rows, length=(1, 10), repeats=(1, 10), bits=8, norm=10, seed=0):
    """Vectors of random bits, to be said as often as a count tells, and an end marker after it.

    `keras_seq.data.memory_tasks` draws it, and says what the flags are.

    Args:
        rows: how many sequences.
        length, repeats: how many vectors each has, and how often they are to be said: a number, or the least and the
            most. All pairs are as likely.
        bits: of a vector.
        norm: what the count is divided by.
        seed: the same arguments give the same arrays.

    Returns:
        Inputs `(rows, T, bits + 2)`, targets `(rows, T, bits + 1)` and weights `(rows, T)`, as of `copy`. T is
        `length * (repeats + 1) + 3` of the greatest.

    Raises:
        ValueError: for numbers that cannot be.

    Example:

    >>> x, y, w = ks.data.tasks.repeat_copy(rows=5, length=(1, 3), repeats=2)
    >>> x.shape, y.shape, w.shape
    ((5, 12, 10), (5, 12, 9), (5, 12))
    """
    return _rows_of(RepeatCopy(length, repeats, bits, norm), rows, seed)


def associative_recall(rows, items=(2, 6), item_length=3, bits=6, seed=0):
    """A list of items, one of them again, and the item that followed it to be said.

    `keras_seq.data.memory_tasks` draws it. Items of a row may be alike by chance, at these sizes in one of 17,000 rows
    of 6 items.

    Args:
        rows: how many sequences.
        items: how many items each has, 2 or more: a number, or the least and the most, all being as likely.
        item_length, bits: an item is so many vectors of so many bits.
        seed: the same arguments give the same arrays.

    Returns:
        Inputs `(rows, T, bits + 2)`, targets `(rows, T, bits)` and weights `(rows, T)`, as of `copy`. T is
        `(items + 1) * (item_length + 1) + 1 + item_length` of the greatest number of items.

    Raises:
        ValueError: for numbers that cannot be.

    Example:

    >>> x, y, w = ks.data.tasks.associative_recall(rows=5)
    >>> x.shape, y.shape, w.sum(axis=1)
    ((5, 32, 8), (5, 32, 6), array([3., 3., 3., 3., 3.], dtype=float32))
    """
    return _rows_of(AssociativeRecall(items, item_length, bits), rows, seed)


def drawn(task, cases, rows, rng):
    """Rows of cases that are drawn from a list of them, padded to the longest of the list."""
    steps = max(task.steps(*case) for case in cases)
    features, outputs = task.widths
    x, y = np.zeros((rows, steps, features), "float32"), np.zeros((rows, steps, outputs), "float32")
    w = np.zeros((rows, steps), "float32")
    for row, case in enumerate(rng.integers(len(cases), size=rows)):
        task.write(rng, x[row], y[row], w[row], *cases[case])
    return x, y, w


def _rows_of(task, rows, seed):
    rng = np.random.default_rng(natural_number("seed", seed))
    return drawn(task, task.cases(), positive_integer("rows", rows), rng)


def _random_bits(rng, length, bits):
    return rng.integers(2, size=(length, bits))


def _range(name, value, least=1):
    """The integers that a size may be."""
    first, last = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    numbers_only = all(hasattr(n, "__index__") and not isinstance(n, bool) for n in (first, last))
    if not numbers_only or not least <= first <= last:
        raise ValueError(
            f"Argument `{name}` must be an integer of at least {least}, or a pair of them, the least and the most, got "
            f"{value!r}."
        )
    return range(first, last + 1)

"""Labels of texts: what they are in a table, and the numbers that a model trains on."""

import numbers

import numpy as np
import pandas as pd

from keras_seq.data.frames import column
from keras_seq.errors import InputError

SEVERAL = (list, tuple, set, frozenset, np.ndarray)  # how several labels of a text may stand together


def labels_of(frame, label):
    """The labels in a column, sorted: what to give a model as `labels`.

    Raises:
        InputError: where the column or a label is missing, labels are neither integers nor strings, or all the same.
    """
    found = sorted(set(encoded_labels(column(frame, label), name=label).tolist()))
    if len(found) < 2:
        raise InputError(f"Column {label!r} has a single label, {found[0]!r}: two or more are needed.")
    return found


def encoded_labels(values, labels=None, name="y"):
    """Labels as an array of strings or int64; with `labels`, as indices in that list, int32."""
    values = values_of(values)
    values = [value.item() if getattr(value, "size", 0) == 1 else value for value in values]  # NumPy's; also (N, 1)
    missing = [row for row, value in enumerate(values) if pd.api.types.is_scalar(value) and pd.isna(value)]
    if missing:
        raise InputError(
            f"Label missing in row {missing[0]} of {name!r} ({len(missing)} such row(s)): drop or fill them."
        )
    kinds = {type(value) for value in values}
    if kinds not in ({int}, {str}):
        names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "no labels"
        remedy = "give the list of `labels` for several in a row" if kinds & {*SEVERAL} else "convert them"
        raise InputError(f"Labels in {name!r} must be all integers or all strings, got {names}: {remedy}.")
    encoded = np.array(values, "int64" if kinds == {int} else object)
    return encoded if labels is None else _indices(encoded, labels)


def _indices(values, labels):
    """Labels as indices in `labels`; integers are indices already where `labels` are strings."""
    positions = isinstance(labels[0], str) and values.dtype != object
    index = {value: i for i, value in enumerate(range(len(labels)) if positions else labels)}
    unknown = [value for value in pd.unique(values) if value not in index]
    if unknown:
        raise InputError(f"Unknown label(s) {', '.join(repr(value) for value in unknown)}: labels are {list(labels)}.")
    return np.array([index[value] for value in values], "int32")


def many_hot(values, labels, name="y"):
    """For texts that have several labels or none: int32 `(N, C)`, 1 where a text has the label.

    Args:
        values: a list, tuple or set of labels for each text; or zeros and ones, an array `(N, C)` or, where labels are
            strings, lists of them.
        labels: the `C` labels.
        name: what to call the argument in a message.
    """
    if len(getattr(values, "shape", ())) != 2:
        values = values_of(values)
        plain = [row for row, value in enumerate(values) if not isinstance(value, SEVERAL)]
        if plain:
            raise InputError(
                f"Each text must have a list of labels in {name!r}, got {values[plain[0]]!r} in row {plain[0]}: write "
                f"[{values[plain[0]]!r}]."
            )
        if not _are_flags(values, labels):
            return _hot(values, labels, name)
        if any(len(value) != len(labels) for value in values):
            raise InputError(
                f"Argument `{name}` holds numbers where labels are {list(labels)}: give those, or for each text zeros "
                f"and ones for all {len(labels)}."
            )
    flags = pd.DataFrame(values.numpy() if hasattr(values, "numpy") else values)
    if isinstance(values, pd.DataFrame) and all(isinstance(one, str) for one in values) and isinstance(labels[0], str):
        if set(values) != set(labels):
            raise InputError(f"Argument `{name}` must have the columns {list(labels)}, got {list(values)}.")
        flags = flags[list(labels)]  # by name, in whatever order they stand
    others = flags.to_numpy(object)[~flags.isin((0, 1)).to_numpy(bool)].tolist()
    if flags.shape[1] != len(labels) or len(others):
        raise InputError(
            f"Argument `{name}` must be zeros and ones of shape (N, {len(labels)}), a column for each label, got shape "
            f"{flags.shape}{f' with {others[0]!r} in it' if len(others) else ''}."
        )
    return flags.to_numpy().astype("int32")


def _are_flags(values, labels):
    """Whether rows are zeros and ones in place of labels, which cannot be told apart where labels are integers."""
    return isinstance(labels[0], str) and any(isinstance(one, numbers.Integral) for value in values for one in value)


def _hot(values, labels, name):
    hot = np.zeros((len(values), len(labels)), "int32")
    for row, given in enumerate(values):
        given = [_decoded(value) for value in given]
        if not all(isinstance(value, (str, numbers.Integral)) for value in given):
            raise InputError(f"Labels in {name!r} must be strings or integers, got {given!r} in row {row}.")
        if len(set(given)) < len(given):
            raise InputError(f"Row {row} of {name!r} has a label twice, {given!r}. Zeros and ones need an array here.")
        hot[row, _indices(np.array(given, object), labels)] = 1
    return hot


def balanced_weights(indices, count):
    """Weights by index that make `count` labels weigh alike: `N / (C n)` for one that `n` of `N` rows have.

    A label that no row has gets none.
    """
    found, rows = np.unique(np.asarray(indices), return_counts=True)
    return {int(i): len(indices) / (count * n) for i, n in zip(found, rows.tolist(), strict=True)}


def values_of(column):
    """The values of a column, list, array or tensor, in a list; bytes, as TensorFlow hands them out, as strings."""
    return [_decoded(value) for value in (column.numpy() if hasattr(column, "numpy") else column)]


def _decoded(value):
    """Bytes, which is how TensorFlow hands out strings, as a string; other values as they are."""
    return value.decode("utf-8", errors="surrogateescape") if isinstance(value, bytes) else value

"""Checks of arguments that many layers share. Each error names the argument, what was expected, and what came."""

import numbers
import operator
from collections.abc import Iterable
from itertools import pairwise


def positive_integer(name, value):
    """An integer of any kind (NumPy's too) as an `int`."""
    if not isinstance(value, bool) and hasattr(value, "__index__") and operator.index(value) > 0:
        return operator.index(value)
    raise ValueError(f"Argument `{name}` must be a positive integer, got {value!r}.")


def natural_number(name, value):
    """An integer of any kind, 0 or more, as an `int`; tensors are none."""
    if not isinstance(value, bool) and isinstance(value, numbers.Integral) and value >= 0:
        return int(value)
    raise ValueError(f"Argument `{name}` must be an integer, 0 or more, got {value!r}.")


def positive_number(name, value):
    """A number above zero, as a `float`."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real) and 0 < value < float("inf"):
        return float(value)
    raise ValueError(f"Argument `{name}` must be a positive number, got {value!r}.")


def number_at_least_zero(name, value):
    """A number, 0 or more, as a `float`."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real) and 0 <= value < float("inf"):
        return float(value)
    raise ValueError(f"Argument `{name}` must be at least 0, got {value!r}.")


def share(name, value):
    """A share, at least 0 and below 1: of what is dropped, or of what was there before."""
    if not isinstance(value, bool) and isinstance(value, numbers.Real) and 0 <= value < 1:
        return float(value)
    raise ValueError(f"Argument `{name}` must be a number at least 0 and below 1, got {value!r}.")


def check_mask(layer, mask, sequences, name="mask"):
    """Raise unless `mask` is None or has the shape (B, T) of `sequences` (B, T, ...)."""
    wanted = tuple(sequences.shape[:2])
    if mask is not None and not hasattr(mask, "shape"):
        raise ValueError(
            f"Argument `{name}` of layer {layer.name!r} must be an array or tensor of booleans (B, T), got "
            f"{type(mask).__name__}: wrap lists in np.array."
        )
    if mask is not None and not fits(mask.shape, wanted):
        raise ValueError(
            f"Argument `{name}` of layer {layer.name!r} must have shape (B, T) = {wanted}, got {tuple(mask.shape)}."
        )


def check_sequences(layer, shapes):
    """Raise unless each of `shapes` is that of a sequence `(B, T, ...)` with at least one axis of features."""
    for shape in shapes:
        if len(shape) < 3:
            raise ValueError(
                f"Layer {layer.name!r} reads sequences (B, T, D), got inputs of shape {tuple(shape)}: add the missing "
                "axis, with `x[:, :, None]` for a single feature, or with `x[None]` for a single sequence."
            )


def fits(shape, wanted):
    """Whether two shapes agree wherever both are known."""
    return len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )


def quantile_levels(name, value):
    """Levels of quantiles, between 0 and 1 and increasing, as a list of `float`."""
    levels = list(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else []
    numbers_only = all(isinstance(q, numbers.Real) and not isinstance(q, bool) and 0 < q < 1 for q in levels)
    if levels and numbers_only and all(a < b for a, b in pairwise(levels)):
        return [float(q) for q in levels]
    raise ValueError(f"Argument `{name}` must be a list of increasing numbers between 0 and 1, got {value!r}.")

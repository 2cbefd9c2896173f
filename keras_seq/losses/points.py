"""The points of a forecast: one true value for each, which may be missing, and one weight."""

from keras import ops

from keras_seq.checks import fits


def true_points(name, y_true, shape):
    """The true values `y_true` as a tensor of `shape`, that of the points: a last axis of 1 beyond it is taken off.

    Raises:
        ValueError: names `name` where the shapes do not fit.
    """
    given = tuple(y_true.shape)
    if len(given) == len(shape) + 1 and given[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if not fits(tuple(y_true.shape), tuple(shape)):
        raise ValueError(f"{name!r} needs true values of shape {tuple(shape)} for these predictions, got {given}.")
    return y_true


def point_weights(name, y_true, sample_weight):
    """The weights of points, in the shape and dtype of `y_true`: 0 where that is NaN, else what was given, or 1.

    Args:
        name: who asks, for messages.
        y_true: floating-point numbers, such as `(B, F)` or `(B, F, C)`.
        sample_weight: None, a number, or weights whose axes are the first of `y_true`: `(B,)`, `(B, F)`, ...; an axis
            of 1 counts for all.

    Raises:
        ValueError: names `sample_weight` where the shapes do not fit.
    """
    known = ops.cast(ops.logical_not(ops.isnan(y_true)), y_true.dtype)
    if sample_weight is None:
        return known
    weight = ops.cast(ops.convert_to_tensor(sample_weight), y_true.dtype)
    shape, points = tuple(weight.shape), tuple(y_true.shape)
    if len(shape) > len(points) or not fits([None if n == 1 else n for n in shape], points[: len(shape)]):
        raise ValueError(
            f"Argument `sample_weight` of {name!r} must be a number, or have the first axes of the true values, of "
            f"shape {points}, got shape {shape}."
        )
    return known * ops.reshape(weight, (*ops.shape(weight), *[1] * (len(points) - len(shape))))

"""What the diagnostics are given: one batch, as `fit` takes it, checked."""

import keras
import numpy as np
from keras import tree

from keras_seq.errors import InputError
from keras_seq.layers.stacked import asks_for
from keras_seq.models.strings import are_strings


def batch_of(model, x, y, sample_weight):
    """`(x, y, sample_weight)` as arrays, checked."""
    if hasattr(x, "element_spec") or hasattr(x, "__next__"):
        raise InputError(
            f"Argument `x` must be arrays of one batch, got {type(x).__name__}: give `*next(iter(dataset))`."
        )
    if hasattr(model, "as_batch"):  # what turns strings into ids
        x, y, sample_weight = model.as_batch(x, y, sample_weight)
    batch = tuple(_arrays(part) for part in (x, y, sample_weight))
    sizes = {name: (value.shape[0] if value.ndim else None) for name, value in leaves(batch)}
    if None in sizes.values() or 0 in sizes.values() or len(set(sizes.values())) > 1:
        told = ", ".join(f"{name}: {size if size is not None else 'a single number'}" for name, size in sizes.items())
        raise InputError(f"The parts of a batch must have the same number of rows, at least 1, got {told}.")
    for name, value in leaves(batch):
        if are_strings(value):
            raise InputError(f"Argument `{name}` holds strings, which model {model.name!r} does not take: give ids.")
    return batch


def _arrays(part):
    """A nest of arrays, of what Keras takes: a list of numbers is one array, a list of arrays is several."""
    if part is None:
        return None
    if isinstance(part, dict):
        return {key: _arrays(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)) and any(hasattr(value, "shape") and len(value.shape) for value in part):
        return type(part)(map(_arrays, part)) if type(part) in (list, tuple) else [*map(_arrays, part)]
    return np.asarray(part if isinstance(part, np.ndarray) else keras.ops.convert_to_numpy(part))


def leaves(batch):
    """`(name, array)` of each array of a batch: `x`, `x[0]`, `x['past']`."""
    for argument, part in zip(("x", "y", "sample_weight"), batch, strict=True):
        for path, value in tree.flatten_with_path(part):
            if value is not None:
                yield argument + "".join(f"[{key!r}]" for key in path), value


def cause_of(model, batch):
    """Why a loss is not finite, as far as the batch and the weights tell."""
    for name, rows in _not_finite(batch):
        return f"argument `{name}` holds NaN or infinity, first in row {rows[0]} ({len(rows)} such row(s))."
    for weight in model.weights:
        if not np.isfinite(array_of(weight)).all():
            return f"the weight {weight.path!r} holds NaN or infinity. Load weights from before that."
    return "its inputs and weights are finite, so the model overflows: scale the inputs, or lower the weights."


def check_finite(batch):
    """Raise where floats of a batch are NaN or infinite."""
    for name, rows in _not_finite(batch):
        raise InputError(
            f"Argument `{name}` must be finite, got NaN or infinity, first in row {rows[0]}: drop or fill it."
        )


def _not_finite(batch):
    """Pairs: the name of an array of a batch that holds NaN or infinity, and the rows that do."""
    for name, value in leaves(batch):
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            yield name, np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(axis=1))


def array_of(tensor):
    """What a tensor or a weight holds, as float64 (NumPy's: JAX may have none)."""
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(tensor)).astype("float64")


def outputs_of(model, x):
    """What a model says of `x`, as in inference."""
    return model(x, **({"training": False} if asks_for(model.call, "training") else {}))


def loss_of(model, x, y, outputs, sample_weight=None):
    """The loss that `fit` minimises."""
    told = {"training": False} if asks_for(model.compute_loss, "training") else {}
    return model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight, **told)


def check_built(model):
    """Raise unless it is a built model or layer."""
    if not isinstance(model, keras.layers.Layer):
        raise InputError(f"Argument `model` must be a keras.Model or a layer, got {type(model).__name__}.")
    if not model.built:
        raise InputError(f"{called(model)} is not built: call it on a batch, `model(x)`, or give it keras.Input.")


def called(model):
    """How messages call a model or a layer."""
    return f"{'Model' if isinstance(model, keras.Model) else 'Layer'} {model.name!r}"


def tokens_of(model, ids):
    """The tokens that ids `(B, T)` stand for, a list of strings for each row, by the model's vectoriser; else None."""
    vectorizer = getattr(model, "vectorizer", None)
    return vectorizer.tokens(ids) if hasattr(vectorizer, "tokens") else None

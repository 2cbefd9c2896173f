"""`gradient_flow`: how far back the gradient of a loss travels in a user's own model."""

import collections

import keras
import numpy as np
from keras import tree

from keras_seq import compat
from keras_seq.diagnostics.flow import GradientFlow, curves_of
from keras_seq.diagnostics.state_gradients import StateGradients
from keras_seq.errors import InputError
from keras_seq.models.strings import are_strings


def gradient_flow(model, x, y=None, sample_weight=None, from_last=False):
    """The norm of the loss's gradient with respect to the states of each recurrent layer, after each time step.

    For a state s (`h`, `c`, or whatever the cell carries), summed over the rows b and the entries of the state:

        norm[t] = sqrt(sum_b |dL/ds[b, t]|^2),      L the loss that `fit` minimises, of this batch, as in inference

    dL/ds[t] counts all ways from s[t] as it leaves the step: on to the next step, and to the output where that is s
    itself (as `h` is). What a cell computes from a state before it hands it on is no such way (of an LSTM's `c` the
    output of the same step). Masked steps have no gradient.

    From the norms n[d] at distance d, the number of kept steps that a row still reads after that one (a layer that
    reads backwards counts from its own end; in a padded batch longer rows stand for those that have ended):

    - `gamma`, the decay per step: the robust line log n[d] = log C + d log gamma (medians; finite, positive norms);
    - `memory`: the largest d with n[d] at least 1 % of the largest norm; a lower bound (`at_least`) where that is the
      beginning of the sequence;
    - `enters`: where the gradient comes into the layer: "last step", or "all steps", as where the layer above reads all
      outputs. Then `gamma` and `memory` say where the gradient is, not how far this layer carried it;
    - `verdict`: "exploding" where n[d] is above 100 times all that came in up to d, or overflowed: then a product of
      the steps' Jacobians has a norm above 100; else "vanishing" where the gradient falls below 1 % before the
      beginning; else "healthy". "no gradient" where it is zero everywhere.

    Layers are found at any depth, in `Bidirectional`, stacks and nested models, ours or those of `keras.layers`; one
    that is called twice is reported per call. All are run by the loop of this package, whatever their
    `implementation` (on JAX, Keras's own loop treats masks in another way). The model, its states, metrics and seeds
    are left as they were. After one-off tracing the cost is about that of a training step. Half precision underflows
    as it does in training: measure a float32 copy to see what lies below.

    Args:
        model: a compiled `keras.Model`.
        x, y: one batch, as `model.fit` takes it: arrays `(B, T, ...)` or a list or dict of them; of a dataset
            `gradient_flow(model, *next(iter(dataset)))`. Text models take strings.
        sample_weight: as of `fit`.
        from_last: whether the loss counts through the last kept step of outputs `(B, T, ...)` alone. Where the loss is
            of all steps, the gradient at a step is mostly that of outputs near by, which hides how far it travels.
            (What reads backwards reads that step first. Without a mask of its own an output ends with the last step,
            be it padding, of which no loss comes.)

    Returns:
        A `GradientFlow`: print it for the verdicts and what to try; `.frame`, `.summary`, `.plot()`.

    Raises:
        InputError: for a model that has no recurrent layers, is not built or not compiled; for parts of different
            lengths; where the loss is not finite (what is NaN is named).

    Source: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks, arXiv
    1211.5063; Hochreiter (1991).

    Example:

    >>> model = keras.Sequential([keras.Input((30, 5)), ks.layers.SimpleRNN(8), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> flow = ks.diagnostics.gradient_flow(model, np.ones((4, 30, 5)), np.zeros((4, 1)))
    >>> flow.frame.columns.tolist()
    ['layer', 'call', 'direction', 'state', 'step', 'norm']
    >>> len(flow.frame), flow.summary["steps"].tolist()
    (30, [30])
    """
    _check_model(model)
    batch = _batch_of(model, x, y, sample_weight)
    measured = StateGradients(model, batch, from_last)
    if not measured.calls:
        raise InputError(f"Model {model.name!r} calls none of its recurrent layers: there is nothing to measure.")
    _check_lengths(measured)
    at_all_steps = any(len(shape) > 2 and shape[1] > 1 for shape in measured.outputs)
    if from_last and not at_all_steps:
        raise InputError(
            f"Argument `from_last` is for outputs (B, T, ...), got outputs of shapes {measured.outputs}: leave it out."
        )
    loss, calls = measured(batch)
    if not np.isfinite(loss):
        raise InputError(f"The loss of this batch is {loss}: {_cause(model, batch)}")
    return GradientFlow(loss, _curves(calls), from_last, at_all_steps)


def _check_model(model):
    if not isinstance(model, keras.Model):
        raise InputError(
            f"Argument `model` must be a keras.Model, got {type(model).__name__}: for a layer alone make one, as "
            "keras.Sequential([keras.Input((T, D)), layer]), and compile it."
        )
    if not model.built:
        raise InputError(f"Model {model.name!r} is not built: call it on a batch, `model(x)`, or give it keras.Input.")
    if not any(isinstance(layer, keras.layers.RNN) for layer in compat.inner_layers(model)):
        raise InputError(
            f"Model {model.name!r} has no recurrent layers (RNN, LSTM, GRU …, ours or of keras.layers): its gradient "
            "takes no way through time."
        )
    if not model.compiled:
        raise InputError(f'Model {model.name!r} has no loss: call `model.compile("adam", loss)` first.')


def _batch_of(model, x, y, sample_weight):
    """`(x, y, sample_weight)` as arrays, checked."""
    if hasattr(x, "element_spec") or hasattr(x, "__next__"):
        raise InputError(
            f"Argument `x` must be arrays of one batch, got {type(x).__name__}: give `*next(iter(dataset))`."
        )
    if hasattr(model, "as_batch"):  # what turns strings into ids
        x, y, sample_weight = model.as_batch(x, y, sample_weight)
    batch = tuple(_arrays(part) for part in (x, y, sample_weight))
    sizes = {name: (value.shape[0] if value.ndim else None) for name, value in _leaves(batch)}
    if None in sizes.values() or 0 in sizes.values() or len(set(sizes.values())) > 1:
        told = ", ".join(f"{name}: {size if size is not None else 'a single number'}" for name, size in sizes.items())
        raise InputError(f"The parts of a batch must have the same number of rows, at least 1, got {told}.")
    for name, value in _leaves(batch):
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


def _leaves(batch):
    """`(name, array)` of each array of a batch: `x`, `x[0]`, `x['past']`."""
    for argument, part in zip(("x", "y", "sample_weight"), batch, strict=True):
        for path, value in tree.flatten_with_path(part):
            if value is not None:
                yield argument + "".join(f"[{key!r}]" for key in path), value


def _check_lengths(measured):
    empty = [call.layer.name for call in measured.calls if 0 in [spec[0][1] for spec in call.specs]]
    if empty:
        raise InputError(f"Layer {empty[0]!r} reads sequences of no steps: give at least one time step.")


def _cause(model, batch):
    """Why a loss is not finite, as far as the batch and the weights tell."""
    for name, value in _leaves(batch):
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            rows = np.flatnonzero(~np.isfinite(value).reshape(len(value), -1).all(axis=1))
            return f"argument `{name}` holds NaN or infinity, first in row {rows[0]} ({len(rows)} such row(s))."
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
        if not np.isfinite(value).all():
            return f"the weight {weight.path!r} holds NaN or infinity. Load weights from before that."
    return "its inputs and weights are finite, so the model overflows: scale the inputs, or lower the weights."


def _curves(calls):
    """The curves of all calls; a layer goes by its name, or its path where two have that name."""
    count = collections.Counter(name for name, _ in {(call.layer.name, id(call.layer)) for call in calls})
    curves = []
    for call in calls:
        name = call.layer.name
        curves += curves_of(call, call.layer.path if count[name] > 1 else name)
    return curves

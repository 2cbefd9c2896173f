"""`gradient_flow`: how far back the gradient of a loss travels in a user's own model."""

import keras
import numpy as np

from keras_seq.diagnostics.batches import batch_of, cause_of
from keras_seq.diagnostics.flow import GradientFlow, curves_of
from keras_seq.diagnostics.inner_loops import names_of, recurrent_layers
from keras_seq.diagnostics.state_gradients import StateGradients
from keras_seq.errors import InputError


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
    are left as they were. Each call traces anew; after that the cost is about that of a training step on JAX, of one
    to seven on TensorFlow. Half precision underflows as it does in training: measure a float32 copy to see what lies
    below.

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
    batch = batch_of(model, x, y, sample_weight)
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
        raise InputError(f"The loss of this batch is {loss}: {cause_of(model, batch)}")
    names = names_of(call.layer for call in calls)
    curves = [curve for call in calls for curve in curves_of(call, names[id(call.layer)])]
    return GradientFlow(loss, curves, from_last, at_all_steps)


def _check_model(model):
    if not isinstance(model, keras.Model):
        raise InputError(
            f"Argument `model` must be a keras.Model, got {type(model).__name__}: for a layer alone make one, as "
            "keras.Sequential([keras.Input((T, D)), layer]), and compile it."
        )
    if not model.built:
        raise InputError(f"Model {model.name!r} is not built: call it on a batch, `model(x)`, or give it keras.Input.")
    if not recurrent_layers(model):
        raise InputError(
            f"Model {model.name!r} has no recurrent layers (RNN, LSTM, GRU …, ours or of keras.layers): its gradient "
            "takes no way through time."
        )
    if not model.compiled:
        raise InputError(f'Model {model.name!r} has no loss: call `model.compile("adam", loss)` first.')


def _check_lengths(measured):
    empty = [call.layer.name for call in measured.calls if 0 in [spec[0][1] for spec in call.specs]]
    if empty:
        raise InputError(f"Layer {empty[0]!r} reads sequences of no steps: give at least one time step.")

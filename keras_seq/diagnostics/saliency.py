"""`saliency`: how much each step of an input counts for what a model says of it."""

import contextlib

import keras
import numpy as np
from keras import ops, tree

from keras_seq import compat
from keras_seq.backend import native
from keras_seq.diagnostics.batches import (
    array_of,
    batch_of,
    called,
    cause_of,
    check_built,
    check_finite,
    loss_of,
    outputs_of,
    tokens_of,
)
from keras_seq.diagnostics.inner_loops import replaced
from keras_seq.diagnostics.salience import Saliency
from keras_seq.errors import InputError
from keras_seq.layers.subwords import SubwordEmbedding

METHODS = ("gradient", "gradient_x_input")


def saliency(model, x, y=None, output=None, method="gradient", at=None, sample_weight=None):
    """How much each time step counts: the gradient of an output, or of the loss, with respect to what is read there.

    For a row b with inputs v[b, t] (features, or of token ids the embedding's output) and a number s:

        "gradient"            saliency[b, t] = |ds/dv[b, t]|               how much s answers to a small change
        "gradient_x_input"    saliency[b, t] = v[b, t] . ds/dv[b, t]       what v adds to s, to first order; has a sign

    s is the output that is chosen, of the row itself, or with `y` the loss that `fit` minimises, of the batch. Both as
    in inference. Of a linear model "gradient_x_input" is each step's exact share of s. Masked steps of
    embeddings are zero; those of an input as far as the model's layers respect its mask.

    Args:
        model: a built `keras.Model`; with `y` a compiled one.
        x: one batch, as the model takes it: arrays `(B, T, D)`, ids `(B, T)`, a list or dict of such; text models take
            strings.
        y: targets, as `fit` takes them: then s is the loss.
        output: which output s is: a place on the last axis of outputs `(B, C)`, of a text model a label, or a function
            of the model's outputs that gives `(B,)`, such as `lambda outputs: outputs[:, -1, 0]`. Not needed where
            there is one number for each row.
        method: "gradient" or "gradient_x_input".
        at: with several inputs, where to look: the key of an input of a dict, its place in a list, or the name of a
            layer with outputs `(B, T, E)`, such as an embedding.
        sample_weight: of the loss, as of `fit`; with `y`.

    Returns:
        A `Saliency`: `.values` `(B, T)`, `.frame`, `.plot(row=0)`. It knows the words of a text model.

    Raises:
        InputError: for a model that is not built, or with `y` not compiled; for `x` that is not finite; where there are
            several outputs or inputs and none is chosen; for an `output`, `method` or `at` that is not there, or an
            `output` that does not give `(B,)`.

    Source: Simonyan, Vedaldi and Zisserman (2014), Deep inside convolutional networks, arXiv 1312.6034; with the input:
    Shrikumar, Greenside and Kundaje (2017), arXiv 1704.02685, section 2.

    Example:

    >>> model = keras.Sequential([keras.Input((7, 5)), ks.layers.GRU(3), keras.layers.Dense(2)])
    >>> found = ks.diagnostics.saliency(model, np.ones((4, 7, 5)), output=1)
    >>> found.values.shape, found.frame.columns.tolist()
    ((4, 7), ['row', 'step', 'saliency'])
    """
    check_built(model)
    if method not in METHODS:
        raise InputError(f"Argument `method` must be one of {', '.join(map(repr, METHODS))}, got {method!r}.")
    if y is not None and output is not None:
        raise InputError("Arguments `y` and `output` say what to follow, the loss or an output: give one of them.")
    if y is not None and not getattr(model, "compiled", False):
        raise InputError(f'{called(model)} has no loss: call `model.compile("adam", loss)` first, or leave out `y`.')
    if sample_weight is not None and y is None:
        raise InputError("Argument `sample_weight` weighs the loss: give the targets `y` with it, or leave it out.")
    batch = batch_of(model, x, y, sample_weight)
    check_finite(batch)
    embeddings, choice = _layers(model, at), output
    # The scope is outside of what is traced: in it, Keras may make the variables of a loss.
    with keras.StatelessScope(), _outputs_met(embeddings) as met:
        shapes = native.spec_of(lambda x: outputs_of(model, x), batch[0])
        calls = [(layer, tuple(tensor.shape)) for layer, tensor, _ in met]
        if y is not None:
            native.spec_of(lambda x, y, weight: loss_of(model, x, y, outputs_of(model, x), weight), *batch)
    place = _place(model, batch[0], calls, at)
    follow, label = (None, "loss") if y is not None else _follow(model, shapes, choice)

    def followed(added, x, y, weight):
        if isinstance(place, int):  # an input
            leaves = tree.flatten(x)
            keep = ops.ones(leaves[place].shape[:2], "bool")
            leaves[place] = read = ops.cast(leaves[place], added[0].dtype) + added[0]
            outputs = outputs_of(model, x := tree.pack_sequence_as(x, leaves))
        else:
            with _outputs_met([place], added[0]) as met:
                outputs = outputs_of(model, x)
            ((_, read, keep),) = met
        value = loss_of(model, x, y, outputs, weight) if follow is None else ops.sum(follow(outputs))
        return value, (ops.stop_gradient(read), keep)

    shape, dtype = _form(batch[0], calls, place)
    program = native.gradient_program(followed, model.variables)
    _, (read, keep), (gradient,) = program([np.zeros(shape, dtype)], *batch)
    gradient, read = (array_of(one).reshape(*shape[:2], -1) for one in (gradient, read))
    values = np.linalg.norm(gradient, axis=2) if method == "gradient" else (gradient * read).sum(axis=2)
    keep = np.asarray(ops.convert_to_numpy(keep), bool)
    values = np.where(keep, values, 0.0)
    if not np.isfinite(values).all():
        raise InputError(f"The gradient on this batch is not finite: {cause_of(model, batch)}")
    ids = batch[0]
    tokens = tokens_of(model, ids) if getattr(ids, "shape", None) == values.shape else None
    return Saliency(values, keep, tokens, method, label)


@contextlib.contextmanager
def _outputs_met(layers, added=None):
    """Within it, each call of these layers is noted in a list, `(layer, output, keep)`, and `added` to its output."""
    met = []

    def noting(layer):
        own = layer.call

        def call(inputs, *args, **kwargs):
            output = own(inputs, *args, **kwargs)
            mask = None
            if layer.supports_masking and not isinstance(layer, keras.layers.RNN):
                mask = layer.compute_mask(inputs, tree.map_structure(compat.mask_of, inputs))
            output = output if added is None else output + ops.cast(added, output.dtype)
            keep = ops.ones(output.shape[:2], "bool") if mask is None else ops.cast(mask, "bool")
            met.append((layer, output, keep))
            return output

        return call

    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(replaced(layer, "call", noting(layer)))
        yield met


def _layers(model, at):
    """The layers that may be looked at: that of the name `at`, else those that embed ids."""
    inner = list(compat.inner_layers(model))
    named = [layer for layer in inner if layer.name == at and layer is not model]
    if at is not None:
        return named
    found = [layer for layer in inner if isinstance(layer, (keras.layers.Embedding, SubwordEmbedding))]
    # Vectors of words and of their letters, which `models.embeddings` adds up.
    joined = [layer for layer in inner if isinstance(layer, keras.layers.Add) and layer.name == "embeddings"]
    return joined if len(joined) == 1 and len(found) == 2 else found


def _place(model, x, calls, at):
    """Where to look: a layer, or the place of an input among the leaves of `x`."""
    leaves = ["".join(f"[{key!r}]" for key in path) for path, _ in tree.flatten_with_path(x)]
    paths = [path for path, _ in tree.flatten_with_path(x)]
    inputs = [i for i, value in enumerate(tree.flatten(x)) if value.ndim > 2 and (value.dtype.kind == "f" or not calls)]
    if at is not None:
        inputs = [i for i, path in enumerate(paths) if path == (at,)]
    found = [*inputs, *(layer for layer, _ in calls)]
    names = [*(f"input {leaves[i] or 'x'}" for i in inputs), *(f"layer {layer.name!r}" for layer, _ in calls)]
    if not found:
        raise InputError(
            f"{called(model)} has nothing to look at"
            + (f" called {at!r}" if at is not None else ": neither inputs (B, T, D) nor embeddings of ids")
            + ". Argument `at` must name an input (B, T, D), or a layer that it calls whose output is (B, T, E)."
        )
    if len(found) > 1:
        raise InputError(
            f"{called(model)} reads several things, {', '.join(names)}: say by `at` which, or name a layer, called "
            "once, that joins them."
        )
    shape = _form(x, calls, found[0])[0]
    if len(shape) < 3 or None in shape:
        raise InputError(f"Argument `at` must name what has shape (B, T, E), {names[0]} has {shape}.")
    return found[0]


def _form(x, calls, place):
    """Shape and dtype of what is added at a place."""
    if not isinstance(place, int):
        return calls[0][1], "float64" if place.compute_dtype == "float64" else "float32"
    value = tree.flatten(x)[place]
    return value.shape, "float64" if value.dtype == "float64" else "float32"


def _follow(model, shapes, output):
    """`(function, label)`: from the outputs of a model to a number for each row, and what it is called."""
    found = [tuple(one.shape) for one in tree.flatten(shapes)]
    if callable(output):
        given, rows = [tuple(one.shape) for one in tree.flatten(native.spec_of(output, shapes))], found[0][0]
        if given != [(rows,)]:
            raise InputError(
                f"Argument `output` must be a function that gives a number for each row, ({rows},), got shapes {given} "
                "from it: it must choose one place on every other axis, such as `lambda outputs: outputs[:, -1, 0]`."
            )
        return output, "output"
    remedy = "give `output` a function of the outputs that returns (B,), such as `lambda outputs: outputs[:, -1, 0]`"
    if len(found) > 1 or len(found[0]) > 2:
        raise InputError(
            f"{called(model)} has outputs of shapes {found}, of which one number is to be chosen: {remedy}."
        )
    size = found[0][1] if len(found[0]) == 2 else 1
    labels = list(getattr(model, "labels", []))
    if output is None and size > 1:
        raise InputError(
            f"{called(model)} has {size} outputs: say by `output` which, {labels or f'from 0 to {size - 1}'}, or give "
            "`y` for the loss."
        )
    place = labels.index(output) if output in labels else 0 if output is None else output
    if isinstance(place, bool) or not isinstance(place, (int, np.integer)) or not -size <= place < size:
        raise InputError(
            f"Argument `output` must be one of {labels or f'{size} outputs, from 0 on'}, or a function of the outputs, "
            f"got {output!r}."
        )
    label = "output" if output is None else f"output {output!r}"
    return lambda outputs: ops.reshape(tree.flatten(outputs)[0], (-1, size))[:, place], label

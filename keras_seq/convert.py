"""From stock Keras: a model with the recurrent layers of this package in place of those of `keras.layers`.

The model is saved and loaded again, and on the way the names of the stock classes in its configuration are replaced by
ours. So all that Keras keeps in a `.keras` file comes along (weights, vocabularies, shared layers, the compile state),
at any depth: inside of wrappers, stacks and nested models.
"""

import contextlib
import inspect
import json
import tempfile
import textwrap
from pathlib import Path

import keras
from keras import ops, tree

from keras_seq import compat, layers
from keras_seq.errors import InputError

_CELLS = ("SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells")
STOCK = {name: getattr(layers, name) for name in ("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", *_CELLS)}


def convert(model):
    """A copy of a Keras model whose stock recurrent layers are those of this package.

    `SimpleRNN`, `LSTM`, `GRU`, `RNN`, `Bidirectional`, their cells and `StackedRNNCells` become the ones of these names
    in `ks.layers`, wherever they are: in nested models, shared, inside of `TimeDistributed` or another wrapper. Cells
    and layers of other classes, subclasses of the stock ones too, stay what they are. Outputs are the same to rounding,
    but where a stock layer loses or misreads a mask.

    The copy has the same weights, names, dtype policies and `trainable` flags, and the states of stateful layers. It is
    compiled as the model is, with an optimizer of its own that has the same slots and step count; metrics start anew.
    `use_cudnn` becomes `"auto"`. The model is left as it was, and shares no weight with its copy.

    Args:
        model: a built `keras.Model`: Sequential, Functional, or of a class that its configuration can rebuild, as
            `.keras` files ask for. Classes and functions of your own need not be registered, and may be lambdas.

    Returns:
        A model of the same class. Without any recurrent layer it is an equal copy.

    Raises:
        InputError: for what is no model or not built, for a model that cannot be rebuilt from its configuration, where
            a class of your own makes stock recurrent layers in its constructor, out of reach from here, and where
            two models inside of it, or it and one of them, share a layer, which Keras rebuilds wrongly.

    Example:

    >>> stock = keras.Sequential([keras.Input((None, 5)), keras.layers.LSTM(3, name="reader")])
    >>> model = ks.convert(stock)
    >>> type(model.get_layer("reader")).__module__
    'keras_seq.layers.recurrent'
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            f"Argument `model` must be a built keras.Model, got {type(model).__name__}: put single layers into a "
            "keras.Sequential, or make them with ks.layers and give them the weights with `set_weights`."
        )
    if not model.built:
        raise InputError(
            f"Argument `model` must be built, got {model.name!r}, whose weights do not exist yet: call it on data, or "
            "give it a keras.Input or `build(input_shape)`."
        )
    _check_sharing(model)
    try:
        converted = _rebuilt(model)
    except Exception as error:
        raise _out_of_reach(model, textwrap.shorten(str(error), 250, placeholder=" …")) from error
    left = [layer.name for layer in compat.inner_layers(converted) if _is_stock(layer)]
    if left:
        raise _out_of_reach(model, f"its configuration does not show the stock recurrent layers {', '.join(left)}")
    return converted


def with_our_classes(config):
    """A configuration with the stock recurrent classes in it replaced by ours."""
    if isinstance(config, list):
        return [with_our_classes(value) for value in config]
    if not isinstance(config, dict):
        return config
    config = {key: with_our_classes(value) for key, value in config.items()}
    if config.get("module") == "keras.layers" and config.get("class_name") in STOCK:
        ours = STOCK[config["class_name"]]
        config.update(module=ours.__module__, registered_name=keras.saving.get_registered_name(ours))
        config["config"].pop("use_cudnn", None)
    return config


def _check_sharing(model):
    """Raise for a layer that is in two models: rebuilt, Keras silently takes one call of it for another."""
    owners = {}
    for owner in compat.inner_layers(model):
        for layer in owner.layers if isinstance(owner, keras.Model) else ():
            if owners.setdefault(id(layer), owner) is not owner:
                raise InputError(
                    f"Layer {layer.name!r} is shared by the models {owners[id(layer)].name!r} and {owner.name!r}, and "
                    "Keras cannot rebuild that: give the layer a model of its own and call that in both, or build all "
                    "anew with ks.layers and give that the weights with `set_weights`."
                )


def _rebuilt(model):
    """The model, saved and loaded, with our classes in its configuration."""
    classes, functions = _own_parts(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        with _under_other_names(functions) as named:
            model.save(path, zipped=False)
            compile_config = model.get_compile_config() if model.compiled else None
        config = path / "config.json"
        config.write_text(json.dumps(with_our_classes(json.loads(config.read_text("utf-8")))), "utf-8")
        own = {**classes, **named}
        converted = keras.saving.load_model(path, custom_objects=own, compile=False)
    _carry_over(model, converted)
    if compile_config is not None:  # after the flags: the optimizer has slots for what is trained
        with keras.saving.custom_object_scope(own):
            converted.compile_from_config(compile_config)
        if converted.compiled and model.optimizer.built:
            _carry_over_slots(model, converted)
    return converted


def _carry_over_slots(model, converted):
    """The state of the optimizer, which has slots for what was trained when it was built: flags may have changed."""
    trained = compat.trained_by(model.optimizer)
    if [id(v) for v in trained] != [id(v) for v in model.trainable_variables]:
        twins = {id(old): new for old, new in zip(model.weights, converted.weights, strict=True)}
        optimizer = type(converted.optimizer).from_config(converted.optimizer.get_config())
        optimizer.build([twins[id(v)] for v in trained])
        converted.optimizer = optimizer
    for new, old in zip(converted.optimizer.variables, model.optimizer.variables, strict=True):
        new.assign(ops.copy(old))  # on JAX a training step gives its arrays away


def _carry_over(model, converted):
    """What a `.keras` file does not hold: flags of inner layers, and the states of stateful ones."""
    for old, new in zip(compat.inner_layers(model), compat.inner_layers(converted), strict=True):
        if new.trainable != old.trainable:  # the flag of a cell inside of a layer
            new.trainable = old.trainable
        if getattr(old, "states", None) is not None and isinstance(new, layers.RNN):
            states = tree.flatten(old.states)
            new.reset_state(batch_size=states[0].shape[0])
            for variable, state in zip(tree.flatten(new.states), states, strict=True):
                variable.assign(ops.copy(state))


def _own_parts(model):
    """Classes and functions in a model that are not Keras's: the classes by name, the functions in a list."""
    holders = [*compat.inner_layers(model), *model.metrics]
    parts = [*holders, *(part for holder in holders for part in _flat(vars(holder)))]
    functions = {id(part): part for part in parts if inspect.isfunction(part) and not _is_keras(part)}
    classes = {type(part) for part in parts if hasattr(type(part), "get_config") and not _is_keras(type(part))}
    return {cls.__name__: cls for cls in classes}, list(functions.values())


def _flat(value):
    if isinstance(value, dict):
        value = list(value.values())
    return [part for one in value for part in _flat(one)] if isinstance(value, (list, tuple)) else [value]


@contextlib.contextmanager
def _under_other_names(functions):
    """Functions under names of their own, so that each is found again, lambdas too, which Keras would write as code."""
    names = [function.__name__ for function in functions]
    try:
        for number, function in enumerate(functions):
            function.__name__ = f"own_function_{number}"
        yield {function.__name__: function for function in functions}
    finally:
        for name, function in zip(names, functions, strict=True):
            function.__name__ = name


def _is_keras(thing):
    return thing.__module__.startswith("keras.")


def _is_stock(layer):
    return type(layer) is getattr(keras.layers, type(layer).__name__, None) and type(layer).__name__ in STOCK


def _out_of_reach(model, reason):
    remedy = "Build the model anew with ks.layers, and give it the weights with `new.set_weights(old.get_weights())`."
    if any(not _is_keras(type(layer)) for layer in compat.inner_layers(model)):
        remedy = f"Layers that a class of your own makes in its constructor are out of reach. {remedy}"
    return InputError(f"Model {model.name!r} ({type(model).__name__}) cannot be converted: {reason}. {remedy}")

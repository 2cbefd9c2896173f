"""What `encoder=` means, in every factory: a name, a cell or a layer, stacked to the depth that is asked for."""

import keras

from keras_seq.checks import positive_integer
from keras_seq.layers import GRU, LSTM, RNN, Bidirectional, ClockworkRNN, SimpleRNN

ENCODERS = {"simple_rnn": SimpleRNN, "lstm": LSTM, "gru": GRU, "clockwork": ClockworkRNN}


def encoder_layers(
    encoder,
    units,
    depth,
    bidirectional,
    return_sequences,
    recurrent_dropout=0.0,
    return_state=False,
    dtype=None,
    stateful=False,
):
    """The layers of an encoder, the lowest first.

    Args:
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, `"clockwork"`; a cell, or a layer, which is copied with fresh
            weights. A clockwork RNN has periods of 1, 2, 4 and 8 steps, and `units` that are a multiple of 4; give
            its cell for others.
        units: size of a named encoder (in each direction); a cell or layer has its own.
        depth: how many layers there are.
        bidirectional: whether each reads both ways.
        return_sequences: whether the last layer returns the outputs of all steps. Layers without such an argument
            are taken as they are.
        recurrent_dropout: of a named encoder; a cell or layer has its own.
        return_state: whether each layer also returns its final states. Layers without such an argument do not.
        dtype: of what is made here; a cell or layer keeps its own.
        stateful: whether each layer goes on from the states in which the batch before left it.

    Returns:
        A list of `keras.layers.Layer`.

    Raises:
        ValueError: for an unknown name, something that is neither cell nor layer, or a depth below 1.
    """
    depth = positive_integer("depth", depth)
    check_encoder("encoder", encoder)
    if recurrent_dropout and not isinstance(encoder, str):
        raise ValueError(
            f"Argument `recurrent_dropout` needs an encoder given by name, got {type(encoder).__name__}: set it there."
        )
    layers = []
    for level in range(depth):
        returns = {"return_sequences": return_sequences or level < depth - 1, "return_state": return_state}
        returns |= {"stateful": True} if stateful else {}  # or a layer is what it was
        name = f"encoder_{level + 1}"
        layer = _layer(encoder, units, returns, recurrent_dropout, f"{name}_one_way" if bidirectional else name, dtype)
        layers.append(Bidirectional(layer, name=name, dtype=dtype) if bidirectional else layer)
    return layers


def check_encoder(name, encoder, *others):
    """Raise unless an argument called `name` is a cell, a layer, the name of one, or one of the `others`."""
    names = [*ENCODERS, *others]
    if isinstance(encoder, str) and encoder not in names:
        raise ValueError(f"Argument `{name}` must be a cell, a layer or one of {', '.join(names)}, got {encoder!r}.")
    if not isinstance(encoder, (str, keras.layers.Layer)):
        raise ValueError(f"Argument `{name}` must be a name, a cell or a layer, got {type(encoder).__name__}.")


def _layer(encoder, units, returns, recurrent_dropout, name, dtype):
    if isinstance(encoder, str):
        return ENCODERS[encoder](units, **returns, recurrent_dropout=recurrent_dropout, name=name, dtype=dtype)
    if is_cell(encoder):
        return RNN(type(encoder).from_config(encoder.get_config()), **returns, name=name, dtype=dtype)
    config = {**encoder.get_config(), "name": name}
    wrapped = [config[key] for key in ("layer", "backward_layer") if config.get(key)]  # of Bidirectional
    for one in [config, *(w["config"] for w in wrapped)]:
        one.update({argument: value for argument, value in returns.items() if argument in one})
    return type(encoder).from_config(config)


def saved_encoder(encoder):
    """What stands for an encoder in a config: its name, or the config of a cell or layer."""
    return encoder if encoder is None or isinstance(encoder, str) else keras.saving.serialize_keras_object(encoder)


def is_cell(layer):
    """Whether a layer is a cell, one step of a recurrence, and not a layer that runs one."""
    return hasattr(layer, "state_size") and not isinstance(layer, keras.layers.RNN)

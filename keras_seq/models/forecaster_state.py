"""What a `Forecaster` must know beside its model to be one again, as a dict for JSON: it is saved with the model."""

import keras
import numpy as np

from keras_seq.errors import InputError

FORMAT = 1
TRAINING = ("weight_decay", "learning_rate", "clipnorm")  # arguments of `forecasting_model` that no model keeps


def state_of(forecaster, reading, scaler, constants):
    """The state of a forecaster.

    Args:
        reading: arguments of `ks.data.read_series`.
        scaler: a `Scaler`, or None.
        constants: of the intervals, `{level: (F, C)}`.
    """
    given = {name: forecaster.options[name] for name in TRAINING if name in forecaster.options}
    return {
        "format": FORMAT,
        "reading": reading,
        "scale": forecaster.scale,
        "missing": forecaster.missing,
        "level": forecaster.level,
        "training": keras.saving.serialize_keras_object(given),
        "scaler": scaler and scaler.get_config(),
        "constants": [constants[one].tolist() for one in forecaster.level],
    }


def parts_of(model, options):
    """`(arguments of Forecaster, reading, scaler, constants)`, of the state that a model carries.

    Args:
        options: names of arguments that `Forecaster` hands on to the model.

    Raises:
        InputError: for a state of another format.
    """
    from keras_seq.data.scaling import Scaler

    state, config = model.forecaster, model.get_config()
    if state["format"] != FORMAT:
        raise InputError(
            f"The forecaster was written in format {state['format']}, this version of keras_seq reads {FORMAT}: "
            "install the version that wrote it (card.json tells)."
        )
    arguments = {name: config[name] for name in options if name in config} | {"encoder": model.encoder}
    arguments |= keras.saving.deserialize_keras_object(state["training"])
    arguments |= {name: state[name] for name in ("scale", "missing", "level")}
    constants = {one: np.array(c, "float32") for one, c in zip(state["level"], state["constants"], strict=True)}
    return arguments, dict(state["reading"]), state["scaler"] and Scaler(**state["scaler"]), constants

"""Small forecasters, and the frames that they are tried on."""

import keras
import numpy as np
import pandas as pd

import keras_seq as ks

T, F = 5, 3
SMALL = {"units": 4, "segment": 2}


def forecaster_of(**arguments):
    return ks.models.Forecaster(T, F, **{**SMALL, **arguments})


def fitted(frame, validation=0.3, **arguments):
    keras.utils.set_random_seed(1)
    return forecaster_of(**arguments).fit(frame, validation=validation, epochs=1, verbose=0)


def wide(rng, length=80, freq="h"):
    index = pd.date_range("2024-03-01", periods=length, freq=freq, name="when")
    values = rng.normal(size=(length, 3)).cumsum(0) + np.array([10, -30, 0])
    return pd.DataFrame(values, index=index, columns=["load", "wind", "sun"])


def future_of(frame, steps=F):
    """The rows that follow each series, with what is known in advance."""
    rows = []
    for name, one in frame.groupby("unique_id"):
        ds = pd.date_range(one["ds"].iloc[-1], periods=steps + 1, freq="h")[1:]
        rows.append(
            pd.DataFrame({"unique_id": name, "ds": ds, "price": np.linspace(-1, 1, steps) + 3 * (ord(name) - 97)})
        )
    return pd.concat(rows, ignore_index=True)

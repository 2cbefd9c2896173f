"""Without matplotlib each picture says who needs it, and which extra has it."""

import sys

import numpy as np
import pytest

import keras_seq as ks
from keras_seq.diagnostics.flow import GradientFlow
from keras_seq.diagnostics.gates import GateActivations, Gates
from keras_seq.diagnostics.salience import Saliency
from keras_seq.errors import MissingExtraError
from tests.diagnostics.forecast_frames import HOURS, PAST, backtest_of, forecast_of, history_of


def structure(rng):
    layer = ks.layers.LSTM(2)
    layer.build((None, None, 3))
    return ks.diagnostics.plot_structure(layer)


def memory(rng):
    heads = {name: np.ones((1, 2, 1, 3)) for name in ("read_weights", "write_weights")}
    return ks.diagnostics.plot_memory({"memory": np.ones((1, 2, 3, 4)), **heads})


def gates(rng):
    part = Gates("lstm", 0, "forward", "", {"f": np.ones((1, 4, 2))}, of_tokens=False)
    return GateActivations([part], None).plot()


PICTURES = {
    "ks.diagnostics.attention_map": lambda rng: ks.diagnostics.attention_map([[1.0]], ["a"], ["b"]),
    "ks.diagnostics.plot_memory": memory,
    "ks.diagnostics.plot_structure": structure,
    "GateActivations.plot": gates,
    "GradientFlow.plot": lambda rng: GradientFlow(0.0, [], False, False).plot(),
    "Saliency.plot": lambda rng: Saliency(np.ones((1, 4)), np.ones((1, 4), bool), None, "gradient", "loss").plot(),
    "ks.diagnostics.plot_forecast": lambda rng: ks.diagnostics.plot_forecast(
        history_of(rng), forecast_of(rng, HOURS[PAST:])
    ),
    "ks.diagnostics.plot_backtest": lambda rng: ks.diagnostics.plot_backtest(backtest_of(rng, [3])),
    "ks.diagnostics.plot_error_by_horizon": lambda rng: ks.diagnostics.plot_error_by_horizon(backtest_of(rng, [3])),
}


@pytest.mark.parametrize("who", PICTURES)
def test_the_extra_is_named(who, rng, monkeypatch):
    for name in ["matplotlib", *(name for name in sys.modules if name.startswith("matplotlib."))]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it now fails
    with pytest.raises(MissingExtraError, match=rf"^{who} .*keras_seq\[plots\]"):
        PICTURES[who](rng)

"""Pictures of what models do, and how far back their gradients travel."""

from keras_seq.diagnostics.attention import attention_map
from keras_seq.diagnostics.flow import GradientFlow
from keras_seq.diagnostics.forecasts import plot_backtest, plot_error_by_horizon, plot_forecast
from keras_seq.diagnostics.gate_activations import gate_activations
from keras_seq.diagnostics.gates import GateActivations
from keras_seq.diagnostics.gradient_flow import gradient_flow
from keras_seq.diagnostics.jacobians import jacobian_norms, spectral_radius
from keras_seq.diagnostics.memory import plot_memory
from keras_seq.diagnostics.plot_structure import plot_structure
from keras_seq.diagnostics.salience import Saliency
from keras_seq.diagnostics.saliency import saliency

__all__ = [
    "GateActivations",
    "GradientFlow",
    "Saliency",
    "attention_map",
    "gate_activations",
    "gradient_flow",
    "jacobian_norms",
    "plot_backtest",
    "plot_error_by_horizon",
    "plot_forecast",
    "plot_memory",
    "plot_structure",
    "saliency",
    "spectral_radius",
]

"""Pictures of what models do."""

from keras_seq.diagnostics.attention import attention_map
from keras_seq.diagnostics.forecasts import plot_backtest, plot_error_by_horizon, plot_forecast
from keras_seq.diagnostics.memory import plot_memory

__all__ = ["attention_map", "plot_backtest", "plot_error_by_horizon", "plot_forecast", "plot_memory"]

"""Settings of benchmarks/forecasting.py: what the window is, which model, how it is trained."""

SEGMENTS = {
    "lookback": 96,
    "batch_size": 256,
    "learning_rate": 1e-3,
    "decay": 0.9,
    "epochs": 30,
    "patience": 10,
    "model": {"strategy": "segment", "encoder": "gru", "units": 128, "segment": 24, "dropout": 0.5, "outputs": "mae"},
}
LINEAR = {
    "lookback": 336,
    "batch_size": 32,
    "learning_rate": 5e-3,
    "decay": 0.5,
    "epochs": 10,
    "patience": 3,
    "published_batch": 32,
}
ETT = {
    "segments": {**SEGMENTS, "published_batch": 256},
    "nlinear": {**LINEAR, "layer": "NLinear"},
    "dlinear": {**LINEAR, "layer": "DLinear"},
}
# Rows at which the training part ends, and the validation and the test part: 12, 4 and 4 months.
BORDERS = {"ETTh1": (8640, 11520, 14400), "ETTm1": (34560, 46080, 57600)}


def settings_of(task):
    """The settings of a task such as `ETTh1_96_segments`."""
    data, horizon, model = task.rsplit("_", 2)
    return {"data": data, "horizon": int(horizon), **ETT[model]}

"""Settings of benchmarks/forecasting.py: what the window is, which model, how it is trained."""

SEGMENTS = {
    "lookback": 96,
    "batch_size": 64,
    "published_batch": 256,
    "learning_rate": 1e-3,
    "decay": 0.9,
    "epochs": 20,
    "patience": 5,
    "model": {"strategy": "segment", "encoder": "gru", "units": 128, "segment": 24, "dropout": 0.5, "outputs": "mae"},
}
LINEAR = {
    "lookback": 336,
    "batch_size": 32,
    "published_batch": 32,
    "learning_rate": 5e-3,
    "constant_epochs": 2,
    "decay": 0.5,
    "epochs": 10,
    "patience": 3,
    "whole_batches": True,
}
REVERSIBLE = {**SEGMENTS, "model": {**SEGMENTS["model"], "highway": True, "normalization": "reversible"}}
MODELS = {
    "segments": SEGMENTS,
    "reversible": REVERSIBLE,
    "nlinear": {**LINEAR, "layer": "NLinear"},
    "dlinear": {**LINEAR, "layer": "DLinear"},
}
OTHERS = {"ETTh1_720_segments": {"highway": True}}  # where validation wants something else
# Rows at which the training part ends, and the validation and the test part: 12, 4 and 4 months.
BORDERS = {"ETTh1": (8640, 11520, 14400), "ETTm1": (34560, 46080, 57600)}

FRAMES = {
    "m4_hourly": {
        "season": 24,
        "decay": 0.85,
        "forecaster": {
            "lookback": 336,
            "horizon": 48,
            "scale": "window",
            "segment": 24,
            "units": 256,
            "dropout": 0.0,
            "highway": True,
            "normalization": "reversible",
            "outputs": "mae",
            "learning_rate": 1e-3,
        },
        "fit": {"validation": -48, "epochs": 15, "patience": 4, "batch_size": 256, "stride": 2},
    },
    "airpassengers": {
        "season": 12,
        "decay": 0.99,
        "forecaster": {
            "lookback": 36,
            "horizon": 12,
            "scale": "window",
            "calendar": None,
            "segment": 12,
            "units": 64,
            "outputs": "mae",
            "learning_rate": 2e-3,
        },
        "fit": {"validation": -12, "epochs": 200, "patience": 40, "batch_size": 16},
    },
}


def settings_of(task):
    """The settings of a task such as `ETTh1_96_segments` or `m4_hourly`."""
    if task in FRAMES:
        return FRAMES[task]
    data, horizon, model = task.split("_")
    settings = {"data": data, "horizon": int(horizon), **MODELS[model]}
    if task in OTHERS:
        settings["model"] = {**settings["model"], **OTHERS[task]}
    return settings


TASKS = [
    *(f"ETTh1_{horizon}_segments" for horizon in (96, 192, 336, 720)),
    "ETTh1_720_reversible",
    *(f"ETTh1_{horizon}_{layer}" for layer in ("nlinear", "dlinear") for horizon in (96, 720)),
    "ETTm1_96_segments",
    *FRAMES,
]

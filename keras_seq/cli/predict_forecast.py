"""`keras-seq predict` with a model that forecasts: the steps to come, and a picture of them."""

from keras_seq import diagnostics
from keras_seq.cli.outputs import check_file, check_picture
from keras_seq.data.frames import read_frame
from keras_seq.errors import InputError
from keras_seq.models import Forecaster


def forecast_rows(directory, data, future=None, horizon=None, out=None, plot=None):
    """A row for each step to come of each series: id, time stamp, forecasts and the ends of their intervals.

    Args:
        directory: an artefact.
        data: a file with the history, and, at its end, covariates of the steps to come, with empty targets.
        future: a file with those covariates, or None.
        horizon: how many steps, or None for as many as the model was trained for.
        out: the file that the rows will be written to, or None.
        plot: where to write a picture of history and forecast, or None.
    """
    check_file("--out", out, ".csv", ".jsonl")
    check_picture("--plot", plot)
    if data is None:
        raise InputError("No history: a model that forecasts needs --data FILE, the table of what came before.")
    history, to_come = read_frame(data), None if future is None else read_frame(future)
    forecaster = Forecaster.load(directory)
    names = forecaster.columns
    if names["time"] is None:
        raise InputError(
            f"The model in {str(directory)!r} takes time from the index of frames, which a file has not: load it with "
            "ks.models.Forecaster.load, or train one with a column of time stamps."
        )
    forecast = forecaster.predict(history, horizon, to_come)
    if plot is not None:
        how = {"time": names["time"], "id": names["id"], "freq": forecaster.freq, "path": plot}
        diagnostics.plot_forecast(history, forecast, **how)
    return _rows(forecast, [name for name in (names["id"], names["time"]) if name is not None])


def _rows(frame, keys):
    """The rows of a frame as dicts: ids as they are, stamps as strings, and the shortest numbers equal in float32."""
    columns = {name: [float(str(x)) for x in frame[name].to_numpy("float32")] for name in frame if name not in keys}
    for name in keys:
        dates = frame[name].dtype.kind == "M"
        columns[name] = (frame[name].astype(str) if dates else frame[name]).tolist()
    return [dict(zip(frame, row, strict=True)) for row in zip(*(columns[name] for name in frame), strict=True)]

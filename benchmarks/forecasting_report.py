"""Rows of the tables on forecasting."""

import statistics

MODELS = {
    "segments": "GRU over segments, {} steps seen",
    "reversible": "GRU over segments, reversible norm",
    "nlinear": "`NLinear`, {}",
    "dlinear": "`DLinear`, {}",
}
# MSE and MAE of the published tables (TARGETS.md names the papers), beside which ours are shown.
PUBLISHED = {
    "ETTh1_96_segments": ("SegRNN", 0.368, 0.395),
    "ETTh1_192_segments": ("SegRNN", 0.408, 0.419),
    "ETTh1_336_segments": ("SegRNN", 0.444, 0.440),
    "ETTh1_720_segments": ("SegRNN", 0.446, 0.457),
    "ETTh1_96_nlinear": ("NLinear", 0.374, 0.394),
    "ETTh1_720_nlinear": ("NLinear", 0.440, 0.453),
    "ETTh1_96_dlinear": ("DLinear", 0.375, 0.399),
    "ETTh1_720_dlinear": ("DLinear", 0.472, 0.490),
}
NAMES = {"m4_hourly": "M4 Hourly, 414 series", "airpassengers": "AirPassengers, the last year"}


def _of_tasks(results, ett):
    """The runs that were judged on test parts, by task, in the order of their horizons."""
    found = {}
    for run in results:
        if run["judged_on"] == "test" and ("data" in run["settings"]) == ett:
            found.setdefault(run["task"], []).append(run)
    if not ett:
        return found
    return dict(sorted(found.items(), key=lambda one: (one[0].split("_")[::2], one[1][0]["settings"]["horizon"])))


def ett(results, in_pytorch):
    """Head and rows, a row for each task, over its seeds; `in_pytorch` are runs of the same recipe there."""
    rows = []
    for task, runs in _of_tasks(results, ett=True).items():
        data, horizon, kind = task.split("_")
        name, mse, mae = PUBLISHED.get(task, ("", None, None))
        last = runs[0]["baselines"]["repeat_last"]
        rows.append(
            [
                f"{data}, {horizon}",
                MODELS[kind].format(runs[0]["settings"]["lookback"]),
                str(len(runs)),
                _spread([run["metrics"]["mse"] for run in runs]),
                _spread([run["metrics"]["mae"] for run in runs]),
                _both([run["metrics"]["whole_batches"] for run in runs]),
                f"{mse:.3f} / {mae:.3f} ({name})" if name else "",
                _spread([run["metrics"]["all_windows"] for run in in_pytorch if run["task"] == task]),
                _both([last]),
                f"{runs[0]['parameters'] / 1e3:.0f} k",
                _duration(runs),
            ]
        )
    head = ["data, horizon", "model", "seeds", "MSE", "MAE", "whole batches", "published", "in PyTorch", "repeat last"]
    return [*head, "parameters", "training"], rows


def frames(results):
    """Head and rows of M4 Hourly and AirPassengers: the model and what it is compared with."""
    rows = []
    for task, runs in _of_tasks(results, ett=False).items():
        of = {name: [run["metrics"][name] for run in runs] for name in runs[0]["metrics"]}
        seeds = f"{len(runs)} seed{'s' * (len(runs) > 1)}, {runs[0]['parameters'] / 1e3:.0f} k parameters"
        numbers = [_spread(of[name], digits) for name, digits in (("smape", 2), ("mase", 3), ("owa", 3))]
        covered = [f"{100 * statistics.mean(of[name]):.0f} %" for name in ("coverage_80", "coverage_90")]
        rows.append([NAMES[task], f"GRU over segments, {seeds}", *numbers, *covered, _duration(runs)])
        for name, one in runs[0]["baselines"].items():
            numbers = [f"{one['smape']:.2f}", f"{one['mase']:.3f}", f"{one['owa']:.3f}"]
            rows.append(["", name.replace("_", " "), *numbers, "", "", ""])
    return ["data", "forecast", "sMAPE", "MASE", "OWA", "in 80 %", "in 90 %", "training"], rows


def speed(results):
    """Head and rows, one."""
    (run,) = results
    ours, stock, windows = (run["milliseconds"][name]["wall"] for name in ("keras_seq", "keras.layers", "windows"))
    many = run["many_series"]
    head = ["a step of training", "in `keras.layers`", "times faster", "a batch of windows", "of the step"]
    head += ["windows a second, 10,000 series", "memory beside the series"]
    row = [f"{ours:.1f} ms", f"{stock:.1f} ms", f"{stock / ours:.2f}", f"{windows:.2f} ms", f"1/{ours / windows:.0f}"]
    return head, [[*row, f"{many['windows_per_second']:,}", f"{many['added_megabytes']:.0f} MB"]]


def _both(errors):
    return " / ".join(f"{_centre([one[name] for one in errors]):.3f}" for name in ("mse", "mae"))


def _centre(values):
    """The mean; of more than three values the median."""
    return statistics.mean(values) if len(values) <= 3 else statistics.median(values)


def _spread(values, digits=3):
    """Mean and deviation; median and range of more than three values, nothing where there is none."""
    if not values:
        return ""
    text = f"{_centre(values):.{digits}f}"
    if len(values) > 3:
        return f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"
    return text + (f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else "")


def _duration(runs):
    seconds = statistics.mean(run["train_seconds"] for run in runs)
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

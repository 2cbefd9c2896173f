"""Small tables of series, and the options of a training on them that takes a second."""

import numpy as np
import pandas as pd

SMALL = {"lookback": 29, "horizon": 7, "units": 5, "segment": 7, "epochs": 2, "batch-size": 19, "known": "warm"}
TINY = [part for name, value in SMALL.items() for part in (f"--{name}", value)]


def hours(rows=400, seed=0):
    """Hours with a daily season and a covariate; three values are missing, all of them early."""
    rng = np.random.default_rng(seed)
    ds = pd.date_range("2024-02-27", periods=rows, freq="h")
    warm = rng.normal(size=rows).round(3)
    y = 50 + 9 * np.sin(2 * np.pi * np.arange(rows) / 24) + 3 * warm + rng.normal(size=rows)
    y[[5, 11, 12]] = np.nan
    return pd.DataFrame({"ds": ds, "y": y.round(3), "warm": warm})


def several(rows=150):
    """Two targets of four series, by days: one ends early, one begins late."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2023-01-01", periods=rows, freq="D")
    frames = []
    for id, used in {7: slice(None), 11: slice(0, 141), 5: slice(145, None), 13: slice(3, None)}.items():
        count = len(days[used])
        week = np.tile(rng.normal(size=7), rows)[:count]
        values = {name: (id + week + 0.2 * rng.normal(size=count)).round(3) for name in ("sold", "left")}
        frames.append(pd.DataFrame({"day": days[used], "shop": id, **values, "price": rng.normal(size=count).round(3)}))
    return pd.concat(frames)


def command(data, out, *options):
    return ["train", "forecast", "--data", data, "--out", out, *TINY, *options]

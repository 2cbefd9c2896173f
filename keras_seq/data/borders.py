"""Borders in time: how many rows of each series come before one.

"2024-03-01"    a time stamp: the same time for all series
0.7             that share of the time from the first stamp of all series to the last one: again one time for all
8640, -48       rows from the beginning, or from the end, of each series
"""

import datetime
import numbers

import numpy as np
import pandas as pd

from keras_seq.data.stamps import ticks_of
from keras_seq.errors import InputError


def rows_before(panel, border, name, default):
    """How many rows of each series are before a border, `(S,)`."""
    lengths = panel.lengths
    if border is None:
        return np.broadcast_to(default, lengths.shape)
    if isinstance(border, numbers.Integral) and not isinstance(border, bool):
        return np.clip(border if border >= 0 else lengths + border, 0, lengths)
    if isinstance(border, numbers.Real) and not isinstance(border, bool) and 0 <= border <= 1:
        tick = panel.grid.share(panel.starts, lengths, border)
    elif isinstance(border, (str, datetime.date, np.datetime64)) and panel.grid.dated:
        tick = _tick(border, name, panel.grid.tz)
    else:
        kinds = "an integer, a float from 0 to 1" + (", or a time stamp" if panel.grid.dated else "")
        raise InputError(f"Argument `{name}` must be {kinds}, got {border!r}.")
    return np.clip(panel.grid.rows_before(panel.starts, tick), 0, lengths)


def _tick(border, name, tz):
    """A time stamp in ticks, in the time zone of the panel if it has none."""
    (tick,), _, own = ticks_of([border], f"Argument `{name}`")
    if own is not None and tz is None:
        raise InputError(f"Argument `{name}` has a time zone and the frame has none, got {border!r}: leave it out.")
    if own is None and tz is not None:
        (tick,), _, _ = ticks_of([pd.Timestamp(border).tz_localize(tz)], f"Argument `{name}`")
    return tick

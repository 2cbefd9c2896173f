"""The last part of the time of series, which a training never sees, and the forecasts that are judged in it.

series     . . . . . . . . . . . . . . | [ F ][ F ][ F ]
             training and validation   |     test           forecasts end with the last known target
"""

import sys

import numpy as np

from keras_seq.data.borders import rows_before
from keras_seq.data.origins import Origins, ends_of
from keras_seq.data.origins import rows_before as rows_of_frame_before
from keras_seq.data.series import read_series
from keras_seq.errors import InputError


class HeldOut:
    """Series, and where their last share of the time begins: the same time for all of them.

    Series of which nothing is known before are left out, and said so.

    Args:
        frame: the frame.
        share: of the time, from the first stamp of all series to the last one.
        columns: arguments of `ks.data.read_series`.

    Attributes:
        frame, panel: all of the time; the frame has the columns in use alone.
        starts: how many rows of each series come before the part, `(S,)`.

    Raises:
        InputError: where nothing is known before, and all that `ks.data.read_series` finds.
    """

    def __init__(self, frame, share, **columns):
        panel = read_series(frame, **columns)
        starts = rows_before(panel, 1 - share, "test_size", 0)
        firsts = panel.bounds[:-1]
        known = np.array([not np.isnan(panel.targets[a : a + n]).all() for a, n in zip(firsts, starts, strict=True)])
        if not known.any():
            raise InputError(f"No target is known before the last {share:g} of the time: give a smaller --test-size.")
        if not known.all():
            ids = [id for id, there in zip(panel.ids, known, strict=True) if there]
            print(f"{len(panel) - len(ids)} of {len(panel)} series begin in the test part: left out.", file=sys.stderr)
            frame = frame[frame[panel.columns["id"]].isin(ids)].reset_index(drop=True)
            panel, starts = read_series(frame, **columns), starts[known]
        names = [[name] if kind in ("time", "id") else name for kind, name in panel.columns.items()]
        self.frame = frame[[name for some in names for name in some if name is not None]]
        self.panel, self.starts, self.share = panel, starts, share

    def before(self):
        """The frame without the part."""
        return rows_of_frame_before(self.frame, self.panel, self.starts)

    def cut(self, horizon, past):
        """Decide which forecasts are judged: of each series as many as fit into the part, one behind the other.

        Sets `windows`, how many that are, `(S,)`.

        Args:
            horizon: steps of a forecast.
            past: how many steps there must be before one.

        Raises:
            InputError: where there is room for none.
        """
        self._ends = ends_of(self.panel)
        room = self._ends - np.maximum(self.starts, past)
        self.horizon, self.windows = horizon, np.maximum(room, 0) // horizon
        if not self.windows.any():
            raise InputError(
                f"No forecast of {horizon} steps (--horizon) fits into the last {self.share:g} of the time "
                f"(--test-size): the most known steps there, with {past} before them (look-back or season), are "
                f"{max(room.max(), 0)}. Give longer series, a larger --test-size, or a smaller --horizon or --lookback."
            )

    def cutoffs(self, s):
        """The rows at which the forecasts of series `s` begin."""
        return self._ends[s] - self.horizon * np.arange(self.windows[s], 0, -1)

    def check(self, batches):
        """Raise for what the forecasts need and is missing, before a training that would be lost.

        Args:
            batches: of the dataset that is trained on.
        """
        series = np.repeat(np.arange(len(self.panel)), self.windows)
        rows = np.concatenate([self.cutoffs(s) for s in range(len(self.panel))])
        Origins(self.panel, batches.sizes, batches.scaler, series, rows)

    def rows_of(self, series):
        """The rows of the frame that are of some series."""
        if self.panel.ids is None:
            return self.frame
        return self.frame[self.frame[self.panel.columns["id"]].isin([self.panel.ids[s] for s in series])]

    def targets(self, s, end):
        """The targets of series `s` before a row, `(end, C)`."""
        begin = self.panel.bounds[s]
        return self.panel.targets[begin : begin + end]

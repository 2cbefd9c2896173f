"""What `gate_activations` found: as arrays, as a frame, and as a picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_seq.diagnostics.pictures import axes_of, label_steps
from keras_seq.errors import InputError

SHUT, OPEN = 0.1, 0.9  # beyond these a gate is called saturated
_CANDIDATES = ("g", "n")  # what gates let through; no gates themselves
_SMALL = 8  # points


@dataclass
class Gates:
    """The gates of one cell in one call of a layer.

    Attributes:
        layer, call, direction: whose: its name, how often it was called before, "forward" or "backward".
        cell: where the cell is inside of the layer's: "" if it is that, "0", "1" in a stack, "controller", "cell".
        values: a dict of arrays `(B, T, H)` by the gate's letter, in the order of time; NaN at masked steps.
        of_tokens: whether its steps are those of the batch's tokens; not where a layer before it made fewer, or more.
    """

    layer: str
    call: int
    direction: str
    cell: str
    values: dict
    of_tokens: bool

    @property
    def label(self):
        parts = (self.layer, f"(call {self.call + 1})" if self.call else "", self.cell)
        return " ".join(filter(None, parts)) + (", backward" if self.direction == "backward" else "")


@dataclass
class GateActivations:
    """The gates of recurrent layers on a batch: see `gate_activations`.

    Attributes:
        parts: a list of `Gates`, one for each cell in each call of a layer, in the order of calls.
        tokens: for text models what each row reads, a list of strings for each; else None.
    """

    parts: list
    tokens: Any

    @property
    def frame(self):
        """A row for each gate and step, over all rows of the batch and all units that are not masked.

        Columns: `layer`, `call`, `direction`, `cell`, `gate`, `step` (in time, from 0); `low`, `median` and `high`, the
        quantiles at 10, 50 and 90 %; `near_0` and `near_1`, the shares of values below 0.1 and above 0.9, at which a
        gate is saturated (of the candidates `g` and `n`, of their absolute values). NaN where a step is masked in all
        rows.
        """
        import pandas as pd

        tables = []
        for part in self.parts:
            whose = {name: getattr(part, name) for name in ("layer", "call", "direction", "cell")}
            for gate, values in part.values.items():
                found = np.array([_summary(gate, values[:, t]) for t in range(values.shape[1])])
                columns = dict(zip(("low", "median", "high", "near_0", "near_1"), found.T, strict=True))
                tables.append(pd.DataFrame({**whose, "gate": gate, "step": np.arange(len(found)), **columns}))
        return pd.concat(tables, ignore_index=True)

    def plot(self, row=0, part=0, ax=None):
        """Draw the gates of one cell for one row: time to the right, a band of units for each gate, dark is open.

        The units of a band are in the order of their means, so a line is another unit in each band. Beside a band
        stands the median of its values, and the shares that are nearly shut and nearly open. Masked steps are hatched;
        those after the last kept one are left out.

        Args:
            row: which sequence of the batch.
            part: which of `parts`.
            ax: matplotlib `Axes` to draw in; by default those of a new figure, `ax.figure`, which pyplot does not know.

        Returns:
            The `Axes`.

        Raises:
            MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
            InputError: for a row that the batch has not or that is masked whole, or a part that is not there.
        """
        gates = {name: v for name, v in self._part(part).values.items() if name not in _CANDIDATES}
        rows = len(next(iter(gates.values())))
        if not -rows <= row < rows:
            raise InputError(f"Argument `row` must be that of one of {rows} sequences, got {row}.")
        kept = np.isfinite(next(iter(gates.values()))[row]).all(axis=1)
        if not kept.any():
            raise InputError(f"Argument `row` must be that of a sequence that is not masked whole, got {row}.")
        length = np.flatnonzero(kept)[-1] + 1
        units = next(iter(gates.values())).shape[-1]
        bands = []
        for values in gates.values():
            values = values[row, :length].T
            bands.append(values[np.argsort(-values[:, kept[:length]].mean(axis=1), kind="stable")])
        ax = axes_of(ax, "GateActivations.plot", (7, 0.9 + 1.1 * len(gates)))
        ax.patch.set(hatch="///", edgecolor="0.6", facecolor="1")
        image = ax.imshow(np.concatenate(bands), cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        for i in range(1, len(bands)):
            ax.axhline(i * units - 0.5, color="0.5", linewidth=1)
        places = (np.arange(len(bands)) + 0.5) * units - 0.5
        labels = [_label(name, band) for name, band in zip(gates, bands, strict=True)]
        ax.set_yticks(places, labels, fontsize=_SMALL)
        ax.tick_params(axis="y", length=0)
        label_steps(ax, self.tokens[row] if self._part(part).of_tokens else None, length)
        ax.set_title(self._part(part).label, fontsize=_SMALL + 1, parse_math=False)
        ax.set_ylabel(f"{units} units of each gate", fontsize=_SMALL)
        bar = ax.figure.colorbar(image, ax=ax)
        bar.set_label("share let through", fontsize=_SMALL)
        bar.ax.tick_params(labelsize=_SMALL)
        return ax

    def _part(self, part):
        if not -len(self.parts) <= part < len(self.parts):
            raise InputError(
                f"Argument `part` must be one of {len(self.parts)}, {[one.label for one in self.parts]}, got {part}."
            )
        return self.parts[part]


def _summary(gate, values):
    """Quantiles, and shares that are shut and open, of what is not masked."""
    values = values[np.isfinite(values)]
    if not values.size:
        return [np.nan] * 5
    size = np.abs(values) if gate in _CANDIDATES else values
    return [*np.quantile(values, (0.1, 0.5, 0.9)), (size < SHUT).mean(), (size > OPEN).mean()]


def _label(gate, band):
    _, median, _, shut, is_open = _summary(gate, band)
    return f"{gate}\nmedian {median:.2f}\n{shut:.0%} below {SHUT}\n{is_open:.0%} above {OPEN}"

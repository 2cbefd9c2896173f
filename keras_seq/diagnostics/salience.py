"""What `saliency` found: as an array, as a frame, and as a picture."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_seq.diagnostics.pictures import axes_of, label_steps
from keras_seq.errors import InputError


@dataclass
class Saliency:
    """How much each step counts: see `saliency`.

    Attributes:
        values: `(B, T)`, in the order of time; zero at masked steps.
        keep: booleans `(B, T)`, false at masked steps of embeddings; all true of other inputs.
        tokens: for text models what each row reads, a list of strings for each; else None.
        method: "gradient" or "gradient_x_input".
        followed: what it counts for, in words, such as "loss" or "output 'positive'".
    """

    values: Any
    keep: Any
    tokens: Any
    method: str
    followed: str

    @property
    def frame(self):
        """A row for each step that is not masked: `row`, `step` (from 0), for text models `token`, and `saliency`."""
        import pandas as pd

        rows, steps = np.nonzero(self.keep)
        tokens = {} if self.tokens is None else {"token": [self.tokens[r][t] for r, t in zip(rows, steps, strict=True)]}
        return pd.DataFrame({"row": rows, "step": steps, **tokens, "saliency": self.values[rows, steps]})

    def plot(self, row=0, ax=None):
        """Draw a bar for each step, up to the last that is not masked, with its token below; what lowers s is hatched.

        Args:
            row: which sequence of the batch.
            ax: matplotlib `Axes` to draw in; by default those of a new figure, `ax.figure`, which pyplot does not know.

        Returns:
            The `Axes`.

        Raises:
            MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
            InputError: for a row that the batch has not, or that is masked whole.
        """
        rows = len(self.values)
        if not -rows <= row < rows or not self.keep[row].any():
            raise InputError(f"Argument `row` must be one of {rows} sequences, not masked whole, got {row}.")
        values = self.values[row, : np.flatnonzero(self.keep[row])[-1] + 1]
        ax = axes_of(ax, "Saliency.plot", (float(np.clip(1.5 + 0.22 * len(values), 4, 14)), 3))
        steps, down = np.arange(len(values)), values < 0
        look = {"width": 0.8, "edgecolor": "black", "linewidth": 0.6}
        ax.bar(steps[~down], values[~down], color="0.35", **look)
        ax.bar(steps[down], values[down], color="1", hatch="////", **look)
        if down.any():
            ax.axhline(0, color="black", linewidth=0.8)
        label_steps(ax, None if self.tokens is None else self.tokens[row], len(values))
        what = "norm of the gradient" if self.method == "gradient" else "gradient times input"
        ax.set_ylabel(f"{what}\nof the {self.followed}", fontsize=8, parse_math=False)
        ax.tick_params(axis="y", labelsize=8)
        ax.set_xlim(-0.7, len(values) - 0.3)
        ax.spines[["top", "right"]].set_visible(False)
        return ax

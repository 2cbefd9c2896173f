"""What `gradient_flow` found: as frames, in words, and as a picture."""

from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from keras_seq.diagnostics.decay import GROWTH, REACH, Decay, by_distance, decay_of, remedy
from keras_seq.diagnostics.pictures import axes_of

_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass
class Curve:
    """Norms of the gradient with respect to one state of one call of a layer.

    Attributes:
        layer, call, direction, state: whose: its name, how often it was called before, "forward" or "backward", and
            the name of the state.
        cell: the class of the cell.
        norms: `(T,)` in the order of time; NaN where a step is masked in all rows, infinite where one overflowed.
        distances: `(D,)`, by the number of kept steps that a row still reads.
        direct: `(D,)`, of what comes in there from outside of the layer, by its outputs.
        decay: of `distances`.
    """

    layer: str
    call: int
    direction: str
    state: str
    cell: str
    norms: Any
    distances: Any
    direct: Any
    decay: Decay

    @property
    def label(self):
        return f"{self.layer}{f' (call {self.call + 1})' if self.call else ''} {self.state}"


def curves_of(call, name):
    """A list of `Curve`s, one for each state, of a `state_gradients.Call` of the layer that is called `name`."""
    backward = bool(call.layer.go_backwards)
    read = call.keep[:, ::-1] if backward else call.keep
    direct, curves = _direct(call, read), []
    whose = {"layer": name, "call": call.nth, "direction": "backward" if backward else "forward"}
    for state, gradient in zip(call.names, call.gradients, strict=False):
        squares = _squares(gradient, 2)
        distances = by_distance(squares, read)
        in_time = squares[:, ::-1] if backward else squares
        norms = np.where(call.keep.any(axis=0), np.sqrt(in_time.sum(axis=0)), np.nan)
        decay = decay_of(distances, direct)
        curves.append(
            Curve(
                **whose,
                state=state,
                cell=type(call.layer.cell).__name__,
                norms=norms,
                decay=decay,
                distances=distances,
                direct=direct,
            )
        )
    return curves


def _direct(call, read):
    """Norms by distance of the gradient that comes in from outside, by outputs and by the states at the end."""
    outside = call.gradients[len(call.names) :]
    ends = len(call.names)
    squares = np.zeros(read.shape)
    for place, gradient in enumerate(outside):
        if call.layer.return_sequences and place < len(outside) - ends:
            squares += _squares(gradient, 2)
        else:
            squares[:, -1] += _squares(gradient, 1)
    return by_distance(squares, read)


def _squares(gradient, axes):
    """Sums of squares over all but the first axes; infinite where one overflowed, or is NaN since another did."""
    flat = gradient.reshape(*gradient.shape[:axes], -1).astype("float64")  # whose squares do not overflow
    return np.where(np.isfinite(flat).all(axis=-1), np.square(flat).sum(axis=-1), np.inf)


@dataclass
class GradientFlow:
    """Norms of a loss's gradient with respect to the states of a model, step by step: see `gradient_flow`.

    Print it for the verdicts in words.

    Attributes:
        loss: of the batch.
        curves: a list of `Curve`s: all that the frames hold, as arrays.
        from_last: whether the loss counted through the last step alone.
        at_all_steps: whether the model has outputs at all steps.
    """

    loss: float
    curves: list
    from_last: bool
    at_all_steps: bool

    @property
    def frame(self):
        """A row for each state and step: `layer`, `call`, `direction`, `state`, `step` (in time, from 0) and `norm`.

        `norm` is NaN where the step is masked in all rows, infinite where the gradient overflowed.
        """
        return self._rows("step", norm="norms")

    @property
    def by_distance(self):
        """The same by the number of kept steps that a row still reads, `distance`: what decays are fitted to.

        With another column, `direct`: the norm of what comes in there from outside of the layer, by its outputs.
        """
        return self._rows("distance", norm="distances", direct="direct")

    @property
    def summary(self):
        """A row for each state: `steps`, `gamma`, `memory`, `at_least`, `verdict`, `enters`; see `gradient_flow`."""
        import pandas as pd

        found = ("gamma", "memory", "at_least", "verdict", "enters")
        return pd.DataFrame(
            {**_whose(c), "steps": len(c.distances), **{name: getattr(c.decay, name) for name in found}}
            for c in self.curves
        )

    def _rows(self, axis, **columns):
        import pandas as pd

        parts = []
        for c in self.curves:
            values = {name: getattr(c, attribute) for name, attribute in columns.items()}
            parts.append(pd.DataFrame({**_whose(c), axis: np.arange(len(values["norm"])), **values}))
        return pd.concat(parts, ignore_index=True)

    def __str__(self):
        what = "the loss through the last step" if self.from_last else "the loss"
        lines = [f"Gradient of {what} ({self.loss:.4g}) with respect to states, back through time:"]
        lines += [f"  {c.label}: {_words(c)}" for c in self.curves]
        remedies = {}
        for c in self.curves:
            remedies.setdefault((c.decay.verdict, remedy(c.decay.verdict, c.cell)), []).append(c.label)
        lines += [f"{verdict} ({', '.join(who)}), try: {what}." for (verdict, what), who in remedies.items() if what]
        if self.at_all_steps and not self.from_last:
            lines.append(
                "The model has outputs at all steps: if the loss is of all of them, the near ones outweigh what comes "
                "from afar. from_last=True measures how far the loss of the last step travels."
            )
        return "\n".join(lines)

    def plot(self, ax=None):
        """Draw the norms by distance, on a logarithmic scale: time flows to the right, towards the last step.

        Lines differ in style and marker, so that they are told apart in grey. What is zero or overflowed is left out.

        Args:
            ax: matplotlib `Axes` to draw in; by default those of a new figure, `ax.figure`, which pyplot does not know.

        Returns:
            The `Axes`.

        Raises:
            MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        """
        ax = axes_of(ax, "GradientFlow.plot", (7, 4))
        greys = np.linspace(0, 0.55, max(2, len(self.curves)))
        for c, style, marker, grey in zip(self.curves, cycle(_STYLES), cycle(_MARKERS), greys, strict=False):
            shown = np.isfinite(c.distances) & (c.distances > 0)
            d, every = np.arange(len(shown)), max(1, len(shown) // 12)
            look = {"linestyle": style, "marker": marker, "markersize": 4, "markevery": every, "linewidth": 1.4}
            ax.plot(d, np.where(shown, c.distances, np.nan), color=str(grey), label=f"{c.label}: {_short(c)}", **look)
        ax.set_yscale("log")
        ax.set(xlabel="distance from the last step read (steps)", ylabel="norm of the gradient, dL/ds (loss per unit)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if not ax.xaxis_inverted():
            ax.invert_xaxis()
        ax.grid(alpha=0.3, linewidth=0.5)
        ax.spines[["top", "right"]].set_visible(False)
        for text in ax.legend(fontsize=8, frameon=False).get_texts():
            text.set_parse_math(False)  # names of layers are no formulas
        return ax


def _whose(curve):
    return {name: getattr(curve, name) for name in ("layer", "call", "direction", "state")}


def _short(curve):
    fed = curve.decay.enters == "all steps"
    return f"{curve.decay.verdict}, {'fed at all steps' if fed else f'times {curve.decay.gamma:.3g} per step'}"


def _words(curve):
    """One line: the verdict, the decay, how far the gradient reaches, and where it comes in."""
    decay, steps = curve.decay, len(curve.distances) - 1
    if decay.verdict == "no gradient":
        return "no gradient: the loss does not depend on it, or all of it underflowed."
    grown = f" (more than {GROWTH:.0f}-fold on its way)" if decay.verdict == "exploding" else ""
    reaches = f"all {steps}" if decay.at_least else f"{decay.memory} of {steps}"
    fed = "" if decay.enters == "last step" else "; fed at all steps, so this is where it is, not how far it came"
    return (
        f"{decay.verdict}{grown}; times {decay.gamma:.3g} per step, above {100 * REACH:.0f} % of its largest for "
        f"{reaches} steps back{fed}."
    )

"""Pictures of a memory: where heads wrote and read over time, what was in use, and what it held."""

import keras
import numpy as np

from keras_seq.errors import MissingExtraError

_SMALL = 8  # points


def plot_memory(trace, row=0, axes=None):
    """Draw where an NTM or a DNC wrote and read over time: slots upwards, steps to the right, dark is much.

    A panel for each write head and each read head; for a DNC one for usage; below them the memory after the last step.
    Weights and usage are shares between 0 and 1, on one scale; the scale of the contents is their own.

    Args:
        trace: what `layer(x, return_trace=True)` returned last, for a layer over `NTMCell` or `DNCCell`: a dict of
            states over time, or a list of one.
        row: which sequence of the batch.
        axes: as many axes of matplotlib as there are panels, to draw into; by default those of a new figure.

    Returns:
        A list of axes, in the order of the panels; `axes[0].figure` is the figure. pyplot does not know of a new one,
        so there is nothing to close.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        ValueError: for a trace of another form, a row that the batch has not, or another number of axes.

    Example:

    >>> layer = NTM(3, slots=11, slot_width=5, return_sequences=True)
    >>> outputs, trace = layer(np.ones((2, 7, 4)), return_trace=True)
    >>> axes = ks.diagnostics.plot_memory(trace)
    >>> [axis.get_title() for axis in axes]
    ['write weights', 'read weights', 'memory after step 6']
    """
    panels = _panels(_checked(trace), row)
    if axes is None:
        axes = _new_axes(len(panels))
    axes = list(np.ravel(axes))
    if len(axes) != len(panels):
        raise ValueError(f"Argument `axes` must hold an axes for each of {len(panels)} panels, got {len(axes)}.")
    for axis, (title, picture) in zip(axes, panels.items(), strict=True):
        contents = title.startswith("memory")
        # Grey from white to black: no two values look alike in print. Contents have a sign: zero is in the middle.
        most = max(np.abs(picture).max(), 1e-12) if contents else 1.0
        image = axis.imshow(
            picture.T, cmap="Greys", vmin=-most if contents else 0, vmax=most, aspect="auto", origin="lower"
        )
        axis.set_title(title, fontsize=_SMALL)
        axis.set_xlabel("component" if contents else "step", fontsize=_SMALL)
        axis.set_ylabel("slot", fontsize=_SMALL)
        for which in (axis.xaxis, axis.yaxis):
            which.get_major_locator().set_params(integer=True)
        axis.tick_params(labelsize=_SMALL)
        bar = axis.figure.colorbar(image, ax=axis)
        bar.set_label("value" if contents else ("share in use" if title == "usage" else "weight"), fontsize=_SMALL)
        bar.ax.tick_params(labelsize=_SMALL)
    return axes


def _checked(trace):
    """The dict of a trace."""
    trace = trace[0] if isinstance(trace, (list, tuple)) and len(trace) == 1 else trace
    needed = ("memory", "read_weights", "write_weights")
    if not isinstance(trace, dict) or not all(name in trace for name in needed):
        found = sorted(trace) if isinstance(trace, dict) else type(trace).__name__
        raise ValueError(
            f"Argument `trace` must be the trace of a layer over NTMCell or DNCCell, a dict with {', '.join(needed)}, "
            f"got {found}: of a stack, give the entry of that cell."
        )
    return trace


def _panels(trace, row):
    """What is drawn, by title: weights and usage `(T, N)`, and the memory `(W, N)`."""
    names = [name for name in ("write_weights", "read_weights", "usage", "memory") if name in trace]
    states = {name: np.asarray(keras.ops.convert_to_numpy(trace[name]), "float32") for name in names}
    batch, steps = states["memory"].shape[:2]
    if not -batch <= row < batch or not steps:
        raise ValueError(f"Argument `row` must be that of one of {batch} sequences of {steps} steps, got {row}.")
    panels = {}
    for name in ("write_weights", "read_weights"):
        heads = states[name][row]  # (T, R, N)
        title = name.replace("_", " ")
        for head in range(heads.shape[1]):
            panels[title if heads.shape[1] == 1 else f"{title}, head {head}"] = heads[:, head]
    if "usage" in states:
        panels["usage"] = states["usage"][row]
    panels[f"memory after step {steps - 1}"] = states["memory"][row, -1].T
    return panels


def _new_axes(count):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("ks.diagnostics.plot_memory", "plots") from error
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(3.4 * columns, 2.4 * rows), dpi=150, layout="constrained")
    return [figure.add_subplot(rows, columns, i + 1) for i in range(count)]

"""What pictures over time share."""

import numpy as np

from keras_seq.errors import MissingExtraError

_LABELS = 60  # steps that may each have a token beneath


def axes_of(ax, what, size):
    """`ax`, or where it is None the axes of a new figure of this size in inches, which pyplot does not know.

    Raises:
        MissingExtraError: without matplotlib; it is `what` that needs it.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(what, "plots") from error
    return Figure(figsize=size, dpi=150, layout="constrained").subplots()


def label_steps(ax, tokens, length):
    """Write below an axis what is read at each of `length` steps, or, where that is not known or too much, numbers."""
    if tokens is not None and length <= _LABELS:
        ax.set_xticks(np.arange(len(tokens)), tokens, rotation=90, fontsize=7)
        for label in ax.get_xticklabels():
            label.set_parse_math(False)  # two dollar signs are no formula
        ax.tick_params(axis="x", length=0)
        return
    ax.set_xlabel("step", fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    ax.xaxis.get_major_locator().set_params(integer=True)

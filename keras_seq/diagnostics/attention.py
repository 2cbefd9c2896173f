"""Pictures of attention."""

import keras
import numpy as np

from keras_seq.errors import MissingExtraError
from keras_seq.files import written_whole

_CELL = 0.2  # inches a token: at 7 points labels do not touch


def attention_map(weights, source, target, path=None, title=None):
    """Draw attention weights: a row for each target token, a column for each source token; dark is much.

    A token of nothing but spaces is written `␣`.

    Args:
        weights: `(T, S)`, or `(N, T, S)` for N heads, which are drawn side by side on one scale.
        source: S strings.
        target: T strings.
        path: where to write the picture as PNG, under a temporary name first; nowhere by default.
        title: above the picture.

    Returns:
        The `matplotlib.figure.Figure`. pyplot does not know of it, so there is nothing to close.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        ValueError: for weights of another shape than the tokens say, or that are not finite.

    Example:

    >>> figure = ks.diagnostics.attention_map(np.eye(2), ["a", "cat"], ["un", "chat"])
    """
    source, target = list(source), list(target)
    weights = np.asarray(keras.ops.convert_to_numpy(weights), "float32")
    if weights.ndim not in (2, 3) or weights.shape[-2:] != (len(target), len(source)) or not weights.size:
        raise ValueError(
            f"Argument `weights` must have shape (T, S) or (N, T, S) with T = {len(target)} target tokens and "
            f"S = {len(source)} source tokens, none of them 0, got {weights.shape}."
        )
    if not np.isfinite(weights).all():
        raise ValueError("Argument `weights` must be finite, got NaN or infinity.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("ks.diagnostics.attention_map", "plots") from error

    heads = weights.reshape(-1, len(target), len(source))
    size = (1.5 + len(heads) * (0.3 + max(1, _CELL * len(source))), 1.5 + max(1, _CELL * len(target)))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.subplots(1, len(heads), sharey=True, squeeze=False)[0]
    for i, (axis, head) in enumerate(zip(axes, heads, strict=True)):
        image = axis.imshow(head, cmap="Greys", vmin=0, vmax=weights.max(), aspect="auto")
        axis.set_xticks(range(len(source)), map(_seen, source), rotation=90, fontsize=7)
        axis.set_yticks(range(len(target)), map(_seen, target), fontsize=7)
        for label in [*axis.get_xticklabels(), *axis.get_yticklabels()]:
            label.set_parse_math(False)  # two dollar signs are no formula
        axis.tick_params(length=0)
        axis.set_xlabel("source token", fontsize=8)
        if weights.ndim == 3:
            axis.set_title(f"head {i}", fontsize=8)
    axes[0].set_ylabel("target token", fontsize=8)
    figure.colorbar(image, ax=list(axes), label="attention weight")
    if title is not None:
        figure.suptitle(title, fontsize=9, parse_math=False)
    if path is not None:
        with written_whole(path) as file:
            figure.savefig(file, format="png")
    return figure


def _seen(token):
    return token if token.strip() else "␣"

"""The unrolled drawing of a recurrent layer or model: time to the right, and upwards what reads what."""

import textwrap

from keras_seq.checks import positive_integer
from keras_seq.diagnostics.pictures import axes_of
from keras_seq.diagnostics.structure import parts_of

# In inches, which are the units of the drawing.
_COLUMN, _WIDE, _HIGH, _GAP, _THIN, _LINE = 1.7, 0.95, 0.5, 0.42, 0.3, 0.155
_ENDS = 0.5  # of inputs, and of outputs
_ASIDE = 0.3  # from the middle of a cell to where lines begin that pass by others
_TEXT, _LETTERS = 3.9, 66  # to the right of the last column: states and weights
_ARROW = {"arrowstyle": "-|>", "color": "black", "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}


def plot_structure(layer_or_model, steps=3, ax=None):
    """Draw a recurrent layer or model, unrolled over a few steps: inputs, cells, states, outputs, shapes and weights.

    Time flows to the right, and the last column is the last step. A cell has an arrow to the next one, with the names
    and shapes of its states, to the left for a layer that reads backwards; the cells of a stack stand one above the
    other, and so do both directions of a `Bidirectional`, whose outputs meet in a box that says how. Layers that are
    not recurrent are thin bars. Where a layer has one output for a sequence, one arrow leads on.

    Args:
        layer_or_model: a built recurrent layer, ours or of `keras.layers`, a `Bidirectional`, or a model. Of a
            Sequential or Functional model all layers are drawn, in their order; of others the recurrent ones, in the
            order in which they were made, each by itself.
        steps: how many steps are drawn, at least 2.
        ax: matplotlib `Axes` to draw in; by default those of a new figure, `ax.figure`, which pyplot does not know.

    Returns:
        The `Axes`.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        InputError: for what has no recurrent layer, or one that is not built.
        ValueError: for fewer than 2 steps.

    Example:

    >>> layer = ks.layers.LSTM(3)
    >>> layer.build((None, None, 5))
    >>> ax = ks.diagnostics.plot_structure(layer)
    >>> [text.get_text() for text in ax.texts if "kernel" in text.get_text()]
    ['kernel (D, 4H) = (5, 12)', 'recurrent_kernel (H, 4H) = (3, 12)']
    """
    if positive_integer("steps", steps) < 2:
        raise ValueError(f"Argument `steps` must be at least 2, so that a state has somewhere to go, got {steps!r}.")
    parts = parts_of(layer_or_model)
    width = steps * _COLUMN + _TEXT
    height = 2 * _ENDS + sum(map(_height, parts)) + 2 * _ENDS * sum(not part.attached for part in parts)
    ax = axes_of(ax, "plot_structure", (width, height))
    drawing = _Drawing(ax, steps)
    for part in parts:
        if not part.attached:
            drawing.outputs()
            drawing.inputs()
        drawing.draw(part)
    drawing.outputs()
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")
    return ax


def _height(part):
    """What a part takes, in inches."""
    if not part.rows:
        return _GAP + _THIN
    return sum(map(_row_height, part.rows)) + (2 * _THIN if part.merge else 0)


def _row_height(row):
    """Cells stand at the upper end of it: what comes up to them passes the text beside."""
    return max(_GAP + _HIGH, (len(_lines(row)) + 1.5) * _LINE)


def _lines(row):
    """What there is to tell of a row: its states and weights."""
    states = ", ".join(f"{state} {_numbers(shape)}" for state, shape in row.states)
    return [*textwrap.wrap(states, _LETTERS), *(f"{name} {shape}" for name, shape in row.weights)]


class _Drawing:
    """Draws part after part, upwards.

    Attributes:
        y: where the next part begins.
        columns: in which columns something comes up to there.
    """

    def __init__(self, ax, steps):
        self.ax, self.steps, self.y = ax, steps, 0.0
        self.x = [_COLUMN * (step + 0.5) for step in range(steps)]
        self.inputs()

    def inputs(self):
        for step, x in enumerate(self.x):
            self._write(x, self.y + _ENDS / 2, f"$x_{{{self._called(step)}}}$", ha="center", size=10)
        self.columns, self.y = list(range(self.steps)), self.y + _ENDS - 0.05

    def outputs(self):
        for column in self.columns:
            self._arrow((self.x[column], self.y), (self.x[column], self.y + 0.3))
            called = f"y_{{{self._called(column)}}}" if len(self.columns) > 1 else "y"
            self._write(self.x[column], self.y + 0.34, f"${called}$", ha="center", size=10)
        self.y += _ENDS + 0.05

    def draw(self, part):
        if not part.rows:
            self._thin(part)
        elif part.merge:
            self._both(part)
        else:
            for row in part.rows:
                every = part.every_step or row is not part.rows[-1]
                self._row(row, part.name if row is part.rows[0] else "", every)

    def _called(self, step):
        return "T" if step == self.steps - 1 else str(step + 1)

    def _thin(self, part):
        first, last = self.x[self.columns[0]], self.x[self.columns[-1]]
        bottom = self.y + _GAP
        self._up_to(bottom)
        self._box(first - _WIDE / 2, bottom, last - first + _WIDE, _THIN, fill="white")
        self._write(self.x[-1] + _WIDE / 2 + 0.25, bottom + _THIN / 2, part.name, size=8, va="center")
        self.y = bottom + _THIN

    def _row(self, row, name, every_step):
        """One recurrence, which reads what comes up and hands on its outputs."""
        self.y += _row_height(row)
        bottom = self.y - _HIGH
        self._up_to(bottom, self.y - _row_height(row))
        self._cells(row, bottom)
        self._tell(row, name, bottom)
        if not every_step:
            self.columns = [0 if row.backward else self.steps - 1]

    def _up_to(self, high, low=None):
        for column in self.columns:
            self._arrow((self.x[column], self.y if low is None else low), (self.x[column], high))

    def _both(self, part):
        """Two directions: both read what comes up, past each other, and meet in a box."""
        forward, backward = part.rows[: len(part.rows) // 2], part.rows[len(part.rows) // 2 :]
        low = self.y
        bottoms = [low - _HIGH + sum(map(_row_height, part.rows[: place + 1])) for place in range(len(part.rows))]
        second, top = bottoms[len(forward)], bottoms[-1] + _HIGH
        self._up_to(bottoms[0])
        for x in [self.x[column] for column in self.columns]:  # past the first direction to the other
            left, below, under = x - _WIDE / 2 - 0.12, bottoms[0] - _GAP + 0.12, second - 0.14
            self._line((x, below), (left, below), (left, under), (x - _ASIDE, under))
            self._arrow((x - _ASIDE, under), (x - _ASIDE, second))
        for row, bottom in zip(part.rows, bottoms, strict=True):
            self._cells(row, bottom)
            self._tell(row, part.name if row is part.rows[0] else "", bottom)
        for rows, at in ((forward, 0), (backward, len(forward))):  # the cells of a stack within a direction
            for above in range(1, len(rows)):
                for x in self.x:
                    self._arrow((x, bottoms[at + above - 1] + _HIGH), (x, bottoms[at + above]))
        self._join(part, bottoms[len(forward) - 1] + _HIGH, top)

    def _join(self, part, of_forward, of_backward):
        """Boxes in which the outputs of both directions meet, from the tops of their cells."""
        columns, y = self.columns if part.every_step else [self.steps - 1], of_backward + _THIN
        middle = y + _THIN / 2
        for column in columns:
            x, right = self.x[column], self.x[column] + _WIDE / 2 + 0.12
            self._line(
                (x + _ASIDE, of_forward), (x + _ASIDE, of_forward + 0.1), (right, of_forward + 0.1), (right, middle)
            )
            self._arrow((right, middle), (x + _WIDE / 2, middle))
            if not part.every_step:  # the last output of the backward direction is that of the first step
                self._line((self.x[0], of_backward), (self.x[0], y - 0.15), (x, y - 0.15))
            self._arrow((x, of_backward if part.every_step else y - 0.15), (x, y))
            self._box(x - _WIDE / 2, y, _WIDE, _THIN, fill="white")
            self._write(x, middle, f"{part.merge} ({part.output[0]})", size=7, ha="center", va="center")
        self.columns, self.y = columns, y + _THIN

    def _cells(self, row, bottom):
        """The boxes of a row, and arrows with the states between them."""
        for x in self.x:
            self._box(x - _WIDE / 2, bottom, _WIDE, _HIGH, fill="0.9")
            self._write(x, bottom + _HIGH / 2, row.cell.removesuffix("Cell"), size=8, ha="center", va="center")
        middle = bottom + _HIGH / 2
        for step in range(self.steps - 1):
            ends = self.x[step] + _WIDE / 2, self.x[step + 1] - _WIDE / 2
            start, end = ends[::-1] if row.backward else ends
            dots = step == self.steps - 2 and self.steps > 2
            self._arrow((start, middle), (end, middle), linestyle=":" if dots else "-")
            names = ", ".join(name for name, _ in row.states) if len(row.states) < 4 else f"{len(row.states)} states"
            self._write(sum(ends) / 2, middle + 0.06, names, size=7, ha="center")

    def _tell(self, row, name, bottom):
        """What the row is, its states and weights, to the right of it."""
        x, y = self.x[-1] + _WIDE / 2 + 0.25, bottom + _HIGH - 0.02
        direction = ", backward in time" if row.backward else ""
        self._write(x, y, f"{name}{direction}".removeprefix(", ") or row.cell, size=8, va="top")
        for number, line in enumerate(_lines(row), 1):
            self._write(x, y - number * _LINE, line, size=6.5, va="top")

    def _box(self, x, y, width, height, fill):
        from matplotlib.patches import Rectangle

        self.ax.add_patch(Rectangle((x, y), width, height, facecolor=fill, edgecolor="black", linewidth=0.9))

    def _line(self, *points):
        self.ax.plot(*zip(*points, strict=True), color="black", linewidth=0.9)

    def _arrow(self, start, end, **look):
        self.ax.annotate("", end, start, arrowprops={**_ARROW, **look})

    def _write(self, x, y, text, size, **how):
        self.ax.text(x, y, text, fontsize=size, parse_math=text.startswith("$"), **how)


def _numbers(shape):
    return f"({', '.join(map(str, shape))})"

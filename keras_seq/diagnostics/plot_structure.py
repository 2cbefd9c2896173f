"""`plot_structure`: a recurrent layer or model, unrolled over a few steps."""

from keras_seq.checks import positive_integer
from keras_seq.diagnostics.pictures import axes_of
from keras_seq.diagnostics.structure import structure_of
from keras_seq.errors import InputError

# In inches: the drawing has the size that its texts need.
_PITCH, _BOX, _HALF, _SIDE = 1.5, 0.42, 0.34, 0.3  # of columns; height and half width of a box; of two directions
_LINE, _LETTER, _FONT = 0.135, 0.056, 7
_GAP, _THIN, _LEFT = 0.3, 0.24, 1.2


def plot_structure(layer_or_model, steps=3, ax=None):
    """Draw a recurrent layer or model, unrolled: inputs below, time to the right, cells with states between them.

    The columns are the first steps and the last, T. Arrows from cell to cell carry the states that are named there (s,
    where there are many: the list beside says which), to the left and in grey boxes where a layer reads backwards; the
    first of them is what a sequence starts from. What leaves a row above is drawn on: of a layer that does not return
    sequences only its last output; where a layer that reads backwards returns them, their order is told, the last step
    first, and what reads them starts anew. Beside each row stand its class, states and weights, with the letters of
    their axes: D features, H units, P projection; N slots, W width, R read and J write heads.

    Other layers of a Sequential or Functional model are thin boxes. What does not read the layer below it starts anew,
    and says what it reads. Of a model with a `call` of its own are drawn, each on inputs of its own, the recurrent
    layers, and the Sequential and Functional models that have some.

    Args:
        layer_or_model: a built recurrent layer, `Bidirectional`, or model, ours or of `keras.layers`.
        steps: how many columns, at least 2.
        ax: matplotlib `Axes` to draw in, which should be about 6 inches wide and more; by default those of a new
            figure of the right size, `ax.figure`, which pyplot does not know.

    Returns:
        The `Axes`.

    Raises:
        MissingExtraError: without matplotlib (`pip install keras_seq[plots]`).
        InputError: without a recurrent layer, for one that is not built, or fewer than two steps.

    Example:

    >>> model = keras.Sequential([keras.Input((None, 5)), ks.layers.GRU(3), keras.layers.Dense(2)])
    >>> ax = ks.diagnostics.plot_structure(model)
    """
    if positive_integer("steps", steps) < 2:
        raise InputError(f"Argument `steps` must be at least 2, the first and the last, got {steps}.")
    drawing = _Drawing(steps)
    for stage in structure_of(layer_or_model):
        drawing.add(stage)
    return drawing.on(ax)


class _Drawing:
    """Marks, collected from the bottom up, in inches."""

    def __init__(self, steps):
        self.columns = [_LEFT + i * _PITCH for i in range(steps)]
        self.side = self.columns[-1] + 1.05  # where texts beside stand
        self.marks, self.width = [], self.side
        self.y = self.top = 0.0  # what is drawn ends at y; arrows leave it from `top`, which may lie below
        self.flow, self.below = [], None  # where arrows leave what was drawn last, and its name
        self.last_first = set()  # names of what gives its last step first

    def add(self, stage):
        if stage.reads != [self.below] or self.below in self.last_first:
            self._start(stage)
        if stage.rows:
            self._recurrent(stage)
        else:
            label = f"{stage.name}: {stage.layer}{_to(stage.output)}"
            self._arrows_up(self.y + _GAP)
            self._wide_box(label)
            self.flow = self.columns if stage.sequences else self.flow[-1:]
        self.below = stage.name
        if stage.last_first:
            self.last_first.add(stage.name)

    def on(self, ax):
        """Draw it all, with what comes out at the top."""
        self._arrows_up(self.y + _GAP)
        for x in self.flow:
            self._text(x, self.y + _GAP + 0.08, f"y{_sub(self._step(x))}")
        if self.below in self.last_first:
            self._beside(["y: last step first"], self.y + _GAP + 0.08)
        height = self.y + _GAP + 0.3
        ax = axes_of(ax, "ks.diagnostics.plot_structure", (self.width, height + 0.3))
        ax.set(xlim=(0, self.width), ylim=(-0.3, height), aspect="equal")
        ax.set_axis_off()
        shown = ax.get_window_extent().width / ax.figure.dpi, ax.get_window_extent().height / ax.figure.dpi
        scale = min(1.0, shown[0] / self.width, shown[1] / (height + 0.3))
        for mark in self.marks:
            mark(ax, scale)
        return ax

    def _start(self, stage):
        """A line of inputs."""
        again = self.below is not None
        if again:
            self._arrows_up(self.y + _GAP)
            self.y += 2 * _GAP
        names = ", ".join(name + " (last step first)" * (name in self.last_first) for name in stage.reads)
        for x in self.columns:
            self._text(x, self.y, f"x{_sub(self._step(x))}")
        self._text((self.columns[-2] + self.columns[-1]) / 2, self.y, "…")
        self._beside([f"x: {names}"], self.y)
        self.y += 0.1
        self.flow, self.top = self.columns, self.y

    def _recurrent(self, stage):
        bottom, tops = self.top, {}
        both = bool(stage.merge)
        for i, row in enumerate(stage.rows):
            head = stage.name if not i or row.backward != stage.rows[i - 1].backward else ""
            title = ": ".join(filter(None, (head, row.cell))) + (", backwards" if row.backward else "")
            lines = [title, *_lines("state ", row.states), *_lines("", row.weights)]
            height = max(_BOX + 2 * _GAP, (len(lines) + 1) * _LINE)
            center = self.y + height / 2
            shift = (_SIDE if row.backward else -_SIDE) if both else 0.0
            centers = [x + shift for x in self.columns]
            self._beside(lines, center)
            self._states_of(row, centers, center, both)
            below = tops.get(row.backward)
            for x, own in zip(self.columns, centers, strict=True):
                if below is not None:
                    self._arrow((own, below), (own, center - _BOX / 2))
                elif both:
                    bend = (own, bottom + 0.12)
                    self._line((x, bottom), bend)
                    self._arrow(bend, (own, center - _BOX / 2))
                else:
                    self._arrow((x, bottom), (x, center - _BOX / 2))
                self._box(own, center, 0.26 if both else _HALF, row)
            tops[row.backward] = center + _BOX / 2
            self.y += height
        whole = self.columns
        ends = {backward: whole if stage.sequences else [whole[0 if backward else -1]] for backward in tops}
        if both:
            for backward, top in tops.items():
                for x in ends[backward]:
                    own = x + (_SIDE if backward else -_SIDE)
                    self._arrow((own, top), (own, self.y + 0.1))
            self.y += 0.1 - _GAP
            self._wide_box(f"{stage.name}: {stage.merge}{_to(stage.output)}")
            self.flow = self.columns if stage.sequences else self.columns[-1:]
            return
        ((backward, top),) = tops.items()
        self.flow, self.top = ends[backward], top

    def _states_of(self, row, centers, y, both):
        """Arrows from box to box, and into the first, with the names of states."""
        names = list(row.states)
        shown = names if len(", ".join(names)) < 9 else ["s"]
        half = 0.26 if both else _HALF
        order = centers[::-1] if row.backward else centers
        way = -1 if row.backward else 1
        starts = [order[0] - way * (half + 0.36), *(x + way * half for x in order[:-1])]
        unseen = len(order) - 1 if not row.backward else 1  # the arrow over the steps that are left out
        for i, (start, x) in enumerate(zip(starts, order, strict=True)):
            end = x - way * half
            self._arrow((start, y), (end, y), dashed=i == unseen)
            if names:
                place = start + (end - start) * (0.62 if i and both else 0.5)
                self._text(place, y + 0.09, ", ".join(name if i else name + _sub(0) for name in shown), size=6.5)

    def _wide_box(self, text):
        left, right = self.columns[0] - 0.62, self.columns[-1] + 0.62
        y = self.y + _GAP
        self.marks.append(lambda ax, s: ax.add_patch(_patch(left, y, right - left, _THIN, "0.97", s)))
        self._text((left + right) / 2, y + _THIN / 2, text)
        self.y = self.top = y + _THIN

    def _box(self, x, y, half, row):
        face = "0.88" if row.backward else "1"
        self.marks.append(lambda ax, s: ax.add_patch(_patch(x - half, y - _BOX / 2, 2 * half, _BOX, face, s)))
        name = row.cell.removesuffix("Cell")
        words = [part for part in _parts(name) if part]
        self._text(x, y, "\n".join(words), size=min(7, 2 * half / (max(map(len, words)) * 0.0091)))

    def _arrows_up(self, y):
        for x in self.flow:
            self._arrow((x, self.top), (x, y))

    def _arrow(self, start, end, dashed=False):
        def mark(ax, s):
            look = {"arrowstyle": "-|>", "mutation_scale": 7 * s, "linewidth": 0.8 * s, "color": "0.2"}
            look |= {"shrinkA": 0, "shrinkB": 0, "linestyle": (0, (3, 2)) if dashed else "-"}
            ax.annotate("", end, start, arrowprops=look)

        self.marks.append(mark)

    def _line(self, start, end):
        ends = tuple(zip(start, end, strict=True))
        self.marks.append(lambda ax, s: ax.plot(*ends, color="0.2", linewidth=0.8 * s))

    def _text(self, x, y, text, size=_FONT, ha="center"):
        look = {"ha": ha, "va": "center", "parse_math": False}
        self.marks.append(lambda ax, s: ax.text(x, y, text, fontsize=size * s, **look))

    def _beside(self, lines, center):
        top = center + (len(lines) - 1) * _LINE / 2
        for i, line in enumerate(lines):
            self._text(self.side, top - i * _LINE, line, ha="left")
        self.width = max(self.width, self.side + _LETTER * max(map(len, lines)) + 0.1)

    def _step(self, x):
        """The step of a column: its number, or T."""
        i = min(range(len(self.columns)), key=lambda i: abs(self.columns[i] - x))
        return "T" if i == len(self.columns) - 1 else i + 1


def _patch(x, y, width, height, face, scale):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=face, edgecolor="black", linewidth=0.8 * scale, zorder=2)


def _lines(what, named):
    """A line for each state or weight: its name, letters and shape."""
    found = []
    for name, (letters, shape) in named.items():
        size = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        found.append(f"  {what}{name} {f'{letters} = ' if letters else ''}{size}")
    return found


def _to(shape):
    """An arrow and a shape, with letters for what is not known."""
    letters = ["B", "T", *"?" * len(shape)]
    known = ", ".join(letters[i] if size is None or not i else str(size) for i, size in enumerate(shape))
    return f" → ({known})" if shape else ""


def _sub(step):
    """A step as a subscript, where Unicode has one: it has none of T."""
    return "_T" if step == "T" else str(step).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _parts(name):
    """The words of a class name, of which capitals alone make one."""
    words = [""]
    for i, letter in enumerate(name):
        if letter.isupper() and i and (not name[i - 1].isupper() or (i + 1 < len(name) and name[i + 1].islower())):
            words.append("")
        words[-1] += letter
    return words

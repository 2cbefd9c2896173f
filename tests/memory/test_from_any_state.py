"""One step from states that are not those of a start: nothing of them is zero, or alike, where a cell may come to."""

import numpy as np
from keras import ops, tree

from tests.cases import EXACT, B, D, close
from tests.layers.exotic import gradient
from tests.memory.cells import C, N, R, W, built, by_oracle, every_cell
from tests.memory.programs import compiled


def a_state(cell, rng):
    """Arrays in the structure of a cell's states."""

    def below_one(*shape):
        return rng.dirichlet(np.ones(N + 1), shape)[..., :-1]  # what is left out is free

    links = below_one(B, N) * (1 - np.eye(N))
    drawn = {
        "controller": [rng.normal(size=(B, C))],
        "memory": rng.normal(size=(B, N, W)),
        "read_weights": rng.dirichlet(np.ones(N), (B, R)),
        "write_weights": rng.dirichlet(np.ones(N), (B, cell.access_sizes()["write_weights"][0])),
        "reads": rng.normal(size=(B, R, W)),
        # At least 0.6 / N from one another: allocation has a jump where two change places.
        "usage": (rng.permuted(np.tile(np.arange(N), (B, 1)), axis=1) + rng.uniform(0.3, 0.7, (B, N))) / N,
        "precedence": below_one(B),
        "links": links / np.maximum(links.sum(axis=1, keepdims=True), 1),
    }
    return [{name: drawn[name] for name in cell.state_size[0]}]


@every_cell
def test_a_step_and_its_gradients_from_any_state(kind, rng):
    """Against the oracle, and its central differences in each entry of each state."""
    cell = built(kind, rng, **({"write_heads": 2} if kind == "ntm" else {}))
    x, start = rng.normal(size=(B, 1, D)), a_state(cell, rng)
    shapes = [one.shape for one in tree.flatten(start)]
    ends = np.cumsum([np.prod(shape[1:]) for shape in shapes])

    def states_of(point):
        """The states whose entries, row by row, are `point` `(B, all of them)`."""
        parts = [point[:, end - np.prod(shape[1:]) : end] for end, shape in zip(ends, shapes, strict=True)]
        reshape = np.reshape if isinstance(point, np.ndarray) else ops.reshape
        return tree.pack_sequence_as(start, [reshape(part, s) for part, s in zip(parts, shapes, strict=True)])

    point = np.concatenate([one.reshape(B, -1) for one in tree.flatten(start)], axis=1)
    y, after = compiled(lambda point: cell(x[:, 0], states_of(point)))(ops.convert_to_tensor(point))
    expected, last = by_oracle(kind, cell, x, start)
    atol = max(EXACT, 1e-9)
    close(y, expected[:, 0], atol=atol)
    for name, value in last.items():
        close(after[0][name], value, atol=atol)
    if kind == "dnc":
        assert np.diff(np.sort(last["usage"])).min() > 1e-3  # those that slots are ordered by

    directions = [rng.normal(size=one.shape) for one in (expected[:, 0], *last.values())]

    def loss(point):
        y, (after,) = cell(x[:, 0], states_of(point))
        ends = [y, *(tree.flatten(after[name])[0] for name in last)]
        return sum(ops.sum(one * d) for one, d in zip(ends, directions, strict=True))

    def oracle_loss(point):
        """Of each row: they know nothing of each other."""
        y, after = by_oracle(kind, cell, x, states_of(point))
        ends = zip([y[:, 0], *after.values()], directions, strict=True)
        return sum((one * d).reshape(B, -1).sum(axis=1) for one, d in ends)

    found, step = gradient(loss, point), 1e-5
    for entry, way in enumerate(step * np.eye(point.shape[1])):
        numeric = (oracle_loss(point + way) - oracle_loss(point - way)) / (2 * step)
        place = f"entry {entry}, the states end at {ends}"
        np.testing.assert_allclose(found[:, entry], numeric, atol=max(EXACT, 1e-8), rtol=1e-6, err_msg=place)
    for part in np.split(found, ends[:-1], axis=1):
        assert np.abs(part).max() > 1e-3

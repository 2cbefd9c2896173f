"""Small cells of both kinds with random weights, and what the oracle says of them."""

import numpy as np
import pytest

import keras_seq as ks
from tests.cases import TANH, D, H, arrays, randomize
from tests.memory import oracle

L = ks.layers
N, W, C = 5, 2, 3
R, V, REACH = 2, 3, 2
CLIP = 0.4  # of a tanh: it acts


def ntm(**given):
    return L.NTMCell(
        H, **{"slots": N, "slot_width": W, "read_heads": R, "write_heads": V, "shift_range": REACH, **given}
    )


def dnc(**given):
    return L.DNCCell(H, **{"slots": N, "slot_width": W, "read_heads": R, **given})


CELLS = {"ntm": ntm, "dnc": dnc}
every_cell = pytest.mark.parametrize("kind", CELLS)


def built(kind, rng, dtype="float64", **given):
    """A cell with random weights, and with a controller that is exact on JAX, too."""
    controller = L.SimpleRNNCell(C, activation=TANH, dtype=dtype)
    learned = {"memory_initial": "learned"} if kind == "ntm" else {}
    cell = CELLS[kind](controller=controller, dtype=dtype, clip=CLIP, **learned, **given)
    cell.build((None, D))
    return randomize(cell, rng)


def by_oracle(kind, cell, x, states):
    """Outputs `(B, T, H)` and the last states of the oracle, by name."""
    own = {w.path.split("/")[-1]: np.asarray(w.numpy(), "float64") for w in cell.weights}
    names = ["kernel", "recurrent_kernel", "bias", "interface_kernel", "interface_bias", "output_kernel", "output_bias"]
    sizes = (cell.read_heads, cell.write_heads, REACH) if kind == "ntm" else (cell.read_heads,)
    step = oracle.ntm_step if kind == "ntm" else oracle.dnc_step
    outputs, last = [], []
    for row in range(len(x)):
        state = {name: arrays(value)[0][row] for name, value in states[0].items()}
        ys = []
        for x_t in x[row]:
            y, state = step(x_t, state, [own[name] for name in names], *sizes, CLIP)
            ys.append(y)
        outputs.append(ys)
        last.append(state)
    return np.array(outputs), {name: np.stack([state[name] for state in last]) for name in last[0]}

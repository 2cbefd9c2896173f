"""Gates of LSTMs and GRUs in NumPy float64, gate by gate, from the states of the oracle."""

import numpy as np

from tests import oracle
from tests.cases import H, T
from tests.oracle import gates as blocks
from tests.oracle import layer_norm, sigmoid


def lstm_gates(kind, x, states, weights):
    h, c = states
    W, U, b, *rest = weights
    if kind.startswith("layer_norm"):
        of_x, shift_x, of_h, shift_h, _, _ = rest[-6:]
        summed = blocks(layer_norm(x @ W, of_x, shift_x) + b + layer_norm(h @ U, of_h, shift_h), "ifgo")
    else:
        summed = blocks(x @ W + b + h @ U, "ifgo")
    p_i, p_f, p_o = rest[-3:] if kind.startswith("peephole") else (0, 0, 0)
    i, f, g = sigmoid(summed["i"] + p_i * c), sigmoid(summed["f"] + p_f * c), np.tanh(summed["g"])
    return {"i": i, "f": f, "g": g, "o": sigmoid(summed["o"] + p_o * (f * c + i * g))}


def gru_gates(kind, x, states, weights):
    (h,) = states
    W, U = (blocks(w, "zrn") for w in weights[:2])
    b = weights[2] if weights[2].ndim == 2 else np.stack([weights[2], np.zeros_like(weights[2])])
    b, b2 = (blocks(row, "zrn") for row in b)
    norms = [blocks(w, "zrn") for w in weights[3:]]

    def normed(a, letters, place):
        """The products of these letters, normed together if there are norms."""
        if not norms:
            return a
        gamma, beta = norms[place : place + 2]
        joined = [np.concatenate([w[k] for k in letters]) for w in (a, gamma, beta)]
        return blocks(layer_norm(*joined), letters)

    of_x = {k: x @ W[k] for k in "zrn"}
    of_x = {**normed(of_x, "zr", 0), "n": normed(of_x, "n", 0)["n"]}
    of_h = normed({k: h @ U[k] + b2[k] for k in "zr"}, "zr", 2)
    z, r = (sigmoid(of_x[k] + b[k] + of_h[k]) for k in "zr")
    if kind.endswith("after"):
        recurrent = r * normed({"n": h @ U["n"] + b2["n"]}, "n", 2)["n"]
    else:
        recurrent = normed({"n": (r * h) @ U["n"]}, "n", 2)["n"]
    return {"z": z, "r": r, "n": np.tanh(of_x["n"] + b["n"] + recurrent)}


def expected(kind, layer, x, mask):
    """Gates `(B, T, H)` in the order of time, each row and step by itself, from the states of the oracle."""
    weights, step = [np.asarray(w) for w in layer.get_weights()], oracle.RECURRENCES[kind][2]
    compute = gru_gates if "gru" in kind else lstm_gates
    starts = [np.zeros(s.shape[1:]) for s in layer.get_initial_state(1)]
    found = {}
    for row in range(len(x)):
        states = starts
        for t in reversed(range(T)) if layer.go_backwards else range(T):
            if mask[row, t]:
                for gate, value in compute(kind, x[row, t], states, weights).items():
                    found.setdefault(gate, np.full((len(x), T, H), np.nan))[row, t] = value
                _, states = step(x[row, t], states, weights)
    return found

"""What the recurrent layers must give: NumPy, float64, one row and one gate at a time. Imports nothing of keras_seq."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(matrix, letters):
    """The column blocks of a weight, each under its gate's letter."""
    return dict(zip(letters, np.split(np.asarray(matrix, "float64"), len(letters), axis=-1), strict=True))


def simple_rnn(x, states, weights):
    """h = tanh(x W + h U + b)"""
    W, U, b = weights
    h = np.tanh(x @ W + states[0] @ U + b)
    return h, [h]


def lstm(x, states, weights):
    """Hochreiter and Schmidhuber with a forget gate; columns i, f, g, o; a fourth weight projects h (Sak et al.)."""
    *weights, P = weights if len(weights) == 4 else (*weights, None)
    W, U, b = (gates(w, "ifgo") for w in weights)
    h, c = states
    i = sigmoid(x @ W["i"] + h @ U["i"] + b["i"])
    f = sigmoid(x @ W["f"] + h @ U["f"] + b["f"])
    g = np.tanh(x @ W["g"] + h @ U["g"] + b["g"])
    o = sigmoid(x @ W["o"] + h @ U["o"] + b["o"])
    c = f * c + i * g
    h = o * np.tanh(c) if P is None else (o * np.tanh(c)) @ P
    return h, [h, c]


def peephole_lstm(x, states, weights, tanh=np.tanh, sigmoid=sigmoid):
    """Sak et al. eq. 7 to 12: i and f see the old c, o the new one; with a projection if there are seven weights."""
    W, U, b, *P, p_i, p_f, p_o = weights
    W, U, b = (gates(w, "ifgo") for w in (W, U, b))
    h, c = states
    i = sigmoid(x @ W["i"] + h @ U["i"] + p_i * c + b["i"])
    f = sigmoid(x @ W["f"] + h @ U["f"] + p_f * c + b["f"])
    c = f * c + i * tanh(x @ W["g"] + h @ U["g"] + b["g"])
    o = sigmoid(x @ W["o"] + h @ U["o"] + p_o * c + b["o"])
    m = o * tanh(c)
    h = m @ P[0] if P else m
    return h, [h, c]


def gru_before(x, states, weights):
    """Cho et al., the reset before the product; columns z, r, n, where z keeps the old state."""
    W, U, b = (gates(w, "zrn") for w in weights)
    h = states[0]
    z = sigmoid(x @ W["z"] + h @ U["z"] + b["z"])
    r = sigmoid(x @ W["r"] + h @ U["r"] + b["r"])
    n = np.tanh(x @ W["n"] + (r * h) @ U["n"] + b["n"])
    h = z * h + (1 - z) * n
    return h, [h]


def gru_after(x, states, weights):
    """The reset after the product, with two rows of biases; columns z, r, n."""
    W, U = (gates(w, "zrn") for w in weights[:2])
    b, b2 = (gates(row, "zrn") for row in weights[2])
    h = states[0]
    z = sigmoid(x @ W["z"] + b["z"] + h @ U["z"] + b2["z"])
    r = sigmoid(x @ W["r"] + b["r"] + h @ U["r"] + b2["r"])
    n = np.tanh(x @ W["n"] + b["n"] + r * (h @ U["n"] + b2["n"]))
    h = z * h + (1 - z) * n
    return h, [h]


def clockwork(x, states, weights, periods, module_units, tanh=np.tanh):
    """Koutnik et al. section 3, module by module: each that fires reads itself and the slower ones, as they were."""
    W, U, b = (np.asarray(w, "float64") for w in weights)
    h, clock = states
    ends = np.cumsum(module_units)
    new = np.array(h)
    for i, period in enumerate(periods):
        if int(clock[0]) % period:
            continue
        for unit in range(ends[i] - module_units[i], ends[i]):
            a = b[unit] + x @ W[:, unit]
            for j in range(i, len(periods)):
                for source in range(ends[j] - module_units[j], ends[j]):
                    a += h[source] * U[source, unit]
            new[unit] = tanh(a)
    return new, [new, (clock + 1) % np.lcm.reduce(periods)]


def layer_norm(a, gamma, beta=0.0, epsilon=1e-3):
    """Ba et al. eq. 3 and 4, over the last axis."""
    return gamma * (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + epsilon) + beta


def layer_norm_lstm(x, states, weights, tanh=np.tanh, sigmoid=sigmoid, epsilon=1e-3):
    """TensorFlow Addons: all gates normed at once, for x and for h; the normed c is carried on."""
    W, U, b, *P, of_x, shift_x, of_h, shift_h, of_c, shift_c = weights
    h, c = states
    summed = layer_norm(x @ W, of_x, shift_x, epsilon) + b + layer_norm(h @ U, of_h, shift_h, epsilon)
    gate = gates(summed, "ifgo")
    c = sigmoid(gate["f"]) * c + sigmoid(gate["i"]) * tanh(gate["g"])
    c = layer_norm(c, of_c, shift_c, epsilon)
    m = sigmoid(gate["o"]) * tanh(c)
    h = m @ P[0] if P else m
    return h, [h, c]


def layer_norm_simple_rnn(x, states, weights, tanh=np.tanh, epsilon=1e-5):
    """TensorFlow Addons: h = tanh(LN(x W + h U) + b)"""
    W, U, b, gamma = weights
    h = tanh(layer_norm(x @ W + states[0] @ U, gamma, epsilon=epsilon) + b)
    return h, [h]


def _layer_norm_gru(x, h, weights, tanh, sigmoid, epsilon, reset_after):
    """z and r normed at once, n by itself; what stands between is the candidate's."""
    W, U, b, of_x, shift_x, of_h, shift_h = (gates(w, "zrn") for w in weights)

    def normed(products, letters, gamma, beta):
        joined = layer_norm(*(np.concatenate([w[k] for k in letters]) for w in (products, gamma, beta)), epsilon)
        return gates(joined, letters)

    def products(a, weight):
        return {k: a @ weight[k] for k in "zrn"}

    x_zr, x_n = normed(products(x, W), "zr", of_x, shift_x), normed(products(x, W), "n", of_x, shift_x)
    h_zr = normed(products(h, U), "zr", of_h, shift_h)
    z = sigmoid(x_zr["z"] + b["z"] + h_zr["z"])
    r = sigmoid(x_zr["r"] + b["r"] + h_zr["r"])
    if reset_after:
        recurrent = r * normed(products(h, U), "n", of_h, shift_h)["n"]
    else:
        recurrent = normed(products(r * h, U), "n", of_h, shift_h)["n"]
    n = tanh(x_n["n"] + b["n"] + recurrent)
    h = z * h + (1 - z) * n
    return h, [h]


def layer_norm_gru_after(x, states, weights, tanh=np.tanh, sigmoid=sigmoid, epsilon=1e-3):
    """Ba et al., supplement: the reset after the product and its norm."""
    return _layer_norm_gru(x, states[0], weights, tanh, sigmoid, epsilon, reset_after=True)


def layer_norm_gru_before(x, states, weights, tanh=np.tanh, sigmoid=sigmoid, epsilon=1e-3):
    """The reset before the product."""
    return _layer_norm_gru(x, states[0], weights, tanh, sigmoid, epsilon, reset_after=False)


# Each recurrence: the name of its layer (and, with "Cell", of its cell), arguments that set it apart, its step.
RECURRENCES = {
    "simple_rnn": ("SimpleRNN", {}, simple_rnn),
    "lstm": ("LSTM", {}, lstm),
    "lstm_projected": ("LSTM", {"projection_size": 11}, lstm),
    "gru_after": ("GRU", {"reset_after": True}, gru_after),
    "gru_before": ("GRU", {"reset_after": False}, gru_before),
    "peephole_lstm": ("PeepholeLSTM", {}, peephole_lstm),
    "peephole_lstm_projected": ("PeepholeLSTM", {"projection_size": 11}, peephole_lstm),
    "layer_norm_simple_rnn": ("LayerNormSimpleRNN", {}, layer_norm_simple_rnn),
    "layer_norm_lstm": ("LayerNormLSTM", {}, layer_norm_lstm),
    "layer_norm_lstm_projected": ("LayerNormLSTM", {"projection_size": 2}, layer_norm_lstm),
    "layer_norm_gru_after": ("LayerNormGRU", {"reset_after": True}, layer_norm_gru_after),
    "layer_norm_gru_before": ("LayerNormGRU", {"reset_after": False}, layer_norm_gru_before),
}


def run(step, x, states, weights, mask=None, go_backwards=False, zero_output_for_mask=False):
    """`(outputs (B, T, H), last output (B, H), states)` of a step over x (B, T, D), each row by itself.

    Outputs come in the order of reading. A masked step does nothing to the states and repeats the output before it.
    """
    outputs, lasts, ends = [], [], []
    for row in range(len(x)):
        state = [s[row] for s in states]
        last = np.zeros_like(state[0])
        written = []
        for t in reversed(range(x.shape[1])) if go_backwards else range(x.shape[1]):
            kept = mask is None or mask[row, t]
            if kept:
                last, state = step(x[row, t], state, weights)
            written.append(last if kept or not zero_output_for_mask else np.zeros_like(last))
        outputs.append(written)
        lasts.append(last)
        ends.append(state)
    return np.array(outputs), np.array(lasts), [np.array(s) for s in zip(*ends, strict=True)]


def sequence_pooling(x, mode, mask=None):
    """The last, the mean or the largest of the kept steps of each row; zeros where there is none."""
    pooled = np.zeros((x.shape[0], x.shape[2]))
    for row in range(len(x)):
        kept = x[row] if mask is None else x[row][mask[row]]
        if len(kept):
            pooled[row] = {"last": kept[-1], "mean": kept.mean(axis=0), "max": kept.max(axis=0)}[mode]
    return pooled


def attention_pooling(x, weights, mask=None):
    """Yang et al. eq. 5 to 7: `(vectors (B, D), weights (B, T))`."""
    W, b, v = weights
    pooled, shares = np.zeros((x.shape[0], x.shape[2])), np.zeros(x.shape[:2])
    for row in range(len(x)):
        kept = [t for t in range(x.shape[1]) if mask is None or mask[row, t]]
        scores = [float(np.squeeze(np.tanh(x[row, t] @ W + b) @ v)) for t in kept]
        for t, score in zip(kept, scores, strict=True):
            shares[row, t] = np.exp(score) / sum(np.exp(scores))
            pooled[row] += shares[row, t] * x[row, t]
    return pooled, shares


def softmax(scores, keep=None):
    """Over the kept entries of one row; zeros where none is."""
    keep = np.ones(len(scores), bool) if keep is None else keep
    weights = np.zeros(len(scores))
    if keep.any():
        e = np.exp(scores[keep] - scores[keep].max())
        weights[keep] = e / e.sum()
    return weights


def score(kind, query, memory, weights):
    """Scores (S,) of the entries of one memory (S, M) for one query (D,)."""
    if kind == "dot":
        return np.array([query @ m for m in memory])
    if kind == "scaled_dot":
        return np.array([query @ m for m in memory]) / np.sqrt(len(query))
    if kind == "general":
        return np.array([query @ (m @ weights[0]) for m in memory])
    Q, K, v, *rest = weights
    if kind == "normalized_additive":
        g, b = rest
        return np.array([g * v / np.linalg.norm(v) @ np.tanh(query @ Q + m @ K + b) for m in memory])
    return np.array([v @ np.tanh(query @ Q + m @ K) for m in memory])


def rotated(x, position, base):
    """One vector, each half as a complex number with the other, turned."""
    half = len(x) // 2
    turned = (x[:half] + 1j * x[half:]) * np.exp(1j * position * base ** (-np.arange(half) / half))
    return np.concatenate([turned.real, turned.imag])


def multi_head(query, memory, weights, keep, positions=None, base=10_000.0):
    """One row: queries (T, D), memory (S, M), keep (T, S); the weights as Keras has them, with biases.

    `positions`: of queries and of keys, which turn them. Gives (T, D) and the weights (N, T, S).
    """
    Q, bq, K, bk, V, bv, P, bp = weights
    heads = Q.shape[1]
    output, a = np.zeros((len(query), P.shape[-1])), np.zeros((heads, len(query), len(memory)))
    for t in range(len(query)):
        if not keep[t].any():
            continue
        output[t] += bp
        for n in range(heads):
            q = query[t] @ Q[:, n] + bq[n]
            keys = [m @ K[:, n] + bk[n] for m in memory]
            if positions:
                q = rotated(q, positions[0][t], base)
                keys = [rotated(k, p, base) for k, p in zip(keys, positions[1], strict=True)]
            a[n, t] = softmax(np.array([q @ k for k in keys]) / np.sqrt(len(q)), keep[t])
            output[t] += sum(w * (m @ V[:, n] + bv[n]) for w, m in zip(a[n, t], memory, strict=True)) @ P[n]
    return output, a

"""What cells with a memory must give: NumPy, float64, one row, one head, one slot at a time; nothing of keras_seq."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def cosine(k, m, epsilon=1e-6):
    return k @ m / np.sqrt((k @ k + epsilon) * (m @ m + epsilon))


def content(k, beta, memory):
    return softmax(np.array([beta * cosine(k, slot) for slot in memory]))


def shifted(w, s):
    slots, reach = len(w), len(s) // 2
    moved = np.zeros(slots)
    for i in range(slots):
        for d in range(-reach, reach + 1):
            moved[(i + d) % slots] += w[i] * s[d + reach]
    return moved


def sharpened(w, gamma):
    return w**gamma / (w**gamma).sum()


def written(memory, w, e, a):
    after = memory.copy()
    for head in range(len(w)):
        for i in range(len(memory)):
            after[i] *= 1 - w[head, i] * e[head]
    return after + sum(np.outer(w[head], a[head]) for head in range(len(w)))


def usage(u, w_w, w_r, f):
    kept = np.ones_like(u)
    for head in range(len(w_r)):
        kept *= 1 - f[head] * w_r[head]
    return (u + w_w - u * w_w) * kept


def allocation(u):
    u = 1e-6 + (1 - 1e-6) * u
    a, product = np.zeros_like(u), 1.0
    for i in sorted(range(len(u)), key=lambda i: (round(u[i] / 1e-5), i)):  # alike to 1e-5: the first
        a[i] = (1 - u[i]) * product
        product *= u[i]
    return a


def linked(links, w_w, p):
    after = np.zeros_like(links)
    for i in range(len(p)):
        for j in range(len(p)):
            if i != j:
                after[i, j] = (1 - w_w[i] - w_w[j]) * links[i, j] + w_w[i] * p[j]
    return after


def parts(xi, *sizes):
    assert sum(sizes) == len(xi)
    return np.split(xi, np.cumsum(sizes)[:-1])


def controlled(x, state, weights, clip):
    """The tanh controller h = tanh([x; r] W + b + h U), h^ = h cut to ±clip, and xi, for one row."""
    kernel, recurrent, bias, interface_kernel, interface_bias = weights
    h = np.tanh(np.concatenate([x, state["reads"].ravel()]) @ kernel + state["controller"] @ recurrent + bias)
    cut = np.minimum(np.maximum(h, -clip), clip)
    return h, cut, cut @ interface_kernel + interface_bias


def ntm_step(x, state, weights, reads, writes, reach, clip):
    """One row: `(y, state)`; weights are those of the controller, then W_xi, b_xi, W_y, b_y."""
    *to_xi, output_kernel, output_bias = weights
    h, cut, xi = controlled(x, state, to_xi, clip)
    memory, heads = state["memory"], reads + writes
    width = memory.shape[1]
    k, a, g, e, beta, gamma, s = parts(
        xi, heads * width, writes * width, heads, writes * width, heads, heads, heads * (2 * reach + 1)
    )
    before = np.concatenate([state["read_weights"], state["write_weights"]])
    w = []
    for head in range(heads):
        w_c = content(k.reshape(heads, width)[head], softplus(beta[head]), memory)
        gate = sigmoid(g[head])
        w_g = gate * w_c + (1 - gate) * before[head]
        w.append(sharpened(shifted(w_g, softmax(s.reshape(heads, -1)[head])), 1 + softplus(gamma[head])))
    w_r, w_w = np.array(w[:reads]), np.array(w[reads:])
    r = w_r @ memory
    after = written(memory, w_w, sigmoid(e.reshape(writes, width)), a.reshape(writes, width))
    y = np.concatenate([cut, r.ravel()]) @ output_kernel + output_bias
    return y, {"controller": h, "memory": after, "read_weights": w_r, "write_weights": w_w, "reads": r}


def dnc_step(x, state, weights, reads, clip):
    """One row: `(y, state)`; weights are those of the controller, then W_xi, b_xi, W_y, b_y."""
    *to_xi, output_kernel, output_bias = weights
    h, cut, xi = controlled(x, state, to_xi, clip)
    memory, before = state["memory"], state["read_weights"]
    width = memory.shape[1]
    k_r, k_w, v, e, beta_r, beta_w, f, g_a, g_w, pi = parts(
        xi, reads * width, width, width, width, reads, 1, reads, 1, 1, 3 * reads
    )
    u = usage(state["usage"], state["write_weights"][0], before, sigmoid(f))
    g_a, g_w = sigmoid(g_a), sigmoid(g_w)
    w_w = g_w * (g_a * allocation(u) + (1 - g_a) * content(k_w, 1 + softplus(beta_w[0]), memory))
    memory = written(memory, w_w[None], sigmoid(e)[None], v[None])
    links = linked(state["links"], w_w, state["precedence"])
    w_r = []
    for head in range(reads):
        backward, by_content, forward = softmax(pi.reshape(reads, 3)[head])
        c = content(k_r.reshape(reads, width)[head], 1 + softplus(beta_r[head]), memory)
        w_r.append(backward * links.T @ before[head] + by_content * c + forward * links @ before[head])
    w_r = np.array(w_r)
    r = w_r @ memory
    return np.concatenate([cut, r.ravel()]) @ output_kernel + output_bias, {
        "controller": h,
        "memory": memory,
        "read_weights": w_r,
        "write_weights": w_w[None],
        "usage": u,
        "precedence": (1 - w_w.sum()) * state["precedence"] + w_w,
        "links": links,
        "reads": r,
    }

"""Each operation against a calculation by hand, and what always holds of them."""

import numpy as np
import pytest
from keras import ops

from keras_seq.memory import addressing
from tests.cases import arrays, close
from tests.layers.exotic import gradient
from tests.memory import oracle

B, N, W, R, V = 2, 11, 5, 3, 2
EXACT = {"atol": 1e-12, "rtol": 1e-12}


def tensors(*given):
    return [ops.convert_to_tensor(np.asarray(one, "float64")) for one in given]


def rows(function, *given):
    """The oracle's function, row by row."""
    return np.stack([function(*row) for row in zip(*given, strict=True)])


def weights(rng, *shape):
    """Weights over slots, which sum to less than 1."""
    return rng.dirichlet(np.ones(shape[-1] + 1), shape[:-1])[..., :-1]


def test_content_weights(rng):
    k, beta, memory = rng.normal(size=(B, R, W)), rng.uniform(0, 9, (B, R)), rng.normal(size=(B, N, W))
    memory[0, 3], k[1, 1] = 0, 0
    expected = rows(
        lambda k, beta, m: np.stack([oracle.content(*one, m) for one in zip(k, beta, strict=True)]), k, beta, memory
    )
    close(addressing.content_weights(*tensors(k, beta, memory)), expected, **EXACT)


def test_interpolated_and_sharpened(rng):
    g, gamma, w_c, w = rng.random((B, R)), rng.uniform(1, 5, (B, R)), weights(rng, B, R, N), weights(rng, B, R, N)
    close(addressing.interpolated(*tensors(g, w_c, w)), g[..., None] * w_c + (1 - g[..., None]) * w, **EXACT)
    expected = np.stack([rows(oracle.sharpened, *row) for row in zip(w, gamma, strict=True)])
    close(addressing.sharpened(*tensors(w, gamma)), expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("reach", [0, 1, 2, 5])
def test_shifted(reach, rng):
    w, s = weights(rng, B, R, N), rng.dirichlet(np.ones(2 * reach + 1), (B, R))
    expected = np.stack([rows(oracle.shifted, *row) for row in zip(w, s, strict=True)])
    close(addressing.shifted(*tensors(w, s)), expected, **EXACT)


@pytest.mark.parametrize("heads", [1, 2, 3, 5])
def test_read_and_written(heads, rng):
    memory, w = rng.normal(size=(B, N, W)), weights(rng, B, heads, N)
    e, a = rng.random((B, heads, W)), rng.normal(size=(B, heads, W))
    close(addressing.read(*tensors(w, memory)), np.einsum("bhn,bnw->bhw", w, memory), **EXACT)
    close(addressing.written(*tensors(memory, w, e, a)), rows(oracle.written, memory, w, e, a), **EXACT)


def test_usage_links_and_modes(rng):
    u, w_w, p, w_r, f = rng.random((B, N)), weights(rng, B, N), weights(rng, B, N), weights(rng, B, R, N), [[0, 1, 0.3]]
    f = np.repeat(f, B, axis=0)
    close(addressing.usage(*tensors(u, w_w, w_r, f)), rows(oracle.usage, u, w_w, w_r, f), **EXACT)
    links = rng.random((B, N, N)) / N
    close(addressing.linked(*tensors(links, w_w, p)), rows(oracle.linked, links, w_w, p), **EXACT)
    close(addressing.precedence(*tensors(p, w_w)), p * (1 - w_w.sum(-1, keepdims=True)) + w_w, **EXACT)
    forward, backward = np.einsum("bij,brj->bri", links, w_r), np.einsum("bji,brj->bri", links, w_r)
    close(addressing.followed(*tensors(links, w_r)), [forward, backward], **EXACT)
    pi, c = rng.dirichlet(np.ones(3), (B, R)), weights(rng, B, R, N)
    expected = pi[..., :1] * backward + pi[..., 1:2] * c + pi[..., 2:] * forward
    close(addressing.mixed(*tensors(pi, backward, c, forward)), expected, **EXACT)
    g_w, g_a, a = rng.random((B, 1)), rng.random((B, 1)), weights(rng, B, N)
    close(addressing.allotted(*tensors(g_w, g_a, a, c[:, 0])), g_w * (g_a * a + (1 - g_a) * c[:, 0]), **EXACT)


def usages(rng):
    """Rows of usage: any, with ties, with zeros and ones, all zero, all one, all alike."""
    ties = rng.choice([0.25, 0.5, 0.75], N)
    ends = rng.choice([0.0, 1.0, 0.5], N)
    return np.stack([rng.random(N), ties, ends, np.zeros(N), np.ones(N), np.full(N, 0.3)])


@pytest.fixture(params=["pairs", "sorting"])
def way(request, monkeypatch):
    monkeypatch.setattr(addressing, "_BY_PAIRS", N if request.param == "pairs" else 0)


@pytest.mark.usefixtures("way")
def test_allocation(rng):
    u = usages(rng)
    (a,) = arrays(addressing.allocation(*tensors(u)))
    np.testing.assert_allclose(a, rows(oracle.allocation, u), **EXACT)
    assert a.min() >= 0
    assert a.sum(axis=-1).max() <= 1 + 1e-12
    assert a[3].argmax() == 0  # of slots alike the first
    assert a[3].max() > 1 - 1e-5
    rounded = u + 1e-9 * rng.normal(size=u.shape)  # what is alike but for rounding stays in its order
    np.testing.assert_allclose(arrays(addressing.allocation(*tensors(rounded)))[0][[1, 5]], a[[1, 5]], atol=1e-7)
    (in_float32,) = arrays(addressing.allocation(ops.convert_to_tensor(u.astype("float32"))))
    np.testing.assert_allclose(in_float32, a, atol=2e-6)


@pytest.mark.usefixtures("way")
def test_gradient_of_allocation(rng):
    """Of usages that differ against differences; finite with ties, zeros and ones, in float32, too."""
    u, direction = usages(rng), rng.normal(size=(6, N))
    for dtype in ("float64", "float32"):
        found = gradient(lambda u: ops.sum(addressing.allocation(u) * direction.astype(u.dtype.name)), u.astype(dtype))
        assert np.isfinite(found).all()
        step, numeric = 1e-7, np.zeros(N)
        for i in range(N):
            ends = [oracle.allocation(u[0] + sign * step * (np.arange(N) == i)) @ direction[0] for sign in (1, -1)]
            numeric[i] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(found[0], numeric, atol=1e-6 if dtype == "float64" else 1e-4)


def test_gradients_at_the_edges_are_finite(rng):
    """One-hot and empty weights, zero keys and memories, gates at 0 and 1."""
    one_hot = np.eye(N, dtype="float32")[None, :R]
    zeros = np.zeros((1, N, W), "float32")
    of = {
        "sharpened": (lambda w: addressing.sharpened(w, np.full((1, R), 40, "float32")), one_hot),
        "empty": (lambda w: addressing.sharpened(w, np.ones((1, R), "float32")), 0 * one_hot),
        "memory": (lambda m: addressing.content_weights(m[:, :R], np.full((1, R), 9, "float32"), m), zeros),
        "erased": (lambda w: addressing.written(zeros + 1, w, np.ones((1, R, W), "float32"), zeros[:, :R]), one_hot),
        "freed": (lambda w: addressing.usage(w[:, 0], w[:, 1], w, np.ones((1, R), "float32")), one_hot),
    }
    for name, (function, x) in of.items():
        found = gradient(lambda x, function=function: ops.sum(ops.square(function(x))), x)
        assert np.isfinite(found).all(), name


def test_the_order_of_writing_is_read_back(rng):
    """Slots written one after the other, sharply: from one of them forward leads to the next, backward to the last."""
    order = rng.permutation(N)[:7]
    links, p = np.zeros((1, N, N)), np.zeros((1, N))
    links, p = tensors(links, p)
    for slot in order:
        (w_w,) = tensors(np.eye(N)[None, slot])
        links, p = addressing.linked(links, w_w, p), addressing.precedence(p, w_w)
    (start,) = tensors(np.eye(N)[None, [order[0], order[-1]]])
    on, back = start, start
    for step in range(1, 7):
        on, back = addressing.followed(links, on)[0], addressing.followed(links, back)[1]
        forward, backward = arrays([on, back])
        np.testing.assert_allclose(forward[0, 0], np.eye(N)[order[step]], atol=1e-12)
        np.testing.assert_allclose(backward[0, 1], np.eye(N)[order[-1 - step]], atol=1e-12)
    np.testing.assert_allclose(arrays(addressing.followed(links, on))[0][0, 0], np.zeros(N), atol=1e-12)


def test_invariants_after_many_writes(rng):
    """Rows and columns of the links sum to at most 1, their diagonal is zero; usage and precedence stay in bounds."""
    links, p, u = tensors(np.zeros((B, N, N)), np.zeros((B, N)), np.zeros((B, N)))
    w_w = tensors(np.zeros((B, N)))[0]
    for _ in range(60):
        w_r, f, gates = tensors(weights(rng, B, R, N), rng.random((B, R)), rng.beta(0.4, 0.4, (2, B, 1)))
        u = addressing.usage(u, w_w, w_r, f)
        (c,) = tensors(weights(rng, B, N))
        w_w = addressing.allotted(gates[0], gates[1], addressing.allocation(u), c)
        links, p = addressing.linked(links, w_w, p), addressing.precedence(p, w_w)
        for one in arrays([u, w_w, p, links]):
            assert one.min() >= -1e-12
            assert one.max() <= 1 + 1e-12
        matrix, order, w = arrays([links, p, w_w])
        assert not np.diagonal(matrix, axis1=1, axis2=2).any()
        for one in (matrix.sum(1), matrix.sum(2), order.sum(1), w.sum(1)):
            assert one.max() <= 1 + 1e-12

"""Norms of Jacobians against those by differences, and spectral radii."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.errors import InputError
from tests.cases import D, H, MatrixCell, randomize

L = ks.layers
T = 4


def built(layer, rng):
    layer.build((None, None, D))
    return randomize(layer, rng)


def norms_by_differences(layer, x, epsilon=1e-2):
    """Of float32 cells: the largest singular value of each step of each row, step by step."""
    order = range(T)[::-1] if layer.go_backwards else range(T)
    norms, states = np.zeros((len(x), T)), layer.cell.get_initial_state(len(x))
    for t in order:
        vector = np.concatenate([np.asarray(s) for s in states], axis=1)
        sizes = np.cumsum([s.shape[1] for s in states])[:-1]

        def stepped(vector, t=t, sizes=sizes):
            parts = [ops.convert_to_tensor(part) for part in np.split(vector.astype("float32"), sizes, axis=1)]
            return layer.cell(x[:, t], parts)[1]

        columns = []
        for j in range(vector.shape[1]):
            push = epsilon * np.eye(vector.shape[1])[j]
            ends = [np.concatenate([np.asarray(s) for s in stepped(vector + e)], axis=1) for e in (push, -push)]
            columns.append((ends[0] - ends[1]) / (2 * epsilon))
        norms[:, t] = [np.linalg.svd(np.stack(columns, axis=-1)[b], compute_uv=False)[0] for b in range(len(x))]
        states = stepped(vector)
    return norms.mean(axis=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.LSTM(H),
        lambda: L.GRU(H, go_backwards=True, implementation="kernel"),
        lambda: keras.layers.SimpleRNN(H),
    ],
    ids=["lstm", "gru-backwards", "stock"],
)
def test_norms_of_jacobians(make, rng, monkeypatch):
    layer, x = built(make(), rng), rng.normal(size=(3, T, D)).astype("float32")
    norms = ks.diagnostics.jacobian_norms(layer, x)
    np.testing.assert_allclose(norms, norms_by_differences(layer, x), rtol=2e-3)
    monkeypatch.setattr("keras_seq.diagnostics.jacobians._AT_ONCE", 1)  # a step at a time
    np.testing.assert_allclose(ks.diagnostics.jacobian_norms(layer, x), norms, rtol=1e-5)
    np.testing.assert_allclose(
        ks.diagnostics.jacobian_norms(layer, x, rows=1), ks.diagnostics.jacobian_norms(layer, x[:1]), rtol=1e-5
    )


def test_spectral_radius_gate_by_gate(rng):
    """Blocks in the order of the columns; with a projection, what comes back to `h` through it."""
    layer = built(L.LSTM(H), rng)
    kernel = layer.get_weights()[1]
    found = ks.diagnostics.spectral_radius(layer)
    for i, name in enumerate("ifgo"):
        block = kernel[:, i * H : (i + 1) * H]
        assert found[name] == pytest.approx(np.abs(np.linalg.eigvals(block)).max(), rel=1e-5)
    assert list(ks.diagnostics.spectral_radius(built(keras.layers.GRU(H), rng))) == ["z", "r", "n"]
    rotation = L.SimpleRNN(2)
    rotation.build((None, None, D))
    rotation.set_weights([np.zeros((D, 2)), np.array([[0, -0.5], [0.5, 0]]), np.zeros(2)])
    assert ks.diagnostics.spectral_radius(rotation) == {"h": pytest.approx(0.5)}
    projected = built(L.LSTM(5, projection_size=H), rng)
    recurrent, projection = projected.cell.recurrent_kernel, projected.cell.projection_kernel
    block = np.array(recurrent)[:, 5:10] @ np.array(projection)
    radius = np.abs(np.linalg.eigvals(block)).max()
    assert ks.diagnostics.spectral_radius(projected.cell)["f"] == pytest.approx(radius, rel=1e-4)


def test_of_float64_it_is_float64(rng):
    layer = built(L.GRU(H, dtype="float64"), rng)
    blocks = np.split(np.asarray(layer.get_weights()[1]), 3, axis=1)
    radii = [np.abs(np.linalg.eigvals(block)).max() for block in blocks]
    assert list(ks.diagnostics.spectral_radius(layer).values()) == pytest.approx(radii, rel=1e-12)


class TwoBlocks(L.SimpleRNNCell):
    """As a cell of somebody else's."""

    gates = 2


def test_bad_input(rng):
    x = np.ones((2, T, D), "float32")
    with pytest.raises(InputError, match=r"built recurrent layer.*got Dense"):
        ks.diagnostics.jacobian_norms(keras.layers.Dense(1), x)
    with pytest.raises(InputError, match=r"built recurrent layer.*call it on its inputs"):
        ks.diagnostics.jacobian_norms(L.GRU(H), x)
    with pytest.raises(InputError, match="no floats"):
        ks.diagnostics.jacobian_norms(built(L.RNN(MatrixCell()), rng), x)
    attends = L.RNN(L.AttentionCell(L.GRUCell(H)), name="reads")
    attends(x, memory=x)
    with pytest.raises(InputError, match="'reads' reads a memory"):
        ks.diagnostics.jacobian_norms(attends, x)
    for layer in (L.GRU(H), built(L.RNN([L.GRUCell(2), L.GRUCell(2)]), rng)):
        with pytest.raises(InputError, match=r"`recurrent_kernel` of .* got (GRU|RNN).*layer.cell.cells"):
            ks.diagnostics.spectral_radius(layer)
    two = TwoBlocks(H)
    two.build((None, D))
    with pytest.raises(InputError, match="1, 3 or 4 blocks of units, got TwoBlocks"):
        ks.diagnostics.spectral_radius(two)

"""Pictures of a memory: what stands in which axes, and errors."""

import numpy as np
import pytest

import keras_seq as ks

pytest.importorskip("matplotlib")
B, T, N, W, R = 2, 7, 5, 3, 2


def trace_of(rng, **more):
    states = {"memory": (N, W), "read_weights": (R, N), "write_weights": (1, N), **more}
    return {name: rng.random((B, T, *shape)).astype("float32") for name, shape in states.items()}


def test_each_head_has_its_panel(rng):
    trace = trace_of(rng, usage=(N,), links=(N, N))
    axes = ks.diagnostics.plot_memory([trace], row=1)
    expected = {
        "write weights": trace["write_weights"][1, :, 0],
        "read weights, head 0": trace["read_weights"][1, :, 0],
        "read weights, head 1": trace["read_weights"][1, :, 1],
        "usage": trace["usage"][1],
        "memory after step 6": trace["memory"][1, -1].T,
    }
    assert [axis.get_title() for axis in axes] == list(expected)
    for axis, picture in zip(axes, expected.values(), strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), picture.T)  # slots upwards, time to the right
        assert axis.get_ylabel() == "slot"
    assert {axis.get_xlabel() for axis in axes[:-1]} == {"step"}
    assert axes[0].images[0].get_clim() == (0, 1)


def test_it_draws_into_given_axes(rng):
    from matplotlib.figure import Figure

    axes = Figure().subplots(2, 2)
    assert ks.diagnostics.plot_memory(trace_of(rng), axes=axes) == list(axes.ravel())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trace": {"h": np.ones((B, T, N))}}, r"trace.*NTMCell.*\['h'\]"),
        ({"trace": np.ones(3)}, "trace.*ndarray"),
        ({"row": 2}, "row.*one of 2 sequences.*got 2"),
        ({"axes": [None]}, "axes.*4 panels, got 1"),
    ],
)
def test_what_is_refused(change, words, rng):
    with pytest.raises(ValueError, match=words):
        ks.diagnostics.plot_memory(**{"trace": trace_of(rng), **change})

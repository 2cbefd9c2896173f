"""Pictures of attention: what stands in the axes, the file, and errors."""

import re
import sys

import numpy as np
import pytest

import keras_seq as ks

pytest.importorskip("matplotlib")
S, T, N = 5, 3, 2
SOURCE, TARGET = ["the", "$5", " ", "$6", "."], ["die", "Katze", "."]


def test_rows_are_targets_and_columns_sources(rng, tmp_path):
    weights = rng.dirichlet(np.ones(S), T)
    figure = ks.diagnostics.attention_map(weights, SOURCE, TARGET, tmp_path / "map.png", title="$a$")
    axis = figure.axes[0]
    np.testing.assert_allclose(axis.images[0].get_array(), weights, rtol=1e-6)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["the", "$5", "␣", "$6", "."]
    assert [label.get_text() for label in axis.get_yticklabels()] == TARGET
    assert not axis.get_xticklabels()[1].get_parse_math()
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_heads_stand_side_by_side_on_one_scale(rng):
    weights = rng.dirichlet(np.ones(S), (N, T))
    figure = ks.diagnostics.attention_map(weights, SOURCE, TARGET)
    images = [axis.images[0] for axis in figure.axes[:N]]
    for image, head in zip(images, weights, strict=True):
        np.testing.assert_allclose(image.get_array(), head, rtol=1e-6)
        assert image.get_clim() == pytest.approx((0, weights.max()))


@pytest.mark.parametrize("shape", [(S, T), (T,), (T, S + 1), (1, N, T, S), (0, T, S)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(T, S\).*T = 3.*S = 5.*got " + re.escape(str(shape))):
        ks.diagnostics.attention_map(np.ones(shape), SOURCE, TARGET)


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"weights.*finite"):
        ks.diagnostics.attention_map(np.full((T, S), np.nan), SOURCE, TARGET)

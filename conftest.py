"""Names that the examples in docstrings use without importing them."""

import numpy as np
import pytest

import keras_seq as ks


@pytest.fixture(autouse=True)
def _names(doctest_namespace):
    doctest_namespace.update(np=np, ks=ks, **{name: getattr(ks.layers, name) for name in ks.layers.__all__})

"""Keras's own public tests of its `MultiHeadAttention`, run on ours."""

import gc
import importlib
import types

import keras
import pytest

import keras_seq as ks

pytestmark = pytest.mark.tensorflow  # they pass on JAX too, where they compile for minutes

try:
    theirs = importlib.import_module("keras.src.layers.attention.multi_head_attention_test")
except ImportError as error:  # not every Keras ships its tests
    pytest.skip(f"Keras has no tests here: {error}", allow_module_level=True)


@pytest.fixture(autouse=True)
def _no_collections(monkeypatch):
    """Keras collects garbage for each variable that is deleted, which takes seconds after many other tests."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


class MultiHeadAttentionTest(theirs.MultiHeadAttentionTest):
    def setUp(self):
        super().setUp()
        ours = {**vars(keras.layers), "MultiHeadAttention": ks.layers.MultiHeadAttention}
        before, theirs.layers = theirs.layers, types.SimpleNamespace(**ours)
        self.addCleanup(setattr, theirs, "layers", before)

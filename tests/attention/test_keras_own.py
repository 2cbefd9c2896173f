"""Keras's own public tests of its `MultiHeadAttention`, run on ours."""

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


class MultiHeadAttentionTest(theirs.MultiHeadAttentionTest):
    def setUp(self):
        super().setUp()
        ours = {**vars(keras.layers), "MultiHeadAttention": ks.layers.MultiHeadAttention}
        before, theirs.layers = theirs.layers, types.SimpleNamespace(**ours)
        self.addCleanup(setattr, theirs, "layers", before)

"""Set-up that must come before Keras is imported, and names for the examples in docstrings."""

import os
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")  # the tests' oracle is float64
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if os.environ.get("KERAS_BACKEND") == "jax":
    # There tests mostly compile: without LLVM's optimisations, a fifth faster. What another test or an earlier run has
    # compiled is taken from a folder.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent / ".pytest_cache" / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import keras
import numpy as np
import pytest

import keras_seq as ks


@pytest.fixture(autouse=True)
def _names(doctest_namespace):
    names = {name: getattr(ks.layers, name) for name in ks.layers.__all__}
    doctest_namespace.update(np=np, keras=keras, ks=ks, **names)


def pytest_make_parametrize_id(val):
    """Functions by name: by default a lambda's address is in the id, and the processes of `-n` would disagree."""
    return val.__name__ if callable(val) and hasattr(val, "__name__") else None

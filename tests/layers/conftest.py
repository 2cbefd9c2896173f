"""What keeps these tests quick on JAX, where each eager call of a layer would compile its loop anew."""

import gc

import pytest

from tests.cases import ON_JAX, op_by_op


@pytest.fixture
def steps_in_python():
    """Loops run step by step: for tests that compare numbers. Other tests compile them."""
    with op_by_op():
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_compiled_leftovers():
    """JAX keeps all it compiled, until the system has no more memory maps to give."""
    yield
    if ON_JAX:
        import jax

        gc.collect()
        jax.clear_caches()

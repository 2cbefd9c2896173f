"""Float64 where kernels are compared with loops: their sums differ in order, and in nothing else."""

import pytest

from keras_seq.kernels import kernel
from tests.cases import ON_JAX, TANH


@pytest.fixture(autouse=True)
def _float64(monkeypatch):
    """Keras's tanh computes float64 in float32 on JAX, `TANH` does not; and JAX has float64 if it is told to."""
    monkeypatch.setitem(kernel._OF_OUTPUT, TANH, lambda y: 1 - y * y)
    if ON_JAX:
        import jax

        before = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)
    yield
    if ON_JAX:
        jax.config.update("jax_enable_x64", before)

from tests.layers.conftest import _no_compiled_leftovers, steps_in_python  # noqa: F401

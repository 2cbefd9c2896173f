"""Values in float64, whatever the dtype of a model and of the backend."""

import keras
import numpy as np
import pytest

from keras_seq.diagnostics.batches import array_of
from tests.processes import run_code


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("make", [keras.ops.convert_to_tensor, keras.Variable], ids=["tensor", "weight"])
def test_values_of_a_tensor(dtype, make):
    array = array_of(make(np.array([0, 1 / 3, 2]), dtype=dtype))
    assert (type(array), array.dtype) == (np.ndarray, "float64")
    epsilon = {"bfloat16": 2**-8, "float16": 2**-11, "float32": 2**-24, "float64": 0}.get(dtype)
    expected = {"int32": [0, 0, 2], "bool": [0, 1, 1]}.get(dtype, [0, 1 / 3, 2])
    np.testing.assert_allclose(array, expected, rtol=epsilon or 0)


# Without JAX_ENABLE_X64 JAX has no float64, and warns of what asks for it.
ON_JAX = """
import warnings
import numpy as np, keras, keras_seq as ks
warnings.simplefilter("error", UserWarning)
model = keras.Sequential([keras.Input((7, 5)), ks.layers.GRU(3), keras.layers.Dense(1)])
x = np.ones((2, 7, 5), "float32")
found = [ks.diagnostics.gate_activations(model, x).parts[0].values["z"], ks.diagnostics.saliency(model, x).values]
found += [ks.diagnostics.jacobian_norms(model.layers[0], x)]
print([str(one.dtype) for one in found])
"""


def test_where_jax_has_no_float64(tmp_path):
    pytest.importorskip("jax")
    printed = run_code(ON_JAX, tmp_path, KERAS_BACKEND="jax", JAX_ENABLE_X64=None)
    assert printed.split("\n")[-2] == "['float64', 'float64', 'float64']"

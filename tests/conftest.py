"""What all tests share: float64 on JAX, fixed seeds, and where real data lies."""

import os

os.environ.setdefault("JAX_ENABLE_X64", "1")  # the oracle is float64
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("KERAS_SEQ_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items):
    for item in items:
        if "data" in item.keywords and not DATA.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"no data at {DATA}: set KERAS_SEQ_DATA"))
        if "tensorflow" in item.keywords and keras.backend.backend() != "tensorflow":
            item.add_marker(pytest.mark.skip(reason="needs the TensorFlow backend"))


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(7)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(scope="session")
def data_dir():
    return DATA

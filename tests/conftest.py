"""What all tests share: fixed seeds, and where real data lies."""

import gc
import os
from pathlib import Path

import keras
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("KERAS_SEQ_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("data") and not DATA.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"no data at {DATA}: set KERAS_SEQ_DATA"))
        if item.get_closest_marker("tensorflow") and keras.backend.backend() != "tensorflow":
            item.add_marker(pytest.mark.skip(reason="needs the TensorFlow backend"))


def pytest_collection_finish():
    """What imports and collecting made is there for good: no garbage collection need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(7)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(scope="session")
def data_dir():
    return DATA

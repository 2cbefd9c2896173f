"""A few texts with labels, and a vectoriser that knows their words."""

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from tests.models.forecasters import fitted
from tests.models.networks import SOURCE, TARGET, B, S, T
from tests.windows import COLUMNS, long_frame

GOOD = ["a lovely film", "great, warm and funny", "I loved it", "good food", "it was not bad at all", "warm", "so good"]
BAD = ["a dull film", "bad, cold and dull", "I hated it", "bad food", "it was not good at all", "cold", "so very bad"]


@pytest.fixture(scope="session")
def frame():
    """14 texts of 1 to 7 words, the two labels in turn."""
    texts = [text for pair in zip(GOOD, BAD, strict=True) for text in pair]
    return pd.DataFrame({"text": texts, "label": ["good", "bad"] * len(GOOD)})


@pytest.fixture(scope="session")
def vectorizer(frame):
    return ks.data.text_vectorizer(frame["text"], max_length=11)


@pytest.fixture
def model_of(vectorizer):
    """Make a small model; its labels are not in the order of the alphabet."""

    def make(**arguments):
        small = {"labels": ["good", "bad"], "units": 5, "embedding_dim": 3, "learning_rate": 0.02}
        return ks.models.sentiment_model(vectorizer, **{**small, **arguments})

    return make


@pytest.fixture
def ids(rng):
    source = rng.integers(4, SOURCE, (B, S))
    source[1, 4:] = 0
    source[2, 1:] = 0
    target = rng.integers(4, TARGET, (B, T))
    target[:, 0] = 2
    return source.astype("int32"), target.astype("int32")


@pytest.fixture(scope="session")
def long():
    """Three series of 61, 47 and 83 steps, some values missing."""
    return long_frame(np.random.default_rng(3), [61, 47, 83], missing=0.05)


@pytest.fixture(scope="session")
def of_long(long):
    return fitted(long, **COLUMNS, level=[80, 97.5], outputs="quantiles", calendar="cyclic")

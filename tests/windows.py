"""What the tests of windows share."""

import keras
import numpy as np
import pandas as pd

T, F = 5, 3  # look-back, horizon


def long_frame(rng, lengths, missing=0.0, begins=None):
    """Series a, b, … of two targets, a past covariate and a known one."""
    parts = []
    for i, n in enumerate(lengths):
        begin = 0 if begins is None else begins[i]
        part = pd.DataFrame(rng.normal(3 * i, 1 + i, (n, 4)), columns=["u", "v", "visitors", "price"])
        part["ds"] = pd.date_range("2024-01-01", periods=n + begin, freq="h")[begin:]
        parts.append(part.assign(unique_id=chr(97 + i)))
    frame = pd.concat(parts, ignore_index=True)
    holes = rng.random((len(frame), 3)) < missing
    frame[["u", "v", "visitors"]] = frame[["u", "v", "visitors"]].mask(holes)
    return frame


COLUMNS = {"target": ["u", "v"], "past": "visitors", "known": "price"}


def gathered(dataset):
    """All batches, one after the other: inputs, targets, weights (or None)."""
    batches = [keras.tree.map_structure(np.asarray, batch) for batch in dataset]
    assert dataset.cardinality().numpy() == len(batches) == len(dataset.batches)
    joined = keras.tree.map_structure(lambda *x: np.concatenate(x), *batches)
    return joined if len(joined) == 3 else (*joined, None)

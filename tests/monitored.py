"""A small model of words, its gradients written out in NumPy, and trainings of it."""

import keras
import numpy as np

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
_RNG = np.random.default_rng(5)
X = _RNG.integers(0, 7, size=(12, 5))
Y = _RNG.normal(size=(12, 1)).astype("float32")
BATCHES = [(X[i : i + 4], Y[i : i + 4]) for i in range(0, 12, 4)]


def made(optimizer, **compiled):
    """Embedding, mean, one unit: the same weights each time."""
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Embedding(7, 3), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((5,), dtype="int32"), *layers])
    model.layers[0].embeddings.assign(np.random.default_rng(8).normal(size=(7, 3)))
    model.compile(optimizer, "mse", **compiled)
    return model


def fitted(model, epochs, *callbacks, x=X, y=Y, **arguments):
    how = {"batch_size": 4, "epochs": epochs, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(x, y, callbacks=list(callbacks), **how).history


def gradients_of(weights, x, y):
    """`(gradients, the same with that of the embedding as one row for each word that was read)`, in float64."""
    embeddings, kernel, bias = (w.astype("float64") for w in weights)
    h = embeddings[x].mean(axis=1)
    d = 2 * (h @ kernel + bias - y) / len(y)
    rows = np.repeat((d @ kernel.T / x.shape[1])[:, None], x.shape[1], axis=1)
    summed = np.zeros_like(embeddings)
    np.add.at(summed, x, rows)
    rest = [h.T @ d, d.sum(axis=0)]
    return [summed, *rest], [rows, *rest]


def norm(parts):
    return np.sqrt(sum((g**2).sum() for g in parts))


def simulated(weights, rate, epochs):
    """Norms `(epochs, batches)` in a training by plain SGD."""
    norms = []
    for _ in range(epochs):
        for batch in BATCHES:
            gradients = gradients_of(weights, *batch)[0]
            norms.append(norm(gradients))
            weights = [w - rate * g for w, g in zip(weights, gradients, strict=True)]
    return np.reshape(norms, (epochs, len(BATCHES)))


def clean(model):
    """Whether nothing is left of a monitor."""
    assert model.train_function is None
    assert not {"apply", "stateless_apply"} & set(vars(model.optimizer))
    assert "train_step" not in vars(model)

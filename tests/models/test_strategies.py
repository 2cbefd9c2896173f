"""Models of windows against NumPy, step by step: segments, direct, recursive."""

import numpy as np
import pytest

from tests.cases import arrays
from tests.models.forecasting_models import (
    ENCODERS,
    SIZES,
    B,
    C,
    F,
    H,
    K,
    P,
    T,
    called,
    inputs_of,
    model_of,
    weights_of,
)


def rows_of(inputs, channel):
    """Features `(B, T, A)` of one channel, what is known ahead `(B, F, K)`, and the last value `(B, 1)`."""
    z, there = inputs["past"][..., channel].astype("float64"), inputs["past_mask"][..., channel]
    last = z[:, -1:]
    z = np.where(there, z - last, 0)
    known = inputs["known"]
    look = np.concatenate([z[..., None], there[..., None], inputs["past_covariates"], known[:, :T]], -1)
    return look, known[:, T:], last


def rnn_step(w, x, h, name):
    return np.tanh(x @ w[f"{name}/kernel"] + h @ w[f"{name}/recurrent_kernel"] + w[f"{name}/bias"])


def cell_name(w):
    (name,) = {path.split("/")[0] for path in w if path.endswith("/recurrent_kernel")}
    return name


def lstm_step(w, x, states, name):
    h, c = states
    i, f, g, o = np.split(x @ w[f"{name}/kernel"] + h @ w[f"{name}/recurrent_kernel"] + w[f"{name}/bias"], 4, -1)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c


def test_segments_of_two_layers_with_two_states_each(rng):
    """Each layer goes on from its own states."""
    model = model_of(rng, encoder="lstm", depth=2, channels=1, past_covariates=0, known=0, missing=False)
    past = rng.normal(size=(B, T, 1)).astype("float32")
    found = called(model, past)
    w = {"/".join(v.path.split("/")[-3:]): arrays(v)[0].astype("float64") for v in model.weights}
    cells = sorted({path.rsplit("/", 1)[0] for path in w if path.endswith("recurrent_kernel")})
    assert len(cells) == 2
    x = np.pad((past - past[:, -1:])[..., 0].astype("float64"), [(0, 0), (1, 0)])

    def dense(name, x):
        return x @ w[f"route/{name}/kernel"] + w[f"route/{name}/bias"]

    states = [(np.zeros((B, H)),) * 2 for _ in cells]

    def run(x, states):
        new = []
        for cell, state in zip(cells, states, strict=True):
            new.append(lstm_step(w, x, state, cell))
            x = new[-1][0]
        return x, new

    for s in range(4):
        _, states = run(np.maximum(dense("entry", x[:, 3 * s : 3 * s + 3]), 0), states)
    places = next(arrays(v)[0] for v in model.weights if v.name == "places")
    for m in range(3):
        y = dense("head", run(np.tile(places[m], (B, 1)), states)[0]) + past[:, -1]
        np.testing.assert_allclose(found[:, 3 * m : 3 * m + 3, 0], y[:, : F - 3 * m], rtol=1e-4, atol=1e-4)


def test_segments(rng):
    """The last segments of look-back and horizon are filled up; a query is its place and its channel."""
    model, inputs = model_of(rng, encoder="simple_rnn"), inputs_of(rng)
    found, w, c = called(model, inputs), weights_of(model), 3
    name = cell_name(w)
    for channel in range(C):
        look, ahead, last = rows_of(inputs, channel)
        look = np.pad(look, [(0, 0), (1, 0), (0, 0)])  # 12 = 4 segments of 3
        ahead = np.pad(ahead, [(0, 0), (0, 2), (0, 0)])  # 9 = 3 of them
        h = np.zeros((B, H))
        for s in range(4):
            x = look[:, s * c : s * c + c].reshape(B, -1)
            h = rnn_step(w, np.maximum(x @ w["entry/kernel"] + w["entry/bias"], 0), h, name)
        for m in range(3):
            query = np.concatenate([w["route/places"][m], w["route/channels"][channel]])
            query = query + ahead[:, m * c : m * c + c].reshape(B, -1) @ w["mix/kernel"] + w["mix/bias"]
            y = rnn_step(w, query, h, name) @ w["head/kernel"] + w["head/bias"] + last
            steps = slice(m * c, min(m * c + c, F))
            np.testing.assert_allclose(found[:, steps, channel], y[:, : steps.stop - steps.start], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("known", [0, K])
def test_direct(rng, known):
    sizes = {**SIZES, "known": known}
    inputs = inputs_of(rng, sizes)
    model = model_of(rng, encoder="simple_rnn", strategy="direct", known=known)
    found, w = called(model, inputs), weights_of(model)
    for channel in range(C):
        look, ahead, last = rows_of({**inputs, "known": inputs.get("known", np.zeros((B, T + F, 0)))}, channel)
        h = np.zeros((B, H))
        for t in range(T):
            h = rnn_step(w, look[:, t], h, cell_name(w))
        if known:
            spread = (h @ w["spread/kernel"] + w["spread/bias"]).reshape(B, F, H)
            h = np.maximum(spread + ahead @ w["mix/kernel"] + w["mix/bias"], 0)
        y = (h @ w["head/kernel"] + w["head/bias"]).reshape(B, F) + last
        np.testing.assert_allclose(found[..., channel], y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("normalization", ["last", None])
def test_recursive(rng, normalization):
    """A forecast is read in the place of the value before, beside what is known of the step, and how far it is.

    First the last value that is there, which is zero where it was taken off."""
    model = model_of(rng, encoder="simple_rnn", strategy="recursive", normalization=normalization)
    inputs = inputs_of(rng)
    if normalization is None:
        inputs["past_mask"][:, -2:] = 0
        inputs["past"] = (inputs["past"] / 5 * inputs["past_mask"]).astype("float32")
    found, w = called(model, inputs), weights_of(model)
    for channel in range(C):
        look, ahead, last = rows_of(inputs, channel)
        h, y = np.zeros((B, H)), np.zeros((B, 1))
        if normalization is None:
            x, there = inputs["past"][..., channel].astype("float64"), inputs["past_mask"][..., channel] > 0
            look[..., 0], last = x, np.zeros((B, 1))
            y = np.array([[row[kept][-1]] for row, kept in zip(x, there, strict=True)])
        reads = [name for name in {path.split("/")[0] for path in w} if f"{name}/recurrent_kernel" in w]
        (encoder,) = [name for name in reads if w[f"{name}/kernel"].shape[0] == 2 + P + K]
        (decoder,) = [name for name in reads if w[f"{name}/kernel"].shape[0] == 2 + K and name != encoder]
        for t in range(T):
            h = rnn_step(w, look[:, t], h, encoder)
        for f in range(F):
            x = np.concatenate([np.full((B, 1), (f + 1) / F), ahead[:, f], y], -1)
            h = rnn_step(w, x, h, decoder)
            y = h @ w["head/kernel"] + w["head/bias"]
            np.testing.assert_allclose(found[:, f, channel], (y + last)[:, 0], rtol=1e-4, atol=1e-4)


def test_recursive_by_windows(rng):
    """An encoder that is no cell reads the last T steps anew; what is known stands a step before its own."""
    model = model_of(rng, encoder=ENCODERS["convolution"], strategy="recursive", outputs=[0.2, 0.4, 0.9])
    inputs = inputs_of(rng)
    found, w = called(model, inputs), weights_of(model)
    (name,) = {path.split("/")[0] for path, value in w.items() if value.ndim == 3}
    for channel in range(C):
        look, ahead, last = rows_of(inputs, channel)
        known = np.concatenate([look[..., 2 + P :], ahead], 1)
        window = look.copy()
        for f in range(F):
            window[..., 2 + P :] = known[:, f + 1 : f + 1 + T] if f < F - 1 else known[:, f + 1 :][:, :T]
            end = np.pad(window, [(0, 0), (1, 1), (0, 0)])[:, -3:]
            h = np.einsum("bta,tah->bh", end, w[f"{name}/kernel"]) + w[f"{name}/bias"]
            z = h @ w["head/kernel"] + w["head/bias"]
            q = np.cumsum(np.concatenate([z[:, :1], np.logaddexp(0, z[:, 1:])], -1), -1)
            np.testing.assert_allclose(found[:, f, channel], q + last, rtol=1e-4, atol=1e-4)
            median = q[:, 1:2] + 0.2 * (q[:, 2:] - q[:, 1:2])  # between those of 0.4 and 0.9
            row = np.concatenate([median, np.ones((B, 1)), np.zeros((B, P + K))], -1)
            window = np.concatenate([window[:, 1:], row[:, None]], 1)


def test_mixed_channels_are_one_sequence(rng):
    """Values, then flags of all channels, then covariates; the numbers of a channel stand together."""
    how = {"strategy": "direct", "encoder": "simple_rnn", "mix_channels": True, "known": 0, "outputs": [0.2, 0.8]}
    model, inputs = model_of(rng, **how), inputs_of(rng, {**SIZES, "known": 0})
    found, w = called(model, inputs), weights_of(model)
    z = np.where(inputs["past_mask"], inputs["past"] - inputs["past"][:, -1:], 0)
    look, h = np.concatenate([z, inputs["past_mask"], inputs["past_covariates"]], -1), np.zeros((B, H))
    for t in range(T):
        h = rnn_step(w, look[:, t], h, cell_name(w))
    y = (h @ w["head/kernel"] + w["head/bias"]).reshape(B, F, C, 2)
    y = np.stack([y[..., 0], y[..., 0] + np.logaddexp(0, y[..., 1])], -1)
    np.testing.assert_allclose(found, y + inputs["past"][:, -1:, :, None], rtol=1e-4, atol=1e-4)

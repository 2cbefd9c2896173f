"""Masks find their way: from `Embedding` through stacks, both directions and past other tensors, on every Keras."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import B, D, H, T, arrays, close, op_by_op, randomize

L = ks.layers
quick = pytest.mark.usefixtures("steps_in_python")
WORDS = 11


@pytest.fixture(params=["as installed", "gives up masks"], autouse=True)
def keras_as(request, monkeypatch):
    """Once with Keras as it is, once with recurrent layers that end with `supports_masking = False` (after 3.15)."""
    if request.param == "as installed":
        return request.param

    def giving_up(constructor):
        def __init__(self, *args, **kwargs):
            constructor(self, *args, **kwargs)
            self.supports_masking = False

        return __init__

    for cls in (keras.layers.RNN, keras.layers.Bidirectional):
        monkeypatch.setattr(cls, "__init__", giving_up(cls.__init__))
    return request.param


def two_layers(e, s):
    return L.GRU(H)(L.LSTM(H, return_sequences=True)(e))


def three_in_both_directions(e, s):
    y = L.Bidirectional(L.LSTM(H, return_sequences=True))(e)
    y = L.Bidirectional(L.RNN([L.GRUCell(2), L.LSTMCell(H)], return_sequences=True), merge_mode="sum")(y)
    return L.Bidirectional(L.GRU(H))(y)


def beside_states(e, s):
    return L.LSTM(H)(e, initial_state=[s, -s])


def beside_states_by_position(e, s):
    return L.LSTM(H)(e, [s, -s])


def beside_states_and_mask_none(e, s):
    return L.LSTM(H)(e, initial_state=[s, -s], mask=None)


def beside_states_then_on(e, s):
    y, h, c = L.LSTM(H, return_sequences=True, return_state=True)(e, initial_state=[s, -s])
    return L.GRU(H)(y, initial_state=h + c)


def beside_states_in_both_directions(e, s):
    y = L.Bidirectional(L.LSTM(H, return_sequences=True))(e, initial_state=[s, -s, 2 * s, s])
    return L.Bidirectional(L.GRU(H))(y, initial_state=[s, s])


def with_states_in_both_directions(e, s):
    y, *states = L.Bidirectional(L.GRU(H, return_sequences=True, return_state=True))(e)
    return L.GRU(H)(y, initial_state=states[1])


def without_merging(e, s):
    a, b = L.Bidirectional(L.LSTM(H, return_sequences=True), merge_mode=None)(e)
    return keras.layers.Concatenate()([L.GRU(H)(a), L.SimpleRNN(H)(b)])


def backwards_and_on(e, s):
    y = L.GRU(H, return_sequences=True, go_backwards=True)(e)
    return L.LSTM(H, go_backwards=True)(y, initial_state=[s, s])


def in_another_dtype(e, s):
    y = L.LSTM(H, return_sequences=True, dtype="mixed_bfloat16")(e, initial_state=[s, s])
    return L.GRU(H, dtype="float32")(y, initial_state=s)


def then_pooled(e, s):
    y = L.LSTM(H, return_sequences=True)(e, initial_state=[s, s])
    poolings = [L.SequencePooling(mode) for mode in ("last", "mean", "max")]
    return keras.layers.Concatenate()([pooling(y) for pooling in [*poolings, L.AttentionPooling(H)]])


def stacked_cells(e, s):
    y, *_ = L.RNN([L.LSTMCell(H), L.GRUCell(H)], return_sequences=True, return_state=True)(
        e, initial_state=[[s, s], [-s]]
    )
    return L.SimpleRNN(H)(y)


NETWORKS = [
    two_layers,
    three_in_both_directions,
    beside_states,
    beside_states_by_position,
    beside_states_and_mask_none,
    beside_states_then_on,
    beside_states_in_both_directions,
    with_states_in_both_directions,
    without_merging,
    backwards_and_on,
    in_another_dtype,
    then_pooled,
    stacked_cells,
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_the_mask_of_an_embedding_reaches_every_layer(network, rng, keras_as):
    """A row of ids with zeros in it gives what it gives without them, eagerly and in `predict`."""
    ids, start = keras.Input((None,), dtype="int32"), keras.Input((H,))
    output = network(keras.layers.Embedding(WORDS, D, mask_zero=True)(ids), start)
    output = keras.layers.Concatenate()([output, start])  # Keras 3.13 wants all inputs connected
    model = randomize(keras.Model([ids, start], output), rng)
    x, s = rng.integers(1, WORDS, size=(3, T)), rng.normal(size=(3, H)).astype("float32")
    x[0, 4:], x[1, :3], x[2, [0, 2, 5]] = 0, 0, 0
    # What is compiled differs not between the versions of Keras; compiling takes most of this test's time.
    together = model.predict([x, s], verbose=0) if keras_as == "as installed" else None
    for row in range(3):
        with op_by_op():
            alone = arrays(model([x[row][x[row] > 0][None], s[row : row + 1]]))[0][0]
            again = arrays(model([x[row : row + 1], s[row : row + 1]]))[0][0]
        np.testing.assert_allclose(again, alone, atol=1e-5)
        if together is None:
            continue
        # bfloat16 rounds otherwise where operations are fused
        np.testing.assert_allclose(together[row], alone, atol=2e-2 if network is in_another_dtype else 1e-5)


@quick
@pytest.mark.parametrize("make", [lambda **k: L.GRU(H, **k), lambda **k: L.Bidirectional(L.GRU(H, **k))])
def test_a_given_mask_comes_before_that_of_the_tensor(make, rng):
    x = keras.layers.Masking()(np.concatenate([rng.normal(size=(B, 4, D)), np.zeros((B, 3, D))], axis=1))
    layer = make(return_sequences=True)
    for states in ({}, {"initial_state": [rng.normal(size=(B, H))] * (2 if hasattr(layer, "forward_layer") else 1)}):
        own, given = layer(x, **states), layer(x, mask=np.ones((B, T), bool), **states)
        plain = layer(np.asarray(arrays(x)[0]), **states)
        close(given, plain)
        assert np.abs(arrays(own)[0] - arrays(plain)[0]).max() > 1e-3


@quick
def test_masks_that_come_out(rng):
    """With the outputs of all steps that of the input, in their order; none else, and none for states."""
    x, mask = rng.normal(size=(B, T, D)), rng.random((B, T)) < 0.5
    layers = {
        "all": L.GRU(H, return_sequences=True),
        "last": L.GRU(H),
        "backwards": L.GRU(H, return_sequences=True, go_backwards=True),
        "states": L.LSTM(H, return_sequences=True, return_state=True),
        "both": L.Bidirectional(L.GRU(H, return_sequences=True)),
        "both last": L.Bidirectional(L.GRU(H)),
        "both states": L.Bidirectional(L.GRU(H, return_sequences=True, return_state=True), merge_mode=None),
    }
    seen = {}
    for name, layer in layers.items():
        y = layer(x, mask=mask)
        seen[name] = [getattr(t, "_keras_mask", None) for t in (y if isinstance(y, (tuple, list)) else [y])]
    expected = {
        "all": [mask],
        "last": [None],
        "backwards": [mask[:, ::-1]],
        "states": [mask, None, None],
        "both": [mask],
        "both last": [None],
        "both states": [mask, mask, None, None],
    }
    for name, masks in expected.items():
        assert len(seen[name]) == len(masks), name
        for actual, wanted in zip(seen[name], masks, strict=True):
            assert (actual is None) == (wanted is None), name
            if wanted is not None:
                np.testing.assert_array_equal(arrays(actual)[0], wanted, err_msg=name)


@quick
def test_no_warning_that_a_mask_was_lost(rng, recwarn):
    model = keras.Sequential(
        [
            keras.Input((T,), dtype="int32"),
            keras.layers.Embedding(WORDS, D, mask_zero=True),
            L.Bidirectional(L.LSTM(H, return_sequences=True)),
            L.RNN(L.GRUCell(H), return_sequences=True),
            L.AttentionPooling(H),
        ]
    )
    model(rng.integers(0, WORDS, size=(B, T)))
    assert not [w for w in recwarn if "mask" in str(w.message)]

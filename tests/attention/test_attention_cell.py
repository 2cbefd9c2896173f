"""`AttentionCell` against its equations, one row and one step at a time, and what it takes and refuses."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.attention.scores import Score
from tests import oracle
from tests.cases import EXACT, B, D, H, M, S, T, arrays, padded, randomize
from tests.layers.exotic import gradient

L = ks.layers
A = 17


def expected(x, memory, keep, memory_keep, weights, attend, kind, feed, vector):
    """Outputs (T, ·) and weights (T, S) of one row, of a GRU with its reset after the product."""
    kernel = weights.pop(0) if vector else None
    gru, score = weights[:3], weights[3:]
    h, fed, output, a = np.zeros(H), np.zeros(vector or 0), None, None
    outputs, attentions = [], []
    for t in range(T):
        if keep[t]:

            def context(query):
                a = oracle.softmax(oracle.score(kind, query, memory, score), memory_keep)
                return sum((w * m for w, m in zip(a, memory, strict=True) if w), np.zeros(len(memory[0]))), a

            read = [x[t]]
            if attend == "before":
                c, a = context(h)
                read.append(c)
            if feed:
                read.append(fed)
            h, _ = oracle.gru_after(np.concatenate(read), [h], gru)
            if attend == "after":
                c, a = context(h)
            output = np.tanh(np.concatenate([c, h]) @ kernel) if vector else h
            fed = output if feed else fed
        outputs.append(np.zeros(vector or H) if output is None else output)
        attentions.append(np.zeros(len(memory)) if a is None else a)
    return np.array(outputs), np.array(attentions)


@pytest.mark.usefixtures("steps_in_python")
@pytest.mark.parametrize("attend", ["before", "after"])
@pytest.mark.parametrize("kind", ["additive", "normalized_additive", "general", "scaled_dot"])
@pytest.mark.parametrize("feed", [False, True], ids=["", "feeding"])
def test_against_the_oracle(attend, kind, feed, rng):
    vector = A if feed else (H if attend == "after" else None)
    units = A if feed else None
    cell = L.AttentionCell(
        L.GRUCell(H, dtype="float64"), kind, attend, units, input_feeding=feed, return_weights=True, dtype="float64"
    )
    layer = L.RNN(cell, return_sequences=True, dtype="float64")
    x, mask = padded(rng)
    memory = rng.normal(size=(len(x), S, H if kind == "scaled_dot" else M))
    memory_mask = rng.random((len(x), S)) < 0.6
    memory_mask[1] = False  # a row whose memory is hidden in full; its last step is kept
    layer(x, memory=memory)
    randomize(layer, rng)
    outputs, attentions = arrays(layer(x, memory=memory, mask=mask, memory_mask=memory_mask))
    for row in range(len(x)):
        one = expected(
            x[row], memory[row], mask[row], memory_mask[row], layer.get_weights(), attend, kind, feed, vector
        )
        np.testing.assert_allclose(outputs[row], one[0], atol=EXACT * 10, err_msg=f"row {row}")
        np.testing.assert_allclose(attentions[row], one[1], atol=EXACT * 10, err_msg=f"row {row}")
    assert not attentions[1].any()


def test_the_memory_is_projected_once_per_call(rng):
    """Eagerly, and in a compiled call, whose loop holds no keys."""
    calls = []

    class Counting(Score):
        def keys(self, memory):
            calls.append(memory.shape)
            return memory

        def scores(self, query, keys):
            return ops.sum(keys, axis=-1) + ops.sum(query, axis=-1, keepdims=True)

    layer = L.RNN(L.AttentionCell(L.GRUCell(H), Counting()), return_sequences=True)
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    layer(x, memory=memory)
    assert len(calls) == 1
    inputs = keras.Input((T, D)), keras.Input((S, M))
    model = keras.Model(inputs, layer(inputs[0], memory=inputs[1]))
    calls.clear()
    model.predict_on_batch([x, memory])
    assert len(calls) == 1


@pytest.mark.parametrize("attend", ["before", "after"])
def test_it_starts_from_the_states_of_an_encoder(attend, rng):
    """The query before the first step is the state given, also of a stack, whose top cell it is."""
    cell = L.AttentionCell(L.StackedRNNCells([L.GRUCell(2), L.LSTMCell(H)]), attend=attend, return_weights=True)
    layer = L.RNN(cell, return_sequences=True)
    x, memory = rng.normal(size=(B, T, D)), rng.normal(size=(B, S, M))
    layer(x, memory=memory)
    randomize(layer, rng)
    start = layer.get_initial_state(B)
    other = [start[0], [start[1][0] + 1, start[1][1]]]
    (_, a), (_, b) = (layer(x, memory=memory, initial_state=s) for s in (start, other))
    assert np.abs(arrays(a)[0] - arrays(b)[0])[:, 0].max() > 1e-3
    lower = [[start[0][0] + 1], start[1]]
    first = arrays(layer(x, memory=memory, initial_state=lower)[1])[0][:, 0]
    assert (np.abs(first - arrays(a)[0][:, 0]).max() < 1e-6) == (attend == "before")


@pytest.mark.usefixtures("steps_in_python")
def test_gradients_are_finite_where_the_memory_is_hidden(rng):
    layer = L.RNN(L.AttentionCell(L.GRUCell(H), "normalized_additive", "after"))
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    layer(x, memory=memory)
    randomize(layer, rng)
    keep = np.zeros((B, S), bool)
    keep[0] = True
    of_memory = gradient(lambda m: ops.sum(ops.square(layer(x, memory=m, memory_mask=keep))), memory)
    assert np.isfinite(of_memory).all()
    assert of_memory[0].any()
    assert not of_memory[1].any()


@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout", "of the cell"])
def test_dropout_has_one_mask_per_sequence(kind, rng):
    """Of inputs, of the fed vector, and of all that the cell reads: alone each changes the result."""
    rates = {kind: 0.5} if kind != "of the cell" else {}
    inner = L.SimpleRNNCell(H, dropout=0.5 if kind == "of the cell" else 0.0)
    cell = L.AttentionCell(inner, attend="after", input_feeding=kind == "recurrent_dropout", seed=3, **rates)
    layer = L.RNN(cell, return_sequences=True)
    x, memory = np.ones((B, T, D), "float32"), rng.normal(size=(B, S, M)).astype("float32")
    layer(x, memory=memory)
    quiet = arrays(layer(x, memory=memory))[0]
    found = [arrays(layer(x, memory=memory, training=True))[0] for _ in range(8)]
    assert max(np.abs(one - quiet).max() for one in found) > 1e-3
    if kind != "recurrent_dropout":  # without a state that counts, all steps read the same under the same mask
        inner.recurrent_kernel.assign(np.zeros((H, H)))
        y = arrays(layer(x, memory=memory, training=True))[0]
        np.testing.assert_allclose(y, np.repeat(y[:, :1], T, axis=1), atol=1e-6)


def attending(**arguments):
    return L.AttentionCell(L.GRUCell(H), **arguments)


def read():
    return np.ones((B, T, D), "float32"), np.ones((B, S, M), "float32")


class Sum(keras.layers.Layer):
    """A cell with Keras's contract alone."""

    state_size = output_size = H

    def call(self, inputs, states):
        return states[0], states


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.AttentionCell(Sum()), "cell.*of this package"),
        (lambda: L.AttentionCell(keras.layers.GRUCell(H)), "cell.*of this package"),
        (lambda: L.AttentionCell(L.StackedRNNCells([L.GRUCell(H), keras.layers.GRUCell(H)])), "cell.*of this package"),
        (lambda: L.AttentionCell(L.AttentionCell(L.GRUCell(H))), "reads no memory itself.*AttentionCell"),
        (lambda: L.StackedRNNCells([attending(return_weights=True), L.GRUCell(H)]), "return_weights"),
        (lambda: L.RNN(attending())(np.ones((B, T, D)), memory=[np.ones((B, S, M))] * 3), "one memory"),
        (lambda: L.RNN(attending(implementation="kernel"))(*read()[:1], memory=read()[1]), "kernel.*memory"),
        (
            lambda: L.RNN(L.AttentionCell(L.GRUCell(H, implementation="kernel")))(*read()[:1], memory=read()[1]),
            "kernel.*memory",
        ),
        (
            lambda: L.RNN(L.AttentionCell(L.StackedRNNCells([L.GRUCell(H, implementation="kernel")])))(
                *read()[:1], memory=read()[1]
            ),
            "kernel.*memory",
        ),
        (lambda: L.AttentionCell(L.GRUCell(H), attend="during"), "attend.*'before' or 'after'.*during"),
        (lambda: L.AttentionCell(L.GRUCell(H), input_feeding=True), "input_feeding.*attention_units"),
        (lambda: L.AttentionCell(L.GRUCell(H), attention_units=0), "attention_units.*positive"),
        (lambda: L.AttentionCell(L.LSTMCell(H, projection_size=0)), "projection_size"),
        (lambda: L.RNN(L.AttentionCell(L.GRUCell(H)))(np.ones((B, T, D))), "memory=memory"),
        (lambda: L.AttentionCell(L.GRUCell(H))(np.ones((B, D)), [np.ones((B, H))]), "memory=memory"),
        (lambda: L.RNN(L.AttentionCell(L.GRUCell(H)))(np.ones((B, T, D)), memory=np.ones((B, S))), "memory"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

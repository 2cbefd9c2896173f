"""Chunk by chunk, a streaming model says what the model that it was made from says of the whole."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import CASES, ON_JAX, D, H, MatrixCell, T, arrays, close, dtype_of, padded, randomize
from tests.streams import check, masked_ids, sequential, streamed

K, L = keras.layers, ks.layers
quick = pytest.mark.usefixtures("steps_in_python")


ROWS = [c for c in CASES if c.recurrent and not c.backwards and c.name != "Bidirectional"]
ROWS = [c for c in ROWS if not (ON_JAX and c.cell)]  # there, for the time it takes, as layers only


@quick
@pytest.mark.parametrize("case", ROWS, ids=str)
def test_however_it_is_cut(case, rng):
    inputs = keras.Input((None, D))
    hidden = K.Dense(D, use_bias=False)(K.Masking()(inputs))
    model = randomize(keras.Model(inputs, case.layer()(hidden)), rng)
    x, mask = padded(rng)
    check(model, (x * mask[..., None]).astype("float32"), rng, atol=1e-5)


@quick
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("make", [lambda: L.GRUCell(H), MatrixCell, lambda: [L.LSTMCell(2), K.GRUCell(H)]])
def test_masked_and_empty_chunks_repeat_the_output_before_them(make, sequences, zeros, rng):
    layer = L.RNN(make(), return_sequences=sequences, zero_output_for_mask=zeros)
    model = sequential(K.Embedding(13, D, mask_zero=True), layer, K.Dense(2), rng=rng, shape=(None,), dtype="int32")
    check(model, masked_ids(rng), rng)


@quick
def test_layers_that_work_step_by_step_pass(rng):
    ids = keras.Input((None,), dtype="int32", name="ids")
    series = keras.Input((None, D), name="series")
    x = K.Embedding(13, 11, mask_zero=True)(ids)
    x = K.LayerNormalization()(K.TimeDistributed(K.Dense(D, activation="tanh"))(x))
    x = K.Dropout(0.5)(K.SpatialDropout1D(0.3)(K.Add()([x, K.Rescaling(0.5, 1.0)(series)])))
    x = K.Concatenate()([L.LSTM(H, return_sequences=True)(x), series * 2.0 - x])
    x = K.BatchNormalization()(K.Activation("softmax")(K.UnitNormalization()(x)))
    x = K.Maximum()([x, ops.tanh(x)])
    y = L.GRU(H, return_sequences=True)(x)
    per_row = K.Reshape((H, 1))(L.GRU(H)(y))  # of the last output anything may be made
    model = keras.Model({"ids": ids, "series": series}, {"steps": y, "row": K.Bidirectional(K.LSTM(2))(per_row)})
    randomize(model, rng, scale=0.4)
    model.set_weights([np.abs(w) for w in model.get_weights()])  # variances
    values = {"ids": masked_ids(rng), "series": rng.normal(size=(5, T, D)).astype("float32")}
    stream = L.streaming(model)
    assert {"steps", "row"} < set(stream.output)
    ends = [2, 2, 3, T]
    chunks = [{name: v[:, a:b] for name, v in values.items()} for a, b in zip([0, *ends], ends, strict=False)]
    outputs = streamed(stream, chunks)
    close(np.concatenate([steps for _, steps in outputs], axis=1), model(values)["steps"])
    for (row, _), end in zip(outputs, ends, strict=True):
        close(row, model({name: v[:, :end] for name, v in values.items()})["row"])


@quick
def test_a_mask_given_in_the_model_or_in_the_call(rng):
    ids, mask = keras.Input((None,), dtype="int32"), padded(rng)[1]
    hidden = K.Embedding(13, D)(ids)
    given = L.LSTM(H, return_sequences=True)(hidden, mask=ops.not_equal(ids, 4))
    model = randomize(keras.Model(ids, given), rng)
    check(model, np.where(mask, rng.integers(5, 13, mask.shape), 4), rng)

    model = sequential(L.RNN(MatrixCell(), return_sequences=True), rng=rng)
    stream = L.streaming(model)
    x = rng.normal(size=(5, T, D)).astype("float32")
    states, outputs = stream.get_initial_state(5), []
    for chunk in (slice(0, 1), slice(1, 3), slice(3, T)):
        masks = {**dict.fromkeys(states), "inputs": ops.convert_to_tensor(mask[:, chunk])}
        states = stream({"inputs": x[:, chunk], **states}, mask=masks)
        outputs.append(states.pop("outputs"))
    close(np.concatenate(outputs, axis=1), model(x, mask=ops.convert_to_tensor(mask)))


@quick
def test_nested_models_and_a_layer_that_is_called_twice(rng):
    inner_input = keras.Input((None, D))
    shared = L.GRU(D, return_sequences=True, name="shared")
    inner = keras.Model(inner_input, shared(shared(K.Masking()(inner_input))), name="inner")
    per_step = keras.Sequential([keras.Input((None, D)), K.Dense(D, activation="tanh")], name="per_step")
    stack = keras.Sequential([keras.Input((None, D)), per_step, L.LSTM(H, return_sequences=True, name="top")])
    stack.name = "stack"
    inputs = keras.Input((None, D))
    model = randomize(keras.Model(inputs, stack(inner(inner(inputs)))), rng)
    x, mask = padded(rng)
    stream = check(model, (x * mask[..., None]).astype("float32"), rng)
    assert set(stream.get_initial_state(1)) == {
        "inner_shared_h",
        "inner_shared_call2_h",
        "inner_call2_shared_h",
        "inner_call2_shared_call2_h",
        "stack_top_h",
        "stack_top_c",
    }


@quick
def test_weights_are_shared_and_states_of_stateful_layers_are_not(rng):
    layer = L.LSTM(H, stateful=True, return_sequences=True, return_state=True)
    inputs = keras.Input(batch_shape=(2, T, D))
    model = randomize(keras.Model(inputs, layer(inputs)), rng)
    model(np.ones((2, T, D)))
    before = arrays([state.value for state in layer.states])
    stream = L.streaming(model)
    assert not any(state.any() for state in arrays(stream.get_initial_state(3)))
    randomize(model, rng)
    alike = L.LSTM(H, return_sequences=True, return_state=True)
    x = rng.normal(size=(3, 11, D)).astype("float32")  # another batch size, another length
    alike(x)
    alike.set_weights(model.get_weights())
    outputs = streamed(stream, [x[:, :4], x[:, 4:]])
    close(np.concatenate([y for y, *_ in outputs], axis=1), alike(x)[0])
    close(outputs[-1][1:], alike(x)[1:])
    close([state.value for state in layer.states], before, atol=0)


@quick
def test_states_keep_their_dtypes_and_names(rng):
    """An integer state, and cells with a dtype policy of their own: one step loses no digits on the way."""
    cells = [L.LSTMCell(H, dtype="float64"), L.GRUCell(2, dtype="float64")]
    model = sequential(
        L.RNN(MatrixCell(), return_sequences=True, name="rnn"), L.RNN(cells, return_sequences=True, name="a"), rng=rng
    )
    x = rng.normal(size=(2, T, D)).astype("float32")
    stream = check(model, x, rng)
    kinds = {name: (state.shape[1:], dtype_of(state)) for name, state in stream.get_initial_state(2).items()}
    assert kinds == {
        "rnn_0": ((H, H), "float32"),
        "rnn_1_count": ((1,), "int32"),
        "rnn_output": ((H,), "float32"),
        "a_0_h": ((H,), "float64"),
        "a_0_c": ((H,), "float64"),
        "a_1_h": ((2,), "float64"),
    }
    states = stream.get_initial_state(2)
    states["a_0_c"] = ops.cast(np.full((2, H), 1 / 3), "float64") + 1e-12
    after = stream({"inputs": x[:, :0], **states})
    close(after["a_0_c"], states["a_0_c"], atol=0, rtol=0)


@quick
def test_mixed_precision(rng):
    layers = [L.RNN(MatrixCell(dtype="mixed_float16"), return_sequences=True, dtype="mixed_float16")]
    layers.append(L.LSTM(H, dtype="mixed_float16", name="lstm"))
    model = sequential(*layers, rng=rng)
    assert (
        dtype_of(check(model, rng.normal(size=(2, T, D)), rng, atol=2e-3).get_initial_state(1)["lstm_h"]) == "float16"
    )

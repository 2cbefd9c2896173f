"""Streaming models in files and exports, and what cannot stream."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import B, D, H, MatrixCell, T, arrays, close, padded, randomize
from tests.pages import block
from tests.streams import arrays_by_name, check, masked_ids, sequential

K, L = keras.layers, ks.layers
quick = pytest.mark.usefixtures("steps_in_python")


def test_it_survives_a_keras_file_and_predicts(rng, tmp_path):
    model = sequential(
        K.Embedding(13, D, mask_zero=True),
        keras.Sequential([K.TimeDistributed(K.Dense(D)), L.RNN([L.LSTMCell(H), K.GRUCell(2)], return_sequences=True)]),
        L.GRU(H),
        rng=rng,
        shape=(None,),
        dtype="int32",
    )
    model.save(tmp_path / "model.keras")
    stream = L.streaming(keras.saving.load_model(tmp_path / "model.keras"))  # masks stand twice in a reloaded graph
    stream.save(tmp_path / "stream.keras")
    stream = keras.saving.load_model(tmp_path / "stream.keras")
    x = masked_ids(rng)
    states = arrays_by_name(stream.get_initial_state(5))
    for a, b in ((0, 3), (3, 4), (4, T)):
        states = stream.predict({"inputs": x[:, a:b], **states}, verbose=0)
        outputs = states.pop("outputs")
    close(outputs, model(x))


@pytest.mark.tensorflow
def test_export_has_names_for_states_and_any_batch_and_length(rng, tmp_path):
    import tensorflow as tf

    model = sequential(
        K.Masking(),
        K.TimeDistributed(K.Dense(D)),
        L.LSTM(H, return_sequences=True, name="lstm"),
        L.RNN(MatrixCell(), name="rnn"),
        K.Dense(2),
        rng=rng,
    )
    stream = L.streaming(model)
    names = {"lstm_h", "lstm_c", "rnn_0", "rnn_1_count", "rnn_output"}
    stream.export(str(tmp_path / "plain"), verbose=False)
    archive = keras.export.ExportArchive()
    archive.track(stream)
    specs = {name: tf.TensorSpec(x.shape, x.dtype, name=name) for name, x in stream.input.items()}
    archive.add_endpoint("step", stream.__call__, input_signature=[specs])
    archive.write_out(str(tmp_path / "archive"), verbose=False)
    for path, endpoint in (("plain", "serving_default"), ("archive", "step")):
        served = tf.saved_model.load(tmp_path / path).signatures[endpoint]
        assert set(served.structured_input_signature[1]) == {"inputs", *names}
        assert set(served.structured_outputs) == {"outputs", *names}
        for batch in (1, 5):
            x = padded(rng)[0][:batch].astype("float32")
            x[: batch // 2 + 1, :3] = 0
            states = {name: tf.constant(state) for name, state in stream.get_initial_state(batch).items()}
            for a, b in ((0, 0), (0, 1), (1, 1), (1, 5), (5, T)):
                states = dict(served(inputs=tf.constant(x[:, a:b]), **states))
                outputs = states.pop("outputs")
                if b:
                    close(outputs, model(x[:, :b]))


@quick
def test_models_built_by_a_call_and_the_given_one_afterwards(rng, tmp_path):
    """Ids of known length are given as floats where nobody says otherwise; the given model is what it was."""
    model = keras.Sequential([K.Embedding(13, D, mask_zero=True), L.GRU(H, name="gru"), K.Dense(2)])
    ids = masked_ids(rng)
    model(ids)
    expected, summary = arrays(randomize(model, rng)(ids)), model.to_json()
    check(model, ids, rng)
    assert model.to_json() == summary
    model.save(tmp_path / "model.keras")
    close(keras.saving.load_model(tmp_path / "model.keras")(ids), expected, atol=0)
    close(model.layers[-1](keras.Model(model.inputs, model.get_layer("gru").output)(ids)), expected, atol=0)


class PerStep(K.Layer):
    def call(self, inputs):
        return 2 * inputs


REFUSED = [
    (lambda: L.Bidirectional(L.LSTM(H)), "Bidirectional", "from its end, too"),
    (lambda: L.GRU(H, go_backwards=True), "GRU", "`go_backwards`"),
    (lambda: L.SequencePooling("max"), "SequencePooling", "pools over time"),
    (L.AttentionPooling, "AttentionPooling", "pools over time"),
    (K.GlobalAveragePooling1D, "GlobalAveragePooling1D", "pools over time"),
    (K.Flatten, "Flatten", "merges the axis of time"),
    (lambda: K.Reshape((D, T)), "Reshape", "moves or merges"),
    (lambda: K.Permute((2, 1)), "Permute", "moves or merges"),
    (lambda: K.Conv1D(H, 2, padding="same"), "Conv1D", "several steps"),
    (lambda: K.Conv1D(H, 2, padding="causal"), "Conv1D", "those before the chunk are not kept"),
    (lambda: K.LSTM(H), "LSTM", "call `ks.convert(model)` first"),
    (PerStep, "PerStep", "vouch for it: `ks.layers.streaming(model, also=(PerStep,))`"),
    (lambda: K.LayerNormalization(axis=1), "LayerNormalization", "along the axis of time"),
    (lambda: K.GroupNormalization(1), "GroupNormalization", "not known"),
]


@pytest.mark.parametrize(("make", "kind", "reason"), REFUSED)
def test_what_cannot_stream_is_refused_by_name(make, kind, reason):
    model = keras.Sequential([keras.Input((T, D)), L.GRU(D, return_sequences=True), make()], name="given")
    with pytest.raises(ValueError, match="cannot stream") as error:
        L.streaming(model)
    assert f"Layer {model.layers[-1].name!r} ({kind}) of model 'given' cannot stream: " in str(error.value)
    assert reason in str(error.value)


def test_refusals_in_functional_graphs():
    x = keras.Input((T, D))
    y = L.GRU(D, return_sequences=True)(x)
    state = keras.Input((H,), name="state")
    graphs = {
        "(?s)attends to all steps": K.Attention()([y, y]),
        "(?s)MultiHeadAttention.*attends": K.MultiHeadAttention(2, 3)(y, y),
        "(?s)GetItem.*not known": y[:, -1],
        "(?s)Flip.*not known": ops.flip(y, axis=1),
        "(?s)Mean.*axis of time": ops.mean(y, axis=1),
        "(?s)given an array": y + np.ones((T, 1), "float32"),
        "(?s)`initial_state` in the model": L.GRU(H)(y, initial_state=[state]),
        "(?s)Concatenate.*axis of time": K.Concatenate(axis=1)([x, y]),
        "(?s)joins a sequence": K.Add()([y, K.RepeatVector(T)(L.GRU(D)(y))]),
    }
    for message, output in graphs.items():
        inputs = [x] + ([state] if "initial" in message else [])
        with pytest.raises(ValueError, match=message):
            L.streaming(keras.Model(inputs, output))


@quick
def test_layers_that_are_vouched_for_pass(rng):
    model = sequential(PerStep(), L.GRU(H, return_sequences=True), K.Lambda(lambda x: x + 1), rng=rng)
    check(model, rng.normal(size=(2, T, D)).astype("float32"), rng, stream=L.streaming(model, also=(PerStep, K.Lambda)))


def test_models_that_cannot_stream():
    class Subclass(keras.Model):
        pass

    for model in (Subclass(), L.GRU(H), None, keras.Sequential([L.GRU(H)])):
        with pytest.raises(ValueError, match=r"`model` must be a Sequential or Functional model that is built"):
            L.streaming(model)
    with pytest.raises(ValueError, match="no recurrent layer in it reads"):
        L.streaming(keras.Sequential([keras.Input((None, D)), K.Dense(2)]))
    with pytest.raises(ValueError, match="no recurrent layer in it reads"):  # the sequence is given in full
        L.streaming(keras.Sequential([keras.Input((T,)), K.Reshape((T, 1)), L.GRU(2)]))
    model = keras.Sequential([keras.Input((None, D), name="x"), L.GRU(H)])
    with pytest.raises(ValueError, match=r"`whole` must hold names of inputs .*\['x'\], got \['y'\]"):
        L.streaming(model, whole=["y"])
    with pytest.raises(ValueError, match="`also` must hold classes of layers, got"):
        L.streaming(model, also=K.Dense(2))
    twice = keras.Sequential(
        [keras.Input((None, D)), L.RNN([L.GRUCell(H)], True, name="a"), L.GRU(H, name="a_0", return_sequences=True)]
    )
    with pytest.raises(ValueError, match=r"'a_0'.*state named 'a_0_h'"):
        L.streaming(twice)


def test_a_wrong_state_gets_a_message(rng):
    stream = L.streaming(sequential(L.LSTM(H, name="lstm"), rng=rng))
    states = stream.get_initial_state(B)
    with pytest.raises(ValueError, match="lstm"):
        stream({"inputs": np.ones((B, 1, D)), **states, "lstm_h": np.ones((B, H + 1))})


@pytest.mark.tensorflow
def test_the_lines_on_streams_run(tmp_path, monkeypatch):
    names = {}
    monkeypatch.chdir(tmp_path)
    exec(block("ks.layers.streaming(model)"), names)
    whole = L.LSTM(64, return_sequences=True)
    x = names["series"][None, :90]
    whole(x)
    whole.set_weights(names["lstm"].get_weights())
    close(names["outputs"], names["model"].layers[-1](whole(x))[:, 40:], atol=1e-5)
    assert (tmp_path / "stream" / "saved_model.pb").exists()

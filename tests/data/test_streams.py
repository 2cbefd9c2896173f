"""Windows of long streams, and what a stateful training on them does."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.errors import InputError
from tests.cases import ON_JAX, close, randomize

T, LANES, D = 5, 3, 2  # steps of a window, lanes, features


def joined(dataset):
    """All batches, window after window: a list of arrays `(B, K T, ...)`, one for each tensor of a batch."""
    batches = [keras.tree.flatten(batch) for batch in dataset]
    assert dataset.cardinality().numpy() == len(batches)
    return [np.concatenate([np.asarray(x) for x in column], axis=1) for column in zip(*batches, strict=True)]


@pytest.mark.parametrize("n", [16, 17, 31, 46, 60, 61])
def test_lanes_go_on_where_they_ended_and_targets_are_next(n):
    ids = np.arange(100, 100 + n)
    x, y = joined(ks.data.stream_dataset(ids, T, LANES))
    windows = (n - 1) // (LANES * T)
    np.testing.assert_array_equal(x.reshape(-1), ids[: windows * LANES * T])  # lane after lane; the last ones dropped
    np.testing.assert_array_equal(y, x + 1)


@pytest.mark.parametrize("n", [3, 16, 46, 61])
def test_padding_keeps_all(n, rng):
    stream, targets = rng.normal(size=(n, D)), rng.normal(size=(n, 2, 7))
    x, y, weights = joined(ks.data.stream_dataset(stream, T, LANES, targets, pad=True))
    assert weights.dtype == "float32"
    kept = weights.reshape(-1) == 1
    np.testing.assert_array_equal(x.reshape(-1, D)[kept], stream)
    np.testing.assert_array_equal(y.reshape(-1, 2, 7)[kept], targets)
    assert kept.sum() == n
    assert len(kept) - n < LANES * T
    assert not x.reshape(-1, D)[~kept].any()


def streams_of(lengths, start=0):
    return [1000 * i + start + np.arange(n) for i, n in enumerate(lengths)]


@pytest.mark.parametrize("shift", [1, 3])
def test_many_streams_follow_each_other_and_targets_stay_in_theirs(shift):
    streams = streams_of([7, 1, 0, 23, 3, 11, 13])
    dataset = ks.data.stream_dataset(streams, T, LANES, shift=shift, with_reset=True, pad=True)
    x, resets, y, weights = (a.reshape(-1) for a in joined(dataset))
    kept = weights == 1
    np.testing.assert_array_equal(x[kept], np.concatenate([s[:-shift] for s in streams]))
    np.testing.assert_array_equal(y[kept], x[kept] + shift)
    begins = x % 1000 == 0
    begins[:: len(x) // LANES] = True  # and each lane
    np.testing.assert_array_equal(resets[kept], begins[kept])

    (x_and_resets, y) = next(iter(ks.data.stream_dataset(streams, T, 1, shift=shift, with_reset=True)))
    assert set(x_and_resets) == {"inputs", "reset_mask"}
    assert x_and_resets["reset_mask"].dtype == "bool"


def test_an_array_on_disk_stays_there_and_epochs_are_alike(tmp_path):
    n = 10**8
    stream = np.memmap(tmp_path / "stream", "uint8", "w+", shape=(n,))  # sparse: it takes no space
    stream[:7] = np.arange(7)
    import tracemalloc

    tracemalloc.start()
    dataset = ks.data.stream_dataset(stream, T, LANES)
    first, again = (next(iter(dataset)) for _ in range(2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n / 10
    assert first[0].numpy()[0].tolist() == [0, 1, 2, 3, 4]
    assert first[1].numpy()[0].tolist() == [1, 2, 3, 4, 5]
    close(first, again, atol=0)
    assert first[0].dtype == "uint8"
    assert dataset.cardinality() == (n - 1) // (LANES * T)


BAD = [
    ({"length": 0}, "`length` must be a positive integer, got 0"),
    ({"batch_size": 0}, "`batch_size` must be a positive integer"),
    ({"shift": -1}, "`shift` must be an integer of at least 0, got -1"),
    ({"shift": 1.5}, "`shift` must be an integer"),
    ({"stream": np.arange(15)}, r"at least batch_size \* length \+ shift = 16 elements, got 15"),
    ({"stream": np.arange(1), "pad": True}, "got 1"),
    ({"stream": [np.arange(8)] * 2}, r"got \[8, 8\] \(each stream loses 1\)"),
    ({"stream": np.array(3)}, "array of numbers"),
    ({"stream": np.array(["a"] * 40)}, "array of numbers"),
    ({"stream": []}, "got 0"),
    ({"stream": [np.ones((30, 2)), np.ones((30, 3))]}, "such of one kind"),
    ({"targets": np.arange(39)}, "`targets` must be aligned .* 40, got 39"),
    ({"targets": [np.arange(20)] * 2}, r"aligned .* 40, got \[20, 20\]"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD, ids=str)
def test_bad_input(wrong, message):
    with pytest.raises(ValueError, match=message) as error:
        ks.data.stream_dataset(**{"stream": np.arange(40), "length": T, "batch_size": LANES, **wrong})
    assert isinstance(error.value, InputError) or "positive integer" in message


# --- training


class Record(keras.callbacks.Callback):
    """The states of a layer as the trainer has them after each batch of training and of validation."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []

    def _look(self, what):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.seen.append((what, [np.array(ops.convert_to_numpy(s)) for s in keras.tree.flatten(self.layer.states)]))

    def on_train_batch_end(self, batch, logs=None):
        self._look("train")

    def on_test_batch_end(self, batch, logs=None):
        self._look("test")


def stateful_model(rng, make=lambda **k: ks.layers.LSTM(7, **k), wrap=lambda layer: layer):
    layer = make(stateful=True, return_sequences=True)
    model = keras.Sequential([keras.Input(batch_shape=(LANES, T, D)), wrap(layer), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")  # it stays the same: what moves is the states
    return randomize(model, rng), layer


def test_carried_states_equal_one_pass_and_survive_validation(rng):
    stream, target = rng.normal(size=(97, D)).astype("float32"), rng.normal(size=(97, 1)).astype("float32")
    dataset = ks.data.stream_dataset(stream, T, LANES, target)
    windows = int(dataset.cardinality())
    model, layer = stateful_model(rng)
    record = Record(layer)
    validation = ks.data.stream_dataset(rng.normal(size=(40, D)).astype("float32"), T, LANES, rng.normal(size=(40, 1)))
    model.fit(dataset, epochs=2, validation_data=validation, verbose=0, callbacks=[ks.callbacks.ResetStates(), record])

    free = ks.layers.LSTM(7, return_state=True)
    free(np.ones((1, 1, D)))
    free.set_weights(layer.get_weights())

    def states_of(data):
        lanes = np.concatenate([np.asarray(x) for x, _ in data], axis=1)
        ends = range(T, lanes.shape[1] + 1, T)
        return [[ops.convert_to_numpy(s) for s in free(lanes[:, :end])[1:]] for end in ends]

    epoch = [("train", s) for s in states_of(dataset)] + [("test", s) for s in states_of(validation)]
    assert [what for what, _ in record.seen] == [what for what, _ in epoch] * 2
    close([s for _, s in record.seen], [s for _, s in epoch] * 2, atol=1e-5)
    close([s.value for s in layer.states], epoch[windows - 1][1], atol=1e-5)  # put back after the validation

    model.evaluate(validation, verbose=0, callbacks=[ks.callbacks.ResetStates(), record])
    close([s for _, s in record.seen[-int(validation.cardinality()) :]], states_of(validation), atol=1e-5)
    close([s.value for s in layer.states], epoch[windows - 1][1], atol=1e-5)


def test_outputs_of_carried_windows_equal_one_pass(rng):
    stream = rng.normal(size=(61, D)).astype("float32")
    model, layer = stateful_model(rng, lambda **k: ks.layers.RNN([ks.layers.GRUCell(7), ks.layers.LSTMCell(3)], **k))
    windows = [x for x, _ in ks.data.stream_dataset(stream, T, LANES, shift=0)]
    outputs = [model.predict(x, verbose=0) for x in windows]
    whole = ks.layers.RNN([ks.layers.GRUCell(7), ks.layers.LSTMCell(3)], return_sequences=True)
    lanes = np.concatenate(windows, axis=1)
    whole(lanes)
    whole.set_weights(layer.get_weights())
    close(np.concatenate(outputs, axis=1), model.layers[-1](whole(lanes)), atol=1e-5)


def test_resets_equal_streams_one_by_one(rng):
    """Streams in lanes with a reset mask train as each of them alone: the same loss."""
    streams = [rng.normal(size=(n, D)).astype("float32") for n in (13, 2, 8, 23, 6)]
    targets = [rng.normal(size=(len(s), 1)).astype("float32") for s in streams]
    inputs = keras.Input(batch_shape=(LANES, T, D), name="inputs")
    resets = keras.Input(batch_shape=(LANES, T), dtype="bool", name="reset_mask")
    layer = ks.layers.GRU(7, stateful=True, return_sequences=True)
    outputs = keras.layers.Dense(1)(layer(inputs, reset_mask=resets))
    model = randomize(keras.Model({"inputs": inputs, "reset_mask": resets}, outputs), rng)
    model.compile(keras.optimizers.SGD(0.0), "mse", weighted_metrics=["mse"])
    dataset = ks.data.stream_dataset(streams, T, LANES, targets, with_reset=True, pad=True)
    lanes = np.concatenate([np.asarray(x["inputs"]) for x, _, _ in dataset], axis=1)
    logs = model.fit(dataset, epochs=2, verbose=0, callbacks=[ks.callbacks.ResetStates()]).history

    edges = {*np.cumsum([len(s) for s in streams]), *range(lanes.shape[1], 52, lanes.shape[1])}  # of streams and lanes
    free = ks.layers.GRU(7, return_sequences=True)
    free(np.ones((1, 1, D)))
    free.set_weights(layer.get_weights())
    x, y = np.concatenate(streams), np.concatenate(targets)
    parts = [free(part[None]) for part in np.split(x, sorted(edges - {len(x)}))]
    alone = ops.convert_to_numpy(model.layers[-1](np.concatenate(parts, axis=1)))[0]
    np.testing.assert_allclose(logs["mse"], [np.mean((alone - y) ** 2)] * 2, rtol=1e-5)


@pytest.mark.tensorflow
def test_gradients_end_at_the_edge_of_a_window(rng):
    import tensorflow as tf

    model, _ = stateful_model(rng)
    first, second = (tf.constant(rng.normal(size=(LANES, T, D)).astype("float32")) for _ in range(2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([first, second])
        before, after = model(first), model(second)
    assert tape.gradient(after, first) is None
    assert np.abs(tape.gradient(after, second)[:, 0]).min() > 0
    assert np.abs(tape.gradient(before, first)[:, 0]).min() > 0


def test_reset_states_finds_layers_at_any_depth(rng):
    bidirectional = ks.layers.Bidirectional(ks.layers.GRU(2, stateful=True, return_sequences=True))
    stock = (ks if ON_JAX else keras).layers.SimpleRNN(2, stateful=True, return_sequences=True)  # Keras's lose theirs
    inner = keras.Sequential([keras.Input(batch_shape=(LANES, T, D)), bidirectional, stock])
    stacked = ks.layers.RNN([ks.layers.GRUCell(2), ks.layers.LSTMCell(3)], stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(LANES, T, D)), inner, stacked, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    layers = [bidirectional.forward_layer, bidirectional.backward_layer, stock, stacked]

    def states():
        return [ops.convert_to_numpy(s) for layer in layers for s in keras.tree.flatten(layer.states)]

    x = rng.normal(size=(2 * LANES, T, D)).astype("float32")
    callback = ks.callbacks.ResetStates()
    model.fit(x, np.ones((2 * LANES, 1)), batch_size=LANES, verbose=0, callbacks=[callback])
    before = [np.array(s) for s in states()]
    assert len(before) == 6
    assert all(s.any() for s in before)
    callback.on_test_begin()
    assert not any(s.any() for s in states())
    model.predict(x[:LANES], verbose=0)
    assert all(s.any() for s in states())
    callback.on_test_end()
    close(states(), before, atol=0)
    callback.on_epoch_begin(0)
    assert not any(s.any() for s in states())

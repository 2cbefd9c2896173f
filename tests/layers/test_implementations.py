"""Which way a layer runs its cell, what may be asked of it, and what of it reaches an export."""

import logging

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from keras_seq.backend import native
from keras_seq.kernels import choice
from tests.cases import ON_JAX, B, D, H, close, randomize

L = ks.layers
T = 11
BY_HAND = "kernel" if ON_JAX else "compiled kernel"


@pytest.fixture
def chosen(monkeypatch):
    """The ways that layers ran in, in the order of their calls."""
    from keras_seq.layers import rnn

    found, choose = [], rnn.implementation_of

    def recording(*args):
        found.append(choose(*args))
        return found[-1]

    monkeypatch.setattr(rnn, "implementation_of", recording)
    return found


@pytest.fixture
def limits(monkeypatch):
    """Sets the table of thresholds."""

    def set_to(**of_all):
        rows = {"8": {"hoisted": 0, "kernel": 0, "largest": 128, **of_all}}
        entry = {"training": rows, "inference": rows}
        table = {f"{native.NAME} cpu": dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), entry)}
        monkeypatch.setattr(choice, "_table", lambda: table)

    return set_to


def batch(rng):
    """Whole rows, and a mask with a gap at either end."""
    x = rng.normal(size=(B, T, D)).astype("float32")
    mask = np.ones((B, T), bool)
    mask[0, :3], mask[1, -2:] = False, False
    return x, mask


LAYERS = {
    "SimpleRNN": lambda **k: L.SimpleRNN(H, return_sequences=True, **k),
    "LSTM": lambda **k: L.LSTM(H, return_sequences=True, return_state=True, **k),
    "Clockwork": lambda **k: L.ClockworkRNN(H, (1, 2, 3), return_sequences=True, return_state=True, **k),
    "GRU-last": lambda **k: L.GRU(H, zero_output_for_mask=True, **k),
    "GRU-before": lambda **k: L.GRU(H, return_sequences=True, reset_after=False, go_backwards=True, **k),
    "projected": lambda **k: L.LSTM(H, projection_size=2, return_sequences=True, zero_output_for_mask=True, **k),
    "LayerNormLSTM": lambda **k: L.LayerNormLSTM(H, return_sequences=True, **k),
    "both": lambda **k: L.Bidirectional(L.LSTM(H, return_sequences=True, **k)),
    "stack": lambda **k: L.RNN([L.GRUCell(H, **k), L.LSTMCell(2, **k)], return_sequences=True, return_state=True),
    "stack-backwards": lambda **k: L.RNN([L.GRUCell(H, **k), L.GRUCell(2, **k)], go_backwards=True),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
@pytest.mark.parametrize("masked", [False, True])
def test_all_ways_give_the_same(name, masked, rng, chosen):
    x, mask = batch(rng)
    mask = mask if masked else None
    by_loop, by_kernel = LAYERS[name](implementation="loop"), LAYERS[name](implementation="kernel")
    expected = by_loop(x, mask=mask, training=True)
    randomize(by_loop, rng)
    by_kernel.build(x.shape)
    by_kernel.set_weights(by_loop.get_weights())
    expected = by_loop(x, mask=mask, training=True)
    assert set(chosen) <= {"loop", "hoisted loop"}
    del chosen[:]
    close(by_kernel(x, mask=mask, training=True), expected, atol=2e-6)
    assert set(chosen) == {BY_HAND}
    del chosen[:]
    close(by_kernel(x, mask=mask, training=False), expected, atol=2e-6)
    assert set(chosen) == {"kernel"}


def test_a_hoisted_projection_changes_nothing(rng, limits, chosen):
    x, mask = batch(rng)
    x[0, 0] = np.nan  # masked
    for make in (L.GRU, L.LSTM, L.SimpleRNN):
        layer = make(H, return_sequences=True)
        limits(hoisted=0)
        layer(x, mask=mask)
        randomize(layer, rng)
        expected = layer(x, mask=mask)
        limits(hoisted=128)
        close(layer(x, mask=mask), expected, atol=1e-6)
    assert chosen == ["loop", "loop", "hoisted loop"] * 3


@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.4])
def test_dropout_is_drawn_as_in_the_loop(recurrent_dropout, rng):
    """Under one seed both ways drop the same, in a stack too."""
    x, _ = batch(rng)
    results = []
    for way in ("loop", "kernel"):
        keras.utils.set_random_seed(5)
        cells = [
            L.GRUCell(H, dropout=0.3, recurrent_dropout=recurrent_dropout, seed=1, implementation=way),
            L.LSTMCell(H, dropout=0.3, recurrent_dropout=recurrent_dropout, seed=2, implementation=way),
        ]
        results.append(ops.convert_to_numpy(L.RNN(cells, return_sequences=True)(x, training=True)))
    close(*results)


@pytest.mark.parametrize("jit_compile", [True] if ON_JAX else [False, True])
def test_training_by_kernel_and_by_loop_end_in_the_same_place(jit_compile, rng, chosen):
    x, mask = batch(rng)
    ends = []
    for way in ("loop", "kernel"):
        keras.utils.set_random_seed(3)
        inputs, keep = keras.Input((None, D)), keras.Input((None,), dtype="bool")
        hidden = L.Bidirectional(L.GRU(H, return_sequences=True, implementation=way))(inputs, mask=keep)
        hidden = L.GRU(2, return_sequences=True, implementation=way)(hidden)  # another width for the same kernel
        model = keras.Model([inputs, keep], L.LSTM(H, implementation=way)(hidden))
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jit_compile)
        model.fit([x, mask], np.ones((B, H)), epochs=3, batch_size=B, verbose=0)
        ends.append(model.get_weights())
    close(*ends, atol=1e-5)
    assert BY_HAND in chosen


def test_the_choice(rng, limits, chosen):
    x, _ = batch(rng)
    limits(kernel=B, hoisted=1)
    layer = L.GRU(H)
    layer(x, training=True)
    layer(x, training=False)
    layer(np.concatenate([x, x]), training=True)  # more rows than a kernel is worth it for
    layer(x[:1], training=False)
    layer(x[:, :5], training=True)  # too few steps
    layer(x, training=True, return_trace=True)
    assert chosen == [BY_HAND, "loop", "loop", "hoisted loop", "loop", "loop"]
    del chosen[:]
    L.GRU(H, activation="softsign")(x, training=True)
    L.LayerNormGRU(H)(x, training=True)
    L.RNN([L.GRUCell(H), keras.layers.LSTMCell(H)])(x, training=True)
    L.RNN([L.GRUCell(H), L.GRUCell(H, implementation="loop")])(x, training=True)
    L.GRU(H, unroll=True)(x, training=True)
    assert chosen == ["loop"] * 5


def test_what_is_chosen_can_be_asked(limits):
    limits(kernel=4, hoisted=2)
    layer = L.RNN(L.GRUCell(H))
    assert layer.implementation_for(4, T, training=True) == BY_HAND
    assert layer.implementation_for(5, T, training=True) == layer.implementation_for(3, T) == "loop"
    assert layer.implementation_for(2) == "hoisted loop"
    assert layer.implementation_for(training=True) == "loop"  # a batch size that is not known is taken to be usual
    limits(kernel=32)
    assert layer.implementation_for(training=True) == BY_HAND
    assert L.GRU(H, unroll=True).implementation_for(2, T, training=True) == "loop"
    assert L.RNN([L.GRUCell(H), L.GRUCell(H)]).implementation_for(2, T, training=True) == BY_HAND


def test_a_subclass_with_a_step_of_its_own_is_not_run_by_the_kernel_of_its_parent(rng, limits):
    class Halved(L.SimpleRNNCell):
        def step(self, projected, states, constants):
            h, states = super().step(projected, states, constants)
            return h / 2, [states[0] / 2]

    limits(kernel=128)
    x, _ = batch(rng)
    layer = L.RNN(Halved(H))
    close(layer(x, training=True), layer(x, training=False))
    with pytest.raises(ValueError, match=r"'kernel'.*Halved changes the step"):
        L.RNN(Halved(H, implementation="kernel"))(x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.GRU(H, activation="softsign", implementation="kernel"), "activation=softsign"),
        (lambda: L.LayerNormGRU(H, implementation="kernel"), "LayerNormGRUCell"),
        (lambda: L.GRU(H, unroll=True, implementation="kernel"), "`unroll=True` needs the loop"),
        (lambda: L.RNN([L.GRUCell(H, implementation="kernel"), keras.layers.GRUCell(H)]), "not of this package"),
        (
            lambda: L.RNN([L.GRUCell(H, implementation="kernel"), L.GRUCell(H, implementation="loop")]),
            "implementation='loop'",
        ),
    ],
)
def test_a_kernel_that_cannot_run_says_why(make, words, rng):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        make()(batch(rng)[0])


def test_what_only_the_loop_can_do_is_refused_to_a_kernel(rng):
    layer = L.GRU(H, implementation="kernel")
    x, mask = batch(rng)
    with pytest.raises(ValueError, match="`return_trace` needs the loop"):
        layer(x, return_trace=True)
    with pytest.raises(ValueError, match="`reset_mask` needs the loop"):
        layer(x, reset_mask=mask)


def test_the_choice_is_logged_once_for_each_layer(rng, caplog):
    x, _ = batch(rng)
    with caplog.at_level(logging.INFO, logger="keras_seq"):
        for layer in (L.GRU(H, name="told", implementation="kernel"), L.GRU(H, name="told", implementation="kernel")):
            layer(x)
            layer(x)
    assert [r.getMessage() for r in caplog.records] == [f"layer told: kernel (B={B}, T={T}, training=False)"] * 2


def test_no_steps_are_the_loops_affair(rng):
    x = rng.normal(size=(B, 0, D)).astype("float32")
    output, state = L.GRU(H, implementation="kernel", return_state=True)(x, training=True)
    assert not np.any(output)
    assert not np.any(state)


def test_the_argument_survives_files_and_copies(tmp_path, rng):
    inputs = keras.Input((None, D))
    model = keras.Model(inputs, L.Bidirectional(L.GRU(H, implementation="kernel"))(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert again.forward_layer.cell.implementation == again.backward_layer.cell.implementation == "kernel"
    assert "implementation" not in L.GRU(H, implementation=1).get_config()


def graph_of(folder):
    return (folder / "saved_model.pb").read_bytes()


@pytest.mark.tensorflow
@pytest.mark.parametrize(("way", "trained"), [("export", False), ("export", True), ("saved_model", True)])
def test_an_export_holds_no_compiled_kernel(way, trained, rng, tmp_path, chosen):
    """Whoever wrote it: the model's own `export`, or plain TensorFlow."""
    import tensorflow as tf

    inputs = keras.Input((None, D))
    outputs = inputs
    for layer in (L.LSTM, L.ClockworkRNN):
        outputs = layer(4, return_sequences=True, implementation="kernel")(outputs)
    outputs = L.GRU(H, implementation="kernel")(outputs)
    model = keras.Model(inputs, outputs)
    x, _ = batch(rng)
    if trained:
        model.compile("sgd", "mse", jit_compile=False)
        model.fit(x, np.ones((B, H)), verbose=0)
        assert BY_HAND in chosen
    if way == "export":
        model.export(tmp_path / "saved", verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / "saved"))
        found = loaded.serve(x)
    else:
        tf.saved_model.save(model, str(tmp_path / "saved"))
        loaded = tf.saved_model.load(str(tmp_path / "saved"))
        found = next(iter(loaded.signatures["serving_default"](tf.constant(x)).values()))
    close(found, model(x), atol=1e-6)
    for forbidden in (b"XlaMustCompile", b"XlaLaunch", b"CudnnRNN", b"PyFunc"):
        assert forbidden not in graph_of(tmp_path / "saved"), forbidden


@pytest.mark.tensorflow
def test_a_graph_that_trains_holds_it(rng):
    """The word that the test above looks for is the right one."""
    import tensorflow as tf

    layer = L.GRU(H, implementation="kernel")
    layer.build((None, None, D))
    train = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, None, D))])
    assert b"XlaMustCompile" in train.get_concrete_function().graph.as_graph_def().SerializeToString()

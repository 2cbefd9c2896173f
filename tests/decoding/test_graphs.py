"""Where decoders run: compiled, with an open batch, traced once for all limits, in exported graphs; with real cells."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import ON_JAX
from tests.decoding import alphabet as abc

V, H, L = 11, 7, 9
DECODERS = {
    "greedy": lambda *args, **kwargs: ks.decoding.greedy(*args, **kwargs),
    "sample": lambda *args, **kwargs: ks.decoding.sample(*args, seed=3, top_k=5, top_p=0.9, **kwargs),
    "beam": lambda *args, **kwargs: ks.decoding.beam_search(*args, width=3, n_best=2, length_penalty=0.6, **kwargs),
}
each_decoder = pytest.mark.parametrize("how", DECODERS)


class Network(keras.layers.Layer):
    """A language model: embedding, GRU cell, dense layer. Called with start tokens and limits it decodes."""

    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        self.embedding = keras.layers.Embedding(V, H)
        self.cell = ks.layers.GRUCell(H)
        self.dense = keras.layers.Dense(V)
        self.following(ops.zeros((1,), "int32"), self.first_state(1))
        rng = np.random.default_rng(3)
        for layer in (self.embedding, self.cell, self.dense):
            layer.set_weights([2 * rng.normal(size=w.shape) for w in layer.get_weights()])

    def first_state(self, rows):
        return {"h": ops.zeros((rows, H))}

    def following(self, tokens, state):
        y, (h,) = self.cell(self.embedding(tokens), [state["h"]])
        return self.dense(y), {"h": h}

    def call(self, inputs):
        start, limits = inputs["start"], inputs["limits"]
        state = self.first_state(ops.shape(start)[0])
        return DECODERS[self.how](self.following, start, state, end=1, max_length=L, limits=limits, pad=abc.PAD)


def inputs(rows, seed=0):
    rng = np.random.default_rng(seed)
    return {"start": rng.integers(0, V, rows).astype("int32"), "limits": rng.integers(0, L + 2, rows).astype("int32")}


def check_close(got, expected):
    """Two results agree; tokens and lengths are the same."""
    got, expected = ([np.asarray(x) for x in one] for one in (got, expected))
    for a, b in zip(got[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(got[2], expected[2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["greedy", "beam"])
def test_a_cell_is_decoded_as_in_a_loop_of_calls(how):
    network, given = Network(how), inputs(13)
    tokens, lengths, scores = map(np.asarray, network(given))
    memory = {}

    class Called:
        """What the searches of `alphabet.py` ask: log-probabilities after a prefix, by calls of the layers."""

        size = V

        def log_probabilities(self, row, prefix):
            def state_after(prefix):
                if (row, prefix) not in memory:
                    state = network.first_state(1) if not prefix else state_after(prefix[:-1])[1]
                    last = prefix[-1] if prefix else given["start"][row]
                    memory[row, prefix] = network.following(ops.convert_to_tensor([last], "int32"), state)
                return memory[row, prefix]

            return abc.log_softmax(np.asarray(state_after(prefix)[0], "float64")[0])

    for row, limit in enumerate(np.minimum(given["limits"], L)):
        if how == "greedy":
            expected = abc.greedy(Called(), row, 1, limit)
            assert tokens[row, : lengths[row]].tolist() == list(expected)
        else:
            expected, _ = abc.beam_search(Called(), row, 1, limit, 3, 0.6, 2)
            got = [(s, tuple(t[:n])) for t, n, s in zip(tokens[row], lengths[row], scores[row], strict=True)]
            abc.check_same([one for one in got if one[0] > -np.inf], expected)


@each_decoder
def test_compiled_is_as_eager(how):
    network, given = Network(how), inputs(5)
    expected = network(given)
    if ON_JAX:
        check_close(abc.compiled(network)(given), expected)
        return
    import tensorflow as tf

    given = {name: tf.constant(x) for name, x in given.items()}
    for options in ({}, {"jit_compile": True}, {"autograph": False}):
        check_close(tf.function(network, **options)(given), expected)
    specs = {name: tf.TensorSpec([None], tf.int32) for name in given}
    check_close(tf.function(network, input_signature=[specs])(given), expected)
    check_close(tf.function(network, input_signature=[specs], jit_compile=True)(given), expected)


@each_decoder
def test_is_traced_once_for_all_limits(how):
    network, calls = Network(how), []

    def decode(start, limits):
        def step(tokens, state):
            calls.append(None)
            return network.following(tokens, state)

        return DECODERS[how](step, start, network.first_state(5), end=1, max_length=L, limits=limits)

    function = abc.compiled(decode)
    given = inputs(5)
    longest = [int(np.max(function(given["start"], np.full(5, n, "int32")).lengths)) for n in (L, 2, 0)]
    traced = len(calls)
    assert longest[1:] == [2, 0]
    assert longest[0] > 2
    function(inputs(5, seed=1)["start"], np.arange(5, dtype="int32"))
    assert len(calls) == traced <= 2


def operations(directory):
    """The names of all operations in a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((directory / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    assert not any("_XlaMustCompile" in function.attr for function in graph.library.function)
    return {node.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for node in nodes}


def model_of(network):
    """A Functional model whose one layer decodes."""
    given = {name: keras.Input((), dtype="int32", name=name) for name in inputs(1)}
    return keras.Model(given, network(given))


@pytest.mark.tensorflow
@each_decoder
@pytest.mark.parametrize("by", ["tf.saved_model.save", "model.export"])
def test_an_exported_graph_has_plain_operations_and_an_open_batch(tmp_path, how, by):
    import tensorflow as tf

    network = Network(how)
    expected = [network(inputs(rows)) for rows in (1, 5)]
    if by == "model.export":
        model_of(network).export(tmp_path, format="tf_saved_model", verbose=False)
    else:
        module = tf.Module()
        module.network = network  # its variables go along
        specs = {name: tf.TensorSpec([None], tf.int32) for name in inputs(1)}
        module.serve = tf.function(lambda given: network(given), input_signature=[specs])
        tf.saved_model.save(module, tmp_path)
    found = operations(tmp_path)
    assert found & {"While", "StatelessWhile"}  # the decoder is there
    assert not [name for name in found if "Xla" in name or "PyFunc" in name or "Cudnn" in name]
    loaded = tf.saved_model.load(tmp_path)
    for rows, one in zip((1, 5), expected, strict=True):
        check_close(loaded.serve({name: tf.constant(x) for name, x in inputs(rows).items()}), one)


@each_decoder
def test_in_predict(how):
    """Inside of a model's own compiled function."""
    network, given = Network(how), inputs(4)
    parts = [network({name: x[i : i + 2] for name, x in given.items()}) for i in (0, 2)]
    expected = [np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(3)]
    check_close(model_of(network).predict(given, batch_size=2, verbose=0), expected)

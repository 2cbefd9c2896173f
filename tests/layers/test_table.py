"""One harness for all public layers: each row of `tests.cases` through configuration, saving, export and training."""

import contextlib
import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import (
    CASES,
    LAYERS,
    ON_JAX,
    B,
    D,
    H,
    T,
    arrays,
    close,
    dtype_of,
    op_by_op,
    padded,
    randomize,
)
from tests.unusual import UNUSUAL, unusual

quick = pytest.mark.usefixtures("steps_in_python")
every_row = pytest.mark.parametrize("case", [c for c in CASES if c.reads == "sequences"], ids=str)
# For what takes long: a cell runs as the layer of its name does, so one of the two will do.
WITHOUT_TWINS = [
    c for c in CASES if c.reads == "sequences" and c.name.removesuffix("Cell") not in {o.name for o in CASES} - {c.name}
]
untwinned_row = pytest.mark.parametrize("case", WITHOUT_TWINS, ids=str)
stateful_row = pytest.mark.parametrize("case", [c for c in WITHOUT_TWINS if c.stateful and not c.backwards], ids=str)


@pytest.fixture
def policy():
    """Sets the global dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def model_of(layer, rng, batch_shape=(None, None, D)):
    """A Functional model with weights below the layer too, and a mask that reaches it: all-zero steps do not count."""
    inputs = keras.Input(batch_shape=batch_shape)
    hidden = keras.layers.Dense(D, use_bias=False)(keras.layers.Masking()(inputs))
    return randomize(keras.Model(inputs, tree.flatten(layer(hidden))), rng)


def masked_batch(rng, shape=(B, T, D)):
    """Inputs whose first row ends, and whose second row starts, with masked steps."""
    x = rng.normal(size=shape).astype("float32")
    x[0, T - 2 :] = 0
    x[1, :3] = 0
    return x


def test_every_public_layer_has_a_row():
    assert {case.name for case in CASES} == set(LAYERS)
    for case in CASES:
        assert type(case.make()) is getattr(ks.layers, case.name)


# Keras's own exceptions: `Bidirectional` copies `layer` (into `forward_layer`), and `weights` are no configuration.
NOT_KEPT = {("Bidirectional", "layer"), ("Bidirectional", "weights")}
# Keras keeps most arguments of its MultiHeadAttention under other names.
PRIVATE = ("output_shape", "_initializer", "_regularizer", "_constraint", "use_gate")


@pytest.mark.parametrize("name", LAYERS)
def test_constructor_is_config(name):
    cls = getattr(ks.layers, name)
    names = [n for n, p in inspect.signature(cls).parameters.items() if p.kind is not p.VAR_KEYWORD]
    names = [n for n in names if (name, n) != ("Bidirectional", "weights")]
    if name == "RNN":
        names = list(inspect.signature(keras.layers.RNN).parameters)[:-1]
    given = unusual(names)
    layer = cls(**given)
    config = layer.get_config()
    for argument in names:
        assert argument in config, argument
        hidden = name == "MultiHeadAttention" and argument.endswith(PRIVATE)
        assert hidden or (name, argument) in NOT_KEPT or hasattr(layer, argument), argument
        if isinstance(UNUSUAL[argument], (int, float)):
            assert config[argument] == given[argument], argument
            assert hidden or getattr(layer, argument) == given[argument], argument
    again = cls.from_config(json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))["config"])
    assert again.get_config() == config


@quick
@every_row
def test_keras_file(case, rng, tmp_path):
    model = model_of(case.layer(), rng)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is type(model.layers[-1])
    x = masked_batch(rng)
    close(again(x), model(x), atol=0, rtol=0)


@quick
@untwinned_row
def test_weights_file(case, rng, tmp_path):
    model, other = model_of(case.layer(), rng), model_of(case.layer(), rng)
    x = masked_batch(rng)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(arrays(model(x)), arrays(other(x)), strict=True))
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    close(other(x), model(x), atol=0, rtol=0)


@pytest.mark.tensorflow
@untwinned_row
def test_export(case, rng, tmp_path):
    import tensorflow as tf

    model = model_of(case.layer(), rng)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for x in (masked_batch(rng), rng.normal(size=(5, 2, D)).astype("float32")):
        close(loaded.serve(x), model(x), atol=2e-5, rtol=1e-4)  # layer normalisation magnifies what rounding leaves


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", [c for c in CASES if c.reads == "strings"], ids=str)
def test_files_of_layers_that_read_strings(case, tmp_path):
    import tensorflow as tf

    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, case.layer()(inputs))
    texts = tf.constant(["A quiet, quiet film!", "", "nothing known"])
    model.save(tmp_path / "model.keras")
    close(keras.saving.load_model(tmp_path / "model.keras")(texts), model(texts), atol=0)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    close(loaded.serve(texts), model(texts), atol=0)


@pytest.mark.tensorflow
def test_export_of_a_trained_stateful_layer_with_dropout(rng, tmp_path):
    import tensorflow as tf

    layer = ks.layers.RNN(
        [ks.layers.LSTMCell(2, dropout=0.3, recurrent_dropout=0.3), keras.layers.GRUCell(H, dropout=0.3)],
        stateful=True,
    )
    model = model_of(layer, rng, (B, None, D))
    model.compile("sgd", "mse", jit_compile=True)
    model.train_on_batch(masked_batch(rng), np.ones((B, H)))
    layer.reset_state()
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    x = masked_batch(rng)
    first, second = loaded.serve(x), loaded.serve(x)
    close(first, model(x))
    close(second, model(x))  # the exported graph carries its states on, too
    assert np.abs(arrays(first)[0] - arrays(second)[0]).max() > 1e-3
    graph = (tmp_path / "saved" / "saved_model.pb").read_bytes()
    assert b"XlaMustCompile" not in graph, "a compiled training step travelled into the export"


@quick
@every_row
@pytest.mark.parametrize("shape", [(B, T, D), (None, None, D)], ids=["static", "dynamic"])
def test_symbolic_outputs_are_the_real_ones(case, rng, shape, policy):
    for name in ("float32", "mixed_bfloat16"):
        policy(name)
        layer = case.layer()
        symbolic = layer(keras.Input(batch_shape=shape))
        real = layer(rng.normal(size=(B, T, D)))
        tree.assert_same_structure(symbolic, real)
        for s, r in zip(tree.flatten(symbolic), tree.flatten(real), strict=True):
            assert all(a in (None, b) for a, b in zip(s.shape, r.shape, strict=True)), (s.shape, r.shape)
            assert s.shape[-1] is not None or r.shape[-1] == T  # only B and T may be open
            assert dtype_of(s) == dtype_of(r)
        computed = tree.flatten(layer.compute_output_shape(shape))
        assert computed == tree.flatten(tree.map_structure(lambda s: s.shape, symbolic))


@quick
@untwinned_row
@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(case, rng, policy, name):
    policy(name)
    x, mask = padded(rng)
    layer = case.layer()
    layer(x)
    randomize(layer, rng)
    outputs = tree.flatten(layer(x, mask=mask))
    assert dtype_of(outputs[0]) == name.removeprefix("mixed_")
    assert all(dtype_of(w) == "float32" for w in layer.weights)
    for y in arrays(outputs):
        assert np.isfinite(y.astype("float32")).all()
    policy("float32")
    exact = case.layer()
    exact(x)
    exact.set_weights(layer.get_weights())
    # bfloat16 has 8 bits: the recurrences let the error grow over T steps and the large masked values must not show
    close(ops.cast(outputs[0], "float32"), tree.flatten(exact(x, mask=mask))[0], atol=0.1, rtol=0.05)


@pytest.mark.parametrize(
    "make", [ks.layers.LSTMCell, ks.layers.GRUCell, keras.layers.LSTMCell], ids=lambda c: c.__module__
)
@quick
def test_a_float32_cell_keeps_its_dtype_in_a_mixed_layer(rng, make):
    cell = make(H, dtype="float32")
    layer = ks.layers.RNN(cell, return_state=True, dtype="mixed_bfloat16")
    x = ops.convert_to_numpy(ops.cast(ops.cast(rng.normal(size=(B, T, D)), "bfloat16"), "float32"))
    output, *states = layer(x)
    randomize(layer, rng)
    output, *states = layer(x)
    assert dtype_of(output) == "bfloat16"
    assert {dtype_of(s) for s in states} == {"float32"}
    exact = ks.layers.RNN(cell, return_state=True, dtype="float32")(x)
    close(states, exact[1:])


@untwinned_row
def test_training_step_compiled_and_eager(case, rng):
    """Both move the weights, to the same place, downhill."""
    x = masked_batch(rng)
    weights, results = None, []
    ways = [{"jit_compile": True}, {"run_eagerly": True, "jit_compile": False}]
    # Eager steps on JAX are slow, and nobody takes them: three rows will do.
    for how in ways[: 1 if ON_JAX and case.name not in ("LSTM", "Bidirectional") else 2]:
        model = model_of(case.layer(), rng)
        outputs = [y for y in model.outputs if "float" in dtype_of(y)]
        model = keras.Model(model.input, outputs)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.02), [lambda _, y: ops.mean(ops.square(y))] * len(outputs), **how)
        targets = [np.zeros((B, 1))] * len(outputs)
        with op_by_op() if "run_eagerly" in how else contextlib.nullcontext():
            losses = [np.ravel(model.train_on_batch(x, targets))[0] for _ in range(2)]
        assert losses[1] < losses[0]
        results.append(model.get_weights())
    for weight, compiled, eager, before in zip(model.weights, results[0], results[-1], weights, strict=True):
        np.testing.assert_allclose(compiled, eager, atol=2e-6, rtol=1e-4)
        # What is added to all scores of a query alike is not seen by the softmax.
        assert weight.path.endswith("key/bias") or np.abs(compiled - before).max() > 1e-6, weight.path


@quick
@stateful_row
def test_stateful_halves_equal_the_whole(case, rng):
    x, mask = padded(rng)
    whole, halves = case.layer(), case.layer(stateful=True)
    expected = whole(x, mask=mask)
    randomize(whole, rng)
    expected = arrays(whole(x, mask=mask))
    halves(x[:, :3])
    halves.set_weights(whole.get_weights())
    for _ in range(2):
        halves.reset_state()
        first, second = arrays(halves(x[:, :3], mask=mask[:, :3])), arrays(halves(x[:, 3:], mask=mask[:, 3:]))
        if expected[0].ndim == 3:
            # A masked step at the start of the second half has no output to repeat: there, zeros.
            seen = np.cumsum(mask[:, 3:], axis=1) > 0
            np.testing.assert_allclose(first[0], expected[0][:, :3], atol=1e-5)
            np.testing.assert_allclose(second[0][seen], expected[0][:, 3:][seen], atol=1e-5)
            assert not second[0][~seen].any()
        else:
            kept = mask[:, 3:].any(axis=1)
            np.testing.assert_allclose(second[0][kept], expected[0][kept], atol=1e-5)
        close(second[1:], expected[1:], atol=1e-5)


@stateful_row
def test_states_are_kept_through_predict_and_training(case, rng):
    layer = case.layer(stateful=True)
    model = model_of(layer, rng, (B, None, D))
    loss = [lambda _, y: ops.mean(ops.cast(y, "float32"))] * len(model.outputs)
    model.compile(keras.optimizers.SGD(0.0), loss, jit_compile=ON_JAX)
    x = rng.normal(size=(B, 6, D)).astype("float32")
    layer.reset_state()  # what it starts from may be among the weights, which have changed
    with op_by_op():
        whole = arrays(model(x))
    ends = arrays([v.value for v in tree.flatten(layer.states)])
    assert any(e.any() for e in ends)

    layer.reset_state()
    close([v.value for v in tree.flatten(layer.states)], layer.get_initial_state(B), atol=0)
    model.predict(x[:, :3], verbose=0)
    second = arrays(model.predict(x[:, 3:], verbose=0))
    np.testing.assert_allclose(second[0], whole[0][:, 3:] if whole[0].ndim == 3 else whole[0], atol=5e-5)

    layer.reset_state()
    targets = [np.zeros((B, 1))] * len(model.outputs)
    model.train_on_batch(x[:, :3], targets)
    model.train_on_batch(x[:, 3:], targets)
    close([v.value for v in tree.flatten(layer.states)], ends, atol=5e-5)

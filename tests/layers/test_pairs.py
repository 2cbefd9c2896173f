"""Layers that read a sequence and a memory: each such row of the table through files, exports, masks and training."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import CASES, EXACT, ON_JAX, B, D, M, S, T, arrays, close, dtype_of, randomize

L = ks.layers
every_pair = pytest.mark.parametrize("case", [case for case in CASES if case.reads == "pairs"], ids=str)
ATTENTIVE = [c for c in CASES if c.reads == "pairs" and not c.name.endswith("Score")]  # a score gives no steps
attentive = pytest.mark.parametrize("case", ATTENTIVE, ids=str)
quick = pytest.mark.usefixtures("steps_in_python")


@pytest.fixture
def policy():
    """Sets the global dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def memory_size(case):
    """That of the queries for a plain product."""
    return D if case.name == "DotScore" else M


def batch(case, rng, rows=B, dtype="float32"):
    return [rng.normal(size=(rows, T, D)).astype(dtype), rng.normal(size=(rows, S, memory_size(case))).astype(dtype)]


def called(case, layer, x, memory, mask=None, memory_mask=None):
    return case.on_pair(layer, x, memory, mask, memory_mask)


def built(case, rng):
    layer = case.layer()
    called(case, layer, *batch(case, rng))
    return randomize(layer, rng)


def model_of(case, rng):
    """A Functional model: the sequence is masked where it is zero, and all sizes are open."""
    x, memory = keras.Input((None, D)), keras.Input((None, memory_size(case)))
    hidden = keras.layers.Masking()(x)
    outputs = called(case, case.layer(), hidden, keras.layers.Masking()(memory))
    return randomize(keras.Model([x, memory], tree.flatten(outputs)), rng)


def masked_batch(case, rng):
    x, memory = batch(case, rng)
    x[0, T - 2 :], x[1, :3], memory[0, 4:], memory[1, 2] = 0, 0, 0, 0
    return [x, memory]


@quick
@every_pair
def test_files(case, rng, tmp_path):
    model = model_of(case, rng)
    model.save(tmp_path / "model.keras")
    again, data = keras.saving.load_model(tmp_path / "model.keras"), masked_batch(case, rng)
    close(again(data), model(data), atol=0, rtol=0)
    other = model_of(case, rng)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    close(other(data), model(data), atol=0, rtol=0)


@pytest.mark.tensorflow
@every_pair
def test_export(case, rng, tmp_path):
    import tensorflow as tf

    model = model_of(case, rng)
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for rows in (B, 5):
        data = masked_batch(case, rng) if rows == B else batch(case, rng, rows)
        close(loaded.serve(data), model(data), atol=1e-5)


@quick
@every_pair
@pytest.mark.parametrize("sizes", [(None, None, None), (B, T, S)][: 1 if ON_JAX else 2], ids=str)
def test_symbolic_outputs_are_the_real_ones(case, rng, sizes, policy):
    for name in ("float32", "mixed_bfloat16"):
        policy(name)
        layer = case.layer()
        inputs = [keras.Input(batch_shape=(sizes[0], sizes[1], D))]
        inputs.append(keras.Input(batch_shape=(sizes[0], sizes[2], memory_size(case))))
        symbolic, real = (tree.flatten(called(case, layer, *data)) for data in (inputs, batch(case, rng)))
        for s, r in zip(symbolic, real, strict=True):
            known = [size for size in r.shape if size not in ((B, T, S) if sizes[0] is None else ())]
            if case.cell:  # how long its memory is, a cell does not know
                known = [size for size in known if size != S]
            assert [size for size in s.shape if size is not None] == known, (s.shape, r.shape)
            assert dtype_of(s) == dtype_of(r)


@quick
@every_pair
@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"][: 1 if ON_JAX else 2])
def test_mixed_precision(case, rng, policy, name):
    data = batch(case, rng)
    exact = built(case, rng)
    policy(name)
    layer = case.layer()
    outputs = tree.flatten(called(case, layer, *data))
    layer.set_weights(exact.get_weights())
    outputs = tree.flatten(called(case, layer, *data))
    assert dtype_of(outputs[0]) == name.removeprefix("mixed_")
    assert all(dtype_of(w) == "float32" for w in layer.weights)
    wanted = arrays(called(case, exact, *data))[0]
    assert np.abs(arrays(outputs)[0] - wanted).max() < 0.03 * np.abs(wanted).max()


@every_pair
def test_training_step_compiled_and_eager(case, rng):
    """Both move the weights, to the same place, downhill."""
    data, results, weights = masked_batch(case, rng), [], None
    for how in [{"jit_compile": True}, {"run_eagerly": True, "jit_compile": False}][: 1 if ON_JAX else 2]:
        model = model_of(case, rng)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        loss = [lambda _, y: ops.mean(ops.square(y))] * len(model.outputs)
        model.compile(keras.optimizers.SGD(0.02), loss, **how)
        if not model.trainable_weights:  # a product has nothing to learn
            return
        targets = [np.zeros((B, 1))] * len(model.outputs)
        losses = [np.ravel(model.train_on_batch(data, targets))[0] for _ in range(2)]
        assert losses[1] < losses[0]
        results.append(model.get_weights())
        if how["jit_compile"] and not ON_JAX:  # which compiles for each shape anyway
            smaller = [data[0][:, :4], data[1][:, :3]]
            assert np.isfinite(np.ravel(model.train_on_batch(smaller, targets))).all()
    for weight, after, before in zip(model.weights, results[0], weights, strict=True):
        # What is added to all scores alike is not seen by the softmax.
        assert weight.path.endswith("key/bias") or np.abs(after - before).max() > 1e-7, weight.path
    for compiled, eager in zip(results[0], results[-1], strict=True):
        np.testing.assert_allclose(compiled, eager, atol=2e-6, rtol=1e-4)


@quick
@attentive
def test_what_is_masked_might_as_well_be_cut_out(case, rng, policy):
    """Gaps and both kinds of padding, of the sequence and of its memory, with NaN in them; a masked row gives zeros."""
    policy("float64")
    layer = built(case, rng)
    x, memory = batch(case, rng, 5, "float64")
    t, s = np.arange(T), np.arange(S)
    mask = np.stack([t >= 0, t >= 3, t < 4, ~np.isin(t, (0, 3, 5)), t < 0])
    memory_mask = np.stack([s >= 0, s < 7, s >= 4, ~np.isin(s, (1, 4, 5, 9)), s >= 3])
    dirty = [np.where(keep[..., None], one, np.nan) for one, keep in ((x, mask), (memory, memory_mask))]
    together = arrays(called(case, layer, *dirty, mask, memory_mask))
    assert not together[0][4].any()
    for rows in (slice(0, 1), slice(1, 4)):  # of one length each
        steps, kept = ([np.flatnonzero(keep) for keep in one[rows]] for one in (mask, memory_mask))
        cut = (np.stack([a[i] for a, i in zip(one[rows], at, strict=True)]) for one, at in ((x, steps), (memory, kept)))
        alone = arrays(called(case, layer, *cut))
        for row, (t, s) in enumerate(zip(steps, kept, strict=True)):
            found = [one[rows][row][t] for one in together]
            np.testing.assert_allclose(found[0], alone[0][row], atol=EXACT * 10)
            if len(together) > 1:
                np.testing.assert_allclose(found[1][:, s], alone[1][row], atol=EXACT * 10)
                assert not np.delete(found[1], s, axis=1).any()


@quick
@attentive
def test_a_memory_that_is_hidden_in_full_is_as_none(case, rng):
    """Nothing is NaN, whatever stands there, and the result does not depend on how long it is."""
    layer = built(case, rng)
    x, memory = batch(case, rng)
    hidden = np.zeros((B, S), bool)
    y = arrays(called(case, layer, x, np.full_like(memory, np.nan), None, hidden))
    assert all(np.isfinite(one).all() for one in y)
    close(y[0], tree.flatten(called(case, layer, x, memory[:, :3], None, hidden[:, :3]))[0])
    if case.name == "MultiHeadAttention":
        assert not y[0].any()
    if len(y) > 1:
        assert not y[1].any()


@pytest.mark.parametrize("case", [case for case in ATTENTIVE if not ON_JAX or not case.cell], ids=str)
def test_no_steps_no_rows_and_no_memory(case, rng):
    """In a graph that knows no size: shapes as promised, nothing is NaN, and without a memory it is as if hidden."""
    layer = built(case, rng)
    inputs = keras.Input((None, D)), keras.Input((None, M))
    model = keras.Model(inputs, called(case, layer, *inputs))
    for rows, steps, entries in ((B, 0, S), (0, T, S), (B, T, 0)):
        x, memory = np.zeros((rows, steps, D), "float32"), np.zeros((rows, entries, M), "float32")
        if rows:
            x = rng.normal(size=x.shape).astype("float32")
        outputs = arrays(model([x, memory]) if ON_JAX else _in_a_graph(model, x, memory))
        assert outputs[0].shape[:2] == (rows, steps)
        assert all(np.isfinite(y).all() for y in outputs)
        if not entries:
            hidden = np.zeros((B, S), bool)
            wanted = arrays(called(case, layer, x, np.ones((B, S, M), "float32"), None, hidden))[0]
            np.testing.assert_allclose(outputs[0], wanted, atol=1e-5)


def _in_a_graph(model, *data):
    import tensorflow as tf

    specs = [tf.TensorSpec((None, None, x.shape[-1])) for x in data]
    return tf.function(lambda *inputs: model(list(inputs)), input_signature=specs)(*data)


@quick
def test_a_stateful_layer_goes_on_where_it_was(rng):
    """With the attentional vector that it fed itself, and a memory for each batch."""

    def made(**how):
        cell = L.AttentionCell(L.GRUCell(3), attend="after", attention_units=4, input_feeding=True)
        return L.RNN(cell, return_sequences=True, **how)

    whole, stateful = made(), made(stateful=True)
    x, memory = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, S, M)).astype("float32")
    whole(x, memory=memory)
    randomize(whole, rng)
    stateful(x, memory=memory)
    stateful.set_weights(whole.get_weights())
    stateful.reset_state()
    parts = [stateful(part, memory=memory) for part in (x[:, :3], x[:, 3:])]
    close(np.concatenate(arrays(parts), axis=1), whole(x, memory=memory))

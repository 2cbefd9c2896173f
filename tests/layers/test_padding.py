"""Masks: a row gives what it would give with its masked steps cut out, for each row of the table of layers."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests import oracle
from tests.cases import CASES, EXACT, ON_JAX, B, D, H, T, arrays, close, padded, randomize

L = ks.layers
quick = pytest.mark.usefixtures("steps_in_python")
SEQUENCES = [case for case in CASES if case.reads == "sequences"]


@pytest.fixture(autouse=True)
def _float64():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)


def arrangements():
    """Each layer alone; those that can, on top of each other and inside `Bidirectional`."""
    for case in SEQUENCES:
        yield pytest.param(case, "alone", id=str(case))
        if case.chains:
            yield pytest.param(case, "twice", id=f"{case}-twice")
        if case.recurrent and not case.backwards:
            yield pytest.param(case, "bidirectional", id=f"{case}-bidirectional")


def arranged(case, how, rng):
    """`function(x, mask)` of random weights."""
    layers = [L.Bidirectional(case.layer()) if how == "bidirectional" else case.layer()]
    if how == "twice":
        layers.append(case.layer())

    def function(x, mask=None):
        y = layers[0](x, mask=mask)
        for layer in layers[1:]:
            y = layer(y)  # its mask hangs on its input
        return arrays(y)

    function(rng.normal(size=(5, T, D)))
    for layer in layers:
        randomize(layer, rng)
    return function


@quick
@pytest.mark.parametrize(("case", "how"), list(arrangements()))
def test_masked_steps_might_as_well_be_cut_out(case, how, rng):
    """And a row masked in full gives zeros, and its initial states, which are zeros here."""
    x, mask = padded(rng)
    function = arranged(case, how, rng)
    together = function(x, mask)
    assert not any(y[4].any() for y in together)
    # Five rows in each call: JAX compiles each operation for each number of rows.
    cut = function(np.stack([x[row, mask[row]] for row in (1, 2, 3, 1, 2)]))
    for actual, whole, part in zip(together, function(x), cut, strict=True):
        over_time = actual.ndim > 1 and actual.shape[1] == T
        for row, expected in enumerate([whole[0], *part[:3]]):
            steps = np.flatnonzero(mask[row])
            if case.backwards:  # outputs stand in the order of reading
                steps = T - 1 - steps[::-1]
            found = actual[row][steps] if over_time else actual[row]
            np.testing.assert_allclose(found, expected, atol=EXACT, err_msg=f"row {row}")


@pytest.mark.parametrize("case", [c for c in SEQUENCES if not c.cell], ids=str)
def test_no_steps_and_no_rows(case, rng):
    """Eagerly, and compiled for open sizes: shapes as promised; without steps zeros."""
    layer = case.layer()
    layer(keras.Input((T, D)))
    randomize(layer, rng)

    def function(x, mask):
        return tree.flatten(layer(x, mask=mask))

    if ON_JAX:
        import jax

        compiled = jax.jit(function)
    else:
        import tensorflow as tf

        specs = [tf.TensorSpec((None, None, D), "float64"), tf.TensorSpec((None, None), "bool")]
        compiled = tf.function(function, input_signature=specs)

    # JAX compiles for each shape, and runs the same loop eagerly.
    for batch, length in [(B, 0), (0, T)] if ON_JAX else [(B, 0), (0, T), (0, 0)]:
        x, mask = ops.zeros((batch, length, D), "float64"), ops.ones((batch, length), "bool")
        promised = tree.flatten(layer(keras.Input(batch_shape=(batch, length, D))))
        for call in (compiled,) if ON_JAX else (function, compiled):
            outputs = call(x, mask)
            assert [tuple(y.shape) for y in outputs] == [tuple(p.shape) for p in promised]
            assert not any(y.any() for y in arrays(outputs))


# Recurrences against the oracle, with masks of every kind.

STEPS = {kind: (getattr(L, name), form, step) for kind, (name, form, step) in oracle.RECURRENCES.items()}


@quick
@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"return_sequences": True},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"return_sequences": True, "go_backwards": True},
        {"return_sequences": True, "unroll": True},
        {"go_backwards": True},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
def test_layers_against_the_oracle(kind, flags, masked, rng):
    cls, form, step = STEPS[kind]
    layer = cls(H, return_state=True, **form, **flags)
    x, mask = padded(rng)
    mask = mask if masked else None
    layer(x)
    randomize(layer, rng)
    states = [rng.normal(size=s.shape) for s in layer.get_initial_state(len(x))]
    output, *ends = layer(x, mask=mask, initial_state=states)
    options = {k: v for k, v in flags.items() if k in ("go_backwards", "zero_output_for_mask")}
    outputs, last, expected = oracle.run(step, x, states, layer.get_weights(), mask, **options)
    close((output, ends), (outputs if "return_sequences" in flags else last, expected), atol=EXACT)


@quick
@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
def test_bidirectional_against_the_oracle(kind, merge_mode, rng):
    cls, form, step = STEPS[kind]
    layer = L.Bidirectional(cls(H, return_sequences=True, return_state=True, **form), merge_mode=merge_mode)
    x, mask = padded(rng)
    layer(x)
    randomize(layer, rng)
    shapes = [s.shape for s in layer.forward_layer.get_initial_state(len(x))]
    count, states = len(shapes), [rng.normal(size=shape) for shape in shapes * 2]
    weights, options = layer.get_weights(), {"zero_output_for_mask": True}
    half = len(weights) // 2
    y, _, ends = oracle.run(step, x, states[:count], weights[:half], mask, **options)
    z, _, back_ends = oracle.run(step, x, states[count:], weights[half:], mask, go_backwards=True, **options)
    z = z[:, ::-1]
    merged = {"concat": [np.concatenate([y, z], -1)], "sum": [y + z], "mul": [y * z], "ave": [(y + z) / 2]}
    expected = [*merged.get(merge_mode, [y, z]), *ends, *back_ends]
    close(layer(x, mask=mask, initial_state=states), expected, atol=EXACT)


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
@pytest.mark.parametrize("mode", ["last", "mean", "max"])
def test_sequence_pooling_against_the_oracle(mode, masked, rng):
    x, mask = padded(rng)
    x = x - 2  # the largest kept value is mostly negative: zeros of masked steps would show
    expected = oracle.sequence_pooling(x, mode, mask if masked else None)
    x[~mask] = np.nan if masked else x[~mask]
    close(L.SequencePooling(mode)(x, mask=mask if masked else None), expected, atol=EXACT)


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "whole"])
def test_attention_pooling_against_the_oracle(masked, rng):
    x, mask = padded(rng)
    layer = L.AttentionPooling(H, return_weights=True)
    layer(x)
    randomize(layer, rng)
    expected = oracle.attention_pooling(x, layer.get_weights(), mask if masked else None)
    x[~mask] = np.nan if masked else x[~mask]
    close(layer(x, mask=mask if masked else None), expected, atol=EXACT)


@pytest.mark.parametrize("make", [lambda **k: L.SequencePooling("mean", **k), lambda **k: L.AttentionPooling(H, **k)])
def test_pooling_keeps_its_mask_under_a_cast(make, rng):
    """That Keras 3.13 would lose."""
    x = rng.normal(size=(3, T, D)).astype("float32")
    x[:, 4:] = 0
    layer = make(dtype="mixed_bfloat16")
    found = layer(keras.layers.Masking(dtype="float32")(x))
    close(found, layer(x[:, :4]), atol=1e-2)
    assert np.abs(arrays(found)[0] - arrays(layer(x))[0]).max() > 0.01

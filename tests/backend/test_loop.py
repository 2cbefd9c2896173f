"""The loop over time on its own, with a step whose inputs, outputs and states are nests of every rank."""

import keras
import numpy as np
import pytest
from keras import ops, tree

from keras_seq.backend.loop import loop
from tests.cases import TANH, arrays, close

B, T, D, H, W = 5, 7, 11, 3, 2
KERNEL = np.random.default_rng(3).normal(size=(D, H))


def step(inputs, states):
    """A decaying matrix, written by outer products, and a counter, which the step returns too wide."""
    matrix, (count,) = states
    row, column = TANH(ops.matmul(inputs["a"], KERNEL)), inputs["b"]
    matrix = 0.5 * matrix + ops.expand_dims(row, 2) * ops.expand_dims(column, 1)
    count = ops.cast(count, "int64") + 1
    outputs = {"sum": ops.sum(matrix, axis=2) * ops.cast(count, "float64"), "deep": (matrix, count * 10)}
    return outputs, [matrix, (count,)]


def reference(a, b, matrix, count, mask, go_backwards, zero_output_for_mask):
    """The same in NumPy, row by row: outputs by time, the last ones, final states."""
    rows = []
    for i in range(len(a)):
        m, n = matrix[i], count[i]
        last = (np.zeros(H), np.zeros((H, W)), np.zeros(1))
        written = []
        for t in reversed(range(a.shape[1])) if go_backwards else range(a.shape[1]):
            kept = mask is None or mask[i, t]
            if kept:
                m = 0.5 * m + np.outer(np.tanh(a[i, t] @ KERNEL), b[i, t])
                n = n + 1
                last = (m.sum(axis=1) * n, m, n * 10)
            written.append(tuple(np.zeros_like(y) for y in last) if zero_output_for_mask and not kept else last)
        rows.append((written, last, (m, n)))
    outputs = [np.array([[at_t[k] for at_t in written] for written, _, _ in rows]) for k in range(3)]
    lasts = [np.array([last[k] for _, last, _ in rows]) for k in range(3)]
    return outputs, lasts, [np.array([end[k] for _, _, end in rows]) for k in range(2)]


def arguments(rng, batch=B, length=T):
    inputs = {"a": rng.normal(size=(batch, length, D)), "b": rng.normal(size=(batch, length, W))}
    states = [rng.normal(size=(batch, H, W)), (rng.integers(0, 4, size=(batch, 1)).astype("int32"),)]
    mask = rng.random((batch, length)) < 0.6
    if batch and length:
        mask[0], mask[1, 0], mask[2, -1] = False, False, False
    return inputs, states, mask


def flat_names(outputs):
    """Outputs in the order of `reference`: sum, deep matrix, deep count."""
    return [outputs["sum"], *outputs["deep"]]


def in_function(function, known):
    """The function compiled for one call of (inputs, states, mask); with open batch and time unless `known`."""

    def compiled(inputs, states, mask):
        given = [inputs, states] if mask is None else [inputs, states, mask]
        given = tree.map_structure(ops.convert_to_tensor, given)
        if keras.backend.backend() == "jax":
            import jax

            return jax.jit(lambda *args: function(*args, *[None] * (3 - len(args))))(*given)
        import tensorflow as tf

        def spec(x, free):
            return tf.TensorSpec(x.shape if known else [None] * free + list(x.shape[free:]), x.dtype)

        specs = [
            tree.map_structure(lambda x, free=free: spec(x, free), nest)
            for free, nest in zip((2, 1, 2), given, strict=False)
        ]
        return tf.function(
            lambda *args: function(*args, *[None] * (3 - len(args))), input_signature=specs, autograph=False
        )(*given)

    return compiled


def run(how, inputs, states, mask, step=step, **flags):
    """The loop run eagerly, in a compiled function, or unrolled in either."""

    def function(inputs, states, mask):
        return loop(step, inputs, states, mask=mask, unroll="unrolled" in how, **flags)

    if "function" in how:
        function = in_function(function, known="unrolled" in how)
    else:
        inputs, states = tree.map_structure(ops.convert_to_tensor, (inputs, states))
        mask = None if mask is None else ops.convert_to_tensor(mask)
    return function(inputs, states, mask)


EVERY_WAY = pytest.mark.parametrize("how", ["eager", "unrolled", "function", "function unrolled"])


EVERY_FORM = pytest.mark.parametrize(
    ("masked", "flags"),
    [
        (False, {}),
        (False, {"go_backwards": True, "return_sequences": False}),
        (True, {}),
        (True, {"return_sequences": False}),
        (True, {"go_backwards": True, "zero_output_for_mask": True}),
        (True, {"go_backwards": True}),
    ],
    ids=lambda v: "+".join(v) or "forwards" if isinstance(v, dict) else ("masked" if v else "whole"),
)


@EVERY_WAY
@EVERY_FORM
def test_against_rows_of_numpy(rng, how, masked, flags):
    inputs, states, mask = arguments(rng)
    mask = mask if masked else None
    outputs, ends = run(how, inputs, states, mask, **flags)
    options = [flags.get(name, False) for name in ("go_backwards", "zero_output_for_mask")]
    by_time, last, expected_ends = reference(inputs["a"], inputs["b"], states[0], states[1][0], mask, *options)
    expected = by_time if flags.get("return_sequences", True) else last
    close(flat_names(outputs), expected, atol=1e-13, rtol=1e-13)
    tree.assert_same_structure(ends, states)
    close(ends, expected_ends, atol=1e-13, rtol=1e-13)
    assert keras.backend.standardize_dtype(ends[1][0].dtype) == "int32"
    assert keras.backend.standardize_dtype(outputs["deep"][1].dtype) == "int64"


def showing(place):
    """A step whose output is the very tensor of one of its states."""

    def step_showing(inputs, states):
        _, states = step(inputs, states)
        return tree.flatten(states)[place], states

    return step_showing


@EVERY_WAY
@EVERY_FORM
@pytest.mark.parametrize("place", [0, 1])
def test_an_output_that_is_a_state(rng, how, masked, flags, place):
    """Zero before the first kept step, as any output is, where the state is what it started from."""
    inputs, states, mask = arguments(rng)
    mask = mask if masked else None
    output, ends = run(how, inputs, states, mask, step=showing(place), **flags)
    options = [flags.get(name, False) for name in ("go_backwards", "zero_output_for_mask")]
    by_time, last, expected_ends = reference(inputs["a"], inputs["b"], states[0], states[1][0], mask, *options)
    _, matrix, tens = by_time if flags.get("return_sequences", True) else last
    close(output, [matrix, tens / 10][place], atol=1e-13, rtol=1e-13)
    close(ends, expected_ends, atol=1e-13, rtol=1e-13)
    assert keras.backend.standardize_dtype(output.dtype) == ["float64", "int64"][place]


@EVERY_WAY
@EVERY_FORM
def test_an_output_that_is_wider_than_its_state(rng, how, masked, flags):
    """The state is carried in float16; the output keeps what that loses."""
    x, mask = rng.normal(size=(B, T, H)), (rng.random((B, T)) < 0.6 if masked else None)

    def wide(inputs, states):
        h = inputs + 0.5 * ops.cast(states[0], "float64")
        return h, [h]

    output, _ = run(how, x, [np.zeros((B, H), "float16")], mask, step=wide, **flags)
    h, y, written = np.zeros((B, H), "float16"), np.zeros((B, H)), []
    for t in reversed(range(T)) if flags.get("go_backwards") else range(T):
        keep = np.ones((B, 1), bool) if mask is None else mask[:, t, None]
        new = x[:, t] + 0.5 * h.astype("float64")
        y, h = np.where(keep, new, y), np.where(keep, new.astype("float16"), h)
        written.append(np.where(keep, y, 0) if flags.get("zero_output_for_mask") else y)
    expected = np.stack(written, axis=1) if flags.get("return_sequences", True) else y
    close(output, expected, atol=1e-14, rtol=1e-14)


@pytest.mark.tensorflow
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
def test_a_number_of_features_that_only_the_call_knows(rng, masked, return_sequences):
    import tensorflow as tf

    def total(inputs, states):
        h = states[0] + ops.sum(inputs, axis=-1, keepdims=True)
        return h, [h]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None), "float64"), tf.TensorSpec((None, None), "bool")])
    def compiled(x, keep):
        state = [ops.zeros((tf.shape(x)[0], 1), "float64")]
        return loop(total, x, state, mask=keep if masked else None, return_sequences=return_sequences)[0]

    x, keep = rng.normal(size=(B, T, D)), rng.random((B, T)) < 0.6
    sums = np.cumsum(x.sum(axis=2) * (keep if masked else 1), axis=1)[..., None]
    close(compiled(x, keep), sums if return_sequences else sums[:, -1], atol=1e-13)


@pytest.mark.parametrize("how", ["eager", "function"])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_no_output_before_the_first_step(rng, how, return_sequences, masked):
    """Of no steps the output is zero, and not the state that it would be after one."""
    inputs, states, mask = arguments(rng, length=0)
    flags = {"step": showing(0), "return_sequences": return_sequences}
    output, ends = run(how, inputs, states, mask if masked else None, **flags)
    close(output, np.zeros((B, 0, H, W) if return_sequences else (B, H, W)), atol=0, rtol=0)
    close(ends, states, atol=0, rtol=0)


@EVERY_WAY
@pytest.mark.parametrize(("batch", "length"), [(B, 0), (0, T), (0, 0)])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_nothing_to_read(rng, how, batch, length, return_sequences, masked):
    """No steps: zeros and the states as they were. No rows: empty tensors of the right form."""
    inputs, states, mask = arguments(rng, batch, length)
    outputs, ends = run(how, inputs, states, mask if masked else None, return_sequences=return_sequences)
    time = (length,) if return_sequences else ()
    outputs = arrays(flat_names(outputs))
    assert [y.shape for y in outputs] == [(batch, *time, *rest) for rest in [(H,), (H, W), (1,)]]
    assert not any(y.any() for y in outputs)
    close(ends, states, atol=0, rtol=0)


@pytest.mark.tensorflow
def test_compiled_by_xla(rng):
    """Forwards and backwards: XLA must know how many steps there are at most."""
    import tensorflow as tf

    inputs, states, mask = arguments(rng)
    tensors = tree.map_structure(tf.convert_to_tensor, (inputs, states))

    def gradient(inputs, states):
        with tf.GradientTape() as tape:
            tape.watch(inputs["a"])
            outputs, _ = loop(step, inputs, states, mask=tf.constant(mask))
            loss = tf.reduce_sum(tf.square(outputs["sum"]))
        return loss, tape.gradient(loss, inputs["a"])

    close(tf.function(gradient, jit_compile=True, autograph=False)(*tensors), gradient(*tensors), atol=1e-12)


def test_gradients_are_those_of_the_unrolled_loop(rng):
    """Through matrix states, masks and both orders; masked steps get none."""
    inputs, states, mask = arguments(rng)

    def loss(a, unroll):
        outputs, (matrix, _) = loop(
            step, {**inputs, "a": a}, tree.map_structure(ops.convert_to_tensor, states), mask=mask, unroll=unroll
        )
        return ops.sum(ops.square(outputs["sum"])) + ops.sum(ops.exp(-matrix))

    if keras.backend.backend() == "jax":
        import jax

        looped, unrolled = (jax.grad(lambda a, u=u: loss(a, u))(inputs["a"]) for u in (False, True))
    else:
        import tensorflow as tf

        def gradient(a, unroll):
            with tf.GradientTape() as tape:
                tape.watch(a)
                value = loss(a, unroll)
            return tape.gradient(value, a)

        a = tf.constant(inputs["a"])
        looped, unrolled = tf.function(lambda a: gradient(a, False), autograph=False)(a), gradient(a, True)
    close(looped, unrolled, atol=1e-12)
    assert not arrays(looped)[0][~mask].any()
    assert arrays(looped)[0][mask].all()


@pytest.mark.parametrize("how", ["eager", "function"])
def test_a_step_that_loses_a_state(rng, how):
    inputs, states, _ = arguments(rng)

    def forgetful(x, s):
        return x["a"], [s[0]]

    def function(inputs, states, mask):
        return loop(forgetful, inputs, states)

    with pytest.raises(ValueError, match=r"as many states as it is given: it was given 2 and returned 1"):
        (in_function(function, False) if how == "function" else function)(inputs, states, None)

"""Each kernel against the loop over the cell's own step: outputs, states, and the gradients of everything it reads."""

import keras
import numpy as np
import pytest
from keras import ops, tree

from tests.cases import ON_JAX, close
from tests.kernels.recurrences import FORMS, B, D, in_dtype, recurrence, results_and_gradients

T = 131  # three chunks on TensorFlow, the last of which is shorter
every_form = pytest.mark.parametrize("form", FORMS)
COMPILED = [pytest.param(True, marks=pytest.mark.tensorflow)]  # on JAX it makes no difference


def masks(rng, steps):
    """Rows whole, left-padded, right-padded, with gaps, masked in full."""
    t = np.arange(steps)
    return np.stack([t >= 0, t >= steps // 3, t < steps // 2, rng.random(steps) < 0.5, t < 0])


def compare(one, compiled=False, **how):
    expected = results_and_gradients(lambda a: one.by_loop(a, **how), one.arguments)
    found = results_and_gradients(lambda a: one.by_kernel(a, compiled=compiled, **how), one.arguments)
    kept = [np.abs(g).max() > 0 for g in expected[1]]
    assert sum(kept) >= len(kept) - 1, "a gradient that is zero shows nothing"
    for a, e in zip(found, expected, strict=True):
        close(a, e, atol=1e-10, rtol=1e-10)


@every_form
@pytest.mark.parametrize("compiled", [False, *COMPILED])
def test_whole_rows(form, compiled, rng):
    compare(recurrence(form, rng, T), compiled=compiled)


@every_form
@pytest.mark.parametrize("compiled", [False, *COMPILED])
def test_masks(form, compiled, rng):
    one = recurrence(form, rng, T)
    compare(one, compiled=compiled, mask=masks(rng, T), zero_output_for_mask=form == "simple")


@every_form
def test_backwards_to_the_last_output(form, rng):
    one = recurrence(form, rng, T)
    compare(one, mask=masks(rng, T), go_backwards=True, return_sequences=False)


@every_form
def test_recurrent_dropout(form, rng):
    one = recurrence(form, rng, 11, dropout=True)
    x, states, weights, constants = one.arguments
    at = one.cell.sequence_kernel().mask_at

    def with_mask(by, arguments):
        return by((*arguments[:3], (*arguments[3][:at], constants[at], *arguments[3][at + 1 :])))

    without = (x, states, weights, (*constants[:at], None, *constants[at + 1 :]))
    expected = results_and_gradients(lambda a: with_mask(one.by_loop, a), without)
    found = results_and_gradients(lambda a: with_mask(one.by_kernel, a), without)
    close(found, expected, atol=1e-10, rtol=1e-10)
    plain = one.by_kernel(without)
    assert np.abs(ops.convert_to_numpy(plain[0]) - found[0][0]).max() > 1e-2


@every_form
def test_eager(form, rng):
    """Without a compiled function around it."""
    one = recurrence(form, rng, 9)
    expected = results_and_gradients(one.by_loop, one.arguments)
    found = results_and_gradients(one.by_kernel, one.arguments, jit=False)
    close(found, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["lstm", "gru-before"])
def test_eager_with_compiled_loops(form, rng):
    one = recurrence(form, rng, 9)
    expected = results_and_gradients(one.by_loop, one.arguments)
    found = results_and_gradients(lambda a: one.by_kernel(a, compiled=True), one.arguments, jit=False)
    close(found, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.tensorflow
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("form", ["lstm", "gru-after"])
def test_sizes_known_only_as_the_graph_runs(form, compiled, rng):
    """One graph for all batch sizes and lengths, none and one among them: rows and steps are filled up within."""
    import tensorflow as tf

    one = recurrence(form, rng, 1)
    _, _, weights, constants = one.arguments

    def step(by, x, mask, states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states, *[w for w in tree.flatten((weights, constants)) if w is not None]])
            output, ends = by((x, states, weights, constants), mask=mask)
            loss = tf.reduce_sum(tf.sin(output)) + sum(tf.reduce_sum(tf.cos(2 * s)) for s in ends)
        sources = [x, *states, *[w for w in tree.flatten((weights, constants)) if w is not None]]
        return [output, *ends, *tape.gradient(loss, sources, unconnected_gradients="zero")]

    open_states = [tf.TensorSpec((None, s.shape[-1]), s.dtype) for s in one.arguments[1]]
    signature = [tf.TensorSpec((None, None, D), tf.float64), tf.TensorSpec((None, None), tf.bool), open_states]
    by_kernel = tf.function(
        lambda x, m, s: step(lambda a, mask: one.by_kernel(a, compiled=compiled, mask=mask), x, m, s),
        input_signature=signature,
        autograph=False,
    )
    for batch, steps in ((5, 131), (17, 64), (1, 65), (3, 1), (3, 0), (0, 3)):
        x = tf.constant(rng.normal(size=(batch, steps, D)))
        mask = tf.constant(rng.random((batch, steps)) < 0.7)
        states = [tf.constant(rng.normal(size=(batch, s.shape[-1]))) for s in one.arguments[1]]
        expected = step(lambda a, mask: one.by_loop(a, mask=mask), x, mask, states)
        close(by_kernel(x, mask, states), expected, atol=1e-10, rtol=1e-10)


@pytest.mark.tensorflow
@pytest.mark.parametrize("steps", [2 * 64, 131])
def test_within_a_function_that_is_compiled_whole(steps, rng):
    """Chunks of one size that leave no rest, and chunks with one."""
    one = recurrence("simple", rng, steps)
    expected = results_and_gradients(one.by_kernel, one.arguments)
    found = results_and_gradients(lambda a: one.by_kernel(a, compiled=True), one.arguments, jit_compile=True)
    close(found, expected, atol=1e-10, rtol=1e-10)


@every_form
def test_float32_rounds_no_worse_than_the_loop(form, rng):
    """The bound is the error of the loop in float32 itself, both against the loop in float64."""
    exact = recurrence(form, rng, T)
    single = recurrence(form, rng, 1, dtype="float32")
    arguments = in_dtype(exact.arguments, "float32")
    wide = in_dtype(arguments, "float64")  # the very numbers that float32 holds
    reference = results_and_gradients(exact.by_loop, wide)
    for expected, by_loop, by_kernel in zip(
        reference,
        results_and_gradients(single.by_loop, arguments),
        results_and_gradients(single.by_kernel, arguments),
        strict=True,
    ):
        for e, plain, k in zip(expected, by_loop, by_kernel, strict=True):
            scale = np.abs(e).max()
            rounding = np.abs(plain - e).max() + np.finfo("float32").eps * scale
            assert np.abs(k - e).max() <= 4 * rounding


@every_form
def test_bfloat16_stays_near(form, rng):
    """A tenth of the largest: with eight bits, 31 steps that feed on one another, and other orders of rounding."""
    half, exact = recurrence(form, rng, 31, dtype="bfloat16"), recurrence(form, rng, 1)
    reference = results_and_gradients(exact.by_loop, in_dtype(half.arguments, "float64"))
    for expected, by_loop, by_kernel in zip(
        reference,
        results_and_gradients(half.by_loop, half.arguments),
        results_and_gradients(half.by_kernel, half.arguments),
        strict=True,
    ):
        for e, plain, k in zip(expected, by_loop, by_kernel, strict=True):
            assert np.abs(k - e).max() <= 2 * np.abs(plain - e).max() + 0.1 * np.abs(e).max()


@every_form
def test_what_a_kernel_projects_is_what_its_cell_projects(form, rng):
    cell = recurrence(form, rng, 1).cell
    x = ops.convert_to_tensor(rng.normal(size=(3, B, D)))
    for weight in cell.weights:
        weight.assign(rng.normal(size=weight.shape))
    close(cell.sequence_kernel().project(x, cell.input_weights()), cell.project(x), atol=1e-12)
    close(cell.project(x)[1], cell.project(x[1]), atol=1e-12)


@every_form
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precisions_stay_finite(form, dtype, rng):
    """With inputs large enough to saturate every gate, in outputs, states and gradients."""
    one = recurrence(form, rng, T, dtype=dtype)
    if "linear" in form or "relu" in form:
        one.arguments = tree.map_structure(lambda a: None if a is None else a * 0.1, one.arguments)
    else:
        one.arguments = (one.arguments[0] * 30, *one.arguments[1:])
    for group in results_and_gradients(one.by_kernel, one.arguments):
        assert all(np.isfinite(a.astype("float32")).all() for a in group)


@every_form
def test_nan_at_masked_steps_reaches_nothing(form, rng):
    one = recurrence(form, rng, 11)
    mask = masks(rng, 11)
    x = np.asarray(one.arguments[0]).copy()
    clean = results_and_gradients(lambda a: one.by_kernel(a, mask=mask), one.arguments)
    x[~mask] = np.nan
    dirty = results_and_gradients(lambda a: one.by_kernel(a, mask=mask), (ops.convert_to_tensor(x), *one.arguments[1:]))
    close(dirty, clean, atol=0, rtol=0)


@pytest.mark.tensorflow
def test_gradients_of_gradients_are_refused(rng):
    import tensorflow as tf

    one = recurrence("lstm", rng, 5)
    x = one.arguments[0]
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(one.by_kernel((x, *one.arguments[1:]))[0] ** 2)
        penalty = tf.reduce_sum(inner.gradient(y, x) ** 2)
    with pytest.raises(NotImplementedError, match=r"first order.*implementation='loop'"):
        outer.gradient(penalty, x)


@pytest.mark.skipif(not ON_JAX, reason="JAX differentiates the way back by itself")
def test_gradients_of_gradients_on_jax(rng):
    import jax

    one = recurrence("lstm", rng, 5)

    def penalty(by):
        def loss(x):
            return ops.sum(by((x, *one.arguments[1:]))[0] ** 2)

        return jax.grad(lambda x: ops.sum(jax.grad(loss)(x) ** 2))(one.arguments[0])

    close(penalty(one.by_kernel), penalty(one.by_loop), atol=1e-9, rtol=1e-9)


def test_rows_and_steps_of_the_compiled_loops_are_few(rng):
    """Whatever sizes come, few are compiled."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("JAX compiles whole programs")
    import tensorflow as tf

    from keras_seq.backend.tensorflow import CHUNK, Chunks, rows_to_compile_for

    lengths = tf.function(lambda x: Chunks(x).size, input_signature=[tf.TensorSpec((None, 1, 1))])
    sizes = {int(lengths(np.zeros((t, 1, 1), "float32"))) for t in range(300)}
    assert len(sizes) <= CHUNK // 8
    rows = tf.function(rows_to_compile_for, input_signature=[tf.TensorSpec((None, 1))])
    padded = [int(rows(np.zeros((b, 1), "float32"))) for b in range(1, 513)]
    assert padded[:16] == list(range(1, 17))
    assert all(b <= p <= 1.125 * b for b, p in enumerate(padded, start=1))
    assert len(set(padded)) <= 16 + 8 * 5

"""The clockwork RNN against NumPy, by its step and by its kernel, and each mistake that others have made with it."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from keras_seq.cells.clockwork import clockwork_step, slow_to_fast
from keras_seq.kernels import kernel
from tests import oracle
from tests.cases import TANH, arrays, close, dtype_of, op_by_op, randomize
from tests.kernels.recurrences import results_and_gradients
from tests.streams import streamed

L, K = ks.layers, keras.layers
B, T, D = 3, 23, 2
# Periods and sizes of modules: powers of two, and such that the modules which fire are no prefix of all.
FORMS = {
    "doubling": ((1, 2, 4, 8, 16), (2, 1, 3, 1, 2)),
    "1-2-3": ((1, 2, 3), (2, 3, 1)),
    "1-3-4-7": ((1, 3, 4, 7), (1, 2, 3, 1)),
    "none-of-1": ((2, 3), (2, 1)),
    "beyond": ((1, 5, 2**20), (2, 3, 2)),  # the last module fires once
}
# Rows that all start at 0 or have begun, each at its own time; whole or masked.
CASES = [(form, kind) for form in FORMS for kind in ("anew", "begun-masked")]
CASES += [("1-2-3", kind) for kind in ("anew-masked", "begun")]
CASES += [("beyond", "anew-masked")]
every_way = pytest.mark.parametrize("way", ["loop", "kernel"])


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """Keras's tanh computes float64 in float32 on JAX, `TANH` does not."""
    monkeypatch.setitem(kernel._OF_OUTPUT, TANH, lambda y: 1 - y * y)


def layer_of(form, rng, cls=L.ClockworkRNN, batch=None, **how):
    periods, sizes = FORMS[form]
    how = {"return_sequences": True, "return_state": True, "dtype": "float64", "activation": TANH, **how}
    layer = cls(sum(sizes), periods, sizes, **how)
    layer.build((batch, None, D))
    return randomize(layer, rng)


def by_oracle(layer, x, states=None, **how):
    """`(outputs, last, [h, clock])`"""
    if states is None:
        states = [np.zeros((len(x), layer.units)), np.zeros((len(x), 1), int)]

    def step(x, states, weights):
        return oracle.clockwork(x, states, weights, list(layer.periods), list(layer.module_units))

    return oracle.run(step, x, states, layer.get_weights(), **how)


def batch(rng, form):
    """Inputs, a mask whose rows have gaps, and states with clocks that differ from row to row."""
    mask = rng.random((B, T)) < 0.7
    mask[1] = True
    states = [rng.normal(size=(B, sum(FORMS[form][1]))), np.array([[0], [1], [10]], "int32")]
    return rng.normal(size=(B, T, D)), mask, states


@pytest.mark.parametrize(("form", "kind"), CASES)
@every_way
def test_against_the_oracle(form, kind, way, rng):
    masked, begun = "masked" in kind, "begun" in kind
    layer = layer_of(form, rng, implementation=way)
    x, mask, states = batch(rng, form)
    mask, states = mask if masked else None, states if begun else None
    expected = by_oracle(layer, x, states, mask=mask)
    with op_by_op():
        found = layer(x, mask=mask, initial_state=states)
    close(found, (expected[0], *expected[2]), atol=1e-12, rtol=0)


@every_way
def test_backwards_to_the_last_output(way, rng):
    """The clock counts in the order of reading: all modules fire at the end of the row."""
    layer = layer_of("1-3-4-7", rng, implementation=way, go_backwards=True, return_sequences=False)
    x, mask, states = batch(rng, "1-3-4-7")
    _, last, ends = by_oracle(layer, x, states, mask=mask, go_backwards=True)
    with op_by_op():
        close(layer(x, mask=mask, initial_state=states), (last, *ends), atol=1e-12, rtol=0)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_gradients_of_a_sequence_that_begins(masked, rng):
    """Where all clocks are at 0 the kernel has ways of its own; `tests/kernels` has the others."""
    layers = [layer_of("1-3-4-7", np.random.default_rng(3), implementation=way) for way in ("loop", "kernel")]
    x, mask, _ = batch(rng, "1-3-4-7")

    def of(layer):
        def function(arguments):
            x, weights = arguments
            nothing = [v.value for v in layer.non_trainable_variables]
            return layer.stateless_call(weights, nothing, x, mask=mask if masked else None, training=True)[0]

        point = tree.map_structure(ops.convert_to_tensor, (x, layer.get_weights()))
        return results_and_gradients(function, point)

    expected, found = map(of, layers)
    close(found, expected, atol=1e-12, rtol=1e-10)
    assert all(np.abs(g).max() > 1e-3 for g in expected[1])
    module = np.repeat(np.arange(4), FORMS["1-3-4-7"][1])
    for _, gradients in (expected, found):
        assert not gradients[2][module[:, None] < module].any()  # of U, from fast to slow


@every_way
def test_what_counts_as_zero_is_no_part_of_anything(way, rng):
    """From fast to slow nothing goes, whatever numbers stand there, also after `set_weights`."""
    layer = layer_of("1-2-3", rng, implementation=way, return_state=False)
    module = np.repeat([0, 1, 2], FORMS["1-2-3"][1])
    fast_to_slow = module[:, None] < module
    W, U, b = layer.get_weights()
    x, _, _ = batch(rng, "1-2-3")
    before = arrays(layer(x))
    layer.set_weights([W, np.where(fast_to_slow, 1e3, U), b])
    close(layer(x), before, atol=0, rtol=0)
    layer.set_weights([W, np.where(fast_to_slow, U, 2 * U), b])
    assert np.abs(arrays(layer(x))[0] - before[0]).max() > 1e-3
    masked = slow_to_fast(ops.convert_to_tensor(U), FORMS["1-2-3"][1])
    np.testing.assert_array_equal(ops.convert_to_numpy(masked) == 0, fast_to_slow)
    np.testing.assert_array_equal(layer.cell.get_weights()[1], np.where(fast_to_slow, U, 2 * U))


@every_way
def test_a_pulse_in_a_fast_module_never_reaches_a_slow_one(way, rng):
    layer = layer_of("1-2-3", rng, implementation=way, return_state=False)
    x, _, (h, _) = batch(rng, "1-2-3")
    clock = np.zeros((B, 1), "int32")
    sizes = FORMS["1-2-3"][1]
    fast, slow = h.copy(), h.copy()
    fast[:, : sizes[0]] += 1
    slow[:, -sizes[-1] :] += 1
    before, after_fast, after_slow = (arrays(layer(x, initial_state=[s, clock]))[0] for s in (h, fast, slow))
    np.testing.assert_array_equal(after_fast[..., sizes[0] :], before[..., sizes[0] :])
    assert np.abs(after_fast[..., : sizes[0]] - before[..., : sizes[0]]).max() > 1e-3
    assert np.abs(after_slow[..., : sizes[0]] - before[..., : sizes[0]]).max() > 1e-3


@every_way
def test_modules_fire_at_their_periods_and_rest_between(way, rng):
    """At 0 all of them; one that rests keeps its very state; those that fire are no prefix, as at 3 for (1, 2, 3)."""
    layer = layer_of("1-2-3", rng, implementation=way, return_state=False)
    x, _, (h, _) = batch(rng, "1-2-3")
    outputs = arrays(layer(x, initial_state=[h, np.zeros((B, 1), "int32")]))[0]
    before = np.concatenate([h[:, None], outputs[:, :-1]], axis=1)
    period = np.repeat([1, 2, 3], FORMS["1-2-3"][1])
    fires = np.arange(T)[:, None] % period == 0
    assert (outputs == before)[:, ~fires].all()
    assert (outputs != before)[:, fires].all()


def test_pure_step(rng):
    periods, sizes = FORMS["1-2-3"]
    h, clock = rng.normal(size=(B, 6)), np.array([[0], [2], [3]], "int32")
    x, W, U, b = (rng.normal(size=shape) for shape in ((B, D), (D, 6), (6, 6), (6,)))
    of_units = np.repeat(np.array(periods, "int32"), sizes)
    tensors = map(ops.convert_to_tensor, (x @ W + b, h, h, clock))
    found = clockwork_step(*tensors, slow_to_fast(ops.convert_to_tensor(U), sizes), of_units, TANH)
    expected = [oracle.clockwork(x[i], [h[i], clock[i]], [W, U, b], periods, sizes)[0] for i in range(B)]
    close(found, np.array(expected), atol=1e-12, rtol=0)


@every_way
def test_parts_of_a_sequence_equal_the_whole(way, rng):
    """Stateful, by hand from state to state, and each row under a mask of its own."""
    x, mask, _ = batch(rng, "1-3-4-7")
    whole, kept = layer_of("1-3-4-7", rng), layer_of("1-3-4-7", rng, batch=B, stateful=True, implementation=way)
    kept.set_weights(whole.get_weights())
    _, _, ends = by_oracle(whole, x, mask=mask)
    with op_by_op():
        for part in (slice(0, 5), slice(5, 6), slice(6, T)):
            found = kept(x[:, part], mask=mask[:, part])[1:]
        close(found, ends, atol=1e-12, rtol=0)
        kept.reset_state()
        assert not any(s.any() for s in arrays([v.value for v in kept.states]))


def test_a_reset_starts_the_clock_anew(rng):
    layer = layer_of("1-3-4-7", rng)
    x, _, _ = batch(rng, "1-3-4-7")
    resets = np.zeros((B, T), bool)
    resets[:, 5] = True
    with op_by_op():
        found, anew = layer(x, reset_mask=resets), layer(x[:, 5:])
    close(found[0][:, 5:], anew[0], atol=1e-12, rtol=0)
    close(found[1:], anew[1:], atol=1e-12, rtol=0)


def test_a_stream(rng):
    """Chunk by chunk; the clock is one of the states by its name, and an integer."""
    layer = layer_of("1-2-3", rng, return_state=False, dtype="float32", activation="tanh", name="clockwork")
    stream = L.streaming(keras.Sequential([keras.Input((None, D)), layer]))
    x = rng.normal(size=(B, T, D)).astype("float32")
    states = stream.get_initial_state(B)
    assert {name: dtype_of(state) for name, state in states.items()} == {
        "clockwork_h": "float32",
        "clockwork_clock": "int32",
    }
    with op_by_op():
        found = streamed(stream, [x[:, :5], x[:, 5:6], x[:, 6:]])
        close(np.concatenate([arrays(outputs)[0] for outputs in found], axis=1), layer(x), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_keras_runs_the_cell(dtype, rng):
    """Its RNN makes floats of the states, the clock too: it counts in a circle that they can count."""
    cell = L.ClockworkRNNCell(6, (1, 2, 4), dtype=dtype)
    ours, stock = (m.RNN(cell, return_sequences=True, return_state=True, dtype=dtype) for m in (L, K))
    x = rng.normal(size=(1, 270, D))
    ours.build(x.shape)
    randomize(ours, rng)
    expected, found = ours(x), stock(x)
    close(found[0], expected[0], atol=1e-6 if dtype == "float32" else 0)
    assert float(found[2][0, 0]) == float(expected[2][0, 0]) == 270 % 4


def test_a_clock_that_half_precision_cannot_count_is_refused():
    layer = K.RNN(L.ClockworkRNNCell(2, (1, 257), dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    with pytest.raises(ValueError, match=r"count 257 steps.*bfloat16.*ks.layers.RNN"):
        layer(np.ones((1, 3, D)))


def test_keras_s_bidirectional_runs_the_cell(rng):
    cell = L.ClockworkRNNCell(4, (1, 3))
    ours, stock = (m.Bidirectional(m.RNN(cell, return_sequences=True)) for m in (L, K))
    x = rng.normal(size=(B, 5, D)).astype("float32")
    with op_by_op():
        ours(x)
        stock(x)
        randomize(ours, rng)
        stock.set_weights(ours.get_weights())
        close(stock(x), ours(x), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 10}, r"`units` must be a multiple of 4.*got 10.*`module_units`"),
        ({"units": 4, "periods": (1, 1, 2, 4)}, r"`periods` must be ascending positive integers.*got \(1, 1, 2, 4\)"),
        ({"units": 4, "periods": (2, 1)}, "ascending"),
        ({"units": 4, "periods": (0, 1)}, "ascending"),
        ({"units": 4, "periods": (1, 2.5)}, "ascending"),
        ({"units": 4, "periods": ()}, "ascending"),
        ({"units": 4, "periods": 2}, "ascending.*got 2"),
        ({"units": 4, "periods": (1, 2**31)}, "ascending"),
        ({"units": 4, "periods": (1, 2), "module_units": (1, 2)}, r"`module_units` must be 2.*`units`, 4.*\(1, 2\)"),
        ({"units": 4, "periods": (1, 2), "module_units": (4,)}, "one for each of `periods`"),
        ({"units": 4, "periods": (1, 2), "module_units": (0, 4)}, "positive"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be(arguments, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        L.ClockworkRNN(**arguments)


@every_way
def test_a_clock_goes_round_whatever_it_starts_at(way):
    """Periods whose common multiple no int32 holds, too."""
    for periods, cycle in (((2, 3), 6), ((2**29 - 1, 2**30 - 1), 2**30)):
        layer = L.ClockworkRNN(2, periods, return_state=True, implementation=way)
        layer.build((None, None, D))
        clock = np.array([[2**30 - 1], [-1]], "int32")
        with op_by_op():
            _, _, found = layer(np.ones((2, 3, D)), initial_state=[np.zeros((2, 2)), clock])
        np.testing.assert_array_equal(found, (clock + 3) % cycle)

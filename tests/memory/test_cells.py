"""One step and several of both cells: against the oracle, their gradients, and what they must never do."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from keras_seq.backend import native
from tests.cases import EXACT, B, D, H, arrays, close, randomize
from tests.layers.exotic import normal
from tests.memory.cells import CELLS, C, R, W, built, by_oracle, dnc, every_cell, ntm
from tests.memory.programs import Program, compiled

L = ks.layers


@every_cell
def test_against_the_oracle(kind, rng):
    """From the cell's own start, over steps, in both kinds of RNN; each state; rows that know nothing of each other."""
    cell, x = built(kind, rng), rng.normal(size=(B, 3, D))
    layer = L.RNN(cell, return_sequences=True, return_state=True, dtype="float64")
    expected, last = by_oracle(kind, cell, x, cell.get_initial_state(B))
    y, states = Program(layer)(x)
    atol = max(EXACT, 1e-9)
    close(y, expected, atol=atol)
    for name, value in last.items():
        close(states[name], value, atol=atol)
    close(Program(keras.layers.RNN(cell, return_sequences=True, dtype="float64"))(x), expected, atol=atol)


@every_cell
def test_gradients_against_central_differences(kind, rng):
    """Of outputs and states after three steps, to inputs and all weights: also those that a sequence starts from."""
    cell = built(kind, rng)
    layer = L.RNN(cell, return_sequences=True, return_state=True, dtype="float64")
    x = rng.normal(size=(B, 3, D))
    directions = [
        rng.normal(size=(B, 3, H)),
        *(rng.normal(size=s.shape) for s in tree.flatten(cell.get_initial_state(B))),
    ]

    def loss(outputs):
        return sum(ops.sum(a * d) for a, d in zip(tree.flatten(outputs), directions, strict=True))

    program = Program(layer, loss, of_inputs=True)
    assert [w.path for w in layer.trainable_weights] == [w.path for w in cell.weights]
    point = [x, *cell.get_weights()]
    gradients = arrays(program.gradients(x)[1])
    for index, gradient in enumerate(gradients):
        chosen = rng.permutation(gradient.size)[:2]
        numeric = []
        for element in chosen:
            shift = 1e-5 * (np.arange(gradient.size) == element).reshape(gradient.shape)
            ends = []
            for sign in (1, -1):
                x_there, *weights = [p + sign * shift if i == index else p for i, p in enumerate(point)]
                cell.set_weights(weights)
                ends.append(float(loss(program(x_there))))
            numeric.append((ends[0] - ends[1]) / 2e-5)
        np.testing.assert_allclose(gradient.flat[chosen], numeric, atol=1e-6, rtol=1e-6)
        assert np.abs(gradient).max() > 1e-3


@every_cell
def test_float16_reads_a_memory_that_outgrew_it(kind, rng):
    cell = CELLS[kind](controller="feed_forward", controller_units=C, dtype="mixed_float16")
    cell.build((None, D))
    randomize(cell, rng, 0.3)
    (start,) = cell.get_initial_state(B)
    start = {**start, **{name: ops.full(start[name].shape, 2e5) for name in ("memory", "reads")}}
    y, states = compiled(cell)(normal(rng, B, D), [start])
    assert keras.backend.standardize_dtype(states[0]["memory"].dtype) == "float32"
    for one in arrays([y, states]):
        assert np.isfinite(one).all()


@every_cell
def test_slots_do_not_stay_alike(kind, rng):
    """As a new cell starts: after two steps its slots hold different things."""
    cell = CELLS[kind](slots=11, shift_range=1) if kind == "ntm" else CELLS[kind](slots=11)
    _, states = Program(L.RNN(cell, return_state=True))(normal(rng, B, 2, D))
    assert_slots_differ(arrays(states["memory"])[0])


def assert_slots_differ(memory):
    assert np.abs(memory - memory[:, :1]).max(axis=2).min(axis=0)[1:].min() > 1e-6


def test_what_a_memory_starts_from():
    for start in ("constant", "learned", "random"):
        cell = ntm(memory_initial=start)
        cell.build((None, D))
        (memory,) = arrays(cell.get_initial_state(B)[0]["memory"])
        assert len(cell.trainable_weights) == (9 if start == "learned" else 8)
        if start == "constant":
            assert cell.initial_memory is None
            assert (memory == np.float32(1e-6)).all()
        else:
            close(memory, np.stack([cell.initial_memory] * B), atol=0)
            assert_slots_differ(memory)


@every_cell
def test_under_half_precision_the_memory_is_in_float32(kind):
    x = np.ones((B, 2, D), "float32")
    layer = L.RNN(CELLS[kind](dtype="mixed_bfloat16"), return_state=True, dtype="mixed_bfloat16")
    layer.build(x.shape)
    y, states = native.spec_of(layer, x)
    kinds = {name: {keras.backend.standardize_dtype(s.dtype) for s in tree.flatten(v)} for name, v in states.items()}
    assert kinds.pop("controller") == {"bfloat16"}
    assert set.union(*kinds.values()) == {"float32"}
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    plain = keras.layers.RNN(CELLS[kind](dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    plain.build(x.shape)
    assert keras.backend.standardize_dtype(native.spec_of(plain, x).dtype) == "bfloat16"


every_rnn = pytest.mark.parametrize("make", [L.RNN, keras.layers.RNN], ids=["ours", "keras"])
ROWS = 11  # alike, so that they differ in their masks alone


@every_rnn
def test_dropout_of_inputs_and_reads_has_one_mask_per_sequence(make, rng):
    """Of inputs, and of what was read; in Keras's own layer, too."""
    width = 7
    cell = ntm(controller=L.SimpleRNNCell(width, seed=3, dropout=0.5), memory_initial="learned")
    program = Program(make(cell, return_sequences=True), training=True)
    x = np.ones((ROWS, 4, D), "float32")
    program.layer.build(x.shape)
    randomize(program.layer, rng)
    # Nothing is carried on, or written, and all heads read all slots alike: from the second step on all steps are so.
    cell.controller.recurrent_kernel.assign(np.zeros((width, width)))
    cell.interface_kernel.assign(np.zeros(cell.interface_kernel.shape))
    k, a, g, e, beta, gamma, s = cell.interface_parts()
    cell.interface_bias.assign(np.repeat([0, 0, 50, -50, 0, 0, 0], [k, a, g, e, beta, gamma, s]))
    kernel = cell.controller.get_weights()[0]
    for dropped in (slice(0, D), slice(D, None)):
        only = np.zeros_like(kernel)
        only[dropped] = kernel[dropped]
        cell.controller.kernel.assign(only)
        (y,) = arrays(program(x))
        np.testing.assert_allclose(y[:, 1:], np.repeat(y[:, 1:2], 3, axis=1), atol=1e-5)
        assert np.abs(y[:, 1] - y[:1, 1]).max() > 1e-3


@every_rnn
def test_dropout_of_the_state_has_one_mask_per_sequence(make, rng):
    """Of the controller's state: a unit that is dropped at one step is so at all."""
    cell = ntm(controller=L.SimpleRNNCell(H, activation="linear", seed=3, recurrent_dropout=0.5), clip=None)
    program = Program(make(cell, return_sequences=True), training=True)
    x = np.ones((ROWS, 4, 1), "float32")
    program.layer.build(x.shape)
    # h[t] = 1 + mask h[t-1], and the output is h.
    cell.controller.set_weights([np.zeros((1 + R * W, H)), np.eye(H), np.ones(H)])
    cell.output_kernel.assign(np.eye(H + R * W, H))
    (y,) = arrays(program(x))
    kept = y[:, 1] > 1
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(y, np.where(kept[:, None], [[[1], [3], [7], [15]]], 1.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.StackedRNNCells([L.PeepholeLSTMCell(4, projection_size=2), L.GRUCell(C)]),
        lambda: L.LayerNormLSTMCell(C),
    ],
    ids=["stack", "layer-norm"],
)
def test_any_recurrent_cell_may_control(make, rng):
    """It reads the input and, after it, what was read."""
    cell = ntm(controller=make())
    cell.build((None, D))
    randomize(cell, rng)
    x, before = normal(rng, B, D), cell.get_initial_state(B)
    before[0]["reads"] = ops.convert_to_tensor(normal(rng, B, R, W))
    y, (after,) = compiled(cell)(x, before)
    assert tuple(y.shape) == (B, H)
    tree.assert_same_structure([after], before)
    read = np.concatenate([x, arrays(before[0]["reads"])[0].reshape(B, -1)], axis=1)
    close(after["controller"], compiled(cell.controller)(read, before[0]["controller"])[1], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ntm(slots=0), "slots.*positive"),
        (lambda: dnc(slot_width=-1), "slot_width.*positive"),
        (lambda: ntm(write_heads=1.5), "write_heads.*positive"),
        (lambda: dnc(read_heads=0), "read_heads.*positive"),
        (lambda: ntm(shift_range=-1), "shift_range.*0 or more"),
        (lambda: ntm(shift_range=3), "2 shift_range.*got 3 for 5 slots"),
        (lambda: ntm(memory_initial="zero"), "memory_initial.*'learned'.*'zero'"),
        (lambda: ntm(controller="gru"), "controller.*'feed_forward'.*'gru'"),
        (lambda: dnc(controller=keras.layers.GRUCell(C)), "controller.*of this package"),
        (lambda: dnc(controller=L.AttentionCell(L.GRUCell(C))), "controller.*reads no memory"),
        (lambda: dnc(clip=0), "clip.*positive"),
        (lambda: ntm().get_initial_state(B), "built.*keras.Input"),
        (lambda: L.RNN(ntm(implementation="kernel")).implementation_for(B, 3), "none for NTMCell"),
        (lambda: L.RNN(dnc(controller=L.GRUCell(C, implementation="kernel"))).implementation_for(B), "for DNCCell"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

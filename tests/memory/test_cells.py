"""One step and several of both cells: against the oracle, their gradients, and what they must never do."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops, tree

import keras_seq as ks
from tests.cases import EXACT, ON_JAX, TANH, B, D, H, arrays, close, randomize
from tests.cells.test_cells import gradients
from tests.layers.exotic import normal
from tests.memory import oracle

L = ks.layers
N, W, C = 5, 2, 3
R, V, REACH = 2, 3, 2


def ntm(**given):
    return L.NTMCell(
        H, **{"slots": N, "slot_width": W, "read_heads": R, "write_heads": V, "shift_range": REACH, **given}
    )


def dnc(**given):
    return L.DNCCell(H, **{"slots": N, "slot_width": W, "read_heads": R, **given})


CELLS = {"ntm": ntm, "dnc": dnc}
every_cell = pytest.mark.parametrize("kind", CELLS)


def built(kind, rng, dtype="float64", **given):
    """A cell with random weights, and with a controller that is exact on JAX, too."""
    controller = L.SimpleRNNCell(C, activation=TANH, dtype=dtype)
    cell = CELLS[kind](**{"controller": controller, "dtype": dtype, **given})
    cell.build((None, D))
    return randomize(cell, rng)


def by_oracle(kind, cell, x, states):
    """Outputs `(B, T, H)` and the last states of the oracle, by name."""
    own = {w.path.split("/")[-1]: np.asarray(w.numpy(), "float64") for w in cell.weights}
    names = ["kernel", "recurrent_kernel", "bias", "interface_kernel", "interface_bias", "output_kernel", "output_bias"]
    sizes = (R, V, REACH) if kind == "ntm" else (R,)
    step = oracle.ntm_step if kind == "ntm" else oracle.dnc_step
    outputs, last = [], []
    for row in range(len(x)):
        state = {name: arrays(value)[0][row] for name, value in states[0].items()}
        ys = []
        for x_t in x[row]:
            y, state = step(x_t, state, [own[name] for name in names], *sizes)
            ys.append(y)
        outputs.append(ys)
        last.append(state)
    return np.array(outputs), {name: np.stack([state[name] for state in last]) for name in last[0]}


@pytest.mark.usefixtures("steps_in_python")
@every_cell
@pytest.mark.parametrize("steps", [1, 3])
def test_against_the_oracle(kind, steps, rng):
    """From the cell's own start, over steps, in both kinds of RNN; and each state."""
    cell, x = (
        built(kind, rng, **({"memory_initial": "learned"} if kind == "ntm" else {})),
        rng.normal(size=(B, steps, D)),
    )
    layer = L.RNN(cell, return_sequences=True, return_state=True, dtype="float64")
    expected, last = by_oracle(kind, cell, x, cell.get_initial_state(B))
    y, states = layer(x)
    atol = max(EXACT, 1e-9)
    close(y, expected, atol=atol)
    for name, value in last.items():
        close(states[name], value, atol=atol)
    close(keras.layers.RNN(cell, return_sequences=True, dtype="float64")(x), expected, atol=atol)


@every_cell
def test_gradients_against_central_differences(kind, rng):
    """Of outputs and states after three steps, to inputs and all weights: also those that a sequence starts from."""
    cell = built(kind, rng, **({"memory_initial": "learned"} if kind == "ntm" else {}))
    point = [rng.normal(size=(B, 3, D)), *cell.get_weights()]
    fixed = [v.value for v in cell.non_trainable_variables]
    directions = [
        rng.normal(size=(B, 3, H)),
        *(rng.normal(size=s.shape) for s in tree.flatten(cell.get_initial_state(B))),
    ]

    def loss(tensors):
        x, *weights = tensors
        mapping = list(zip(cell.trainable_variables, weights, strict=True))
        with keras.StatelessScope(mapping):
            states = cell.get_initial_state(B)
        outputs = []
        for t in range(3):
            (y, states), _ = cell.stateless_call(weights, fixed, x[:, t], states)
            outputs.append(y)
        found = [ops.stack(outputs, axis=1), *tree.flatten(states)]
        return sum(ops.sum(a * d) for a, d in zip(found, directions, strict=True))

    for index, gradient in enumerate(gradients(loss, point)):
        chosen = rng.permutation(gradient.size)[:2]
        numeric = []
        for element in chosen:
            shift = 1e-5 * (np.arange(gradient.size) == element).reshape(gradient.shape)
            ends = [
                float(loss([p + sign * shift if i == index else p for i, p in enumerate(point)])) for sign in (1, -1)
            ]
            numeric.append((ends[0] - ends[1]) / 2e-5)
        np.testing.assert_allclose(gradient.flat[chosen], numeric, atol=1e-6, rtol=1e-6)
        assert np.abs(gradient).max() > 1e-3


def trained(layer, x):
    """The output of a layer, and the gradients of its weights."""
    if ON_JAX:
        import jax

        def loss(weights):
            y, _ = layer.stateless_call(weights, [v.value for v in layer.non_trainable_variables], x, training=True)
            return ops.mean(ops.square(ops.cast(y, "float32")))

        return arrays(layer(x)), arrays(jax.grad(loss)([v.value for v in layer.trainable_variables]))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        y = layer(x, training=True)
        loss = ops.mean(ops.square(ops.cast(y, "float32")))
    return arrays(y), arrays(tape.gradient(loss, [v.value for v in layer.trainable_variables]))


MADE = {}


def made(kind, policy, controller):
    """A layer of each kind, once: hypothesis then sets its weights."""
    key = (kind, policy, controller)
    if key not in MADE:
        given = {"controller": controller, "controller_units": C, "dtype": policy}
        MADE[key] = L.RNN(CELLS[kind](**given), return_sequences=True, dtype=policy)
        MADE[key].build((None, None, D))
    return MADE[key]


@pytest.mark.usefixtures("steps_in_python")
@every_cell
@settings(max_examples=4 if ON_JAX else 15, deadline=None, derandomize=True)
@given(
    policy=st.sampled_from(["float32", "float32", "mixed_float16", "mixed_bfloat16"]),
    controller=st.sampled_from(["lstm", "feed_forward"]),
    size=st.sampled_from([0.0, 1e-30, 1.0, 1e6, 1e30, 3e38]),
    scale=st.sampled_from([0.0, 0.1, 3.0]),
    seed=st.integers(0, 9),
)
def test_outputs_and_gradients_are_finite(kind, policy, controller, size, scale, seed):
    rng = np.random.default_rng(seed)
    layer = randomize(made(kind, policy, controller), rng, scale)
    x = (np.clip(rng.normal(size=(B, 3, D)), -1, 1) * size).astype("float32")
    x[:, 1] *= rng.integers(0, 2)
    outputs, found = trained(layer, x)
    for one in (*outputs, *found):
        assert np.isfinite(one.astype("float32")).all()


@pytest.mark.usefixtures("steps_in_python")
@every_cell
def test_rows_are_independent(kind, rng):
    layer = L.RNN(built(kind, rng), return_sequences=True, dtype="float64")
    x = rng.normal(size=(3, 4, D))
    together = arrays(layer(x))[0]
    for row in range(3):
        np.testing.assert_allclose(arrays(layer(x[row : row + 1]))[0][0], together[row], atol=EXACT)


@pytest.mark.usefixtures("steps_in_python")
@every_cell
def test_slots_do_not_stay_alike(kind, rng):
    """As a new cell starts, whatever its memory: after two steps its slots hold different things."""
    for start in ["constant", "learned", "random"] if kind == "ntm" else [None]:
        cell = CELLS[kind](slots=11, **({} if start is None else {"memory_initial": start, "shift_range": 1}))
        _, states = L.RNN(cell, return_state=True)(normal(rng, B, 2, D))
        memory = arrays(states["memory"])[0]
        assert np.abs(memory - memory[:, :1]).max(axis=2).min(axis=0)[1:].min() > 1e-6
        if start is not None:
            assert (cell.initial_memory is None) == (start == "constant")
            assert len(cell.trainable_weights) == (9 if start == "learned" else 8)


@pytest.mark.usefixtures("steps_in_python")
@every_cell
def test_under_half_precision_the_memory_is_in_float32(kind, rng):
    layer = L.RNN(CELLS[kind](dtype="mixed_bfloat16"), return_state=True, dtype="mixed_bfloat16")
    y, states = layer(normal(rng, B, 2, D))
    kinds = {name: {keras.backend.standardize_dtype(s.dtype) for s in tree.flatten(v)} for name, v in states.items()}
    assert kinds.pop("controller") == {"bfloat16"}
    assert set.union(*kinds.values()) == {"float32"}
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    plain = keras.layers.RNN(CELLS[kind](dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    assert keras.backend.standardize_dtype(plain(normal(rng, B, 2, D)).dtype) == "bfloat16"


@pytest.mark.usefixtures("steps_in_python")
@every_cell
@pytest.mark.parametrize("make", [L.RNN, keras.layers.RNN])
def test_dropout_of_the_controller_has_one_mask_per_sequence(kind, make, rng):
    """Of inputs, what was read, and the controller's state; in Keras's own layer, too."""
    quiet, x = None, np.ones((B, 3, D), "float32")
    for rates in ({"dropout": 0.5}, {"recurrent_dropout": 0.5}):
        layer = make(CELLS[kind](controller=L.GRUCell(C, seed=3, **rates)), return_sequences=True)
        layer(x)
        randomize(layer, np.random.default_rng(5))
        quiet = arrays(layer(x))[0] if quiet is None else quiet
        close(layer(x), quiet)
        assert max(np.abs(arrays(layer(x, training=True))[0] - quiet).max() for _ in range(8)) > 1e-3
    # Where nothing that is carried counts, all steps of a sequence read the same under the same mask.
    cell = CELLS[kind](controller=L.SimpleRNNCell(7, seed=3, dropout=0.5))
    layer = make(cell, return_sequences=True)
    layer(x)
    randomize(layer, np.random.default_rng(5))
    cell.controller.recurrent_kernel.assign(np.zeros((7, 7)))
    kernel = cell.controller.get_weights()[0]
    kernel[D:] = 0
    cell.controller.kernel.assign(kernel)
    output = cell.output_kernel.numpy() if not ON_JAX else np.array(cell.output_kernel)
    output[7:] = 0
    cell.output_kernel.assign(output)
    y = arrays(layer(x, training=True))[0]
    np.testing.assert_allclose(y, np.repeat(y[:, :1], 3, axis=1), atol=1e-5)


def test_any_recurrent_cell_may_control(rng):
    """Also a stack of them, and one whose projection is no product."""
    for controller in (L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(C)]), L.LayerNormLSTMCell(C), L.PeepholeLSTMCell(C)):
        cell = ntm(controller=controller)
        cell.build((None, D))
        y, states = cell(normal(rng, B, D), cell.get_initial_state(B))
        assert tuple(y.shape) == (B, H)
        tree.assert_same_structure(states, cell.get_initial_state(B))


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
        (lambda: L.RNN(ntm(implementation="kernel"))(np.ones((B, 3, D))), "none for NTMCell"),
        (lambda: L.DNC(H, controller=L.GRUCell(C, implementation="kernel"))(np.ones((B, 3, D))), "none for DNCCell"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

"""Our layers in the place of those of `keras.layers`: arguments, weights, results and gradients are the same."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from tests.cases import B, D, H, T, arrays, close, padded, randomize
from tests.unusual import unusual

L, K = ks.layers, keras.layers
pytestmark = pytest.mark.usefixtures("steps_in_python")
FORMS = {
    "SimpleRNN": ("SimpleRNN", {}),
    "LSTM": ("LSTM", {}),
    "GRU-after": ("GRU", {}),
    "GRU-before": ("GRU", {"reset_after": False}),
}
every_form = pytest.mark.parametrize("form", FORMS)


def pair(form, rng, build=(B, T, D), **kwargs):
    """Our layer and the stock one, with the same random weights."""
    name, own = FORMS[form]
    ours, stock = (getattr(module, name)(H, **own, **kwargs) for module in (L, K))
    ours.build(build)
    stock.build(build)
    randomize(ours, rng)
    stock.set_weights(ours.get_weights())
    return ours, stock


def batch(rng):
    x, mask = padded(rng)
    # Rows masked in full aside: on JAX the stock layers return the first state for them, in place of zeros.
    return x[:4].astype("float32") / 8, mask[:4]


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", "StackedRNNCells"])
def test_signature(name):
    """The stock one; what we have more comes after it, by keyword."""
    ours, stock = (getattr(module, name) for module in (L, K))
    for signature, stocks in [
        (inspect.signature(ours), inspect.signature(stock)),
        (inspect.signature(ours.__init__), inspect.signature(stock.__init__)),
    ]:
        more = [p for p in signature.parameters.values() if p.name not in stocks.parameters]
        assert [p.name for p in more] == (["projection_size"] if name == "LSTM" else [])
        assert all(p.kind is p.KEYWORD_ONLY for p in more)
        assert [p for p in signature.parameters.values() if p not in more] == list(stocks.parameters.values())
    call, stock_call = (list(inspect.signature(cls.call).parameters) for cls in (ours, stock))
    assert call[: len(stock_call)] == stock_call or name == "StackedRNNCells"
    assert issubclass(ours, K.RNN if name in ("SimpleRNN", "LSTM", "GRU") else stock)


@every_form
def test_an_activation_of_all_units_is_taken_gate_by_gate(form, rng):
    flags = {"activation" if form == "SimpleRNN" else "recurrent_activation": "softmax"}
    ours, stock = pair(form, rng, return_sequences=True, **flags)
    x, mask = batch(rng)
    close(ours(x, mask=mask), stock(x, mask=mask))


@every_form
def test_weights_go_both_ways(form, rng):
    name, own = FORMS[form]
    ours, stock = (getattr(module, name)(H, **own) for module in (L, K))
    x, _ = batch(rng)
    ours(x)
    stock(x)
    assert [w.path.split("/")[-2:] for w in ours.weights] == [w.path.split("/")[-2:] for w in stock.weights]
    assert [w.shape for w in ours.weights] == [w.shape for w in stock.weights]
    for source, target in [(ours, stock), (stock, ours)]:
        randomize(source, rng)
        target.set_weights(source.get_weights())
        close(target(x), source(x))


@every_form
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(
    "flags",
    [
        {"return_sequences": True, "return_state": True},
        {"return_state": True},
        {"go_backwards": True, "return_sequences": True},
        {"unroll": True, "return_sequences": True},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"use_bias": False},
    ],
    ids="+".join,
)
def test_outputs(form, masked, flags, rng):
    ours, stock = pair(form, rng, **flags)
    x, mask = batch(rng)
    if masked and "zero_output_for_mask" not in flags:
        # What stands before the first kept step differs (there, stock JAX layers return the first state): ours only
        # zeros, which other tests pin down. Compare where a step was kept.
        mask = np.where(mask.argmax(axis=1)[:, None] > 0, mask[:, ::-1], mask)
        mask[:, -1 if flags.get("go_backwards") else 0] = True
    mask = mask if masked else None
    states = [rng.normal(size=(len(x), H)).astype("float32") for _ in ours.get_initial_state(1)]
    close(ours(x, mask=mask), stock(x, mask=mask), atol=2e-6)
    close(ours(x, mask=mask, initial_state=states), stock(x, mask=mask, initial_state=states), atol=2e-6)


@every_form
def test_stateful(form, rng):
    ours, stock = pair(form, rng, build=(4, T, D), stateful=True, return_state=True)
    x, _ = batch(rng)
    for _ in range(2):
        for part in (x[:, :3], x[:, 3:]):
            close(ours(part), stock(part), atol=2e-6)
        ours.reset_state()
        stock.reset_state()
    assert len(ours.get_weights()) == len(stock.get_weights()) == 3  # states are no weights


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["layer", "bidirectional"])
def test_config_of_a_stock_layer_builds_ours(name, wrapped, rng):
    stock_class, ours_class = getattr(K, name), getattr(L, name)
    names = [n for n, p in inspect.signature(stock_class).parameters.items() if p.kind is not p.VAR_KEYWORD]
    given = {**unusual(names), "stateful": False, "dropout": 0.0, "recurrent_dropout": 0.0, "return_state": False}
    given["go_backwards"] = not wrapped
    stock = stock_class(**given, name="kept", zero_output_for_mask=wrapped)
    ours = ours_class.from_config(stock.get_config())
    assert type(ours) is ours_class
    config = stock.get_config()
    assert {k: v for k, v in ours.get_config().items() if k in config} == config
    x, _ = batch(rng)
    if wrapped:
        stock, ours = K.Bidirectional(stock), L.Bidirectional(ours)
    stock(x)
    randomize(stock, rng)
    ours(x)
    ours.set_weights(stock.get_weights())
    close(ours(x), stock(x), atol=2e-6)


# How outputs are merged does not depend on the cell: all modes with one form, all forms with one mode.
@pytest.mark.parametrize(
    ("form", "merge_mode"),
    [("LSTM", mode) for mode in ("sum", "mul", "ave", None)] + [(form, "concat") for form in FORMS],
)
@pytest.mark.parametrize("flags", [{"return_sequences": True, "return_state": True}, {}], ids="+".join)
def test_bidirectional(form, merge_mode, flags, rng):
    """Ours of ours, ours of stock and stock of ours equal stock of stock."""
    name, own = FORMS[form]
    x, mask = batch(rng)
    mask[:, [0, -1]] = True  # see test_outputs
    both = [(B_, M) for B_ in (L, K) for M in (L, K)]
    layers = [
        outer.Bidirectional(getattr(inner, name)(H, **own, **flags), merge_mode=merge_mode) for outer, inner in both
    ]
    for layer in layers:
        layer(x)
    randomize(layers[-1], rng)
    for layer in layers[:-1]:
        layer.set_weights(layers[-1].get_weights())
        close(layer(x), layers[-1](x), atol=2e-6)
        close(layer(x, mask=mask), layers[-1](x, mask=mask), atol=2e-6)


def test_bidirectional_with_another_layer_backwards(rng):
    x, _ = batch(rng)
    ours, stock = (
        module.Bidirectional(
            module.LSTM(H, return_sequences=True),
            backward_layer=module.GRU(2, return_sequences=True, go_backwards=True),
            merge_mode=None,
        )
        for module in (L, K)
    )
    stock(x)
    ours(x)
    randomize(stock, rng)
    ours.set_weights(stock.get_weights())
    close(ours(x), stock(x), atol=2e-6)


@every_form
def test_gradients(form, rng):
    """Of inputs, states and all weights, through masks."""
    ours, stock = pair(form, rng, return_sequences=True, return_state=True)
    x, mask = batch(rng)
    mask[:, 0] = True
    states = [rng.normal(size=(len(x), H)).astype("float32") for _ in ours.get_initial_state(1)]

    def gradients(layer):
        def loss(weights, x, states):
            nothing = [v.value for v in layer.non_trainable_variables]
            outputs, _ = layer.stateless_call(weights, nothing, x, initial_state=states, mask=mask)
            return sum(ops.sum(ops.sin(y) * (k + 1)) for k, y in enumerate(tree.flatten(outputs)))

        point = ([v.value for v in layer.trainable_variables], x, states)
        if keras.backend.backend() == "jax":
            import jax

            return jax.grad(loss, argnums=(0, 1, 2))(*point)
        import tensorflow as tf

        point = tree.map_structure(tf.convert_to_tensor, point)
        with tf.GradientTape() as tape:
            tape.watch(tree.flatten(point))
            value = loss(*point)
        return tape.gradient(value, point)

    theirs = gradients(stock)
    close(gradients(ours), theirs, atol=2e-5, rtol=1e-4)
    assert all(np.abs(g).max() > 1e-2 for g in arrays(theirs))
    assert not arrays(gradients(ours)[1])[0][~mask].any()

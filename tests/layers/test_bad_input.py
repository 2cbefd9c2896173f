"""Each wrong argument: a ValueError that names the argument or the layer, and says what was expected."""

import itertools

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import B, D, H, T

L = ks.layers
pytestmark = pytest.mark.usefixtures("steps_in_python")
X = np.random.default_rng(5).normal(size=(B, T, D)).astype("float32")
LAYERS = [
    f"{name}{cell}"
    for cell in ("", "Cell")
    for name in ("SimpleRNN", "LSTM", "GRU", "PeepholeLSTM", "LayerNormSimpleRNN", "LayerNormLSTM", "LayerNormGRU")
]
OF_ONE = [
    *[
        (name, "projection_size", value)
        for name in ("LSTM", "LSTMCell", "PeepholeLSTM")
        for value in (0, -2, 1.5, True)
    ],
    *[(name, "norm_epsilon", value) for name in ("LayerNormLSTM", "LayerNormGRUCell") for value in (0, -1e-3, "x")],
    ("LayerNormSimpleRNNCell", "layernorm_epsilon", 0.0),
    ("LayerNormSimpleRNN", "layernorm_epsilon", None),
]


def states(*shapes):
    return [np.ones(shape, "float32") for shape in shapes]


def changed_batch():
    layer = L.GRU(H, stateful=True, name="kept")
    layer(X)
    layer(X[:1])


BAD = {
    **{
        f"{name}({argument}={value!r})": (
            lambda name=name, argument=argument, value=value: getattr(L, name)(**{"units": H, argument: value}),
            rf"`{argument}`.*{value!r}",
        )
        for name, argument, value in [
            *itertools.product(LAYERS, ["units"], [0, -1, 2.5]),
            *itertools.product(LAYERS, ["dropout"], [1.0, -0.1]),
            *itertools.product(LAYERS, ["recurrent_dropout"], [1.5]),
            *itertools.product(LAYERS, ["implementation"], [3]),
            *OF_ONE,
        ]
    },
    "use_cudnn=True": (lambda: L.LSTM(H, use_cudnn=True)(X), r"`use_cudnn=True`.*no GPU"),
    "use_cudnn='x'": (lambda: L.GRU(H, use_cudnn="x"), r"`use_cudnn`.*'x'"),
    "one state for two": (
        lambda: L.LSTM(H, name="mine")(X, initial_state=states((B, H))),
        r"`initial_state`.*'mine'.*2 tensor",
    ),
    "two states for one": (
        lambda: L.GRU(H, name="mine")(X, initial_state=states((B, H), (B, H))),
        r"`initial_state`.*'mine'.*1 tensor",
    ),
    "state of another size": (
        lambda: L.GRU(H, name="mine")(X, initial_state=states((B, H + 2))),
        r"`initial_state`.*'mine'",
    ),
    "state of another rank": (
        lambda: L.GRU(H, name="mine")(X, initial_state=states((B, 1, H))),
        r"`initial_state`.*'mine'",
    ),
    "state of another batch": (
        lambda: L.GRU(H, name="mine")(X, initial_state=states((B + 1, H))),
        r"`initial_state`.*'mine'",
    ),
    "state of a batch of one": (
        lambda: L.LSTM(H, name="mine")(X, initial_state=states((1, H), (1, H))),
        r"`initial_state`.*'mine'",
    ),
    "state of a stack": (
        lambda: L.RNN([L.LSTMCell(2), L.GRUCell(H)], name="mine")(X, initial_state=states((B, 2), (B, H))),
        r"`initial_state`.*'mine'.*3 tensor",
    ),
    "state of the units, with a projection": (
        lambda: L.LSTM(H, projection_size=2, name="mine")(X, initial_state=states((B, H), (B, H))),
        r"`initial_state`.*'mine'.*2",
    ),
    "symbolic state of another size": (
        lambda: L.GRU(H, name="mine")(keras.Input((T, D)), initial_state=[keras.Input((H + 2,))]),
        r"`initial_state`.*'mine'",
    ),
    "states of one direction": (
        lambda: L.Bidirectional(L.LSTM(H), name="mine")(X, initial_state=states((B, H), (B, H))),
        r"`initial_state`",
    ),
    "mask of rank 3": (lambda: L.GRU(H, name="mine")(X, mask=np.ones((B, T, 1), bool)), r"`mask`.*'mine'.*\(B, T\)"),
    "mask of rank 1": (lambda: L.GRU(H, name="mine")(X, mask=np.ones(T, bool)), r"`mask`.*'mine'.*\(B, T\)"),
    "mask of lists": (lambda: L.GRU(H, name="mine")(X, mask=[[True] * T] * B), r"`mask`.*'mine'.*got bool.*np.array"),
    "mask too short": (lambda: L.GRU(H, name="mine")(X, mask=np.ones((B, T - 1), bool)), r"`mask`.*'mine'.*\(B, T\)"),
    "mask of another batch": (lambda: L.GRU(H, name="mine")(X, mask=np.ones((1, T), bool)), r"`mask`.*'mine'"),
    "unroll without a length": (
        lambda: L.GRU(H, unroll=True, name="mine")(keras.Input((None, D))),
        r"'mine'.*unroll",
    ),
    "stateful without a batch size": (
        lambda: L.GRU(H, stateful=True, name="mine")(keras.Input((T, D))),
        r"'mine'.*stateful.*batch size",
    ),
    "another batch size": (changed_batch, r"'kept'.*stateful.*batch"),
    "inputs of rank 2": (lambda: L.LSTM(H, name="mine")(X[0]), r"mine.*ndim=3"),
    "pooling mode": (lambda: L.SequencePooling("first"), r"`mode`.*'first'"),
    "no units to score in": (lambda: L.AttentionPooling(units=0), r"`units`.*0"),
    "half a unit": (lambda: L.AttentionPooling(units=2.5), r"`units`.*2\.5"),
    "pooling mask too short": (lambda: L.SequencePooling()(X, mask=np.ones((B, T - 1), bool)), r"mask"),
    "attention mask too short": (lambda: L.AttentionPooling(H)(X, mask=np.ones((B, T - 1), bool)), r"mask"),
    "no cell": (lambda: L.RNN(H), r"`cell`"),
    "both directions of what has none": (
        lambda: L.Bidirectional(keras.layers.Dense(H)),
        "`layer`.*recurrent.*got Dense",
    ),
    "no layer to read backwards": (
        lambda: L.Bidirectional(L.GRU(H), backward_layer=keras.layers.Dense(H)),
        "`backward_layer`.*recurrent.*got Dense",
    ),
    "merge mode": (lambda: L.Bidirectional(L.GRU(H), merge_mode="max"), r"merge"),
    "unknown argument": (lambda: L.GRU(H, unitz=3), r"unitz"),
}


@pytest.mark.parametrize("name", BAD)
def test_message(name):
    call, words = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()


@pytest.mark.parametrize("implementation", [0, 1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_implementations_of_keras_are_accepted(name, implementation):
    """They change no result."""
    getattr(L, name)(H, implementation=implementation)


@pytest.mark.parametrize(
    "make", [L.LSTM, lambda n: L.RNN(L.LSTMCell(n)), lambda n: L.Bidirectional(L.RNN(L.GRUCell(n)))]
)
@pytest.mark.parametrize(
    "given", [lambda: np.ones((T, D), "float32"), lambda: keras.Input((D,))], ids=["real", "symbolic"]
)
def test_a_missing_axis_is_noticed_before_weights_are_made(make, given):
    layer = make(H)
    with pytest.raises(ValueError, match=r"ndim=3, found ndim=2|reads sequences \(B, T, D\), got inputs of shape"):
        layer(given())
    assert not layer.weights


def test_no_cells_are_refused():
    with pytest.raises(ValueError, match="`cells` must hold at least one cell"):
        L.RNN([])

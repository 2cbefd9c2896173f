"""Recurrent modules of PyTorch as layers: against its equations in NumPy, and against itself where it is installed."""

import itertools

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import EXACT, ON_JAX, B, D, T, arrays, close, op_by_op
from tests.oracle import sigmoid
from tests.pages import block

H, P = 11, 3
FORMS = {
    "RNN-tanh": ("RNN", {"nonlinearity": "tanh"}),
    "RNN-relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "LSTM-projected": ("LSTM", {"proj_size": P}),
    "GRU": ("GRU", {}),
}
every_form = pytest.mark.parametrize("form", FORMS)
SHAPES = list(itertools.product((1, 3), (False, True), (True, False)))
every_shape = pytest.mark.parametrize(
    ("num_layers", "bidirectional", "bias"), SHAPES, ids=[f"{n}-{'both' if b else 'one'}-{c}" for n, b, c in SHAPES]
)


class Tensor:
    """As much of a tensor of PyTorch as is asked for: on a device, and part of a graph."""

    def __init__(self, value, near=False):
        self.value, self.near = value, near

    def detach(self):
        return Tensor(self.value, self.near)

    def cpu(self):
        return Tensor(self.value, near=True)

    def __array__(self, dtype=None, copy=None):
        assert self.near
        return self.value


class Module:
    """A recurrent module without PyTorch: its attributes, its weights, its equations."""

    batch_first = True

    def __init__(self, rng, kind, num_layers=1, bidirectional=False, bias=True, proj_size=0, nonlinearity=None):
        self.mode = kind if nonlinearity is None else f"{kind}_{nonlinearity.upper()}"
        self.input_size, self.hidden_size, self.num_layers, self.proj_size = D, H, num_layers, proj_size
        self.bidirectional, self.bias, self.dropout = bidirectional, bias, 0.0
        rows = H * {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
        self.weights = {}
        for place in self.places():
            width = D if place.startswith("l0") else (1 + bidirectional) * (proj_size or H)
            shapes = {"weight_ih": (rows, width), "weight_hh": (rows, proj_size or H)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            shapes |= {"weight_hr": (proj_size, H)} if proj_size else {}
            self.weights |= {f"{name}_{place}": rng.normal(size=shape) * 0.4 for name, shape in shapes.items()}

    def places(self):
        ways = ("", "_reverse") if self.bidirectional else ("",)
        return [f"l{k}{way}" for k in range(self.num_layers) for way in ways]

    def state_dict(self):
        return {name: Tensor(value) for name, value in self.weights.items()}

    def step(self, x, h, c, place):
        """The equations of torch.nn.RNN, LSTM and GRU, as its documentation has them, for one row."""
        none = np.zeros(1)
        W, U, b, b2, R = (
            self.weights.get(f"{name}_{place}", none)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        )
        a, a2 = W @ x + b, U @ h + b2
        if self.mode == "GRU":
            (r, z, n), (r2, z2, n2) = a.reshape(3, H), a2.reshape(3, H)
            r, z = sigmoid(r + r2), sigmoid(z + z2)
            n = np.tanh(n + r * n2)
            return (1 - z) * n + z * h, c
        if self.mode == "LSTM":
            i, f, g, o = (a + a2).reshape(4, H)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            return (R @ h if self.proj_size else h), c
        return (np.tanh(a + a2) if self.mode == "RNN_TANH" else np.maximum(a + a2, 0)), c

    def __call__(self, x):
        """`(output, h_n, c_n)` for `(B, T, D)`."""
        h_n, c_n = [], []
        for k in range(self.num_layers):
            outputs = []
            for place in [p for p in self.places() if p.startswith(f"l{k}")]:
                order = range(x.shape[1])[:: -1 if place.endswith("_reverse") else 1]
                y, c = np.zeros((*x.shape[:2], self.proj_size or H)), np.zeros((len(x), H))
                for row in range(len(x)):
                    h = np.zeros(self.proj_size or H)
                    for t in order:
                        h, c[row] = self.step(x[row, t], h, c[row], place)
                        y[row, t] = h
                outputs.append(y)
                h_n.append(y[:, order[-1]])
                c_n.append(c)
            x = np.concatenate(outputs, axis=-1)
        return x, np.stack(h_n), np.stack(c_n)


@every_form
@every_shape
def test_gates_biases_and_states(form, num_layers, bidirectional, bias, rng):
    kind, own = FORMS[form]
    module = Module(rng, kind, num_layers, bidirectional, bias, **own)
    x = rng.normal(size=(B, T, D))
    y, h_n, c_n = module(x)
    with op_by_op():
        layer = ks.interop.from_torch(module, return_state=True, dtype="float64", name="moved")
        output, *states = arrays(layer(x))
        last = arrays(ks.interop.from_torch(module, return_sequences=False, dtype="float64")(x))
    assert layer.name == "moved"
    np.testing.assert_allclose(output, y, atol=EXACT)
    number = 2 if kind == "LSTM" else 1
    np.testing.assert_allclose(np.stack(states[::number]), h_n, atol=EXACT)
    if kind == "LSTM":
        np.testing.assert_allclose(np.stack(states[1::2]), c_n, atol=EXACT)
    np.testing.assert_allclose(last[0], np.concatenate(h_n[-2:] if bidirectional else h_n[-1:], axis=-1), atol=EXACT)


@every_form
@every_shape
def test_against_torch(form, num_layers, bidirectional, bias, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    kind, own = FORMS[form]
    torch.manual_seed(7)
    module = getattr(torch.nn, kind)(
        D,
        H,
        num_layers,
        bidirectional=bidirectional,
        bias=bias,
        batch_first=bias,
        dropout=0.3 * (num_layers > 1),
        **own,
    )
    x = rng.normal(size=(B, T, D)).astype("float32")
    with torch.no_grad():
        given = torch.tensor(x)
        y, final = module.eval()(given if bias else given.transpose(0, 1))
        y = (y if bias else y.transpose(0, 1)).numpy()
    final = final if kind == "LSTM" else (final,)
    with op_by_op():
        output, *states = arrays(ks.interop.from_torch(module, return_state=True)(x))
    np.testing.assert_allclose(output, y, atol=1e-6)
    for number, one in enumerate(final):
        np.testing.assert_allclose(np.stack(states[number :: len(final)]), one.numpy(), atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_outputs_of_masked_steps_are_zero_and_states_those_of_the_kept_ones(num_layers, rng):
    """As of a packed sequence, in one direction, where no wrapper sees to it."""
    module = Module(rng, "GRU", num_layers)
    x, keep = rng.normal(size=(B, T, D)), np.arange(T) < np.array([[T], [4]])
    with op_by_op():
        layer = ks.interop.from_torch(module, return_state=True, dtype="float64")
        output, *states = arrays(layer(x, mask=keep))
    assert not output[~keep].any()
    for row in range(B):
        y, h_n, _ = module(x[row : row + 1, keep[row]])
        np.testing.assert_allclose(output[row, keep[row]], y[0], atol=EXACT)
        np.testing.assert_allclose(np.stack(states)[:, row], h_n[:, 0], atol=EXACT)


def test_masks_are_packed_sequences(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    module = torch.nn.LSTM(D, H, 2, bidirectional=True, batch_first=True)
    x, lengths = rng.normal(size=(B, T, D)).astype("float32"), [T, 4]
    with torch.no_grad():
        packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, batch_first=True)
        y, (h, c) = module(packed)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    layer = ks.interop.from_torch(module, return_state=True)
    with op_by_op():
        output, *states = arrays(layer(x, mask=np.arange(T) < np.array(lengths)[:, None]))
    np.testing.assert_allclose(output, y.numpy(), atol=1e-6)
    np.testing.assert_allclose(np.stack(states[::2]), h.numpy(), atol=1e-6)
    np.testing.assert_allclose(np.stack(states[1::2]), c.numpy(), atol=1e-6)


def test_masks_are_packed_sequences_in_one_direction(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    module = torch.nn.GRU(D, H, batch_first=True)
    x, lengths = rng.normal(size=(B, T, D)).astype("float32"), [T, 4]
    with torch.no_grad():
        packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, batch_first=True)
        y, h = module(packed)
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    with op_by_op():
        outputs = ks.interop.from_torch(module, return_state=True)(x, mask=np.arange(T) < np.array(lengths)[:, None])
    output, state = arrays(outputs)
    np.testing.assert_allclose(output, y.numpy(), atol=1e-6)
    np.testing.assert_allclose(state, h[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.filterwarnings("ignore:Layer 'moved' .of type Functional. was passed an input with a mask")  # it is kept
def test_in_a_functional_model(num_layers, rng, tmp_path):
    """Masks reach it and pass through it; files hold it; half of a dropout between layers acts in training alone."""
    module = Module(rng, "GRU", num_layers, bidirectional=True)
    module.dropout = 0.5 if num_layers > 1 else 0.0
    inputs = keras.Input((None, D))
    outputs, *states = ks.interop.from_torch(module, return_state=True, name="moved")(keras.layers.Masking()(inputs))
    last = ks.layers.SequencePooling("last")(outputs)
    model = keras.Model(inputs, [outputs, last, *states])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = rng.normal(size=(B, T, D)).astype("float32")
    x[1, 4:] = 0
    expected = module(x[:1].astype("float64"))[0]
    for one in (model, again):
        y, last, *_ = one.predict(x, verbose=0)
        np.testing.assert_allclose(y[:1], expected, atol=2e-6)
        assert not y[1, 4:].any()
        np.testing.assert_allclose(last[1], y[1, 3], atol=1e-6)
    if num_layers > 1 and not ON_JAX:
        differ = np.abs(np.asarray(model(x, training=True)[0]) - y).max()
        assert differ > 1e-3


@pytest.mark.parametrize("dtype", [None, "float64"])
def test_weights_are_copies_in_the_dtype_asked_for(dtype, rng):
    module = Module(rng, "LSTM", 2)
    moved = ks.interop.from_torch(module, dtype=dtype)
    assert {keras.backend.standardize_dtype(w.dtype) for w in moved.trainable_weights} == {dtype or "float32"}
    before = moved.get_weights()
    for value in module.weights.values():
        value += 1
    close(moved.get_weights(), before, atol=0)
    if dtype:
        np.testing.assert_array_equal(moved.get_weights()[0] + 1, module.weights["weight_ih_l0"].T)


class Dense:
    def state_dict(self):
        return {}


def test_refusals(rng):
    missing, more, wrong = (Module(rng, "GRU") for _ in range(3))
    del missing.weights["weight_hh_l0"]
    more.weights["weight_ih_l1"] = np.ones(2)
    wrong.hidden_size = H + 3
    for module, words in [
        (Dense(), "must be a torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU, got Dense"),
        (missing, "a Module, lacks the weights weight_hh_l0"),
        (more, "weights of unknown names: weight_ih_l1"),
        (wrong, r"has weights of shapes \[\(5, 33\), \(11, 33\), \(2, 33\)\] for \[\(5, 42\)"),
    ]:
        with pytest.raises(ks.errors.InputError, match=words):
            ks.interop.from_torch(module)


def test_modules_of_torch_that_are_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    for module in (torch.nn.LSTMCell(D, H), torch.nn.Linear(D, H), torch.nn.Sequential(torch.nn.GRU(D, H))):
        with pytest.raises(ks.errors.InputError, match=f"got {type(module).__name__}"):
            ks.interop.from_torch(module)


def test_the_lines_of_the_readme():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    names = {"ks": ks, "keras": keras, "torch": torch}
    exec(block("module = torch"), names)
    assert names["outputs"].shape == (None, None, 6)
    assert [state.shape for state in names["states"]] == [(None, 3)] * 8


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_dtypes_of_torch(dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    module = torch.nn.GRU(D, H, dtype=getattr(torch, dtype))
    kernel = ks.interop.from_torch(module, dtype="float64").get_weights()[0]
    expected = module.weight_ih_l0.detach().double().numpy()
    np.testing.assert_array_equal(kernel, np.concatenate([expected[H : 2 * H], expected[:H], expected[2 * H :]]).T)

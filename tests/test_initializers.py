"""Chrono: the biases of the paper, in each cell that has gates, and after a file."""

import keras
import numpy as np
import pytest

import keras_seq as ks

H, D, LAG = 61, 3, 50
LSTMS = ["LSTM", "PeepholeLSTM", "LayerNormLSTM"]


def bias_of(layer):
    layer.build((None, None, D))
    return keras.ops.convert_to_numpy(next(w for w in layer.weights if w.name == "bias"))


def check_lags(values):
    """Logarithms of numbers that are drawn from 1 to LAG - 1, evenly, another for each unit."""
    lags = np.exp(values)
    assert len(set(lags.round(4).tolist())) > H // 2
    assert lags.min() >= 1 - 1e-5
    assert lags.max() <= LAG - 1 + 1e-3
    assert abs(lags.mean() - LAG / 2) < 4 * (LAG - 2) / np.sqrt(12 * H)  # four standard errors


@pytest.mark.parametrize("name", LSTMS)
@pytest.mark.parametrize("forget", [True, False])
def test_lstm(name, forget):
    chrono = ks.initializers.Chrono(LAG, seed=3)
    i, f, g, o = np.split(bias_of(getattr(ks.layers, name)(H, bias_initializer=chrono, unit_forget_bias=forget)), 4)
    check_lags(f)
    np.testing.assert_array_equal(i, -f)
    assert not g.any()
    assert not o.any()


@pytest.mark.parametrize("name", ["GRU", "LayerNormGRU"])
@pytest.mark.parametrize("after", [True, False])
def test_gru(name, after):
    chrono = ks.initializers.Chrono(LAG, cell="gru", seed=3)
    bias = bias_of(getattr(ks.layers, name)(H, bias_initializer=chrono, reset_after=after))
    assert bias.shape == ((2, 3 * H) if after and name == "GRU" else (3 * H,))
    z, r, n = np.split(bias.reshape(-1, 3 * H).sum(axis=0), 3)
    check_lags(z)
    assert not r.any()
    assert not n.any()
    assert not bias.reshape(-1, 3 * H)[1:].any()


def test_a_gru_that_starts_so_keeps_its_state_as_the_equation_says():
    """Without inputs, kernels at zero: `h` is multiplied by `u / (1 + u)` at each step, here for both reset forms."""
    for after in (True, False):
        zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
        chrono = ks.initializers.Chrono(LAG, cell="gru", seed=3)
        layer = ks.layers.GRU(H, bias_initializer=chrono, reset_after=after, **zeros)
        u = np.exp(bias_of(layer).reshape(-1, 3 * H).sum(axis=0)[:H])
        h = keras.ops.convert_to_numpy(layer(np.zeros((1, 4, D)), initial_state=np.ones((1, H), "float32")))[0]
        np.testing.assert_allclose(h, (u / (1 + u)) ** 4, rtol=1e-5)


def test_stock_layers_take_it():
    chrono = ks.initializers.Chrono(LAG, seed=3)
    i, f, *_ = np.split(bias_of(keras.layers.LSTM(H, bias_initializer=chrono, unit_forget_bias=False)), 4)
    check_lags(f)
    np.testing.assert_array_equal(i, -f)
    stock = bias_of(keras.layers.GRU(H, bias_initializer=ks.initializers.Chrono(LAG, cell="gru", seed=3)))
    ours = bias_of(ks.layers.GRU(H, bias_initializer=ks.initializers.Chrono(LAG, cell="gru", seed=3)))
    np.testing.assert_array_equal(stock, ours)


def test_other_initializers_leave_the_forget_gate_at_one():
    f = np.split(bias_of(ks.layers.LSTM(H, bias_initializer="random_normal")), 4)[1]
    np.testing.assert_array_equal(f, 1.0)


def test_seeds_are_those_of_keras():
    """Without a seed a clone draws anew; the same one, and any with a seed, gives the same numbers."""
    numbers = keras.ops.convert_to_numpy
    one = ks.initializers.Chrono(LAG)
    np.testing.assert_array_equal(numbers(one((4 * H,))), numbers(one((4 * H,))))
    assert (numbers(one((4 * H,))) != numbers(one.clone()((4 * H,)))).any()
    seeded = ks.initializers.Chrono(LAG, seed=5)
    np.testing.assert_array_equal(numbers(seeded((4 * H,))), numbers(seeded.clone()((4 * H,))))
    generated = ks.initializers.Chrono(LAG, seed=keras.random.SeedGenerator(5))
    assert (numbers(generated((4 * H,))) != numbers(generated((4 * H,)))).any()


def test_dtype_is_that_of_the_weight():
    assert keras.backend.standardize_dtype(ks.initializers.Chrono(LAG)((8,), "float16").dtype) == "float16"
    assert keras.backend.standardize_dtype(ks.initializers.Chrono(LAG)((8,)).dtype) == "float32"


def test_it_survives_a_file(tmp_path):
    chrono = ks.initializers.Chrono(LAG, cell="gru", seed=3)
    model = keras.Sequential([keras.Input((None, D)), ks.layers.GRU(H, bias_initializer=chrono)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").layers[0].cell.bias_initializer
    assert type(again) is ks.initializers.Chrono
    assert again.get_config() == chrono.get_config() == {"max_lag": LAG, "cell": "gru", "seed": 3}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ks.initializers.Chrono(2), "`max_lag` must be above 2"),
        (lambda: ks.initializers.Chrono(None), "`max_lag`"),
        (lambda: ks.initializers.Chrono(10, cell="rnn"), "`cell` must be 'lstm' or 'gru', got 'rnn'"),
        (lambda: ks.initializers.Chrono(10, seed="x"), "seed"),
        (lambda: ks.initializers.Chrono(10)((2, 8)), r"shape \(4H,\), got \(2, 8\)"),
        (lambda: ks.initializers.Chrono(10, cell="gru")((3, 9)), r"\(3H,\) or \(2, 3H\), got \(3, 9\)"),
        (lambda: bias_of(keras.layers.LSTM(5, bias_initializer=ks.initializers.Chrono(10))), "unit_forget_bias=False"),
        (lambda: bias_of(ks.layers.GRU(5, bias_initializer=ks.initializers.Chrono(10))), "name the kind of cell"),
        (lambda: bias_of(ks.layers.SimpleRNN(5, bias_initializer=ks.initializers.Chrono(10))), "name the kind of cell"),
    ],
)
def test_what_cannot_be_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

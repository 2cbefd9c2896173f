"""GradientMonitor against gradients written out in NumPy: norms, shares of clipped steps, and what stays as it was."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.monitored import BATCHES, ON_TENSORFLOW, X, Y, clean, fitted, gradients_of, made, norm, simulated

WAYS = {
    "plain": {},
    "compiled": {"jit_compile": True},
    "eager": {"run_eagerly": True},
    "two": {"steps_per_execution": 2},
}


@pytest.mark.parametrize("way", WAYS)
def test_norms_of_each_epoch(way):
    model = made(keras.optimizers.SGD(0.3), **WAYS[way])
    expected = simulated(model.get_weights(), 0.3, epochs=3)
    history = fitted(model, 3, ks.callbacks.GradientMonitor())
    np.testing.assert_allclose(history["gradient_norm"], expected.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(history["gradient_norm_max"], expected.max(axis=1), rtol=1e-5)
    assert history["nonfinite_share"] == [0.0] * 3
    assert "clipped_share" not in history  # the optimizer does not clip


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("way", WAYS)
def test_the_training_is_as_without_it(optimizer, way):
    """Also where the last batch is a smaller one, for which a function is compiled amid an epoch."""
    plain, watched = made(optimizer, **WAYS[way]), made(optimizer, **WAYS[way])
    losses = fitted(plain, 2, batch_size=5)["loss"]
    history = fitted(watched, 2, ks.callbacks.GradientMonitor(), batch_size=5)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert len(watched.optimizer.variables) == len(plain.optimizer.variables)  # nothing more to be saved
    assert len(watched.weights) == len(plain.weights)


SIZES = {  # what is held against the size of the clipping
    "clipnorm": lambda parts: max(np.linalg.norm(g) for g in parts),
    "global_clipnorm": norm,
    "clipvalue": lambda parts: max(np.abs(g).max() for g in parts),
}


@pytest.mark.parametrize("way", SIZES)
@pytest.mark.parametrize("under", [0, 1, 2, 3])
def test_share_of_clipped_steps(way, under):
    """With limits between the sizes of the three steps; on TensorFlow those of an embedding are of unsummed rows."""
    weights = made("sgd").get_weights()
    found = [gradients_of(weights, *batch) for batch in BATCHES]
    sizes = sorted(SIZES[way](rows if ON_TENSORFLOW else dense) for dense, rows in found)
    limit = [sizes[0] * 0.99, *np.mean([sizes[1:], sizes[:-1]], axis=0), sizes[-1] * 1.01][under]
    model = made(keras.optimizers.SGD(0.0, **{way: float(limit)}))
    history = fitted(model, 1, ks.callbacks.GradientMonitor())
    assert history["clipped_share"] == [pytest.approx((3 - under) / 3)]
    assert history["gradient_norm"] == [pytest.approx(np.mean([norm(dense) for dense, _ in found]), rel=1e-5)]


def test_rows_of_one_word_count_as_their_sum():
    """The norm of the gradient is not that of the rows that TensorFlow hands on."""
    dense, rows = gradients_of(made("sgd").get_weights(), *BATCHES[0])
    assert norm(dense) > 1.01 * norm(rows)


def test_scaled_losses_do_not_count():
    sgd = keras.optimizers.SGD(0.3, clipnorm=1e9)
    model = made(keras.optimizers.LossScaleOptimizer(sgd, initial_scale=4.0))
    expected = simulated(model.get_weights(), 0.3, epochs=2)
    history = fitted(model, 2, ks.callbacks.GradientMonitor())
    np.testing.assert_allclose(history["gradient_norm"], expected.mean(axis=1), rtol=1e-5)
    assert history["clipped_share"] == [0.0, 0.0]


def test_a_scale_that_stays_does_not_count_either():
    """Of a unit alone: Keras cannot scale back the gradient of an embedding on TensorFlow."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0, loss_scale_factor=8.0, clipvalue=10.0), lambda y, output: y * output)
    y = np.repeat([[9.0], [12.0], [30.0]], 4, axis=0)
    history = fitted(model, 1, ks.callbacks.GradientMonitor(), x=np.ones((12, 1)), y=y)
    assert history["gradient_norm"] == [pytest.approx(17)]
    assert history["clipped_share"] == [pytest.approx(2 / 3)]


def test_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = made("sgd")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        history = fitted(model, 2, ks.callbacks.GradientMonitor())
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["gradient_norm"]).all()


def test_gradient_accumulation():
    """The gradients of each batch; what is clipped is their mean, of which nothing is said."""
    model = made(keras.optimizers.SGD(0.0, clipnorm=1e-3, gradient_accumulation_steps=2))
    expected = simulated(model.get_weights(), 0.0, epochs=1)
    history = fitted(model, 1, ks.callbacks.GradientMonitor())
    np.testing.assert_allclose(history["gradient_norm"], expected.mean(axis=1), rtol=1e-5)
    assert "clipped_share" not in history


@pytest.mark.parametrize("optimizer", ["adam", "dynamic"])
def test_models_that_are_built_by_the_training(optimizer):
    if optimizer == "dynamic":
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    model = keras.Sequential([keras.layers.Embedding(7, 3), ks.layers.GRU(3), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    history = fitted(model, 2, ks.callbacks.GradientMonitor())
    assert 0 < history["gradient_norm"][0] <= history["gradient_norm_max"][0]
    assert history["nonfinite_share"] == [0.0, 0.0]


def test_trainings_before_and_after_are_not_observed(monkeypatch):
    """A function that is compiled is not taken for another: on JAX that would be its method, made anew."""
    model, monitor = made(keras.optimizers.SGD(0.3)), ks.callbacks.GradientMonitor()
    weights = model.get_weights()
    expected = simulated(weights, 0.3, epochs=4)
    fitted(model, 1)
    for epochs in expected[1], expected[2]:  # the same one once more
        np.testing.assert_allclose(fitted(model, 1, monitor)["gradient_norm"], epochs.mean(), rtol=1e-5)
    clean(model)

    def never(*_):
        raise AssertionError("observed")

    monkeypatch.setattr(monitor, "_observe", never)
    monkeypatch.setattr(monitor._tally, "add", never)
    assert "gradient_norm" not in fitted(model, 1)


def test_a_training_that_is_interrupted_leaves_the_optimizer_as_it_was():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = made(keras.optimizers.SGD(0.0))
    expected = simulated(model.get_weights(), 0.0, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, 1, ks.callbacks.GradientMonitor(), Interrupt())
    assert not {"apply", "stateless_apply"} & set(vars(model.optimizer))
    assert "train_step" not in vars(model)
    history = fitted(model, 1, ks.callbacks.GradientMonitor())
    np.testing.assert_allclose(history["gradient_norm"], expected.mean(), rtol=1e-5)
    clean(model)


def test_after_a_file_with_validation_and_a_later_first_epoch(tmp_path):
    model = made(keras.optimizers.SGD(0.3))
    expected = simulated(model.get_weights(), 0.3, epochs=3)
    fitted(model, 1, ks.callbacks.GradientMonitor())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    how = {"validation_data": (X, Y), "initial_epoch": 1}
    history = fitted(loaded, 3, ks.callbacks.GradientMonitor(), **how)
    np.testing.assert_allclose(history["gradient_norm"], expected[1:].mean(axis=1), rtol=1e-5)
    assert not [name for name in history if name.startswith("val_gradient")]


def test_of_two_in_a_list_the_last_one_sees_the_steps():
    model = made(keras.optimizers.SGD(0.3))
    expected = simulated(model.get_weights(), 0.3, epochs=1)
    with pytest.warns(UserWarning, match="has seen no step"):
        history = fitted(model, 1, ks.callbacks.GradientMonitor(), ks.callbacks.GradientMonitor())
    np.testing.assert_allclose(history["gradient_norm"], expected.mean(axis=1), rtol=1e-5)


@pytest.mark.tensorflow
def test_tensorboard_has_what_history_has(monkeypatch, tmp_path):
    """What Keras's callback writes, caught where it would go to the package of that name."""
    import tensorflow.summary as tf_summary

    written = []
    monkeypatch.setattr(tf_summary, "scalar", lambda name, value, step: written.append((name, step, value)))
    board = keras.callbacks.TensorBoard(str(tmp_path))
    history = fitted(made(keras.optimizers.SGD(0.3, clipnorm=0.1)), 2, ks.callbacks.GradientMonitor(), board)
    for name in ("gradient_norm", "gradient_norm_max", "clipped_share", "nonfinite_share"):
        expected = [(f"epoch_{name}", epoch, value) for epoch, value in enumerate(history[name])]
        assert [one for one in written if one[0] == f"epoch_{name}"] == expected


def test_arguments_and_trainings_that_cannot_be(monkeypatch):
    with pytest.raises(ValueError, match="`stop` must be True or False, got 'yes'"):
        ks.callbacks.GradientMonitor(stop="yes")
    model, monitor = made("sgd"), ks.callbacks.GradientMonitor()
    two = property(lambda _: SimpleNamespace(num_replicas_in_sync=2))
    monkeypatch.setattr(type(model), "distribute_strategy", two, raising=False)
    monitor.set_model(model)
    with pytest.raises(InputError, match="this training has 2"):
        monitor.on_train_begin()

"""Inverse-time decay, as a schedule and as a callback: the rate of the formula, in History, and used at each step."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError

X, Y = np.ones((12, 2), "float32"), np.ones((12, 1), "float32")
STEPS = 3  # batches of 4


class Rates(keras.callbacks.Callback):
    """How far each step of plain SGD went, measured on a weight whose gradient is 1 everywhere: the rate it used."""

    def on_train_begin(self, logs=None):
        self.rates, self.weight = [], 0.0

    def on_train_batch_end(self, batch, logs=None):
        weight = float(self.model.layers[-1].kernel.numpy()[0, 0])
        self.rates.append(self.weight - weight)
        self.weight = weight


def trained(rate, epochs, *callbacks, **arguments):
    """Fit a linear model whose loss is its output; return History and the rate of each step."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(rate), lambda _, output: output)
    rates = Rates()
    history = model.fit(
        X, Y, batch_size=4, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, rates], **arguments
    )
    return model, history.history, rates.rates


def formula(rate, decay, t):
    """float32, as the optimizer has it."""
    return np.float32(rate / (1 + decay * t))


@pytest.mark.parametrize(("rate", "decay"), [(0.1, 0.5), (0.01, 0.1), (1.0, 3.0), (0.3, 0.0)])
def test_callback_per_epoch(rate, decay):
    model, history, rates = trained(rate, 4, ks.callbacks.InverseTimeDecay(decay, learning_rate=rate))
    expected = [formula(rate, decay, epoch) for epoch in range(4)]
    assert history["learning_rate"] == expected
    np.testing.assert_allclose(rates, np.repeat(expected, STEPS), rtol=1e-4)
    assert float(model.optimizer.learning_rate) == expected[-1]


def test_callback_per_step():
    _, history, rates = trained(0.1, 3, ks.callbacks.InverseTimeDecay(0.5, per="step", learning_rate=0.1))
    expected = [formula(0.1, 0.5, step) for step in range(3 * STEPS)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4)
    assert history["learning_rate"] == expected[STEPS - 1 :: STEPS]  # of the last step of the epoch


def test_the_callback_starts_from_the_rate_of_the_optimizer():
    _, history, _ = trained(0.25, 2, ks.callbacks.InverseTimeDecay(1.0))
    assert history["learning_rate"] == [0.25, 0.125]


def test_a_resumed_training_goes_on_with_the_right_rate():
    """From epoch 2, whatever rate the optimizer was left with."""
    decay = ks.callbacks.InverseTimeDecay(0.5, learning_rate=0.1)
    _, history, _ = trained(0.77, 4, decay, initial_epoch=2)
    assert history["learning_rate"] == [formula(0.1, 0.5, epoch) for epoch in (2, 3)]


def test_the_rate_stands_in_the_progress_bar(capsys):
    model, _, _ = trained(0.1, 1)
    model.fit(X, Y, epochs=1, verbose=2, callbacks=[ks.callbacks.InverseTimeDecay(0.5, learning_rate=0.125)])
    assert "learning_rate: 0.125" in capsys.readouterr().out


def test_an_optimizer_that_has_a_schedule():
    schedule = ks.schedules.InverseTimeDecay(0.1, 0.5)
    with pytest.raises(InputError, match="schedule already"):
        trained(schedule, 1, ks.callbacks.InverseTimeDecay(0.5))


@pytest.mark.parametrize(("rate", "decay"), [(0.1, 0.5), (0.003, 0.07)])
def test_schedule_per_step(rate, decay):
    schedule = ks.schedules.InverseTimeDecay(rate, decay)
    steps = np.array([0, 1, 2, 3, 10, 1000, 123_457])
    values = [float(schedule(step)) for step in steps]
    np.testing.assert_allclose(values, rate / (1 + decay * steps), rtol=2e-7)
    _, _, rates = trained(schedule, 2)
    np.testing.assert_allclose(rates, rate / (1 + decay * np.arange(2 * STEPS)), rtol=1e-4)


def test_schedule_per_epoch():
    _, _, rates = trained(ks.schedules.InverseTimeDecay(0.1, 0.5, steps_per_epoch=STEPS), 3)
    np.testing.assert_allclose(rates, np.repeat(0.1 / (1 + 0.5 * np.arange(3)), STEPS), rtol=1e-4)


@pytest.mark.tensorflow
def test_the_epoch_changes_at_its_first_step_for_every_number_of_steps():
    """Also compiled, where a division by a constant may become a multiplication that rounds the other way."""
    import tensorflow as tf

    for steps_per_epoch in (1, 3, 7, 10, 41, 49, 83, 107, 1000):
        schedule = ks.schedules.InverseTimeDecay(1.0, 1.0, steps_per_epoch=steps_per_epoch)
        firsts = np.arange(1, 60, dtype="int64") * steps_per_epoch
        steps = np.concatenate([firsts, firsts - 1])
        expected = 1 / (1 + steps // steps_per_epoch)
        np.testing.assert_allclose(schedule(steps), expected, rtol=2e-7)
        compiled = tf.function(schedule, jit_compile=True)
        np.testing.assert_allclose(compiled(tf.constant(steps)), expected, rtol=2e-7)


def test_a_compiled_model_keeps_its_schedule(tmp_path):
    model, _, _ = trained(ks.schedules.InverseTimeDecay(0.1, 0.5, steps_per_epoch=STEPS, name="decay"), 1)
    model.compile(model.optimizer, "mse")
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    schedule = copy.optimizer._learning_rate
    assert type(schedule) is ks.schedules.InverseTimeDecay
    expected = {"learning_rate": 0.1, "decay": 0.5, "steps_per_epoch": STEPS, "name": "decay"}
    assert schedule.get_config() == expected
    assert float(copy.optimizer.learning_rate) == pytest.approx(0.1 / 1.5)  # one epoch is behind it


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ks.callbacks.InverseTimeDecay(-1), "decay"),
        (lambda: ks.callbacks.InverseTimeDecay(1, per="batch"), "per"),
        (lambda: ks.schedules.InverseTimeDecay(0, 1), "learning_rate"),
        (lambda: ks.schedules.InverseTimeDecay(0.1, -1), "decay"),
        (lambda: ks.schedules.InverseTimeDecay(0.1, 1, steps_per_epoch=0), "steps_per_epoch"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

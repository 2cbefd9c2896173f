"""Schedules and their callbacks: the rate of the formula at each step and in History, before and after a resume."""

import math

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError

X, Y = np.ones((12, 2), "float32"), np.ones((12, 1), "float32")
STEPS = 3  # batches of 4


def cosine(steps, warmup, final):
    def rate(t):
        if t < warmup:
            return (t + 1) / warmup
        done = min((t - warmup) / (steps - warmup), 1.0)
        return final + (1 - final) * (1 + math.cos(math.pi * done)) / 2

    return rate


# Name of schedule and callback, its arguments, and the share of the rate at t, written out once more.
CASES = [
    ("InverseTimeDecay", {"decay": 0.5}, lambda t: 1 / (1 + 0.5 * t)),
    ("InverseTimeDecay", {"decay": 3.0}, lambda t: 1 / (1 + 3 * t)),
    ("InverseTimeDecay", {"decay": 0.0}, lambda t: 1.0),
    ("StepDecay", {"factor": 0.3, "every": 2}, lambda t: 0.3 ** (t // 2)),
    ("ExponentialDecay", {"decay": 0.2}, lambda t: math.exp(-0.2 * t)),
    ("CosineDecay", {"steps": 7, "warmup": 3, "final": 0.2}, cosine(7, 3, 0.2)),
    ("CosineDecay", {"steps": 5}, cosine(5, 0, 0.0)),
]
cases = pytest.mark.parametrize(("name", "arguments", "share"), CASES)


class Rates(keras.callbacks.Callback):
    """How far each step of plain SGD went, measured on a weight whose gradient is 1 everywhere: the rate it used."""

    def on_train_begin(self, logs=None):
        self.rates, self.weight = [], 0.0

    def on_train_batch_end(self, batch, logs=None):
        getattr(self.model, "jax_state_sync", bool)()
        weight = float(keras.ops.convert_to_numpy(self.model.layers[-1].kernel)[0, 0])
        self.rates.append(self.weight - weight)
        self.weight = weight


@keras.saving.register_keras_serializable("tests")
def output_itself(_, output):
    return output


def made(rate):
    """A linear model whose loss is its output."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(rate), output_itself)
    return model


def fitted(model, epochs, *callbacks, **arguments):
    """History, and the rate of each step."""
    rates = Rates()
    how = {"batch_size": 4, "epochs": epochs, "verbose": 0, "shuffle": False, **arguments}
    model.layers[-1].kernel.assign(np.zeros((2, 1)))
    return model.fit(X, Y, callbacks=[*callbacks, rates], **how).history, rates.rates


def float32(shares, rate=0.1):
    """As the optimizer has it."""
    return [np.float32(rate * share) for share in shares]


@cases
def test_callback_per_epoch(name, arguments, share):
    model = made(0.77)
    history, rates = fitted(model, 9, getattr(ks.callbacks, name)(**arguments, learning_rate=0.1))
    expected = float32(map(share, range(9)))
    assert history["learning_rate"] == expected
    np.testing.assert_allclose(rates, np.repeat(expected, STEPS), rtol=1e-4, atol=1e-8)
    assert float(model.optimizer.learning_rate) == expected[-1]


@cases
def test_callback_per_step(name, arguments, share):
    callback = getattr(ks.callbacks, name)(**arguments, per="step", learning_rate=0.1)
    history, rates = fitted(made(0.77), 3, callback)
    expected = float32(map(share, range(3 * STEPS)))
    np.testing.assert_allclose(rates, expected, rtol=1e-4, atol=1e-8)
    assert history["learning_rate"] == expected[STEPS - 1 :: STEPS]  # of the last step of the epoch


def test_the_callback_starts_from_the_rate_of_the_optimizer():
    history, _ = fitted(made(0.25), 2, ks.callbacks.InverseTimeDecay(1.0))
    assert history["learning_rate"] == [0.25, 0.125]


@cases
@pytest.mark.parametrize("per", ["epoch", "step"])
def test_a_resumed_training_goes_on_with_the_right_rate(tmp_path, name, arguments, share, per):
    """From epoch 2, in a model that is loaded, by a callback that knows nothing of the first."""

    def callback():
        return getattr(ks.callbacks, name)(**arguments, per=per, learning_rate=0.1)

    model = made(0.77)
    _, before = fitted(model, 2, callback())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    history, after = fitted(loaded, 4, callback(), initial_epoch=2)
    counts = range(4 * STEPS) if per == "step" else np.repeat(range(4), STEPS)
    expected = float32(map(share, counts))
    np.testing.assert_allclose([*before, *after], expected, rtol=1e-4, atol=1e-8)
    assert history["learning_rate"] == [expected[3 * STEPS - 1], expected[-1]]


@pytest.mark.parametrize("per", ["epoch", "step"])
def test_a_resumed_training_without_a_rate_to_begin_with_is_warned_of(recwarn, per):
    model = made(0.1)
    fitted(model, 2, ks.callbacks.ExponentialDecay(0.5, per=per))
    assert not [w for w in recwarn if "learning_rate" in str(w.message)]
    at = f"begins at {per} {2 if per == 'epoch' else 2 * STEPS}.*Give the argument `learning_rate`"
    with pytest.warns(UserWarning, match=at):
        fitted(model, 3, ks.callbacks.ExponentialDecay(0.5, per=per), initial_epoch=2)


@cases
def test_schedule_per_step(name, arguments, share):
    schedule = getattr(ks.schedules, name)(0.1, **arguments)
    steps = [0, 1, 2, 3, 5, 6, 7, 8, 10, 50]
    values = [float(schedule(step)) for step in steps]
    np.testing.assert_allclose(values, [0.1 * share(step) for step in steps], rtol=2e-6, atol=2e-9)
    assert [schedule.at(step) for step in steps] == pytest.approx([0.1 * share(step) for step in steps], rel=1e-14)
    _, rates = fitted(made(schedule), 3)
    np.testing.assert_allclose(rates, [0.1 * share(t) for t in range(3 * STEPS)], rtol=1e-4, atol=1e-8)


@cases
def test_schedule_per_epoch_before_and_after_a_file(tmp_path, name, arguments, share):
    schedule = getattr(ks.schedules, name)(0.1, **arguments, steps_per_epoch=STEPS, name="decay")
    model = made(schedule)
    _, before = fitted(model, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = keras.saving.deserialize_keras_object(loaded.optimizer.get_config()["learning_rate"])
    assert type(again) is type(schedule)
    expected = {"learning_rate": 0.1, **arguments, "steps_per_epoch": STEPS, "name": "decay"}
    assert expected.items() <= again.get_config().items() == schedule.get_config().items()
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.1 * share(2))  # two epochs are behind it
    _, after = fitted(loaded, 2)
    expected = np.repeat([0.1 * share(epoch) for epoch in range(4)], STEPS)
    np.testing.assert_allclose([*before, *after], expected, rtol=1e-4, atol=1e-8)


def test_schedule_far_out():
    schedule = ks.schedules.InverseTimeDecay(0.003, 0.07)
    steps = np.array([1000, 123_457, 16_777_216])
    np.testing.assert_allclose([float(schedule(t)) for t in steps], 0.003 / (1 + 0.07 * steps), rtol=2e-7)


@pytest.mark.tensorflow
def test_the_epoch_changes_at_its_first_step_for_every_number_of_steps():
    """Also compiled, where a division by a constant may become a multiplication that rounds the other way."""
    import tensorflow as tf

    for steps_per_epoch in (1, 3, 7, 10, 41, 49, 83, 107, 1000):
        epochs = ks.schedules.InverseTimeDecay(1.0, 1.0, steps_per_epoch=steps_per_epoch)
        stairs = ks.schedules.StepDecay(1.0, 0.99, every=steps_per_epoch)
        firsts = np.arange(1, 60, dtype="int64") * steps_per_epoch
        steps = np.concatenate([firsts, firsts - 1])
        counts = steps // steps_per_epoch
        for schedule, expected, rtol in ((epochs, 1 / (1 + counts), 2e-7), (stairs, 0.99**counts, 1e-5)):
            np.testing.assert_allclose(schedule(steps), expected, rtol=rtol)
            compiled = tf.function(schedule, jit_compile=True)
            np.testing.assert_allclose(compiled(tf.constant(steps)), expected, rtol=rtol)


def test_the_rate_stands_in_the_progress_bar(capsys):
    model = made(0.1)
    model.fit(X, Y, epochs=1, verbose=2, callbacks=[ks.callbacks.StepDecay(0.5, 2, learning_rate=0.125)])
    assert "learning_rate: 0.125" in capsys.readouterr().out


@cases
def test_an_optimizer_that_has_a_schedule(name, arguments, share):
    model = made(ks.schedules.InverseTimeDecay(0.1, 0.5))
    with pytest.raises(InputError, match=f"schedule already, which ks.callbacks.{name} would fight"):
        fitted(model, 1, getattr(ks.callbacks, name)(**arguments))


@pytest.mark.parametrize("per", ["epoch", "step"])
def test_in_half_precision_the_rate_is_that_of_the_inner_optimizer(per):
    model = made(0.25)
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25), initial_scale=4.0), output_itself)
    history, rates = fitted(model, 2, ks.callbacks.ExponentialDecay(0.5, per=per))
    counts = range(2 * STEPS) if per == "step" else np.repeat(range(2), STEPS)
    expected = float32((math.exp(-0.5 * t) for t in counts), rate=0.25)
    np.testing.assert_allclose(rates, expected, rtol=1e-4)
    assert history["learning_rate"] == expected[STEPS - 1 :: STEPS]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ks.callbacks.InverseTimeDecay(-1), "decay"),
        (lambda: ks.callbacks.InverseTimeDecay(1, per="batch"), "per"),
        (lambda: ks.callbacks.InverseTimeDecay(1, learning_rate=0), "learning_rate"),
        (lambda: ks.callbacks.StepDecay(0.5, 0), "every"),
        (lambda: ks.callbacks.CosineDecay(3, per="batch"), "per"),
        (lambda: ks.schedules.InverseTimeDecay(0, 1), "learning_rate"),
        (lambda: ks.schedules.InverseTimeDecay(0.1, -1), "decay"),
        (lambda: ks.schedules.InverseTimeDecay(0.1, float("nan")), "decay"),
        (lambda: ks.schedules.InverseTimeDecay(0.1, 1, steps_per_epoch=0), "steps_per_epoch"),
        (lambda: ks.schedules.StepDecay(0.1, 1.5, 2), "factor"),
        (lambda: ks.schedules.StepDecay(0.1, 0.5, 2.5), "every"),
        (lambda: ks.schedules.ExponentialDecay(0.1, "slow"), "decay"),
        (lambda: ks.schedules.CosineDecay(0.1, 0), "steps"),
        (lambda: ks.schedules.CosineDecay(0.1, 5, warmup=5), "warmup"),
        (lambda: ks.schedules.CosineDecay(0.1, 5, warmup=-1), "warmup"),
        (lambda: ks.schedules.CosineDecay(0.1, 5, final=1.1), "final"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=f"Argument `{message}`"):
        make()

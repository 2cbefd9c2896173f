"""A training that is interrupted and resumed ends as one that was not."""

import keras
import numpy as np
import pandas as pd
import pytest

import keras_seq as ks

TEXTS = [" ".join(f"w{(i * j) % 11}" for j in range(1, 2 + i % 7)) for i in range(26)]
FRAME = pd.DataFrame({"text": TEXTS, "label": [["neg", "pos"][i * i % 3 % 2] for i in range(26)]})


def small_model():
    keras.utils.set_random_seed(5)
    vectorizer = ks.data.text_vectorizer(FRAME["text"])
    encoder = ks.layers.SimpleRNN(3, dropout=0.3, recurrent_dropout=0.3)
    return ks.models.sentiment_model(vectorizer, ["neg", "pos"], encoder=encoder, embedding_dim=3, learning_rate=0.03)


class Record(keras.callbacks.Callback):
    """The loss of each batch: it shows the order of rows and the dropout of each."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_epoch_begin(self, epoch, logs=None):
        self.losses.append([])

    def on_train_batch_end(self, batch, logs=None):
        self.losses[-1].append(logs["loss"])


def fit(model, epochs, initial_epoch=0, seed=3):
    dataset = ks.data.text_dataset(FRAME, model.vectorizer, batch_size=4, seed=seed)
    record = Record()
    callbacks = [ks.callbacks.EpochSeed(seed, dataset), record]
    model.fit(dataset, epochs=epochs, initial_epoch=initial_epoch, verbose=0, callbacks=callbacks)
    return record.losses


def test_epoch_seed_makes_an_epoch_depend_on_its_number_alone(tmp_path):
    """The weights of epoch 2 in another model: epochs 2 and 3 then go batch by batch as without a break."""
    model = small_model()
    before = fit(model, 2)
    model.save_weights(tmp_path / "two.weights.h5")
    after = fit(model, 4, initial_epoch=2)
    whole = small_model()
    np.testing.assert_allclose(fit(whole, 4), [*before, *after], rtol=1e-5)
    resumed = small_model()
    resumed.optimizer.build(resumed.trainable_variables)
    resumed.load_weights(tmp_path / "two.weights.h5")
    np.testing.assert_allclose(fit(resumed, 4, initial_epoch=2), after, rtol=1e-5)
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    resumed.load_weights(tmp_path / "two.weights.h5")
    other = fit(resumed, 4, initial_epoch=2, seed=4)
    assert not np.allclose(other, after, rtol=1e-3)  # another seed is another training


def test_epoch_seed_draws_other_dropout_for_each_epoch_and_each_layer():
    model = small_model()
    states = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            states.append([v.numpy().tolist() for v in self.model.variables if "seed_generator" in v.path])

    model.fit(FRAME["text"], FRAME["label"], epochs=3, verbose=0, callbacks=[ks.callbacks.EpochSeed(0), Look()])
    flat = [tuple(state) for epoch in states for state in epoch]
    assert len(states[0]) >= 3  # two Dropout layers and the encoder
    assert len(set(flat)) == len(flat)


# --- early stopping: validation losses are given, so that each case is what it is meant to be

SCRIPTS = {
    "best in the middle": [5, 3, 1, 2, 4, 0],
    "best at first": [1, 2, 3, 4, 5, 6],
    "best at last": [6, 5, 4, 3, 2, 1],
    "two bests": [5, 6, 4, 6, 3, 6],
    "no better than the first": [2, 2, 2, 2, 2, 2],
}


class Script(keras.callbacks.Callback):
    """Stands for a training: epoch e makes the weight e + 1, and its validation loss is the script's e-th."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.run = []

    def on_epoch_end(self, epoch, logs=None):
        self.run.append(epoch)
        self.model.layers[-1].kernel.assign([[epoch + 1.0]])
        logs["val_loss"] = float(self.losses[epoch])


class Kill(Exception):
    pass


class KillAfter(keras.callbacks.Callback):
    """Ends the training as kill -9 does: `on_train_end` of the others is not reached."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Kill


def scripted(losses, folder, killed_after=None, **arguments):
    """Run the script to its end or to a kill: the weight in the end, the epochs run, and the callback."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)  # nothing to trace, 100 times
    script = Script(losses)
    stopping = ks.callbacks.ResumableEarlyStopping(
        folder / "best", monitor="val_loss", restore_best_weights=True, **arguments
    )
    backup = keras.callbacks.BackupAndRestore(str(folder / "backup"), delete_checkpoint=False)
    callbacks = [script, stopping, backup, KillAfter(killed_after)]
    try:
        model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=len(losses), verbose=0, callbacks=callbacks)
    except Kill:
        return None
    return float(model.get_weights()[0][0, 0]), script.run, stopping


CASES = [
    ("best at first", {"patience": 0}),
    ("best at last", {"patience": 0}),
    ("best in the middle", {"patience": 1}),
    ("no better than the first", {"patience": 1}),
    ("two bests", {"patience": 2}),
    ("best in the middle", {"patience": 2, "start_from_epoch": 2}),
    ("best at first", {"patience": 9}),
    ("best in the middle", {"patience": 1, "baseline": 2.5}),
]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_resumed_after_any_epoch_it_ends_with_the_same_weights(tmp_path, name, arguments):
    losses = SCRIPTS[name]
    weight, epochs, stopping = scripted(losses, tmp_path / "whole", **arguments)
    # What Keras's own callback does is the reference for the training that nothing interrupts.
    assert weight == stopping.best_epoch + 1
    for last in epochs:
        folder = tmp_path / f"killed {last}"
        assert scripted(losses, folder, killed_after=last, **arguments) is None
        again, resumed_epochs, resumed = scripted(losses, folder, **arguments)
        assert again == weight, f"killed after epoch {last}"
        assert resumed.best_epoch == stopping.best_epoch
        if last < epochs[-1]:
            assert resumed_epochs == list(range(last + 1, epochs[-1] + 1))


def test_killed_at_every_epoch(tmp_path):
    losses = SCRIPTS["two bests"]
    weight, epochs, _ = scripted(losses, tmp_path / "whole", patience=2)
    for last in epochs:
        assert scripted(losses, tmp_path / "killed", killed_after=last, patience=2) is None
    assert scripted(losses, tmp_path / "killed", patience=2)[0] == weight


@pytest.mark.parametrize("losses", SCRIPTS.values(), ids=SCRIPTS)
def test_without_an_interruption_it_is_the_callback_of_keras(tmp_path, losses):
    ours, epochs, _ = scripted(losses, tmp_path, patience=2)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    script = Script(losses)
    theirs = keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=len(losses), verbose=0, callbacks=[script, theirs])
    assert script.run == epochs
    assert float(model.get_weights()[0][0, 0]) == ours


# --- early stopping where the optimizer averages weights: `average = 0.8 average + 0.2 weights` after each step


def averaged(losses, *callbacks, make=keras.optimizers.SGD, **arguments):
    """Train for as many epochs of three steps as there are losses to give for those of validation, or fewer.

    Returns the model, and of each epoch the losses of its steps, the weights behind it and their averages.
    """
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    model.compile(make(0.1, use_ema=True, ema_momentum=0.8), "mse", run_eagerly=True)
    rng, steps, record = np.random.default_rng(3), [], Record()
    given = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.setdefault("val_loss", losses[epoch]))
    sync = getattr(model, "jax_state_sync", bool)  # on JAX weights are not there between steps unless asked for
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: sync() or steps.append(model.get_weights())
    )
    data = {"x": rng.normal(size=(12, 2)), "y": rng.normal(size=(12, 1)), "batch_size": 4, "epochs": len(losses)}
    model.fit(**data, shuffle=False, verbose=0, callbacks=[keep, record, given, *callbacks], **arguments)
    averages = [steps[0]]
    for weights in steps[1:]:
        averages.append([0.8 * a + 0.2 * w for a, w in zip(averages[-1], weights, strict=True)])
    return model, record.losses, steps[2::3], averages[2::3]


def stopping_in(folder, **arguments):
    return ks.callbacks.ResumableEarlyStopping(folder / "best", **{"restore_best_weights": True, **arguments})


def distance(weights, others):
    return max(np.abs(a - b).max() for a, b in zip(weights, others, strict=True))


def scaled(rate, **arguments):
    """The optimizer that Keras makes of another for half precision."""
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(rate, **arguments), initial_scale=1.0)


@pytest.mark.parametrize("make", [keras.optimizers.SGD, ks.optimizers.AdamW, scaled])
@pytest.mark.parametrize(
    ("name", "patience", "best"), [("best in the middle", 2, 2), ("two bests", 9, 4), ("best at first", 2, 0)]
)
def test_the_weights_in_the_end_are_the_averages_of_the_best_epoch(tmp_path, make, name, patience, best):
    stopping = stopping_in(tmp_path, patience=patience)
    model, _, weights, averages = averaged(SCRIPTS[name], stopping, make=make)
    assert stopping.best_epoch == best
    assert len(weights) == min(6, best + patience + 1)
    assert distance(model.get_weights(), averages[best]) < 2e-6
    others = [*weights, *averages[:best], *averages[best + 1 :]]
    assert min(distance(model.get_weights(), other) for other in others) > 1e-4


@pytest.mark.parametrize("make", [ks.optimizers.AdamW, scaled])
def test_the_training_of_weights_goes_on_undisturbed(tmp_path, make):
    """Keras's own end is that of a training that goes to its last epoch, and no weights are put back."""
    losses = SCRIPTS["two bests"]
    model, *expected, _ = averaged(losses, make=make)
    for callbacks in ([], [keras.callbacks.SwapEMAWeights()]):
        stopping = stopping_in(tmp_path, restore_best_weights=False, patience=9)
        same, *found, averages = averaged(losses, *callbacks, stopping, make=make)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)
        assert max(map(distance, found[1], expected[1])) < 2e-6
        assert distance(same.get_weights(), model.get_weights()) < 2e-6
        assert distance(same.get_weights(), averages[-1]) < 2e-6


@pytest.mark.parametrize("mode", ["min", "max"])
def test_validation_may_judge_the_averages(tmp_path, mode):
    rng = np.random.default_rng(4)
    held_out = (rng.normal(size=(5, 2)), rng.normal(size=(5, 1)))
    stopping, history = stopping_in(tmp_path, mode=mode, patience=9), keras.callbacks.History()
    model, _, _, averages = averaged(
        [None] * 5, keras.callbacks.SwapEMAWeights(), stopping, history, validation_data=held_out
    )
    best = model.evaluate(*held_out, verbose=0)
    assert best == pytest.approx({"min": min, "max": max}[mode](history.history["val_loss"]), rel=1e-5)
    each = []
    for weights in averages:
        model.set_weights(weights)
        each.append(model.evaluate(*held_out, verbose=0))
    assert history.history["val_loss"] == pytest.approx(each, rel=1e-5)


@pytest.mark.parametrize("killed_after", [0, 2, 3])
def test_resumed_it_ends_with_the_same_averages(tmp_path, killed_after):
    losses = SCRIPTS["best in the middle"]

    def run(folder, *more):
        backup = ks.callbacks.SafeBackup(folder / "backup")
        return averaged(losses, stopping_in(folder, patience=2), backup, *more)

    expected, _, weights, _ = run(tmp_path / "whole")
    with pytest.raises(Kill):
        run(tmp_path / "broken", KillAfter(killed_after))
    model, _, rest, _ = run(tmp_path / "broken")
    assert len(rest) == 4 - killed_after
    assert max(map(distance, rest, weights[killed_after + 1 :])) < 2e-6
    assert distance(model.get_weights(), expected.get_weights()) < 2e-6

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

"""Teacher forcing by a schedule: the formulas of the paper, and what the share does to a compiled training step."""

import math
import zipfile

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.callbacks import TeacherForcing

LETTERS = ks.layers.Tokenizer(list("abcdef"), split="characters", max_length=7)
SOURCES = ["ab", "bca", "f", "caf", "defd", "bed", "face"]
TARGETS = [text[::-1] for text in SOURCES]


def model_of(seed=3, scheduled_sampling=0.5, learning_rate=0.0):
    """A model that learns nothing unless it is told to, so that its losses differ by what it reads alone."""
    keras.utils.set_random_seed(seed)
    small = {"encoder": "simple_rnn", "attention": None, "units": 5, "dropout": 0.0}  # compiles in no time
    model = ks.models.seq2seq_model(LETTERS, LETTERS, scheduled_sampling=scheduled_sampling, **small)
    model.compile(keras.optimizers.SGD(learning_rate), model.loss)
    return model


def train(model, callbacks, epochs=1, initial_epoch=0, batch_size=7):
    ids = {"source": np.asarray(LETTERS(SOURCES)), "target": np.asarray(LETTERS(TARGETS))}
    labels = np.roll(ids["target"], -1, axis=1)
    labels[:, -1] = 0
    how = {"batch_size": batch_size, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    return model.fit(ids, labels, epochs=epochs, initial_epoch=initial_epoch, **how).history


# Section 2.4 of the paper, in its letters: the probability of the true token
PAPER = {
    "linear": lambda i, c, eps: max(eps, 1 - c * i),
    "exponential": lambda i, k, eps: max(eps, k**i),
    "inverse_sigmoid": lambda i, k, eps: max(eps, k / (k + math.exp(i / k))),
}
CASES = [("linear", 0.17), ("exponential", 0.83), ("inverse_sigmoid", 1.0), ("inverse_sigmoid", 2.3)]


@pytest.mark.parametrize("minimum", [0.0, 0.31])
@pytest.mark.parametrize(("decay", "rate"), CASES)
def test_each_epoch_has_the_share_of_the_paper(decay, rate, minimum):
    forcing = TeacherForcing(decay, rate, minimum)
    forcing.set_model(model_of())
    found = [share_at(forcing, i) for i in range(11)]
    np.testing.assert_allclose(found, [1 - PAPER[decay](i, rate, minimum) for i in range(11)], atol=1e-7)
    assert max(found) - min(found) > 0.15
    assert [share_at(forcing, i) for i in (7, 2)] == [found[7], found[2]]  # in whatever order


def share_at(forcing, t):
    forcing.set(t)
    return forcing.value()


def test_a_line_may_begin_late_and_ends_at_its_minimum():
    forcing = TeacherForcing("linear", 0.25, minimum=0.125, offset=1.5)
    forcing.set_model(model_of())
    assert [share_at(forcing, t) for t in (0, 2, 3, 5, 6, 99)] == [0, 0, 0.25, 0.75, 0.875, 0.875]


def test_a_far_step_overflows_nowhere():
    for decay, rate in CASES:
        forcing = TeacherForcing(decay, rate)
        forcing.set_model(model_of())
        assert share_at(forcing, 10**7) == 1.0


def test_history_shows_the_share():
    history = train(model_of(), [TeacherForcing("exponential", 0.5)], epochs=3)
    assert history["sampling_share"] == [0.0, 0.5, 0.75]
    resumed = train(model_of(seed=4), [TeacherForcing("exponential", 0.5)], epochs=4, initial_epoch=2)
    assert resumed["sampling_share"] == [0.75, 0.875]


def test_the_share_reaches_a_training_step_that_is_compiled_already():
    """The truth alone, then what the model says alone, then the truth again; no weight changes."""
    model, plain = model_of(), model_of(scheduled_sampling=0.0)
    plain.set_weights([w for w in model.get_weights() if w.shape])
    ids = {"source": np.asarray(LETTERS(SOURCES)), "target": np.asarray(LETTERS(TARGETS))}
    scores = np.asarray(plain(ids))[:, :-1, 3:]  # of what may be said
    said = np.where(ids["target"][:, 1:] != 0, 3 + scores.argmax(axis=-1), 0)
    assert (said != ids["target"][:, 1:]).mean() > 0.2
    labels = np.roll(ids["target"], -1, axis=1)
    labels[:, -1] = 0
    read = {**ids, "target": np.concatenate([ids["target"][:, :1], said], axis=1).astype("int32")}
    of_its_own, of_truth = (plain.evaluate(x, labels, verbose=0, return_dict=True)["loss"] for x in (read, ids))
    assert abs(of_its_own - of_truth) > 1e-3

    class Script(TeacherForcing):
        def set(self, t):
            super().set((0, 9, 0)[t])

    losses = train(model, [Script("linear", 0.5)], epochs=3)["loss"]
    assert losses == pytest.approx([of_truth, of_its_own, of_truth], rel=1e-5)
    assert train(plain, [], epochs=1)["loss"] == pytest.approx([of_truth], rel=1e-5)


def test_by_step_it_counts_those_of_the_optimizer():
    model, shares = model_of(), []
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: shares.append(forcing.value()))
    forcing = TeacherForcing("linear", 0.125, per="step")
    train(model, [forcing, keep], epochs=2, batch_size=3)
    assert shares == [0.0, 0.125, 0.25, 0.375, 0.5, 0.625]
    shares.clear()
    train(model, [forcing, keep], batch_size=3)  # a training that goes on
    assert shares == [0.75, 0.875, 1.0]


class Kill(Exception):
    pass


def test_a_resumed_training_ends_as_one_that_was_not(tmp_path):
    def run(folder, killed_after=None):
        def kill(epoch, logs):
            if epoch == killed_after:
                raise Kill

        model = model_of(learning_rate=0.5)
        callbacks = [ks.callbacks.EpochSeed(1), TeacherForcing("inverse_sigmoid", 1.0)]
        callbacks += [ks.callbacks.SafeBackup(tmp_path / folder), keras.callbacks.LambdaCallback(on_epoch_end=kill)]
        return model, train(model, callbacks, epochs=4)

    whole, history = run("whole")
    with pytest.raises(Kill):
        run("parts", killed_after=1)
    model, resumed = run("parts")
    assert resumed["sampling_share"] == history["sampling_share"][2:]
    np.testing.assert_allclose(resumed["loss"], history["loss"][2:], rtol=1e-5)
    assert len(model.weights) == len(whole.weights)
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


# Files


def test_the_share_goes_through_a_file(tmp_path):
    model = model_of()
    train(model, [TeacherForcing("exponential", 0.75)], epochs=3)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert float(copy.sampling_share) == float(model.sampling_share) == 1 - 0.75**2
    assert copy.get_config() == model.get_config()
    assert train(copy, [TeacherForcing("exponential", 0.75)], epochs=4, initial_epoch=3)["sampling_share"] == [
        pytest.approx(1 - 0.75**3)
    ]


def test_a_model_that_never_samples_has_no_such_weight():
    plain, model = model_of(scheduled_sampling=0.0), model_of()
    assert plain.sampling_share is None
    assert [w.path for w in model.non_trainable_weights] == ["seq2seq/sampling_share"]
    assert model.sampling_share.dtype == "float32"
    assert not plain.non_trainable_weights
    assert len(plain.trainable_weights) == len(model.trainable_weights)


def test_weights_of_models_from_before_there_was_a_share(tmp_path):
    """Such a file is that of a model that does not sample; the other way round they load as well."""
    plain, model = model_of(scheduled_sampling=0.0), model_of(seed=5, scheduled_sampling=0.25)
    for one, name in ((plain, "plain"), (model, "model")):
        one.save_weights(tmp_path / f"{name}.weights.h5")
    model.save(tmp_path / "new.keras")
    model.load_weights(tmp_path / "plain.weights.h5")
    check_same(model, plain)
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name in new.namelist():
            old.writestr(name, new.read(name) if name != "model.weights.h5" else weights_of(plain, tmp_path))
    check_same(keras.saving.load_model(tmp_path / "old.keras"), plain)
    other = model_of(seed=5)
    plain.load_weights(tmp_path / "model.weights.h5")
    check_same(other, plain, share=0.5)


def weights_of(model, folder):
    """The file of weights inside of a model's `.keras` file, with its optimizer."""
    model.save(folder / "whole.keras")
    with zipfile.ZipFile(folder / "whole.keras") as file:
        return file.read("model.weights.h5")


def check_same(model, plain, share=0.25):
    assert float(model.sampling_share) == share
    for a, b in zip(model.trainable_weights, plain.trainable_weights, strict=True):
        np.testing.assert_array_equal(a, b)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cosine", 0.1), "`decay` must be one of 'linear', 'exponential', 'inverse_sigmoid', got 'cosine'"),
        ((["linear"], 0.1), "`decay` must be one of"),
        (("linear", 0), "`rate` must be a positive number, got 0"),
        (("linear", float("nan")), "`rate` must be a positive number, got nan"),
        (("exponential", 1.0), "`rate` must be below 1 where `decay` is 'exponential', got 1.0"),
        (("inverse_sigmoid", 0.9), "`rate` must be at least 1 where `decay` is 'inverse_sigmoid', got 0.9"),
        (("linear", 0.1, -0.1), "`minimum` must be at least 0, got -0.1"),
        (("linear", 0.1, 1.5), "`minimum` must be a probability, from 0 to 1, got 1.5"),
        (("linear", 0.1, 0.0, 0), "`offset` must be a positive number, got 0"),
        (("exponential", 0.5, 0.0, 1.5), "`offset` is of decay='linear', got 1.5 beside 'exponential': leave it out"),
        (("linear", 0.1, 0.0, 1.0, "batch"), "`per` must be 'epoch' or 'step', got 'batch'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TeacherForcing(*arguments)


def test_models_that_do_not_sample_are_refused():
    other = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="other")
    other.compile("sgd", "mse")
    with pytest.raises(ks.errors.InputError, match=r"Model 'other' does not sample .* scheduled_sampling=0.5"):
        other.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0, callbacks=[TeacherForcing("linear", 0.1)])
    with pytest.raises(ks.errors.InputError, match="Model 'seq2seq' does not sample what it says itself"):
        train(model_of(scheduled_sampling=0.0), [TeacherForcing("linear", 0.1)])


def test_the_share_is_no_weight_to_be_averaged():
    model = model_of(learning_rate=0.1)
    train(model, [TeacherForcing("linear", 0.25), ks.callbacks.AverageOfLast(3)], epochs=3)
    assert float(keras.ops.convert_to_numpy(model.sampling_share)) == 0.5

"""BLEU in the logs of a training, and the mean of the last epochs' weights."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError
from tests.processes import run_code

TEXTS = ["eins zwei drei vier fünf", "rot grün blau gelb", "noch ein Satz mit sechs Wörtern"]
REFERENCES = ["one two three four five", "red green blue yellow", "one more sentence of six words"]


class Translator(keras.Sequential):
    """Knows one more reference after each epoch."""

    def translate(self, texts, **how):
        self.calls = [*getattr(self, "calls", []), (len(texts), how)]
        known = REFERENCES[: self.epoch + 1]
        return [REFERENCES[i] if REFERENCES[i] in known else "no idea" for i in map(TEXTS.index, texts)]


def fit(*callbacks, epochs=4):
    model = Translator([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(model, "epoch", epoch))
    model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=epochs, verbose=0, callbacks=[count, *callbacks])
    return model


def test_scores_are_those_of_sacrebleu_and_stop_a_training():
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs sacrebleu: pip install 'keras_seq[translation]'")
    bleu = ks.callbacks.BleuScore(TEXTS, REFERENCES, batch_size=2, beam_width=1)
    stop = keras.callbacks.EarlyStopping("val_bleu", mode="max", patience=1)
    model = fit(bleu, stop, epochs=9)
    expected = []
    for n in (1, 2, 3, 3):
        hypotheses = [*REFERENCES[:n], *["no idea"] * (3 - n)]
        expected.append(sacrebleu.corpus_bleu(hypotheses, [REFERENCES]).score)
    assert model.history.history["val_bleu"] == pytest.approx(expected)
    assert bleu.translations == REFERENCES
    assert "tok:13a" in bleu.signature
    assert model.calls[:2] == [(2, {"beam_width": 1}), (1, {"beam_width": 1})]


def test_between_translations_the_last_score_is_repeated():
    pytest.importorskip("sacrebleu", reason="needs sacrebleu: pip install 'keras_seq[translation]'")
    model = fit(ks.callbacks.BleuScore(TEXTS, REFERENCES, every=2, name="bleu"), epochs=5)
    second, third, fourth, fifth = model.history.history["bleu"]
    assert second == third < fourth == fifth
    assert len(model.calls) == 2


def test_bad_arguments_are_named():
    pytest.importorskip("sacrebleu", reason="needs sacrebleu: pip install 'keras_seq[translation]'")
    with pytest.raises(ValueError, match=r"same length.*3 and 2"):
        ks.callbacks.BleuScore(TEXTS, REFERENCES[:2])
    with pytest.raises(ValueError, match=r"references.*strings.*list"):
        ks.callbacks.BleuScore(TEXTS, [REFERENCES] * 3)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(InputError, match="translate"):
        model.fit(np.ones((2, 1)), np.ones(2), verbose=0, callbacks=[ks.callbacks.BleuScore(TEXTS, REFERENCES)])


def test_without_sacrebleu_the_extra_is_named(tmp_path):
    code = "import keras_seq as ks\ntry: ks.callbacks.BleuScore(['a'], ['b'])\nexcept ImportError as e: print(e)"
    assert "keras_seq[translation]" in run_code(code, tmp_path, block=["sacrebleu"])


class Count(keras.layers.Layer):
    """A weight of each kind."""

    def build(self, shape):
        self.w = self.add_weight(name="w")
        self.n = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="n")

    def call(self, x):
        return x * self.w


def averaged(epochs, last, *more, before=()):
    model = keras.Sequential([keras.Input((1,)), Count()])
    model.compile(keras.optimizers.Adam(0.0), "mse")

    def script(epoch, logs):
        model.layers[-1].w.assign((epoch + 1.0) ** 2)
        model.layers[-1].n.assign(epoch + 1)
        logs["val_loss"] = [3.0, 1.0, 2.0, 4.0, 5.0, 6.0][epoch]

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=script), *before, ks.callbacks.AverageOfLast(last), *more]
    model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=epochs, verbose=0, callbacks=callbacks)
    return [float(weight) for weight in model.get_weights()]


@pytest.mark.parametrize(("epochs", "last", "mean"), [(5, 2, 20.5), (5, 5, 11.0), (3, 5, 14 / 3), (4, 1, 16.0)])
def test_the_mean_of_the_last_epochs(epochs, last, mean):
    assert averaged(epochs, last) == pytest.approx([mean, epochs])


def test_the_mean_with_early_stopping():
    def stop(**arguments):
        return keras.callbacks.EarlyStopping("val_loss", patience=2, **arguments)

    assert averaged(6, 3, stop()) == pytest.approx([(4 + 9 + 16) / 3, 4])
    assert averaged(6, 3, stop(restore_best_weights=True))[0] == 4  # the later in the list decides
    assert averaged(6, 3, before=[stop(restore_best_weights=True)])[0] == pytest.approx((4 + 9 + 16) / 3)


def test_the_number_of_epochs_is_checked():
    with pytest.raises(ValueError, match=r"epochs.*0"):
        ks.callbacks.AverageOfLast(0)

"""A model whose weights become an average goes on living after `fit`, on each backend."""

import keras
import numpy as np
import pytest

import keras_seq as ks

TEXTS, LABELS = ["a quiet film", "a loud film"] * 8, ["good", "bad"] * 8


def test_fit_predict_save_and_fit_again(tmp_path):
    vectorizer = ks.data.text_vectorizer(TEXTS)
    model = ks.models.sentiment_model(vectorizer, ["bad", "good"], encoder="gru", units=3, averaging=0.5)
    model.fit(TEXTS, LABELS, verbose=0)
    probabilities = model.predict(TEXTS, verbose=0)
    model.save(tmp_path / "model.keras")  # JAX has given away the arrays that `predict` read
    before = model.get_weights()
    model.fit(TEXTS, LABELS, verbose=0)
    assert any(np.abs(a - b).max() > 1e-5 for a, b in zip(before, model.get_weights(), strict=True))
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(TEXTS, verbose=0), probabilities, atol=1e-6)


def distance(weights, others):
    return max(np.abs(a - b).max() for a, b in zip(weights, others, strict=True))


def test_early_stopping_of_keras_ends_with_the_averages_of_the_best_epoch(tmp_path):
    """Behind `SwapEMAWeights(swap_on_epoch=True)`, as `ModelCheckpoint` is; validation judges averages, too."""
    vectorizer = ks.data.text_vectorizer(TEXTS)
    small = {"encoder": "simple_rnn", "units": 3, "embedding_dim": 4}
    model = ks.models.sentiment_model(vectorizer, ["bad", "good"], **small, averaging=0.8, learning_rate=0.05)
    scores, steps = [3, 1, 2, 2, 0], []
    sync = getattr(model, "jax_state_sync", bool)  # on JAX weights are not there between steps unless asked for
    callbacks = [
        keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: sync() or steps.append(model.get_weights())),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=scores[epoch])),
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5", "score", mode="min", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.EarlyStopping("score", mode="min", patience=2, restore_best_weights=True),
    ]
    data = {"batch_size": 4, "validation_data": (TEXTS, LABELS), "epochs": len(scores), "callbacks": callbacks}
    losses = model.fit(TEXTS, LABELS, verbose=0, **data).history["val_loss"]
    assert len(losses) == 4  # the second epoch is the best, and two without progress end it
    averages = [steps[0]]
    for weights in steps[1:]:
        averages.append([0.8 * a + 0.2 * w for a, w in zip(averages[-1], weights, strict=True)])
    steps, averages = steps[3::4], averages[3::4]
    assert distance(model.get_weights(), averages[1]) < 2e-6
    assert min(distance(averages[1], other) for other in [*steps, averages[0], *averages[2:]]) > 0.02
    assert model.evaluate(TEXTS, LABELS, verbose=0)[0] == pytest.approx(losses[1], rel=1e-5)
    model.set_weights(steps[0])
    model.load_weights(tmp_path / "best.weights.h5")
    assert distance(model.get_weights(), averages[1]) < 2e-6

"""A model whose weights become an average goes on living after `fit`, on each backend."""

import keras
import numpy as np

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

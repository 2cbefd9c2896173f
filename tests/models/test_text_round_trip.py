"""A saved text model in another process, on another backend, in half precision."""

import json

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.processes import run_code

LOAD = """
import json, sys
import keras
import keras_seq
texts = json.load(open("texts.json"))
answers = {{}}
for name in {names!r}:
    model = keras.saving.load_model(name)
    answers[name] = model.predict(texts, verbose=0).tolist()
    loss = model.fit(texts, [model.labels[0]] * len(texts), verbose=0).history["loss"]
    assert loss[0] > 0 and model.optimizer.iterations > 0
print(json.dumps(answers))
"""

MODELS = {
    "lstm": {"encoder": "lstm", "bidirectional": True, "depth": 2},
    "cells": {"encoder": ks.layers.StackedRNNCells([ks.layers.GRUCell(3), ks.layers.LSTMCell(4)]), "pooling": "max"},
    "attention": {"encoder": keras.layers.GRU(4), "pooling": "attention", "labels": [4, 2, 9]},
}


@pytest.mark.tensorflow
def test_a_keras_file_needs_no_more_than_the_import(model_of, frame, tmp_path):
    texts = [*frame["text"], "", "unheard words", 'quote " and é', "bad " * 30]
    expected = {}
    for name, arguments in MODELS.items():
        model = model_of(**arguments)
        if name == "lstm":  # one file with the slots of an optimizer will do
            model.fit(frame["text"], [model.labels[i % 2] for i in range(len(frame))], verbose=0)
        model.save(tmp_path / f"{name}.keras")
        expected[f"{name}.keras"] = model.predict(texts, verbose=0)
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    answers = json.loads(run_code(LOAD.format(names=list(expected)), tmp_path).splitlines()[-1])
    for name, probabilities in expected.items():
        np.testing.assert_allclose(answers[name], probabilities, rtol=1e-4, err_msg=name)


def test_a_reloaded_model_is_the_same_model(model_of, frame, tmp_path):
    model = model_of(dropout=0)  # Keras saves no random states
    model.fit(frame["text"], frame["label"], epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy) is ks.models.TextClassifier
    assert copy.labels == model.labels
    assert copy.vectorizer.get_config() == model.vectorizer.get_config()
    assert int(copy.optimizer.iterations) == int(model.optimizer.iterations) == 2
    assert copy.optimizer.clipnorm == model.optimizer.clipnorm
    for one in (model, copy):  # it goes on as the first does, optimizer included
        one.fit(frame["text"], frame["label"], epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_mixed_precision(model_of, frame, tmp_path):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        model = model_of(encoder="gru", bidirectional=True, pooling="attention", learning_rate=0.05)
        decay = ks.callbacks.InverseTimeDecay(0.1, per="step")
        history = model.fit(frame["text"], frame["label"], epochs=30, verbose=0, callbacks=[decay]).history
        probabilities = model.predict(frame["text"], verbose=0)
        model.save(tmp_path / "model.keras")
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history["loss"]).all()
    assert history["accuracy"][-1] > 0.8
    assert probabilities.dtype == "float32"  # the softmax is not taken in half precision
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    kinds = {weight.dtype for weight in model.network.trainable_variables}
    assert kinds == {"float32"}
    assert model.network.get_layer("encoder_1").compute_dtype == "float16"
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(copy.predict(frame["text"], verbose=0), probabilities, atol=2e-3)


JAX = """
import json, os
import keras, numpy as np, pandas as pd
import keras_seq as ks
assert keras.backend.backend() == "jax"
import sys
assert "tensorflow" not in sys.modules, "import keras_seq imports TensorFlow on JAX"
frame = pd.DataFrame(json.load(open("frame.json")))
texts, labels = frame["text"], frame["label"]
vectorizer = ks.data.text_vectorizer(texts)
model = ks.models.sentiment_model(
    vectorizer, ["good", "bad"], encoder="gru", units=6, embedding_dim=4, bidirectional=True,
    learning_rate=0.05, dropout=0.0,
)
assert model.jit_compile, "its steps run op by op"
decay = ks.callbacks.InverseTimeDecay(0.1, per="step")
used = []
class Used(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        used.append(float(self.model.optimizer.learning_rate))
history = model.fit(texts, labels, validation_data=(texts, labels), epochs=20, batch_size=7, verbose=0,
                    callbacks=[decay, Used()]).history
assert np.allclose(used, 0.05 / (1 + 0.1 * np.arange(40))), used
assert np.allclose(history["learning_rate"], used[1::2]), history["learning_rate"]
assert history["val_accuracy"][-1] > 0.9, history
assert model.evaluate(ks.data.text_dataset(frame, vectorizer), verbose=0)[1] > 0.9
probabilities = model.predict(texts, verbose=0)
assert np.allclose(model.predict(ks.data.text_dataset(frame, vectorizer, shuffle=False), verbose=0), probabilities)
model.save("jax.keras")
assert np.allclose(keras.saving.load_model("jax.keras").predict(texts, verbose=0), probabilities, atol=1e-6)
# The schedule and a resumed training work here too.
model.compile(keras.optimizers.SGD(ks.schedules.InverseTimeDecay(0.5, 1.0, steps_per_epoch=1)), model.loss)
model.fit(texts, labels, epochs=2, batch_size=14, verbose=0)
assert float(model.optimizer.learning_rate) in (0.25, np.float32(0.5 / 3))
try:
    ks.saving.save(model, "artefact")
except ValueError as error:
    assert "KERAS_BACKEND=tensorflow" in str(error), error
else:
    raise AssertionError("saved on JAX")
assert sorted(os.listdir()) == ["frame.json", "jax.keras"], os.listdir()
print(json.dumps(probabilities.tolist()))
"""


def test_on_jax_it_trains_and_is_saved_for_tensorflow(frame, tmp_path):
    pytest.importorskip("jax")
    (tmp_path / "frame.json").write_text(json.dumps(frame.to_dict("list")))
    answers = run_code(JAX, tmp_path, KERAS_BACKEND="jax")
    model = keras.saving.load_model(tmp_path / "jax.keras")
    probabilities = model.predict(frame["text"], verbose=0)
    np.testing.assert_allclose(json.loads(answers.splitlines()[-1]), probabilities, atol=1e-5)
    ks.saving.save(model, tmp_path / "artefact")
    assert ks.saving.read_card(tmp_path / "artefact")["kind"] == "sentiment"

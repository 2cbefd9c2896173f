"""Language models: what they write is what their scores say, and states go on where they should and nowhere else."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.errors import InputError

LETTERS = ks.layers.Tokenizer(list("abcde \n"), split="characters", keep_spaces=True, max_length=3)
END, V = 3, LETTERS.size
PROMPTS = ["ab\n", "", "c", "a bad cafe\n\n", "☃b"]
KINDS = {
    "gru": {"encoder": "gru", "embedding_dim": 5},
    "lstm": {"depth": 2, "dropout": 0.3, "recurrent_dropout": 0.2},
    "clockwork cell": {"encoder": ks.layers.ClockworkRNNCell(6, periods=[1, 3])},
    "transformer": {"encoder": "transformer", "depth": 2, "num_heads": 2, "embedding_dim": 7, "context": 40},
}


def model_of(kind="gru", scale=1.5, **arguments):
    model = ks.models.language_model(LETTERS, **{"units": 8, **KINDS[kind], **arguments})
    rng = np.random.default_rng(5)
    for weight in model.network.weights:  # far from uniform, so that no rounding decides what is said
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(rng.normal(size=weight.shape) * scale / 8**0.5)
    return model


def without_end(model):
    """The model, which now says the end no more."""
    model.network.scores.bias.assign(np.where(np.arange(V) == END, -1e4, 0.0))
    return model


def log_probabilities(logits):
    logits = np.asarray(logits, "float64")
    highest = logits.max(axis=-1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=-1, keepdims=True))


def letters_of(ids):
    return "".join({1: "\ufffd", END: ""}.get(i) or LETTERS.vocabulary[i - 4] for i in ids if i != END)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_it_writes_what_is_likeliest_after_all_that_came_before(kind):
    model = model_of(kind)
    expected = []
    for prompt in PROMPTS:
        ids = [1 if letter not in LETTERS.vocabulary else 4 + LETTERS.vocabulary.index(letter) for letter in prompt]
        read = list(ids) or [END]
        for _ in range(6):
            logits = np.asarray(model(np.array([read], "int32")))[0, -1]
            read.append(END + int(np.argmax(logits[END:])))
            if read[-1] == END:
                break
        expected.append(letters_of(read[len(ids) == 0 :]))
    assert model.generate(PROMPTS, max_length=6, top_k=1) == expected
    assert model.generate(PROMPTS, max_length=6, top_k=1, batch_size=2) == expected
    assert len({text[len(prompt) :] for text, prompt in zip(expected, PROMPTS, strict=True)}) > 2


def test_what_comes_later_is_not_seen(kind, rng):
    model = model_of(kind)
    ids = rng.integers(END, V, (2, 11)).astype("int32")
    whole = np.asarray(model(ids))
    assert whole.shape == (2, 11, V)
    np.testing.assert_allclose(model(ids[:, :7]), whole[:, :7], atol=1e-5)
    assert np.abs(np.asarray(model(ids[:, 4:])) - whole[:, 4:]).max() > 1e-3  # what came before is


def test_the_seed_decides_what_is_drawn():
    model = without_end(model_of(scale=0.5))
    texts = [model.generate(["ab", "ab"], max_length=30, seed=seed) for seed in (1, 1, 2, None, None)]
    assert texts[0] == texts[1]
    assert len({text for two in texts[1:] for text in two}) == 8
    assert [model.generate(["ab"] * 5, 30, seed=1, batch_size=size) for size in (1, 3)] == [
        model.generate(["ab"] * 5, 30, seed=1)
    ] * 2
    generator = keras.random.SeedGenerator(1)
    assert model.generate(["ab"], 30, seed=generator) != model.generate(["ab"], 30, seed=generator)


def test_tokens_come_as_often_as_they_are_likely():
    model = model_of()
    logits = np.asarray(model(np.array([[4, 5]], "int32")), "float64")[0, -1, END:]
    p = np.exp(log_probabilities(logits / 1.7))
    rows = 4000
    said = model.generate(["ab"] * rows, max_length=1, temperature=1.7, seed=3, batch_size=rows)
    found = np.array([said.count("ab")] + [said.count("ab" + letter) for letter in LETTERS.vocabulary])
    assert found.sum() == rows
    assert (np.abs(found - rows * p) < 5 * np.sqrt(rows * p * (1 - p)) + 1).all()


def test_a_text_ends_with_the_end_and_holds_no_other_sign():
    model = model_of()
    bias = model.network.scores.bias
    bias.assign(np.where(np.arange(V) < END, 1e4, 0.0))  # padding, unknown and start, if they could be said
    said = model.generate(["ab"], max_length=9, seed=0)[0]
    assert set(said) <= set(LETTERS.vocabulary)
    bias.assign(np.where(np.arange(V) == END, 1e4, 0.0))
    assert model.generate(["ab", ""], max_length=9) == ["ab", ""]
    assert model.generate(["ab"], max_length=0) == ["ab"]
    assert model.generate([]) == []


def windows_of(ids, **arguments):
    return ks.data.stream_dataset(ids, length=5, batch_size=2, **arguments)


def nats(model, inputs, targets):
    """Mean over all tokens, of a pass over each row of inputs `(B, T)`."""
    logs = log_probabilities(model(inputs))
    return -np.take_along_axis(logs, targets[..., None], axis=-1).mean()


@pytest.mark.parametrize("kind", ["lstm", "clockwork cell"])
def test_in_lanes_states_go_on_and_each_pass_begins_anew(kind, rng):
    ids = rng.integers(END, V, 41).astype("int32")
    single, model = model_of(kind), model_of(kind, lanes=2)
    lanes, aims = ids[:40].reshape(2, 20), ids[1:].reshape(2, 20)
    expected = nats(single, lanes, aims)
    for _ in range(2):
        judged = model.evaluate(windows_of(ids), verbose=0, return_dict=True)
        assert judged["loss"] == pytest.approx(expected, rel=1e-5)
        assert judged["perplexity"] == pytest.approx(np.exp(expected), rel=1e-4)
    by_window = nats(single, lanes.reshape(8, 5), aims.reshape(8, 5))
    assert single.evaluate(windows_of(ids), verbose=0, return_dict=True)["loss"] == pytest.approx(by_window, rel=1e-5)
    assert abs(by_window - expected) > 1e-3


def test_validation_and_epochs_begin_anew(rng):
    ids = rng.integers(END, V, 41).astype("int32")
    model = model_of(lanes=2, learning_rate=0.0)
    data = windows_of(ids)
    history = model.fit(data, validation_data=data, epochs=2, verbose=0, callbacks=[ks.callbacks.ResetStates()]).history
    expected = nats(model_of(), ids[:40].reshape(2, 20), ids[1:].reshape(2, 20))
    assert history["loss"] + history["val_loss"] == pytest.approx([expected] * 4, rel=1e-5)


@pytest.mark.parametrize("arguments", [{"lanes": 4}, {"lanes": None, "encoder": "transformer", "context": 8}])
def test_it_learns_texts_and_their_ends(arguments, rng):
    texts = ["abc\n", "bed\n", "cab\n"]
    model = ks.models.language_model(LETTERS, **{"encoder": "gru", "units": 16, "learning_rate": 0.03, **arguments})
    data = ks.data.stream_dataset(ks.data.token_stream(list(rng.choice(texts, 120)), LETTERS), length=10, batch_size=4)
    before = model.evaluate(data, verbose=0)[0]
    model.fit(data, epochs=12, verbose=0)
    assert model.evaluate(data, verbose=0)[0] < 0.35 < 1.5 < before  # log(3) / 5 is all there is to learn
    assert model.generate(["a", "be"], max_length=20, temperature=0.1, seed=0) == texts[:2]
    assert model.generate([""], max_length=20, temperature=0.1, seed=0)[0] in texts


@pytest.mark.parametrize("kind", ["clockwork cell", "transformer"])
def test_it_comes_back_from_a_file(kind, tmp_path, rng):
    lanes = 2 if kind == "clockwork cell" else None
    model = model_of(kind, lanes=lanes, depth=1)
    data = windows_of(rng.integers(END, V, 41).astype("int32"))
    model.fit(data, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert again.generate(PROMPTS, 9, seed=2) == model.generate(PROMPTS, 9, seed=2)
    assert again.evaluate(data, verbose=0) == pytest.approx(model.evaluate(data, verbose=0), rel=1e-5)
    losses = [one.fit(data, epochs=1, verbose=0).history["loss"][0] for one in (model, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_it_writes_from_an_export(kind, tmp_path):
    import tensorflow as tf

    model = model_of(kind, lanes=3 if kind == "lstm" else None, depth=1)
    ks.saving.save(model, tmp_path / "likeliest")
    assert ks.saving.read_card(tmp_path / "likeliest")["kind"] == "language"
    model.export(str(tmp_path / "likeliest" / "saved_model"), max_length=6, top_k=1)
    serve = tf.saved_model.load(tmp_path / "likeliest" / "saved_model").signatures["serving_default"]
    said = [text.decode() for text in serve(text=tf.constant(PROMPTS))["text"].numpy()]
    assert said == model.generate(PROMPTS, max_length=6, top_k=1)
    without_end(model).export(str(tmp_path / "drawn"), max_length=40, temperature=3.0)
    serve = tf.saved_model.load(tmp_path / "drawn").signatures["generate"]
    assert len({serve(text=tf.constant(["ab"]))["text"].numpy()[0] for _ in range(4)}) == 4


def test_bad_input(tmp_path):
    backwards = ks.layers.GRU(3, go_backwards=True)
    for arguments, match in (
        ({"encoder": backwards}, "`encoder` must read forwards"),
        ({"encoder": ks.layers.Bidirectional(ks.layers.GRU(3))}, "`encoder` must read forwards"),
        ({"encoder": ks.layers.GRU(3, stateful=True)}, "`encoder` is a stateful layer: .* as `lanes`"),
        ({"encoder": "transformer"}, "`context` must say how many tokens"),
        ({"encoder": "transformer", "context": 8, "lanes": 2}, "`lanes` is for a recurrent encoder"),
        ({"context": 8}, "`context` is for a transformer"),
        ({"num_heads": 2}, "`num_heads` is for a transformer"),
        ({"lanes": 0}, "`lanes`"),
        ({"encoder": "tree"}, "`encoder` must be a cell, a layer or one of"),
    ):
        with pytest.raises(ValueError, match=match):
            ks.models.language_model(LETTERS, **arguments)
    with pytest.raises(InputError, match=r"`tokenizer` must be a ks.layers.Tokenizer"):
        ks.models.language_model(["a"])
    model = model_of(units=2)
    for given in ("abc", ["abc"]):
        with pytest.raises(InputError, match=r"trains on windows of ids, got strings"):
            model.fit(given)
        with pytest.raises(InputError, match=r"`generate` takes strings"):
            model.predict(given)
    with pytest.raises(InputError, match="must come in a list, got the single text 'abc'"):
        model.generate("abc")
    with pytest.raises(InputError, match="must be a list of strings, got ndarray"):
        model.generate(np.zeros(3))
    with pytest.raises(ValueError, match="`max_length`"):
        model.generate(["a"], max_length=-1)
    with pytest.raises(ValueError, match="`format` must be 'tf_saved_model'"):
        model.export(tmp_path / "model", format="onnx")
    model.network.scores.bias.assign(np.full(V, np.nan))
    with pytest.raises(ValueError, match="says nothing that has a probability: are its weights NaN"):
        model.generate(["a"])

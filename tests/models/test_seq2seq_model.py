"""A sequence-to-sequence model in `fit`: what it learns, what it counts, and that it goes on after a reload."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.models.seq2seq import seq2seq_model

LETTERS = ks.layers.Tokenizer(list("abcdef"), split="characters", max_length=6)
OTHERS = ks.layers.Tokenizer(list("uvwxyz"), split="characters", max_length=6)
SOURCES = ["ab", "bca", "f", "caf", "defd", "bed", "face", "ad"]
TARGETS = [text[::-1] for text in SOURCES]
MANY = SOURCES * 10, TARGETS * 10  # each epoch costs as much as several steps


def model_of(**arguments):
    small = {"units": 12, "dropout": 0.0, "learning_rate": 0.03}
    small |= {"num_heads": 2} if arguments.get("encoder") == "transformer" else {}
    return seq2seq_model(LETTERS, LETTERS, **{**small, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"bidirectional": True},
        {"encoder": "transformer", "shared_embeddings": True, "learning_rate": 0.01},
        {"encoder": "lstm", "attention": None},
    ],
    ids=["gru", "transformer", "no attention"],
)
def test_it_learns_to_turn_words_round(arguments):
    model = model_of(**arguments)
    history = model.fit(*MANY, epochs=12, batch_size=len(SOURCES), verbose=0).history
    assert model.translate(SOURCES) == TARGETS
    assert history["token_accuracy"][-1] == 1
    assert history["perplexity"][-1] < 1.2 < history["perplexity"][0]


def test_what_it_is_compiled_with():
    model = model_of(label_smoothing=0.1, clipnorm=0.5, weight_decay=0.01)
    assert type(model.optimizer) is ks.optimizers.AdamW
    assert model.optimizer.clipnorm == 0.5
    assert model.loss.smoothing == 0.1
    assert type(model_of().optimizer) is keras.optimizers.Adam
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert float(model_of(learning_rate=rate).optimizer.learning_rate) == pytest.approx(0.1)


def test_strings_datasets_and_ids_are_the_same_to_it():
    model = model_of()
    frame = ks.data.pairs.paired(SOURCES, TARGETS)
    dataset = ks.data.pair_dataset(frame, LETTERS, LETTERS, shuffle=False)
    (inputs, labels), *rest = dataset
    assert not rest
    of_strings = model.evaluate(SOURCES, TARGETS, verbose=0, return_dict=True)
    assert set(of_strings) == {"loss", "token_accuracy", "perplexity"}
    for given in ((dataset,), (inputs, labels)):
        assert model.evaluate(*given, verbose=0, return_dict=True) == pytest.approx(of_strings, rel=1e-5)
    inputs, labels = {name: np.asarray(ids) for name, ids in inputs.items()}, np.asarray(labels)
    logits = np.asarray(model.predict(inputs, verbose=0), "float64")
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    kept = labels != 0
    of_labels = np.take_along_axis(p, labels[..., None], axis=-1)[..., 0][kept]
    assert of_strings["loss"] == pytest.approx(-np.log(of_labels).mean(), rel=1e-5)
    assert of_strings["perplexity"] == pytest.approx(np.exp(-np.log(of_labels).mean()), rel=1e-4)
    assert of_strings["token_accuracy"] == pytest.approx((logits.argmax(axis=-1) == labels)[kept].mean(), rel=1e-5)


@pytest.mark.tensorflow
def test_validation_by_strings():
    model = model_of()
    batches = []
    counter = keras.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: batches.append(batch))
    history = model.fit(
        SOURCES[2:],
        TARGETS[2:],
        batch_size=3,
        epochs=2,
        validation_data=(SOURCES[:2], TARGETS[:2]),
        validation_batch_size=1,
        verbose=0,
        callbacks=[counter],
    ).history
    assert batches == [0, 1] * 2
    assert {"val_loss", "val_token_accuracy", "val_perplexity"} <= set(history)
    assert int(model.optimizer.iterations) == 4
    last = model.evaluate(SOURCES[:2], TARGETS[:2], batch_size=1, verbose=0, return_dict=True)
    assert history["val_loss"][-1] == pytest.approx(last["loss"], rel=1e-4)


def test_the_callbacks_of_translation():
    """Translating while training: BLEU of each epoch, and the mean of the last weights at the end."""
    pytest.importorskip("sacrebleu")
    model = model_of(bidirectional=True)
    kept = []
    bleu = ks.callbacks.BleuScore(SOURCES, TARGETS, beam_width=2)
    bleu_of_letters = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append([w.copy() for w in model.get_weights()])
    )
    history = model.fit(
        SOURCES, TARGETS, epochs=3, verbose=0, callbacks=[bleu, bleu_of_letters, ks.callbacks.AverageOfLast(2)]
    ).history
    assert len(history["val_bleu"]) == 3
    assert len(bleu.translations) == len(SOURCES)
    floats = [w for w in model.weights if keras.backend.is_float_dtype(w.dtype)]
    places = [i for i, w in enumerate(model.weights) if keras.backend.is_float_dtype(w.dtype)]
    for weight, i in zip(floats, places, strict=True):
        np.testing.assert_allclose(weight, (kept[-1][i] + kept[-2][i]) / 2, atol=1e-6)
    assert len(model.translate(SOURCES)) == len(SOURCES)


# Scheduled sampling


def test_what_the_model_would_have_said_takes_the_place_of_some_tokens(rng):
    target = rng.integers(4, 10, (300, 7)).astype("int32")
    target[:, 0] = 2
    target[:100, 5:] = 0
    source = rng.integers(4, 10, (300, 4)).astype("int32")
    for rate in (0.25, 0.9):
        model = model_of(scheduled_sampling=rate)
        mixed = np.asarray(model._partly_said(keras.ops.convert_to_tensor(target), model.network.encode(source)))
        said = 3 + np.asarray(model.network(source, target))[..., 3:].argmax(axis=-1)  # of what may be said
        said = np.concatenate([target[:, :1], said[:, :-1]], axis=1)
        assert np.all((mixed == target) | (mixed == said))
        assert np.all(mixed[:, 0] == 2)
        assert np.all(mixed[:100, 5:] == 0)
        differ = (said != target) & (target != 0)
        taken = (mixed == said) & differ
        assert taken.sum() / differ.sum() == pytest.approx(rate, abs=0.05)
        of_row, n = taken[100:, 1:].sum(axis=1), differ[100:, 1:].sum(axis=1)  # each token is drawn by itself
        assert np.var(of_row - rate * n) == pytest.approx(np.mean(n * rate * (1 - rate)), rel=0.3)


def test_sampling_is_for_training_alone():
    inputs = {"source": np.asarray(LETTERS(SOURCES)), "target": np.asarray(LETTERS(TARGETS))}
    model = model_of(scheduled_sampling=0.9)
    logits = np.asarray(model(inputs))
    np.testing.assert_array_equal(logits, model.network(inputs["source"], inputs["target"]))
    assert np.abs(np.asarray(model(inputs, training=True)) - logits).max() > 1e-3
    plain = model_of()
    np.testing.assert_array_equal(plain(inputs, training=True), plain(inputs))


@pytest.mark.tensorflow
def test_strings_come_in_another_order_each_epoch():
    losses = []
    for shuffle in (True, False):
        keras.utils.set_random_seed(3)
        model = model_of(learning_rate=0.0)
        of_batches = []
        keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs, k=of_batches: k.append(logs["loss"]))
        model.fit(SOURCES, TARGETS, batch_size=1, epochs=2, shuffle=shuffle, verbose=0, callbacks=[keep])
        losses.append(np.reshape(of_batches, (2, -1)))
    assert np.abs(losses[0][0] - losses[0][1])[:-1].max() > 1e-3
    np.testing.assert_allclose(losses[1][0], losses[1][1], atol=1e-5)


@pytest.mark.tensorflow
def test_it_learns_from_what_it_says_itself():
    model = model_of(bidirectional=True, scheduled_sampling=0.3)
    model.fit(*MANY, epochs=9, batch_size=len(SOURCES), verbose=0)
    assert model.translate(SOURCES) == TARGETS


# Files


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_a_reloaded_model_is_the_same_model(encoder, tmp_path):
    model = model_of(encoder=encoder, scheduled_sampling=0.2)
    model.fit(SOURCES, TARGETS, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert type(copy) is ks.models.Seq2Seq
    assert copy.get_config() == model.get_config()
    assert copy.translate(SOURCES, n_best=2) == model.translate(SOURCES, n_best=2)
    assert int(copy.optimizer.iterations) == int(model.optimizer.iterations) == 2
    assert copy.optimizer.clipnorm == 1.0
    for one in (model, copy):
        one.sampling_share.assign(0.0)  # Keras saves no random states
        one.fit(SOURCES, TARGETS, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.tensorflow
def test_the_artefact(tmp_path):
    model = model_of()
    ks.saving.save(model, tmp_path / "dir", {"seed": 3})
    assert ks.saving.read_card(tmp_path / "dir")["kind"] == "seq2seq"
    assert ks.saving.load(tmp_path / "dir").translate(SOURCES) == model.translate(SOURCES)


@pytest.mark.tensorflow
def test_a_resumed_training_ends_as_one_that_was_not(tmp_path):
    def train(folder, epochs):
        keras.utils.set_random_seed(1)
        model = model_of(dropout=0.3, scheduled_sampling=0.3)
        dataset = ks.data.pair_dataset(ks.data.pairs.paired(SOURCES, TARGETS), LETTERS, LETTERS, batch_size=3, seed=1)
        callbacks = [ks.callbacks.EpochSeed(1, dataset), ks.callbacks.SafeBackup(tmp_path / folder)]
        model.fit(dataset, epochs=epochs, verbose=0, callbacks=callbacks)
        return model.get_weights()

    whole = train("whole", 3)
    train("parts", 1)
    for a, b in zip(whole, train("parts", 3), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(["a", "b"], ["a"]), "There are 2 sources and 1 targets"),
        (lambda m: m.fit(["a", "b"]), "There are 2 sources and 0 targets"),
        (lambda m: m.fit(["a", " "], ["a", "b"]), "Column 'source' must hold .* in row 1"),
        (lambda m: m.fit(["a", "b"], ["a", ""]), "Column 'target' must hold .* in row 1"),
        (lambda m: m.fit(["a"], ["a"], validation_split=0.5), "`validation_split` does not go with strings"),
        (lambda m: m.fit(["a"], ["a"], class_weight={0: 1}), "`class_weight` does not go with strings"),
        (lambda m: m.evaluate(["a"], ["a"], sample_weight=[1]), "`sample_weight` does not go with strings"),
        (
            lambda m: m.fit(["a"], ["a"], validation_data=(["a"], ["a"], [1])),
            "must be .sources, targets. where .* got 3",
        ),
        (lambda m: m({"source": np.ones((1, 2))}), r"reads a dict of ids, .* got \['source'\]: strings are for"),
        (lambda m: m(np.ones((1, 2))), "reads a dict of ids, .*: strings are for"),
        (lambda m: model_of(label_smoothing=2), "`label_smoothing` must be a number at least 0 and below 1"),
        (lambda m: seq2seq_model(LETTERS, OTHERS, shared_embeddings=True), "`shared_embeddings` needs one vocabulary"),
        (lambda m: m.evaluate(["a", "b"], ["a"]), "There are 2 sources and 1 targets"),
        (lambda m: m.predict(["a"]), "`predict` gives logits, of ids of both sides: for strings call `translate"),
        (lambda m: model_of(scheduled_sampling=1.0), "`scheduled_sampling` must be a number at least 0 and below 1"),
        (lambda m: model_of(weight_decay=-1), "`weight_decay` must be at least 0"),
        (
            lambda m: seq2seq_model(ks.layers.TextVectorizer(["a"]), LETTERS),
            "`source_vectorizer` must be a ks.layers.To",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(model_of())

"""What the factory's options for words and for regularisation do to the network, and to what is trained."""

import math
import zlib

import keras
import numpy as np
import pytest

import keras_seq as ks

E = 3
OTHER_VECTORS = ks.data.WordVectors(np.ones((25, 2)), np.ones(25, bool), tuple("abcdefghijklmnopqrstuvw"))
IDS = np.array([[2, 5, 3, 2, 7, 4, 9], [6, 4, 8, 1, 0, 0, 0]])


@pytest.fixture
def randomised(model_of, rng):
    """A small model of random weights, without dropout unless told; it trains step by step, without a graph."""

    def make(**arguments):
        model = model_of(**{"encoder": "simple_rnn", "dropout": 0.0, **arguments})
        model.run_eagerly = True
        for weight in model.network.weights:
            if "seed" not in weight.path:
                weight.assign(rng.normal(scale=0.6, size=weight.shape))
        return model

    return make


@pytest.fixture
def vectors(vectorizer, rng, tmp_path):
    """Vectors for all but the last word of the vectoriser, by way of a file."""
    lines = [f"{word} {' '.join(map(str, rng.normal(size=5)))}" for word in vectorizer.vocabulary[:-1]]
    (tmp_path / "vectors.txt").write_text("\n".join(lines), encoding="utf-8")
    return ks.data.load_vectors(tmp_path / "vectors.txt", vectorizer)


def table_of(model):
    return model.network.get_layer("embedding").embeddings.numpy()


def until(model, name):
    """The network up to a layer."""
    return keras.Model(model.network.inputs[0], model.network.get_layer(name).output)


def trained(model, frame, **arguments):
    return model.fit(frame["text"], frame["label"], **{"batch_size": 5, "verbose": 0, **arguments})


@pytest.mark.parametrize("trained_too", [True, False], ids=["tuned", "frozen"])
def test_given_embeddings_are_where_training_starts_and_stay_if_frozen(model_of, vectors, frame, tmp_path, trained_too):
    """Under weight decay and averaging too, which would move what has no gradient; `embedding_dim` is theirs."""
    model = model_of(
        encoder="simple_rnn",
        embeddings=vectors,
        train_embeddings=trained_too,
        subword_buckets=97,
        weight_decay=0.1,
        averaging=0.5,
    )
    assert np.array_equal(table_of(model), vectors.matrix)
    assert model.network.get_layer("embedding_of_letters").embeddings.shape == (98, 5)
    before = model.get_weights()
    trained(model, frame)
    assert np.array_equal(table_of(model), vectors.matrix) is not trained_too
    paths = [weight.path for weight in model.weights]
    for path, a, b in zip(paths, before, model.get_weights(), strict=True):
        assert np.array_equal(a, b) is (path.endswith("embedding/embeddings") and not trained_too), path
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(table_of(copy), table_of(model))
    assert copy.network.get_layer("embedding").trainable is trained_too


def test_embeddings_may_be_an_array(model_of, vectors):
    model = model_of(embeddings=vectors.matrix.astype("float64"))
    assert np.array_equal(table_of(model), vectors.matrix)


def letters_of(word, table):
    """The vector that three and four letters in a row of a word make."""
    runs = [f"<{word}>"[i : i + size] for size in (3, 4) for i in range(len(word) + 3 - size)][:14]
    return sum(table[zlib.crc32(run.encode()) % (len(table) - 1) + 1] for run in runs) / math.sqrt(len(runs))


def test_vectors_of_the_letters_of_words_are_added(randomised, vectorizer):
    model = randomised(subword_buckets=97)
    table = model.network.get_layer("embedding_of_letters").embeddings.numpy()
    assert table.shape == (98, E)
    letters = [np.zeros(E), np.zeros(E), *(letters_of(word, table) for word in vectorizer.vocabulary)]
    expected = table_of(model)[IDS] + np.array(letters)[IDS]
    found = until(model, "embeddings")(IDS).numpy()
    np.testing.assert_allclose(found[IDS != 0], expected[IDS != 0], atol=1e-6)
    padded = model(np.pad(IDS, ((0, 0), (0, 4))))
    np.testing.assert_allclose(padded, model(IDS), rtol=1e-5)


def test_words_alike_in_their_letters_are_judged_alike(randomised, vectorizer):
    """Where the vectors of words themselves are zeros: `loved` and `lovely` have vectors in common, `loved` and `so`
    have none."""
    model = randomised(encoder=keras.layers.Dense(5), pooling="mean", subword_buckets=5003)
    model.network.get_layer("embedding").embeddings.assign(np.zeros((25, E)))
    ids = np.asarray(vectorizer(["loved", "lovely", "so", "unheard"]))
    loved, lovely, so, unheard = until(model, "embeddings")(ids).numpy()[:, 0]
    assert not unheard.any()
    table = model.network.get_layer("embedding_of_letters").embeddings
    changed = table.numpy()
    changed[zlib.crc32(b"lov") % 5003 + 1] += 1
    table.assign(changed)
    after = until(model, "embeddings")(ids).numpy()[:, 0]
    np.testing.assert_allclose(
        after - [loved, lovely, so, unheard], np.outer([1 / 3, 11**-0.5, 0, 0], np.ones(E)), atol=1e-6
    )


@pytest.mark.parametrize("pooling", [["max", "mean"], ["mean", "attention", "max"], ("mean",)], ids="-".join)
def test_several_poolings_stand_side_by_side(randomised, pooling):
    model = randomised(pooling=pooling, units=7)
    keep = (IDS != 0)[..., None]
    hidden = until(model, "encoder_1")(IDS).numpy()
    vectors = {
        "mean": (hidden * keep).sum(1) / keep.sum(1),
        "max": np.where(keep, hidden, -np.inf).max(1),
        "attention": None,
    }
    if "attention" in pooling:
        layer = model.network.get_layer("attention_pooling")
        vectors["attention"] = layer(keras.ops.convert_to_tensor(hidden), mask=keep[..., 0]).numpy()
    pooled = np.concatenate([vectors[mode] for mode in pooling], axis=1)
    last = model.network.get_layer("probabilities")
    assert last.kernel.shape == (7 * len(pooling), 2)
    logits = pooled @ last.kernel.numpy() + last.bias.numpy()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(model(IDS), expected, rtol=1e-5)


@pytest.mark.parametrize("argument", ["dropout", "embedding_dropout", "word_dropout", "recurrent_dropout"])
@pytest.mark.parametrize("more", [{}, {"bidirectional": True, "depth": 2}], ids=["plain", "deep"])
def test_each_dropout_reaches_the_network_while_training(randomised, argument, more):
    plain = randomised(**more)
    assert np.array_equal(plain(IDS, training=True), plain(IDS))
    model = randomised(**more, **{"embedding_dropout": 0.0, argument: 0.4})
    for weight, value in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        weight.assign(value)
    assert np.array_equal(model(IDS), plain(IDS))
    draws = [model(IDS, training=True).numpy() for _ in range(3)]
    assert not np.allclose(draws[0], draws[1])
    assert not np.allclose(draws[0], draws[2])


def test_each_dropout_is_at_its_place_and_has_its_rate(model_of):
    arguments = {"dropout": 0.1, "word_dropout": 0.3, "recurrent_dropout": 0.4, "bidirectional": True, "depth": 2}
    for given, expected in ((0.2, 0.2), (0.0, 0.0), (None, 0.1)):
        network = model_of(encoder="lstm", embedding_dropout=given, **arguments).network
        assert network.get_layer("embedding_dropout").rate == expected
    assert network.get_layer("dropout").rate == 0.1
    assert network.get_layer("word_dropout").rate == 0.3
    wrappers = [network.get_layer(f"encoder_{level}") for level in (1, 2)]
    layers = [layer for wrapper in wrappers for layer in (wrapper.forward_layer, wrapper.backward_layer)]
    assert [layer.recurrent_dropout for layer in layers] == [0.4] * 4
    assert [layer.dropout for layer in layers] == [0] * 4


def test_a_hidden_word_is_the_unknown_word_for_letters_too(model_of):
    """The network past the dropout of words says: any text could be one of unknown words."""
    network = model_of(word_dropout=0.5, subword_buckets=7).network
    hidden = network.get_layer("word_dropout").output
    for name in ("embedding", "embedding_of_letters"):
        assert network.get_layer(name).input is hidden


def test_decay_by_the_formula_for_all_but_biases(randomised, frame):
    """Where all rows weigh nothing there is no gradient: the rest is decay, 0.02 * 0.5 of each weight in each step."""
    model = randomised(encoder="gru", bidirectional=True, pooling="attention", subword_buckets=97, weight_decay=0.5)
    assert type(model.optimizer) is ks.optimizers.AdamW
    assert model.optimizer.clipnorm == 1.0
    before = model.get_weights()
    trained(model, frame, sample_weight=np.zeros(14), epochs=2)
    paths = [weight.path for weight in model.weights]
    assert sum("bias" in path for path in paths) == 4
    for path, a, b in zip(paths, before, model.get_weights(), strict=True):
        np.testing.assert_allclose(b, a if "bias" in path else a * 0.99**6, rtol=1e-5, err_msg=path)
    assert type(randomised().optimizer) is keras.optimizers.Adam


@pytest.mark.parametrize("multi_label", [False, True])
def test_smoothed_labels(randomised, frame, tmp_path, multi_label):
    model = randomised(label_smoothing=0.2, multi_label=multi_label)
    p = model.predict(frame["text"], verbose=0).astype("float64")
    target = 0.8 * np.stack([frame["label"] == "good", frame["label"] == "bad"], axis=1) + 0.1
    expected = -(target * np.log(p)).sum(1).mean()
    if multi_label:
        expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
    y = [[label] for label in frame["label"]] if multi_label else frame["label"]
    assert model.evaluate(frame["text"], y, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    copy.run_eagerly = True
    assert copy.evaluate(frame["text"], y, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_after_training_the_weights_are_their_average_over_steps(model_of, frame, weight_decay):
    """`average = 0.7 average + 0.3 weights` after each step, from the weights after the first one on."""
    model = model_of(encoder="simple_rnn", averaging=0.7, weight_decay=weight_decay)
    steps = []
    record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: steps.append(model.get_weights()))
    trained(model, frame, epochs=3, callbacks=[record])
    assert len(steps) == 9
    average = steps[0]
    for weights in steps[1:]:
        average = [0.7 * a + 0.3 * w for a, w in zip(average, weights, strict=True)]
    for found, expected, last in zip(model.get_weights(), average, steps[-1], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert np.abs(found - last).max() > 1e-4
    assert not model_of().optimizer.use_ema


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embeddings": np.zeros((4, 5))}, r"embeddings.*V = 25.*\(4, 5\).*load_vectors"),
        ({"embeddings": np.zeros(25)}, r"embeddings.*\(25,\)"),
        ({"embeddings": np.where(np.arange(25)[:, None] == 7, np.nan, np.ones((25, 2)))}, "finite, row 7"),
        ({"embeddings": OTHER_VECTORS}, "another vectoriser.*load_vectors"),
        ({"train_embeddings": False}, "train_embeddings.*give both"),
        ({"subword_buckets": 0}, "buckets.*0"),
        ({"subword_buckets": 2.0}, "buckets.*2.0"),
        ({"pooling": ["last", "mean"]}, "pooling.*list of mean, max, attention.*last"),
        ({"pooling": []}, r"pooling.*\[\]"),
        ({"pooling": ["x"]}, r"pooling.*\['x'\]"),
        ({"pooling": ["mean", "max", "mean"]}, r"pooling.*\['mean', 'max', 'mean'\]"),
        ({"pooling": None}, "pooling.*one of last, mean.*got None"),
        ({"pooling": [None]}, r"pooling.*\[None\]"),
        ({"dropout": 1.0}, "`dropout`.*at least 0 and below 1.*1.0"),
        ({"dropout": -0.1}, "`dropout`.*-0.1"),
        ({"embedding_dropout": 1.0}, "`embedding_dropout`.*1.0"),
        ({"word_dropout": 1.0}, "`word_dropout`.*1.0"),
        ({"word_dropout": float("nan")}, "`word_dropout`.*nan"),
        ({"recurrent_dropout": 1.0}, "recurrent_dropout.*1.0"),
        ({"recurrent_dropout": 0.2, "encoder": ks.layers.GRUCell(5)}, "recurrent_dropout.*by name.*GRUCell"),
        ({"label_smoothing": 1.0}, "`label_smoothing`.*1.0"),
        ({"label_smoothing": 1.0, "multi_label": True}, "`label_smoothing`.*1.0"),
        ({"weight_decay": -0.1}, "`weight_decay`.*at least 0.*-0.1"),
        ({"averaging": 1.0}, "`averaging`.*at least 0 and below 1.*1.0"),
        ({"averaging": True}, "`averaging`.*True"),
    ],
)
def test_bad_arguments_are_named(model_of, arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)

"""A tokenizer in use: on what a model writes, in graphs and SavedModels, from a configuration, and called wrongly."""

import re

import keras
import numpy as np
import pytest

import keras_seq as ks
from keras_seq.layers.tokenizer import END, FIRST, PADDING, START, UNKNOWN, Tokenizer
from tests.token_texts import every_split, knowing, rows_of, strings_of


@pytest.mark.parametrize(
    ("split", "ids", "texts"),
    [
        ("words", [[UNKNOWN, UNKNOWN, 5, 6], [UNKNOWN, 0, 0, 0]], ["� �! b", "�"]),
        ("characters", [[UNKNOWN, UNKNOWN], [5, UNKNOWN]], ["��", "!�"]),
        ("subwords", [[4, UNKNOWN], [6, UNKNOWN]], ["a�", "b�"]),
    ],
)
def test_unknown_tokens_are_seen_in_the_text(split, ids, texts):
    tokenizer = Tokenizer(["▁a", "!", "▁b"], split)
    assert strings_of(tokenizer.detokenize(ids)) == texts


def test_texts_from_ids_that_a_model_writes():
    """Up to the first end or padding; without start; what is no id is unknown, also beyond 32 bits."""
    tokenizer = Tokenizer(["▁a", "!", "▁b"])
    a, mark, b = 4, 5, 6
    ids = [[START, a, mark, END, b], [a, PADDING, b, b, b], [END, a, a, a, a], [b, START, mark, b, b]]
    assert strings_of(tokenizer.detokenize(ids)) == ["a!", "a", "", "b! b b"]
    odd = np.array([[a, -1, 7, 2**32 + 4, 2**40]])
    assert strings_of(tokenizer.detokenize(odd)) == ["a � � � �"]
    for kind in ("int8", "int32", "int64", "uint8"):
        assert strings_of(tokenizer.detokenize(np.array([[a, mark]], kind))) == ["a!"]
    assert strings_of(tokenizer.detokenize(keras.ops.convert_to_tensor(np.array([[a, mark]])))) == ["a!"]
    assert strings_of(tokenizer.detokenize([a, mark])) == ["a!"]
    beams = tokenizer.detokenize(np.array([[[a, mark], [b, END], [b, b]]] * 2))
    assert tuple(beams.shape) == (2, 3)
    assert strings_of(beams) == ["a!", "b", "b b"] * 2


def test_tokens_are_labels():
    tokenizer = Tokenizer(["▁a", "!"])
    rows = tokenizer.tokens(
        keras.ops.convert_to_tensor([[START, 4, 5, UNKNOWN, END, 0, 4], [0] * 7, [4, -1, 6] + [5] * 4])
    )
    assert rows[0] == ["<start>", "▁a", "!", "<unknown>", "<end>"]
    assert rows[1] == []
    assert rows[2] == ["▁a", "<unknown>", "<unknown>", "!", "!", "!", "!"]


@every_split
def test_inside_tf_data_and_a_graph(split):
    import tensorflow as tf

    texts = ["a film, a film", "", "quiet!", "映画"]
    tokenizer = knowing(texts[:3], split, np.random.default_rng(2))
    expected = np.asarray(tokenizer(texts))
    batch = next(iter(tf.data.Dataset.from_tensor_slices(texts).batch(4).map(tokenizer)))
    np.testing.assert_array_equal(batch, expected)
    traced = tf.function(lambda x: tokenizer.detokenize(tokenizer(x)), [tf.TensorSpec([None], tf.string)])
    assert strings_of(traced(tf.constant(texts))) == strings_of(tokenizer.detokenize(expected))
    assert strings_of(traced(tf.constant([""]))) == [""]
    assert strings_of(traced(tf.constant([], tf.string))) == []


@pytest.mark.tensorflow
@every_split
@pytest.mark.parametrize("how", ["module", "archive"])
def test_saved_models_take_strings_and_give_them(split, how, tmp_path):
    import tensorflow as tf

    texts = ["a film, a film", "", "quiet!", "映画 film"]
    tokenizer = knowing(texts[:3], split, np.random.default_rng(2), max_length=9)
    expected = np.asarray(tokenizer(texts))
    assert UNKNOWN in expected

    def serve(text):
        ids = tokenizer(text)
        return {"ids": ids, "text": tokenizer.detokenize(ids)}

    signature = [tf.TensorSpec([None], tf.string)]
    if how == "module":
        module = tf.Module()
        module.tokenizer = tokenizer
        module.serve = tf.function(serve, signature)
        tf.saved_model.save(module, str(tmp_path))
    else:
        archive = keras.export.ExportArchive()
        archive.track(tokenizer)
        archive.add_endpoint("serve", serve, signature)
        archive.write_out(str(tmp_path), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path))
    for rows in (slice(None), slice(1, 2), slice(2, None), slice(0, 0)):
        answer = loaded.serve(tf.constant(texts[rows], tf.string))
        assert rows_of(answer["ids"]) == rows_of(expected[rows])
        assert strings_of(answer["text"]) == strings_of(tokenizer.detokenize(expected[rows]))


@pytest.mark.tensorflow
def test_a_model_with_a_tokenizer_inside_predicts(rng):
    import tensorflow as tf

    tokenizer = Tokenizer(["▁", "a", "b", "ab"], "subwords")
    embedding = keras.layers.Embedding(tokenizer.size, 3)
    texts = keras.Input((), dtype="string")
    model = keras.Model(texts, keras.layers.GlobalMaxPooling1D()(embedding(tokenizer(texts))))
    model.compile("sgd", "mse")
    given = ["ab a", "b", "cab"]
    expected = np.asarray(embedding(tokenizer(given))).max(axis=1)
    np.testing.assert_allclose(model.predict(tf.constant(given), verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("lowercase", [False, True])
@every_split
def test_configuration_round_trip(split, lowercase):
    tokenizer = Tokenizer(["\u2028", "é", "▁a", '"', "�", "▁"], split, lowercase, 7, name="tok")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    assert type(copy) is Tokenizer
    assert copy.get_config() == tokenizer.get_config()
    assert (copy.split, copy.lowercase, copy.max_length, copy.name) == (split, lowercase, 7, "tok")
    assert copy.vocabulary == ["\u2028", "é", "▁a", '"', "�", "▁"]
    assert copy.size == 10
    text = 'É é a" ? ' + "é " * 9
    np.testing.assert_array_equal(np.asarray(copy([text])), np.asarray(tokenizer([text])))


def test_vocabularies_and_texts_come_in_any_container():
    vocabulary = ["▁a", "!"]
    for given_as in (tuple, np.array, iter):
        assert Tokenizer(given_as(vocabulary)).vocabulary == vocabulary
    assert all(type(token) is str for token in Tokenizer(np.array(vocabulary)).vocabulary)
    tokenizer = Tokenizer(vocabulary)
    texts = ["a!", "a"]
    for given_as in (list, tuple, np.array, lambda t: np.array(t, object), lambda t: [x.encode() for x in t]):
        assert np.asarray(tokenizer(given_as(texts))).tolist() == [[4, 5], [4, 0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary": []}, "vocabulary.*at least one.*data.tokenizer"),
        ({"vocabulary": "abc"}, "vocabulary.*list of strings.*'abc'"),
        ({"vocabulary": None}, "vocabulary.*None"),
        ({"vocabulary": ["a", ""]}, "vocabulary.*not empty"),
        ({"vocabulary": ["a", 3]}, "vocabulary.*3"),
        ({"vocabulary": [b"a"]}, "vocabulary.*b'a'"),
        ({"vocabulary": ["a", "b", "c", "b"]}, "vocabulary.*once.*'b'"),
        ({"vocabulary": ["a", "b\ud800"]}, r"vocabulary.*valid Unicode.*\\ud800"),
        ({"split": "syllables"}, "split.*'words'.*'syllables'"),
        ({"lowercase": "yes"}, "lowercase.*'yes'"),
        ({"max_length": 0}, "max_length.*0"),
        ({"max_length": 2.5}, "max_length.*2.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(**{"vocabulary": ["a"], **arguments})


@every_split
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", r"\(B,\).*\(\)"),
        ([["a"], ["b"]], r"\(B,\).*\(2, 1\)"),
        ([["a"], ["b", "c"]], r"\(B,\).*\[\['a'"),
        ([1, 2], r"strings \(B,\).*1, 2"),
        (np.array([0.5]), r"strings \(B,\).*0.5"),
        (["a", None], r"strings \(B,\).*None"),
    ],
    ids=str,
)
def test_what_is_no_batch_of_texts_is_named(split, texts, message):
    tokenizer = Tokenizer(["a"], split, name="reader")
    for call in (tokenizer, tokenizer.tokenize):
        with pytest.raises(ValueError, match=re.compile("'reader'.*" + message)):
            call(texts)


def test_what_are_no_ids_is_named():
    tokenizer = Tokenizer(["a"])
    with pytest.raises(ValueError, match=r"ids.*\(\.\.\., T\).*5"):
        tokenizer.detokenize(5)
    with pytest.raises(ValueError, match=r"ids.*\(B, T\).*\(2,\)"):
        tokenizer.tokens([4, 5])


def test_public_names():
    assert ks.layers.Tokenizer is Tokenizer
    assert (PADDING, UNKNOWN, START, END, FIRST) == (0, 1, 2, 3, 4)

"""Which words texts have, which ids those get, and what becomes of odd texts."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_seq as ks
from keras_seq.errors import InputError

# film 2, the 2; then once each, by the alphabet: , . a book. Ids count from 2.
TEXTS = ["The film, the book.", "a film"]
WORDS = ["film", "the", ",", ".", "a", "book"]


def words_of(text, **arguments):
    """The words of one text: those that a vectoriser made from it knows, in the order of the text."""
    vectorizer = ks.data.text_vectorizer([text], **arguments)
    vocabulary = vectorizer.get_vocabulary()
    return [str(vocabulary[i]) for i in np.asarray(vectorizer([text]))[0]]


def test_ids_by_hand():
    vectorizer = ks.data.text_vectorizer(TEXTS)
    assert vectorizer.get_vocabulary() == ["", "[UNK]", *WORDS]
    ids = np.asarray(vectorizer(["the film.", "A quiet book", ""]))
    assert ids.tolist() == [[3, 2, 5], [6, 1, 7], [0, 0, 0]]


def test_equally_frequent_words_come_by_the_alphabet_whatever_the_order_of_texts():
    for texts in (["c b a", "b"], ["b", "a c b"], ["b a", "c b"]):
        assert ks.data.text_vectorizer(texts).get_vocabulary()[2:] == ["b", "a", "c"]


def test_counts_go_over_all_chunks_of_a_long_column():
    """Texts are tokenised 2,048 at a time: a word's occurrences in all of them count."""
    texts = ["rare often"] + ["often"] * 3000 + ["rare seldom"]
    assert ks.data.text_vectorizer(texts, max_tokens=4).get_vocabulary()[2:] == ["often", "rare"]
    assert ks.data.text_vectorizer(texts, min_count=2).get_vocabulary()[2:] == ["often", "rare"]


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ({"min_count": 2}, WORDS[:2]),
        ({"max_tokens": 5}, WORDS[:3]),
        ({"max_tokens": 8}, WORDS),
        ({"max_tokens": 3}, WORDS[:1]),
        ({"min_count": 2, "max_tokens": 3}, WORDS[:1]),
    ],
)
def test_which_words_are_kept(arguments, kept):
    vectorizer = ks.data.text_vectorizer(TEXTS, **arguments)
    assert vectorizer.get_vocabulary()[2:] == kept
    assert vectorizer.vocabulary_size() == len(kept) + 2
    assert np.asarray(vectorizer(["the film, a book."])).max() == len(kept) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good!!! Really?", ["good", "!", "!", "!", "really", "?"]),
        ("well-made (mostly)", ["well", "-", "made", "(", "mostly", ")"]),
        ("don't", ["don't"]),
        ("don’t", ["don't"]),
        ("a<br />b<br/><i>c</i>", ["a", "b", "c"]),
        ("3.5 of 10, snake_case", ["3", ".", "5", "of", "10", ",", "snake_case"]),
        ("ÉCLAIR Äpfel ЩИ", ["éclair", "äpfel", "щи"]),
        ("電影 🎬", ["電影", "🎬"]),
        ("a\tb\n c\r\nd", ["a", "b", "c", "d"]),
        ("if a < b and c > d", ["if", "a", "<", "b", "and", "c", ">", "d"]),
    ],
)
def test_what_a_word_is(text, words):
    assert words_of(text) == words


def test_case_counts_when_it_is_to():
    assert words_of("Good good GOOD", lowercase=False) == ["Good", "good", "GOOD"]
    assert words_of("Good good GOOD") == ["good"] * 3


def test_a_long_text_is_cut():
    vectorizer = ks.data.text_vectorizer(TEXTS, max_length=3)
    assert np.asarray(vectorizer(["the film, a book", "a"])).tolist() == [[3, 2, 4], [6, 0, 0]]
    dataset = ks.data.text_dataset(pd.DataFrame({"text": ["the film, a book"]}), vectorizer, label=None)
    assert next(iter(dataset)).numpy().tolist() == [[3, 2, 4]]


@pytest.mark.parametrize("texts", [[""], ["", "  "], ["<br />"], [" \n"]])
def test_a_vocabulary_of_zero_words_is_an_error(texts):
    with pytest.raises(InputError, match="vocabulary is empty"):
        ks.data.text_vectorizer(texts)


def test_no_word_is_frequent_enough():
    with pytest.raises(InputError, match="min_count"):
        ks.data.text_vectorizer(["each word once"], min_count=2)


@pytest.mark.parametrize("bad", [float("nan"), None, pd.NA, 3])
def test_a_text_that_is_none_is_named_with_its_row(bad):
    with pytest.raises(InputError, match="row 1"):
        ks.data.text_vectorizer(["a film", bad])


@pytest.mark.parametrize("arguments", [{"max_tokens": 2}, {"max_length": 0}, {"max_length": 2.5}])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ks.data.text_vectorizer(TEXTS, **arguments)


def test_no_texts_and_no_words():
    with pytest.raises(InputError, match="no rows"):
        ks.data.text_vectorizer([])
    with pytest.raises(ValueError, match="vocabulary"):
        ks.layers.TextVectorizer([])


@pytest.mark.parametrize(
    "texts",
    [TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS, index=[9, 4])],
    ids=["list", "tuple", "array", "column"],
)
def test_texts_come_in_any_container(texts):
    assert ks.data.text_vectorizer(texts).get_vocabulary()[2:] == WORDS


def test_configuration_round_trip():
    """Also with words that a file of one word a line could not hold."""
    vectorizer = ks.layers.TextVectorizer(["\u2028", "\x85", "é", "don't", '"'], max_length=7, lowercase=False)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(vectorizer))
    assert type(copy) is ks.layers.TextVectorizer
    assert copy.get_config() == vectorizer.get_config()
    text = 'É é don’t " ? ' + "é " * 9
    assert np.array_equal(np.asarray(copy([text])), np.asarray(vectorizer([text])))
    assert np.asarray(copy([text])).tolist() == [[1, 4, 5, 6, 1, 4, 4]]


def test_inside_tf_data_and_a_graph():
    vectorizer = ks.data.text_vectorizer(TEXTS)
    texts = ["the film", "a", "", "the book, the film, unheard"]
    expected = np.asarray(vectorizer(texts))
    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(4).map(vectorizer)
    assert np.array_equal(next(iter(dataset)), expected)
    traced = tf.function(vectorizer, input_signature=[tf.TensorSpec((None,), tf.string)])
    assert np.array_equal(traced(tf.constant(texts)), expected)
    assert traced(tf.constant([""])).shape == (1, 0)

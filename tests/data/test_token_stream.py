"""Long texts as streams of ids: nothing is cut, and with `keep_spaces` nothing is lost."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_seq as ks
from keras_seq.errors import InputError
from keras_seq.layers.tokenizer import END
from tests.token_texts import every_split, knowing

TEXTS = ["a bb ccc, dddd eeeee", "eeeeeeeeeee", "", "a"]


@settings(max_examples=20, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_character_comes_back(text):
    tokenizer = ks.data.tokenizer([text], "characters", max_length=1, keep_spaces=True)
    ids = ks.data.token_stream(text, tokenizer)
    assert ids.dtype == "int32"
    assert [tokenizer.vocabulary[i - 4] for i in ids] == [*text]
    assert tokenizer.detokenize(ids).numpy().decode() == text


@every_split
def test_a_text_is_not_cut(split):
    whole = knowing(TEXTS, split, np.random.default_rng(3), max_length=50)
    rows = [[int(i) for i in row if i] for row in np.asarray(whole(TEXTS))]
    assert max(map(len, rows)) > 5
    short = type(whole).from_config({**whole.get_config(), "max_length": 2})
    for text, row in zip(TEXTS, rows, strict=True):
        assert ks.data.token_stream(text, short).tolist() == row
    assert ks.data.token_stream(TEXTS, short).tolist() == [i for row in rows for i in (*row, END)]
    many = ["a"] * 1100  # more than are read together
    assert ks.data.token_stream(many, short).tolist() == [*rows[-1], END] * 1100


def test_spaces_are_kept_by_a_reload_and_in_a_graph():
    import tensorflow as tf

    tokenizer = ks.layers.Tokenizer(list(" ab\n\t"), "characters", lowercase=True, keep_spaces=True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(tokenizer))
    text = "\n\n A  b\t"
    for one in (tokenizer, again):
        ids = np.asarray(one([text]))
        assert ids.tolist() == [[7, 7, 4, 5, 4, 4, 6, 8]]
        assert one.detokenize(ids).numpy()[0].decode() == text.lower()
        assert np.asarray(tf.function(one)(tf.constant([text]))).tolist() == ids.tolist()
    dropped = ks.layers.Tokenizer(list(" ab\n\t"), "characters", lowercase=True)
    assert np.asarray(dropped([text])).tolist() == [[5, 4, 6]]


def test_bad_input():
    for arguments in ({"split": "words", "keep_spaces": True}, {"split": "characters", "keep_spaces": 1}):
        with pytest.raises(ValueError, match=r"`keep_spaces` must be False, or True where .* 'characters'"):
            ks.data.tokenizer(["a"], **arguments)
    tokenizer = ks.data.tokenizer(["a"])
    with pytest.raises(InputError, match="row 1"):
        ks.data.token_stream(["a", None], tokenizer)
    with pytest.raises(InputError, match="no rows"):
        ks.data.token_stream([], tokenizer)
    with pytest.raises(InputError, match=r"`tokenizer` must be a ks.layers.Tokenizer"):
        ks.data.token_stream("a", None)

"""Strings to strings: what a model says is what its scores make it say, whatever it is batched with."""

import re

import keras
import numpy as np
import pytest

import keras_seq as ks

LETTERS = ks.layers.Tokenizer(list("abcdef "), split="characters", max_length=9)
TEXTS = ["abc", "", "f", "bad cafe", "deaf", "a b c d e f", "☃b", "ccc"]
KINDS = {
    "gru": {"bidirectional": True},
    "fed": {"encoder": "lstm", "attention": "dot", "input_feeding": True, "depth": 2},
    "transformer": {"encoder": "transformer", "depth": 2, "num_heads": 2},
    "blind": {"attention": None},
}


def model_of(kind="gru", scale=1.5, **arguments):
    model = ks.models.seq2seq_model(LETTERS, LETTERS, **{"units": 8, **KINDS[kind], **arguments})
    rng = np.random.default_rng(3)
    for weight in model.network.weights:  # far from uniform, so that no rounding decides what is said
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(rng.normal(size=weight.shape) * scale / 8**0.5)
    return model


@pytest.fixture(params=KINDS)
def model(request):
    return model_of(request.param)


def log_probabilities(model, text, said):
    """Those `(T, V)` of each next token, from one pass with teacher forcing; padding, unknown and start are never said.

    `said` are the ids before: one more row comes out.
    """
    inputs = {"source": np.asarray(LETTERS([text])), "target": np.array([[2, *said]], "int32")}
    logits = np.asarray(model(inputs), "float64")[0]
    logits[:, :3] = -np.inf
    highest = logits.max(axis=1, keepdims=True)
    return logits - highest - np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))


def ids_of(tokens):
    names = ["<padding>", "<unknown>", "<start>", "<end>", *LETTERS.vocabulary]
    return [names.index(token) for token in tokens]


def test_greedy_is_the_likeliest_token_at_each_step(model):
    said = model.translate(TEXTS, beam_width=1, n_best=1)
    assert len({one.text for (one,) in said}) > 3
    for text, (one,) in zip(TEXTS, said, strict=True):
        ids = ids_of(one.tokens)
        assert one.text == "".join(token for token in one.tokens if token != "<end>").strip()
        if not text:
            assert (ids, one.score) == ([], 0)
            continue
        p = log_probabilities(model, text, ids[:-1])
        assert p.argmax(axis=1).tolist() == ids
        assert ids[-1] == 3 or len(ids) == 10
        assert one.score == pytest.approx(p.max(axis=1).sum() / ((5 + len(ids)) / 6), abs=1e-4)


def test_beams_score_what_they_say(model):
    for text, best in zip(TEXTS, model.translate(TEXTS, n_best=3, length_penalty=0.6), strict=True):
        scores = [one.score for one in best]
        assert scores == sorted(scores, reverse=True)
        if not text:
            assert [one.text for one in best] == [""]  # there is but one of no length
            assert scores == [0]
            continue
        assert len({tuple(one.tokens) for one in best}) == 3
        for one in best:
            ids = ids_of(one.tokens)
            p = log_probabilities(model, text, ids[:-1])[np.arange(len(ids)), ids].sum()
            assert one.score == pytest.approx(p / ((5 + len(ids)) / 6) ** 0.6, abs=1e-4)


@pytest.mark.tensorflow
def test_a_wider_beam_finds_no_less(model):
    narrow, wide = (model.translate(TEXTS, beam_width=width, n_best=1, length_penalty=0) for width in (1, 6))
    assert all(b[0].score >= a[0].score - 1e-4 for a, b in zip(narrow, wide, strict=True))
    assert any(b[0].score > a[0].score + 1e-3 for a, b in zip(narrow, wide, strict=True))


def test_company_and_order_change_nothing(model):
    together = model.translate(TEXTS)
    assert model.translate(TEXTS, batch_size=3) == together
    assert model.translate(TEXTS[::-1]) == together[::-1]
    assert [model.translate([text])[0] for text in TEXTS] == together
    assert model.translate([]) == []


@pytest.mark.tensorflow
def test_long_texts_are_cut_and_unheard_symbols_are_unknown():
    model = model_of()
    assert (
        model.translate(["abcdefabc", "abcdefabcdef", "☃b", "☀b"])[::2]
        == model.translate(["abcdefabc", "abcdefabcXYZ", "☀b", "☃b"])[::2]
    )
    (one,) = model.translate(["abcdefabcdef☃"], n_best=1)[0]
    assert one.source_tokens == list("abcdefabc")
    assert model.translate(["☃"], n_best=1)[0][0].source_tokens == ["<unknown>"]


@pytest.mark.tensorflow
def test_limits_of_the_length():
    model = model_of()
    assert max(len(best[0].tokens) for best in model.translate(TEXTS, n_best=1)) == 10  # and the end
    assert all(len(best[0].tokens) <= 3 for best in model.translate(TEXTS, n_best=1, max_length=3))
    assert model.translate(TEXTS, max_length=0) == [""] * len(TEXTS)
    assert model.translate(TEXTS, max_length=99) == model.translate(TEXTS)


@pytest.mark.parametrize("kind", ["gru", "fed", "transformer"])
def test_attention_belongs_to_the_tokens(kind):
    model = model_of(kind)
    for batch_size in (32, 3):
        found = model.translate(TEXTS, n_best=2, return_attention=True, batch_size=batch_size)
        for text, best in zip(TEXTS, found, strict=True):
            for one in best:
                assert one.attention.shape == (len(one.tokens), len(one.source_tokens))
                np.testing.assert_allclose(one.attention.sum(axis=1), np.ones(len(one.tokens)), atol=1e-5)
                if one.tokens:
                    ids = np.array([[LETTERS.vocabulary.index(token) + 4 for token in one.tokens if token != "<end>"]])
                    said = np.concatenate([[[2]], ids], axis=1)[:, : len(one.tokens)]
                    encoded = model.network.encode(np.asarray(LETTERS([text])))
                    _, weights = model.network.decode(said.astype("int32"), encoded)
                    np.testing.assert_allclose(one.attention, np.asarray(weights)[0], atol=1e-4)
    best = model.translate(TEXTS, return_attention=True)
    assert [one.text for one in best] == model.translate(TEXTS)


@pytest.mark.parametrize(
    ("texts", "how", "message"),
    [
        ("abc", {}, r"Texts must come in a list, got the single text 'abc': write \['abc'\]"),
        ([1, 2], {}, "`texts` must be a list of strings, got list"),
        (["a", None], {}, "must hold strings of valid Unicode, got None in row 1"),
        (["a"], {"n_best": 5}, "`n_best` must be at most `beam_width`, 4, got 5"),
        (["a"], {"beam_width": 0}, "`beam_width` must be a positive integer, got 0"),
        (["a"], {"n_best": 0}, "`n_best` must be a positive integer, got 0"),
        (["a"], {"max_length": -1}, "`max_length` must be an integer, 0 or more, got -1"),
        (["a"], {"length_penalty": "much"}, "`length_penalty` must be a finite number, got 'much'"),
        (["a"], {"beam_width": 1, "length_penalty": "much"}, "`length_penalty` must be a finite number, got 'much'"),
        (["a"], {"batch_size": 0}, "`batch_size` must be a positive integer, got 0"),
    ],
)
def test_bad_arguments(texts, how, message):
    with pytest.raises(ValueError, match=message):
        model_of().translate(texts, **how)


def test_a_broken_model_says_so():
    model = model_of()
    model.network.scores.bias.assign(np.full(LETTERS.size, np.nan))
    for width in (1, 4):
        with pytest.raises(ValueError, match="says nothing that has a probability: are its weights NaN"):
            model.translate(["abc"], beam_width=width)


@pytest.mark.tensorflow
def test_few_programs_are_kept():
    model = model_of(units=2)
    for penalty in np.linspace(0, 1, 10):
        model.translate(["a"], beam_width=2, length_penalty=float(penalty), max_length=1)
    assert len(model._translator.programs.kept) == 8
    last = dict(model._translator.programs.kept)
    model.translate(["a"], beam_width=2, length_penalty=1.0, max_length=1)
    assert model._translator.programs.kept == last


def test_a_model_without_attention_has_no_weights():
    with pytest.raises(ValueError, match="asks for weights of a model without attention"):
        model_of("blind").translate(["a"], return_attention=True)


# In a graph of its own


SERVE = """
import json, sys
import tensorflow as tf
assert "keras_seq" not in sys.modules
loaded = tf.saved_model.load("served")
answers = loaded.signatures["translate"](tf.constant(json.load(open("texts.json"))))
nothing = loaded.signatures["translate"](tf.zeros([0], tf.string))
names = sorted(loaded.signatures)
print(json.dumps({name: value.numpy().tolist() for name, value in answers.items() if name != "text"} | {
    "text": [[t.decode() for t in row] for row in answers["text"].numpy()], "names": names,
    "shapes of nothing": {name: list(value.shape) for name, value in nothing.items()}}))
"""


@pytest.mark.tensorflow
def test_the_saved_model_says_the_same_by_tensorflow_alone(model, tmp_path):
    import json

    from tests.processes import run_code

    weighs = model.network.attention is not None
    how = {"beam_width": 3, "n_best": 2, "return_attention": weighs, "length_penalty": 0.4}
    model.export(tmp_path / "served", **how, max_length=7)
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    served = json.loads(run_code(SERVE, tmp_path, block={"keras_seq", "keras"}))
    assert served["names"] == ["serving_default", "translate"]
    of_nothing = {"text": [0, 2], "score": [0, 2], **({"attention": [0, 2, 0, 0]} if weighs else {})}
    assert served["shapes of nothing"] == of_nothing
    expected = model.translate(TEXTS, **how, max_length=7)
    for best, texts, scores in zip(expected, served["text"], served["score"], strict=True):
        assert texts[: len(best)] == [one.text for one in best]
        np.testing.assert_allclose(scores, [one.score for one in best] + [-np.inf] * (2 - len(best)), atol=1e-4)
    if weighs:
        attention = np.asarray(served["attention"])
        for i, best in enumerate(expected):
            for k, one in enumerate(best):
                t, s = one.attention.shape
                np.testing.assert_allclose(attention[i, k, :t, :s], one.attention, atol=1e-4)
                assert not attention[i, k, t:].any()
                assert not attention[i, k, :, s:].any()


@pytest.mark.tensorflow
def test_the_saved_model_of_a_trained_model_holds_plain_operations(tmp_path):
    import tensorflow as tf

    model = model_of("gru")
    model.fit(["abc", "cab"], ["b", "c"], epochs=2, verbose=0)
    model.export(tmp_path / "served", beam_width=1)
    graph = tf.saved_model.load(tmp_path / "served").signatures["serving_default"].graph
    functions = graph.as_graph_def().library.function
    operations = {node.op for f in functions for node in f.node_def} | {op.type for op in graph.get_operations()}
    assert not [name for name in operations if re.search("Xla|Cudnn|PyFunc", name)]
    assert not [f.signature.name for f in functions if "_XlaMustCompile" in f.attr and f.attr["_XlaMustCompile"].b]
    loaded = tf.saved_model.load(tmp_path / "served")
    answers = loaded.signatures["serving_default"](tf.constant(TEXTS))
    assert [text.decode() for text in answers["text"].numpy()] == model.translate(TEXTS, beam_width=1)
    assert answers["score"].shape == (len(TEXTS),)


@pytest.mark.tensorflow
def test_exports_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="`format` must be 'tf_saved_model', got 'onnx'"):
        model_of().export(tmp_path / "m.onnx", format="onnx")
    with pytest.raises(ValueError, match="`n_best` must be at most"):
        model_of().export(tmp_path / "m", n_best=9)

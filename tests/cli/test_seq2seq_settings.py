"""What the options of `keras-seq train seq2seq` come to: settings, parts of the data, rates, reports."""

import pandas as pd
import pytest

import keras_seq as ks
from tests.cli.conftest import WORDS

pytestmark = pytest.mark.tensorflow


def test_settings_suit_dates_data_and_transformers():
    from keras_seq.cli.seq2seq import settings_of

    dates, data = settings_of({"seed": 3}), settings_of({"data": "x.tsv", "target": "fr"})
    assert (dates.source, dates.target, dates.seed, dates.tokens["split"]) == ("text", "iso", 3, "characters")
    assert dates.batches == {"batch_size": 64}
    assert (data.data, data.source, data.target, data.test_size) == ("x.tsv", "source", "fr", 0.1)
    assert (data.tokens["split"], data.batches) == ("words", {"tokens_per_batch": 3072})
    chosen = {"encoder": "transformer", "batch_size": 5, "shared_embeddings": "all", "lowercase": True}
    other = settings_of({"data": "x.tsv", **chosen})
    assert other.batches == {"batch_size": 5}
    assert other.tokens["lowercase"] is True
    assert {name: other.model.get(name) for name in ("encoder", "depth", "shared_embeddings", "bidirectional")} == {
        "encoder": "transformer",
        "depth": 4,
        "shared_embeddings": True,
        "bidirectional": None,
    }
    assert settings_of({"attention": "none", "units": 5}).model["attention"] is None


def test_two_files_a_transformer_and_one_vocabulary(pairs, tmp_path):
    from keras_seq.cli.seq2seq import compose, load_parts, settings_of

    paths = [tmp_path / f"pairs.{name}" for name in pairs]
    for path, name in zip(paths, pairs, strict=True):
        path.write_text("\n".join(pairs[name]) + "\n", encoding="utf-8")
    options = {"encoder": "transformer", "units": 8, "depth": 1, "num_heads": 2, "shared_embeddings": "all"}
    tokens = {"min_count": 1, "max_length": 5, "lowercase": True}
    settings = settings_of({"data": paths[0], "data_target": paths[1], **options, **tokens})
    parts = load_parts(settings)
    assert [len(frame) for frame in parts.values()] == [55, 3, 6]
    _, test = ks.data.split(pairs, 0.1, seed=0)
    assert parts["test"].to_numpy().tolist() == test.to_numpy().tolist()
    model, datasets = compose(settings, parts)
    assert model.source_vectorizer is model.target_vectorizer
    assert (model.network.encoder, model.network.units, model.network.shared_embeddings) == ("transformer", 8, True)
    assert sorted(model.source_vectorizer.vocabulary) == sorted(
        {",", *(f"▁{w.lower()}" for kv in WORDS.items() for w in kv)}
    )
    assert sum(len(labels) for _, labels in datasets["test"]) == 6


def test_a_source_is_in_one_part_with_all_its_pairs(pairs, tmp_path):
    from keras_seq.cli.seq2seq import load_parts, settings_of

    twice = pd.concat([pairs, pairs.assign(de=pairs["de"].str.upper())])
    twice.to_json(tmp_path / "twice.jsonl", orient="records", lines=True)
    parts = load_parts(settings_of({"data": tmp_path / "twice.jsonl", "source": "en", "target": "de"}))
    assert {name: len(frame) for name, frame in parts.items()} == {"train": 110, "validation": 6, "test": 12}
    sources = [source for frame in parts.values() for source in set(frame["en"])]
    assert len(sources) == len(set(sources)) == 64


@pytest.mark.parametrize(
    ("decay", "warmup", "rates"),
    [
        ("cosine", 0, {0: 1, 5: 0.5, 10: 0}),
        ("cosine", 0.2, {0: 0, 1: 0.5, 2: 1, 6: 0.5, 10: 0}),
        ("none", 0, {0: 1, 10: 1}),
        ("none", 0.5, {0: 0.2, 5: 1, 10: 1}),
    ],
)
def test_the_rate(decay, warmup, rates):
    from keras_seq.cli.seq2seq import _rate, settings_of

    rate = _rate(settings_of({"decay": decay, "warmup": warmup, "learning_rate": 0.7}), 10)
    found = {step: rate if isinstance(rate, float) else float(rate(step)) for step in rates}
    assert found == pytest.approx({step: 0.7 * share for step, share in rates.items()}, abs=1e-6)


def test_without_sacrebleu_it_says_how_to_get_it(monkeypatch, capsys):
    from keras_seq.cli.seq2seq_report import print_report, scores

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = scores(["a", "b", "c"], ["a", "b", "d"])
    assert found == {"exact": 0.6667}
    print_report({"model": {**found, "token_accuracy": 0.5, "perplexity": 2}, "copy": {"exact": 0}}, 3, [("a",) * 3])
    out = capsys.readouterr().out
    assert "keras_seq[translation]" in out
    assert "0.667" in out

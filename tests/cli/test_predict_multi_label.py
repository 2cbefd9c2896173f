"""`keras-seq predict` with a model whose texts have several labels, or none: all above 1/2 are named."""

import csv
import io
import json
import re

import numpy as np
import pytest

import keras_seq as ks

pytestmark = pytest.mark.tensorflow
LABELS = ["short", "[b]good", "schön"]  # not in the order of the alphabet, one like markup, one not in ASCII
WORDS = ["brief", "lovely", "schön"]
JUDGED = {
    "it is there": [],
    "schön, brief": ["short", "schön"],
    "a lovely film": ["[b]good"],
    "lovely brief schön": LABELS,
}
WITHOUT, WITH = np.array([0, -1, -1]), np.array([2, 1, 1])  # the logit of each label, without its word and with it


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    """Judges by one word for each label; without its word the first label has just 1/2."""
    small = {"encoder": "simple_rnn", "units": 3, "embedding_dim": 3, "pooling": "max"}
    model = ks.models.sentiment_model(ks.layers.TextVectorizer(WORDS), LABELS, multi_label=True, **small)
    one, none = np.eye(3), np.zeros((3, 3))
    weights = {
        "embedding": [np.vstack([none[:2], one])],  # the first two are padding and unknown words
        "encoder_1": [20 * one, none, none[0]],
        "probabilities": [np.diag(WITH - WITHOUT), WITHOUT],
    }
    for name, values in weights.items():
        model.network.get_layer(name).set_weights(values)
    out = tmp_path_factory.mktemp("several") / "model"
    ks.saving.save(model, out)
    return out


def probabilities_of(labels):
    logits = np.where([label in labels for label in LABELS], WITH, WITHOUT)
    return dict(zip(LABELS, 1 / (1 + np.exp(-logits)), strict=True))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_row_has_a_list_of_labels(keras_seq, artefact, form):
    done = keras_seq("predict", artefact, *JUDGED, "--format", form)
    assert done.code == 0, done.err
    if form == "jsonl":
        rows = [json.loads(line) for line in done.out.splitlines()]
    else:
        assert '"[""short"", ""schön""]"' in done.out
        cells = csv.DictReader(io.StringIO(done.out))
        rows = [{n: v if n == "text" else json.loads(v) for n, v in row.items()} for row in cells]
    assert [list(row) for row in rows] == [["text", "labels", "probabilities"]] * 4
    assert {row["text"]: row["labels"] for row in rows} == JUDGED
    for row in rows:
        assert list(row["probabilities"]) == LABELS
        assert row["probabilities"] == pytest.approx(probabilities_of(row["labels"]), rel=1e-5)


def test_the_table_names_all_labels_and_their_probabilities(keras_seq, artefact):
    done = keras_seq("predict", artefact, *JUDGED)
    assert done.code == 0, done.err
    lines = [re.split("[┃│]", line)[1:-1] for line in done.out.splitlines() if re.search("[┃│]", line)]
    head, *rows = [[cell.strip() for cell in line] for line in lines]
    assert head == ["labels", "probability", "text"]
    for row, (text, labels) in zip(rows, JUDGED.items(), strict=True):
        of_label = probabilities_of(labels)
        assert row == [", ".join(labels), ", ".join(f"{of_label[label]:.3f}" for label in labels), text]

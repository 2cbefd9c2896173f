"""The checked-in model of dates, which `keras-seq train seq2seq` writes, served where this package does not exist."""

import json

import keras
import pytest
from packaging.version import Version

import keras_seq as ks
from tests.processes import BLOCK, ROOT, python

pytestmark = pytest.mark.tensorflow
ARTEFACT = ROOT / "saved_models" / "dates"

SERVE = """
import json, sys
try:
    import keras_seq
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("keras_seq can be imported here: this would prove nothing")
import tensorflow as tf

rows = json.load(open("rows.json", encoding="utf-8"))
signatures = tf.saved_model.load(sys.argv[1]).signatures
right = 0
for start in range(0, len(rows), 200):
    part = rows[start : start + 200]
    answer = signatures["translate"](text=tf.constant([text for text, _ in part]))
    right += sum(said.decode() == truth for said, (_, truth) in zip(answer["text"].numpy(), part))
served = signatures["serving_default"]
several = ["9 March 1987", "", "\\u2603", "x" * 99]
batch, alone = served(text=tf.constant(several)), served(text=tf.constant(several[:1]))
difference = float(abs(batch["score"][0] - alone["score"][0]))
said = [text.decode() for text in [*batch["text"].numpy(), *alone["text"].numpy()]]
nothing = served(text=tf.constant([], tf.string))["text"].shape.as_list()
print(json.dumps({"right": right / len(rows), "said": said, "difference": difference, "nothing": nothing}))
"""


@pytest.fixture(scope="module")
def card():
    return json.loads((ARTEFACT / "card.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def unseen():
    """Dates in forms drawn anew, of days that no row of the training has."""
    frame = ks.data.dates(rows=10_000, seed=77)
    return frame.loc[frame["split"] == "test", ["text", "iso"]]


def test_served_without_the_package_it_reads_dates_that_it_never_saw(tmp_path, unseen):
    assert len(unseen) > 900
    (tmp_path / "rows.json").write_text(json.dumps(unseen.to_numpy().tolist()), encoding="utf-8")
    code = BLOCK.format(names={"keras_seq"}) + SERVE
    done = python("-c", code, ARTEFACT / "saved_model", cwd=tmp_path, PYTHONPATH=None)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert answer["right"] >= 0.995
    assert answer["said"][0] == answer["said"][-1] == "1987-03-09"
    assert answer["said"][1] == ""
    assert answer["difference"] < 1e-5
    assert answer["nothing"] == [0]


def test_loaded_it_does_too(card, unseen):
    if Version(keras.__version__) < Version(card["versions"]["keras"]):
        pytest.skip("the artefact was written by a newer Keras, whose .keras files an older one does not read")
    some = unseen[:200]
    said = ks.saving.load(ARTEFACT).translate(some["text"].tolist(), batch_size=100)
    assert sum(a == b for a, b in zip(said, some["iso"], strict=True)) >= 199


def test_its_card(card):
    frame = ks.data.dates()
    assert (card["kind"], card["data"]) == ("seq2seq", "generated dates")
    assert card["split"]["test"] == int((frame["split"] == "test").sum())
    assert sum(card["split"].values()) == len(frame)
    assert card["metrics"]["exact"] >= 0.995
    assert card["baselines"]["copy"]["exact"] < 0.1  # a day that was written as in ISO 8601 already
    assert 0 < card["train_seconds"] < 180


def test_it_is_small():
    assert sum(path.stat().st_size for path in ARTEFACT.rglob("*") if path.is_file()) < 1_000_000


def test_its_graph_holds_plain_operations_only():
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.framework import op_def_registry

    saved = SavedModel.FromString((ARTEFACT / "saved_model" / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    operations = {node.op for node in nodes} - {function.signature.name for function in functions}
    assert len(operations) > 20
    assert {op for op in operations if op_def_registry.get(op) is None} == set()
    assert {op for op in operations if "cudnn" in op.lower() or "xla" in op.lower() or "pyfunc" in op.lower()} == set()
    assert [item for item in [*nodes, *functions] if item.attr["_XlaMustCompile"].b] == []


def test_the_script_that_serves_it_runs(tmp_path):
    texts = ["9 March 1987", "9.3.87", "MONDAY, MARCH 9, 1987"]
    done = python(ROOT / "saved_models" / "serve.py", ARTEFACT, *texts, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    for line, text in zip(done.stdout.splitlines(), texts, strict=True):
        said, score, *rest = line.split(maxsplit=2)
        assert (said, rest) == ("1987-03-09", [text])
        assert float(score) <= 0

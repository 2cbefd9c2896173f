"""The checked-in artefact of `make demo`, served where this package does not exist."""

import json

import keras
import pytest
from packaging.version import Version

import keras_seq as ks
from tests.processes import BLOCK, ROOT, python

pytestmark = pytest.mark.tensorflow
ARTEFACT = ROOT / "saved_models" / "reviews"

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
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
right = 0
for start in range(0, len(rows), 100):
    part = rows[start : start + 100]
    answer = served(text=tf.constant([text for text, _ in part]))
    right += sum(label.decode() == truth for label, (_, truth) in zip(answer["label"].numpy(), part))
one = served(text=tf.constant([rows[0][0]]))["probabilities"].numpy()  # alone, without the padding of its batch
batch = served(text=tf.constant([text for text, _ in rows[:100]]))["probabilities"].numpy()
print(json.dumps({"accuracy": right / len(rows), "difference": float(abs(one - batch[:1]).max())}))
"""


@pytest.fixture(scope="module")
def card():
    return json.loads((ARTEFACT / "card.json").read_text(encoding="utf-8"))


def test_served_without_the_package_it_has_the_accuracy_of_its_card(tmp_path, card):
    frame = ks.data.reviews()
    held_out = frame.loc[frame["split"] == "test", ["text", "label"]]
    (tmp_path / "rows.json").write_text(json.dumps(held_out.to_numpy().tolist()), encoding="utf-8")
    code = BLOCK.format(names={"keras_seq"}) + SERVE
    done = python("-c", code, ARTEFACT / "saved_model", cwd=tmp_path, PYTHONPATH=None)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert answer["accuracy"] == pytest.approx(card["metrics"]["accuracy"], abs=1e-3)
    assert answer["difference"] < 1e-5


def test_loaded_it_has_that_accuracy_too(card):
    if Version(keras.__version__) < Version(card["versions"]["keras"]):
        pytest.skip("the artefact was written by a newer Keras, whose .keras files an older one does not read")
    frame = ks.data.reviews()
    held_out = frame[frame["split"] == "test"]
    model = ks.saving.load(ARTEFACT)
    assert model.evaluate(held_out["text"], held_out["label"], verbose=0)[1] == pytest.approx(
        card["metrics"]["accuracy"], abs=1e-3
    )


def test_the_card_is_that_of_the_demo(card):
    assert card["kind"] == "sentiment"
    assert card["data"] == "embedded reviews"
    assert card["split"]["test"] == int((ks.data.reviews()["split"] == "test").sum())
    assert sum(card["split"].values()) == len(ks.data.reviews())
    assert card["metrics"]["accuracy"] > card["baselines"]["bag_of_words"]["accuracy"] > 0.5
    assert {"accuracy", "macro_f1"} <= set(card["metrics"])
    assert all({"accuracy", "macro_f1"} <= set(scores) for scores in card["baselines"].values())
    assert card["train_seconds"] > 0


def test_it_is_small():
    size = sum(path.stat().st_size for path in ARTEFACT.rglob("*") if path.is_file())
    assert size < 2_000_000


def test_its_graph_holds_plain_operations_only():
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.framework import op_def_registry

    saved = SavedModel.FromString((ARTEFACT / "saved_model" / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(node for function in functions for node in function.node_def)]
    own = {function.signature.name for function in functions}
    operations = {node.op for node in nodes} - own
    assert len(operations) > 20  # there is a loop, a table, a regular expression
    assert {op for op in operations if op_def_registry.get(op) is None} == set()
    assert {op for op in operations if "cudnn" in op.lower() or "xla" in op.lower() or "pyfunc" in op.lower()} == set()
    marks = {name for node in nodes for name in node.attr} | {name for f in functions for name in f.attr}
    must_compile = [item for item in [*nodes, *functions] if item.attr["_XlaMustCompile"].b]
    assert must_compile == []
    assert "_XlaScope" not in marks


def test_the_script_that_serves_it_runs(tmp_path):
    texts = ["A quiet, funny film.", "The soup was not cold at all.", ""]
    done = python(ROOT / "saved_models" / "serve.py", ARTEFACT, *texts, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line, text in zip(lines, texts, strict=True):
        label, probability = line.split()[:2]
        assert label in ("positive", "negative")
        assert 0.5 <= float(probability) <= 1
        assert line.endswith(text)

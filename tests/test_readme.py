"""The ten lines of the README run as they stand there."""

import re

import pytest

import keras_seq as ks
from tests.processes import ROOT, run_code

pytestmark = pytest.mark.tensorflow


def ten_lines():
    return re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def test_the_ten_lines_run(tmp_path):
    code = ten_lines()
    for name in ("read_frame", "text_vectorizer", "sentiment_model", "model.fit", "model.predict", "ks.saving.save"):
        assert name in code
    quick, changes = re.subn(r"epochs=\d+", "epochs=1", code)  # all that is changed
    assert changes == 1
    ks.data.reviews().sample(60, random_state=1)[["text", "label"]].to_csv(tmp_path / "reviews.csv", index=False)
    out = run_code(quick + '\nprint("labels", model.labels, layer.units)', tmp_path)
    assert "labels ['negative', 'positive'] 64" in out
    assert "learning_rate" in out  # in the progress bar
    folder = tmp_path / "saved_models" / "reviews"
    assert ks.saving.read_card(folder)["kind"] == "sentiment"
    assert ks.saving.load(folder).predict(["a quiet, funny film"], verbose=0).shape == (1, 2)


def test_its_commands_and_files_are_there():
    """Make targets, files in the file map, and links that the README names exist."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z][a-z-]+)\b(?=`|\s+#)", text))
    assert {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    paths = re.findall(r"`((?:keras_seq|saved_models|benchmarks|tests|notebooks)/[\w./]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_lines_on_small_data_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "load_vectors" in block]
    (tmp_path / "glove.6B.100d.txt").write_text("a 0.1 0.2 0.3\nfilm 0.3 -0.2 0.1\n", encoding="utf-8")
    before = (
        "import keras_seq as ks\n"
        "texts, labels = ['a quiet film', 'a loud film', 'a film'], ['positive', 'negative', 'positive']\n"
        "vectorizer = ks.data.text_vectorizer(texts)\n"
    )
    assert "coverage 0.5" in run_code(f"{before}{code}\nprint('coverage', vectors.coverage)", tmp_path)


def test_the_lines_on_attention_and_decoding_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "beam_search" in block]
    shapes = "print(logits.shape, *(tuple(one.shape) for one in found))"
    assert "(2, 7, 50) (2, 2, 20) (2, 2) (2, 2)" in run_code(f"{code}\n{shapes}", tmp_path)


def test_the_lines_on_translation_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "seq2seq_model" in block]
    rows = [f"{a} {b}\t{b} {a}" for a in "abcde" for b in "abcde"]
    (tmp_path / "pairs.tsv").write_text("\n".join(["en\tfr", *rows, ""]), encoding="utf-8")
    quick = code.replace("epochs=10", "epochs=1").replace('encoder="gru"', 'encoder="gru", units=4')
    assert "epochs=1)" in quick
    assert "units=4" in quick
    run_code(quick, tmp_path)
    assert ks.saving.read_card(tmp_path / "saved_models" / "en_fr")["kind"] == "seq2seq"


def test_the_lines_on_training_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "GradientMonitor" in block]
    out = run_code(f"{code}\nprint('rates', *(round(1e3 * one, 2) for one in history['learning_rate']))", tmp_path)
    assert "rates 1.5 3.0 3.0 2.89" in out
    assert "gradient_norm" in out  # in the progress bar


def test_the_lines_on_forecasting_run(tmp_path):
    """From CSV to plot in ten lines, and the parts below: on 26 days, in one epoch each."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    first, second = [block for block in blocks if "168" in block]
    assert len([line for line in first.splitlines() if line]) <= 10
    frame = ks.data.load(hours=26 * 24)
    frame.loc[frame.index[-24:], "y"] = None
    frame.to_csv(tmp_path / "load.csv", index=False)
    quick, changes = re.subn(r"epochs=\d+", "epochs=1", first + second)
    assert changes == 2
    quick = quick.replace('outputs="quantiles"', 'outputs="quantiles", units=4').replace(', outputs="mae"', ", units=4")
    assert quick.count("units=4") == 2
    out = run_code(f"{quick}\nprint(len(forecast), *forecast.columns)", tmp_path)
    assert "24 ds y y-lo-80 y-hi-80 y-lo-90 y-hi-90" in out
    assert (tmp_path / "forecast.png").read_bytes().startswith(b"\x89PNG")
    assert ks.saving.read_card(tmp_path / "saved_models" / "load")["kind"] == "forecast"


def test_the_lines_on_memory_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "memory_model" in block]
    assert len([line for line in code.splitlines() if line]) <= 10
    quick = code.replace("batches=1000", "batches=2, buckets=1").replace("epochs=20", "epochs=1")
    quick = quick.replace("length=(1, 20)", "length=(1, 2)").replace("jit_compile=True", "slots=7, units=5")
    assert len(quick) < len(code) + 20
    out = run_code(f"{quick}\nprint('trace', trace['read_weights'].shape)", tmp_path)
    assert "trace (1, 81, 1, 7)" in out
    assert (tmp_path / "copy.png").read_bytes().startswith(b"\x89PNG")


def test_the_lines_on_gradients_run(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "gradient_flow" in block]
    before = (
        "import keras, numpy as np, keras_seq as ks\n"
        "layer, sequences = ks.layers.GRU(3), np.ones((4, 9, 2))\n"
        "model = keras.Sequential([keras.Input((9, 2)), layer, keras.layers.Dense(1)])\n"
        "model.compile('adam', 'mse')\nx, y = sequences, np.ones((4, 1))\n"
    )
    assert "gru h:" in run_code(before + code, tmp_path)
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")

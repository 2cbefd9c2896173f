"""The lines of the README and of docs/ run as they stand there, and what the pages name is there."""

import re
import textwrap

import pytest

import keras_seq as ks
from tests.pages import PAGES, block
from tests.processes import ROOT, run_code

pytestmark = pytest.mark.tensorflow


def test_the_ten_lines_run(tmp_path):
    code = block("read_frame")
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_and_files_are_there(page):
    """Make targets, files, and links that a page names exist; headings that links lead to, too."""
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake ([a-z][a-z-]+)\b(?=`|\s+#)", text))
    assert page.name != "README.md" or {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    paths = re.findall(r"`((?:keras_seq|saved_models|benchmarks|tests|notebooks|docs)/[\w./]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for link, heading in re.findall(r"\]\((?!https://)([^)#]*)#?([^)]*)\)", text):
        target = page.parent / link if link else page
        assert target.exists(), link
        if heading:
            headings = re.findall(r"(?m)^#+ (.*)$", target.read_text(encoding="utf-8"))
            assert heading in [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings], heading


def test_the_lines_on_small_data_run(tmp_path):
    code = block("load_vectors")
    (tmp_path / "glove.6B.100d.txt").write_text("a 0.1 0.2 0.3\nfilm 0.3 -0.2 0.1\n", encoding="utf-8")
    before = (
        "import keras_seq as ks\n"
        "texts, labels = ['a quiet film', 'a loud film', 'a film'], ['positive', 'negative', 'positive']\n"
        "vectorizer = ks.data.text_vectorizer(texts)\n"
    )
    assert "coverage 0.5" in run_code(f"{before}{code}\nprint('coverage', vectors.coverage)", tmp_path)


def test_the_lines_on_attention_and_decoding_run(tmp_path):
    code = block("beam_search")
    shapes = "print(logits.shape, *(tuple(one.shape) for one in found))"
    assert "(2, 7, 50) (2, 2, 20) (2, 2) (2, 2)" in run_code(f"{code}\n{shapes}", tmp_path)


def test_the_lines_on_translation_run(tmp_path):
    code = block("seq2seq_model")
    rows = [f"{a} {b}\t{b} {a}" for a in "abcde" for b in "abcde"]
    (tmp_path / "pairs.tsv").write_text("\n".join(["en\tfr", *rows, ""]), encoding="utf-8")
    quick = code.replace("epochs=10", "epochs=1").replace('encoder="gru"', 'encoder="gru", units=4')
    assert "epochs=1)" in quick
    assert "units=4" in quick
    run_code(quick, tmp_path)
    assert ks.saving.read_card(tmp_path / "saved_models" / "en_fr")["kind"] == "seq2seq"


def test_the_lines_on_language_run(tmp_path):
    code = block("language_model")
    quick = code.replace("epochs=3", "epochs=1").replace("units=64", "units=4")
    assert len(quick) == len(code) - 1
    quick = quick.replace("model.generate", "said = model.generate")
    assert "said 2 ['The rest" in run_code(f"{quick}\nprint('said', len(said), said)", tmp_path)
    assert ks.saving.read_card(tmp_path / "saved_models" / "prologue")["kind"] == "language"


def test_the_lines_on_training_run(tmp_path):
    code = block("GradientMonitor")
    out = run_code(f"{code}\nprint('rates', *(round(1e3 * one, 2) for one in history['learning_rate']))", tmp_path)
    assert "rates 1.5 3.0 3.0 2.89" in out
    assert "gradient_norm" in out  # in the progress bar


def test_the_lines_on_forecasting_run(tmp_path):
    """From CSV to plot in ten lines, and the parts below: on 26 days, in one epoch each."""
    first, second = block("Forecaster("), block("window_dataset")
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
    code = block("memory_model")
    assert len([line for line in code.splitlines() if line]) <= 10
    quick = code.replace("batches=1000", "batches=2, buckets=1").replace("epochs=20", "epochs=1")
    quick = quick.replace("length=(1, 20)", "length=(1, 2)").replace("jit_compile=True", "slots=7, units=5")
    assert len(quick) < len(code) + 20
    out = run_code(f"{quick}\nprint('trace', trace['read_weights'].shape)", tmp_path)
    assert "trace (1, 81, 1, 7)" in out
    assert (tmp_path / "copy.png").read_bytes().startswith(b"\x89PNG")


def test_the_lines_on_gradients_run(tmp_path):
    code = block("gradient_flow")
    before = (
        "import keras, numpy as np, keras_seq as ks\n"
        "layer, sequences = ks.layers.GRU(3), np.ones((4, 9, 2))\n"
        "model = keras.Sequential([keras.Input((9, 2)), layer, keras.layers.Dense(1)])\n"
        "model.compile('adam', 'mse')\nx, y = sequences, np.ones((4, 1))\n"
    )
    assert "gru h:" in run_code(before + code, tmp_path)
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")


def test_the_steps_to_a_new_cell_give_one(tmp_path):
    """Its first two, as one program: the equation holds, the layer trains, and a file brings it back."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    cell, layer = map(textwrap.dedent, re.findall(r"(?m)^   ```python\n(.*?)^   ```", text, re.DOTALL))
    after = """
import numpy as np

rng = np.random.default_rng(0)
x, state = rng.normal(size=(2, 5)).astype("float32"), rng.normal(size=(2, 3)).astype("float32")
one = MinimalGatedCell(3, bias_initializer="random_normal")
h, _ = one(x, [state])
W, U, b = one.get_weights()
f = 1 / (1 + np.exp(-(x @ W[:, :3] + b[:3] + state @ U[:, :3])))
n = np.tanh(x @ W[:, 3:] + b[3:] + (f * state) @ U[:, 3:])
np.testing.assert_allclose(h, (1 - f) * state + f * n, atol=1e-6)
reader = MinimalGated(3, dropout=0.2, recurrent_dropout=0.2)
model = keras.Sequential([keras.Input((None, 5)), keras.layers.Masking(), reader, keras.layers.Dense(1)])
model.compile("adam", "mse")
x = rng.normal(size=(4, 7, 5)).astype("float32")
model.fit(x, x[:, 0, :1], verbose=0)
model.save("model.keras")
again = keras.saving.load_model("model.keras")
np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
print("again", type(again.layers[1]).__name__)
"""
    imports = "from keras_seq.layers.drop_in import drop_in\n"
    assert "again MinimalGated" in run_code(f"{cell}{imports}{layer}{after}", tmp_path)

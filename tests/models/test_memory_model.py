"""The model with a memory: a training step, files, exports, any length, what it is made of."""

import json

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import ON_JAX, arrays

BITS, B = 2, 3
SMALL = {"features": BITS + 1, "bits": BITS, "units": 7, "slots": 5, "slot_width": 3}
CELLS = {
    "ntm": {**SMALL, "cell": "ntm"},
    "dnc": {**SMALL, "cell": "dnc", "read_heads": 2},
    "feed forward": {**SMALL, "controller": "feed_forward"},
    "a cell": {"features": BITS + 1, "bits": BITS, "cell": ks.layers.GRUCell(5)},
}


def data(length=(1, 2)):
    return ks.data.tasks.copy(B, length=length, bits=BITS, seed=4)


# On JAX, which compiles long, a controller without states is a matter of tests/layers/test_table.py.
@pytest.mark.parametrize("form", ["ntm", "dnc", "a cell"] if ON_JAX else CELLS)
def test_a_step_changes_the_loss_and_a_file_brings_all_of_it_back(form, tmp_path):
    model = ks.models.memory_model(**CELLS[form])
    x, y, w = data()
    before = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    assert set(before) == {"loss", "bits_per_sequence", "exact_sequences"}
    assert before["bits_per_sequence"] == pytest.approx(before["loss"] / np.log(2), rel=1e-5)
    assert before["bits_per_sequence"] == pytest.approx(BITS * w.sum() / B, rel=0.4)  # it knows nothing
    other = np.where(w[..., None] == 0, 1 - y, y)  # what stands outside of the answer is not judged
    assert model.evaluate(x, other, sample_weight=w, verbose=0, return_dict=True) == before
    history = model.fit(x, y, sample_weight=w, epochs=2, verbose=0).history
    assert history["loss"][0] == pytest.approx(before["loss"], rel=1e-4)
    assert history["loss"][1] < history["loss"][0]
    moments = [v for v in arrays(model.optimizer.variables) if v.ndim > 0]
    assert all(np.abs(v).sum() > 0 for v in moments if v.size > 1)  # all weights are trained
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert json.dumps(copy.get_config()) == json.dumps(model.get_config())
    assert copy.optimizer.global_clipnorm == model.optimizer.global_clipnorm == 10
    after = copy.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    assert after == pytest.approx(model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True), rel=1e-5)
    assert after["loss"] != before["loss"]


@pytest.mark.skipif(ON_JAX, reason="SavedModels are written on TensorFlow")
@pytest.mark.parametrize("form", CELLS)
def test_export_of_any_length(form, tmp_path):
    import tensorflow as tf

    model = ks.models.memory_model(**CELLS[form])
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for length in (1, 4):
        x, _, _ = data(length)
        np.testing.assert_allclose(loaded.serve(x), arrays(model(x))[0], atol=1e-5)


def test_a_memory_says_bits_by_itself_and_other_cells_through_a_layer():
    assert [layer.name for layer in ks.models.memory_model(**CELLS["ntm"]).layers][1:] == ["encoder_1", "logits"]
    cells = [ks.layers.NTMCell(BITS, slots=5), ks.layers.DNCCell(BITS + 1, slots=5), ks.layers.LSTMCell(BITS)]
    for cell, dense in zip(cells, (False, True, True), strict=True):
        model = ks.models.memory_model(features=3, bits=BITS, cell=cell)
        assert ("head" in [layer.name for layer in model.layers]) == dense
        assert model.output_shape == (None, None, BITS)
        assert not cell.built  # it was copied


def test_defaults_are_those_of_the_cells():
    for name, cell in (("ntm", ks.layers.NTMCell(BITS)), ("dnc", ks.layers.DNCCell(BITS))):
        made = ks.models.memory_model(features=3, bits=BITS, cell=name).layers[1].cell
        assert type(made) is type(cell)
        assert (made.slots, made.slot_width, made.read_heads) == (cell.slots, cell.slot_width, cell.read_heads)
        assert made.controller_units == 100


def test_the_optimizer_and_what_is_compiled():
    model = ks.models.memory_model(**SMALL, learning_rate=0.03, clipnorm=None, jit_compile=True)
    assert model.jit_compile
    assert float(model.optimizer.learning_rate) == pytest.approx(0.03)
    assert model.optimizer.global_clipnorm is None
    assert isinstance(model.optimizer, ks.optimizers.GravesRMSprop)
    by_weight = ks.models.memory_model(**SMALL, clipnorm=0.7).optimizer
    assert (by_weight.clipnorm, by_weight.global_clipnorm) == (0.7, None)


def test_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = ks.models.memory_model(**CELLS["ntm"])
    finally:
        keras.config.set_dtype_policy(before)
    full = ks.models.memory_model(**CELLS["ntm"])
    half.set_weights(full.get_weights())
    x, y, w = data()
    assert np.abs(half.predict(x, verbose=0) - full.predict(x, verbose=0)).max() < 0.1
    assert half.predict(x, verbose=0).dtype == "float32"
    half.fit(x, y, sample_weight=w, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "sam"}, "`cell` must be a cell, a layer or one of .*ntm, dnc, got 'sam'"),
        ({"cell": 3}, "`cell` must be a name, a cell or a layer, got int"),
        ({"cell": "lstm", "slots": 5}, "`slots` goes with cell 'ntm' or 'dnc', got 'lstm'"),
        ({"cell": ks.layers.NTMCell(2), "read_heads": 2}, "`read_heads` goes with cell 'ntm' or 'dnc', got <NTMCell"),
        ({"slots": 0}, "`slots` must be a positive integer, got 0"),
        ({"controller": "gru"}, "`controller` must be one of 'lstm', 'feed_forward'"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.models.memory_model(**{"features": 3, "bits": BITS, **arguments})

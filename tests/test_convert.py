"""Stock models with our layers in the place of theirs, and weight files that both read."""

import keras
import numpy as np
import pytest
from keras import ops, tree

import keras_seq as ks
from keras_seq.compat import inner_layers
from tests.cases import ON_JAX, B, D, H, T, arrays, close, op_by_op, randomize
from tests.pages import block
from tests.stock_models import bidirectional, nested_and_shared, sequential, states_and_masks, wrapped

K, L = keras.layers, ks.layers
RECURRENT = (
    "SimpleRNN",
    "LSTM",
    "GRU",
    "RNN",
    "Bidirectional",
    "StackedRNNCells",
    "SimpleRNNCell",
    "LSTMCell",
    "GRUCell",
)


ZOO = [sequential, bidirectional, states_and_masks, nested_and_shared, wrapped]
every_model = pytest.mark.parametrize("make", ZOO, ids=lambda make: make.__name__)


def data(model, rng):
    """Inputs for a model, floats with padding at the end, booleans as masks."""
    kept = np.arange(T) < np.array([[T], [4]])
    floats = [rng.normal(size=(B, *(n or T for n in x.shape[1:]))).astype("float32") for x in model.inputs]
    masked = [x * kept[..., None] if x.ndim == 3 else x for x in floats]
    arrays = [kept if x.dtype == "bool" else m for x, m in zip(model.inputs, masked, strict=True)]
    return arrays if len(arrays) > 1 else arrays[0]


def run(model, x):
    """The outputs of a model, compiled on JAX, where one call step by step compiles each operation."""
    return model.predict(x, verbose=0) if ON_JAX else model(x)


def kinds(model):
    return [(layer.name, type(layer).__name__) for layer in inner_layers(model)]


def stocks(model):
    return [layer.name for layer in inner_layers(model) if type(layer) in [getattr(K, name) for name in RECURRENT]]


@every_model
def test_outputs_and_structure(make, rng):
    model = randomize(make(K), rng)
    x, weights, before = data(model, rng), model.get_weights(), kinds(model)
    converted = ks.convert(model)
    close(run(converted, x), run(model, x), atol=2e-6)
    assert stocks(converted) == []
    assert type(converted) is type(model)
    assert converted.name == model.name
    assert kinds(model) == kinds(converted) == before
    assert len(stocks(model)) > 3
    assert [w.path.split("/")[-1] for w in converted.weights] == [w.path.split("/")[-1] for w in model.weights]
    randomize(converted, rng)
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert ks.convert(converted).get_config() == converted.get_config()


@pytest.mark.tensorflow
@every_model
def test_in_compiled_functions_and_files(make, rng, tmp_path):
    model = randomize(make(K), rng)
    x = data(model, rng)
    converted = ks.convert(model)
    expected = tree.map_structure(np.asarray, model.predict(x, verbose=0))
    close(converted.predict(x, verbose=0), expected, atol=2e-6)
    if make is not sequential:  # whose own cell has a lambda
        converted.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        close(again.predict(x, verbose=0), expected, atol=2e-6)


def test_a_mask_that_stock_layers_lose(rng):
    """Beside `initial_state`: the copy ends as if the masked steps had been cut out."""
    x, h = keras.Input((None, D)), keras.Input((H,))
    model = keras.Model([x, h], K.GRU(H)(K.Masking()(x), initial_state=h))
    converted = ks.convert(randomize(model, rng))
    x, h = rng.normal(size=(B, T, D)).astype("float32"), rng.normal(size=(B, H)).astype("float32")
    with op_by_op():
        padded = converted([np.concatenate([np.zeros_like(x), x], axis=1), h])
        close(padded, model([x, h]), atol=2e-6)


def test_compile_state(rng):
    """Optimizer with its slots, loss, metrics: after one more step both have the same weights."""

    def own_loss(y, prediction):
        return ops.mean(ops.abs(y - prediction) ** 3, axis=-1)

    layers = [K.LSTM(H, return_sequences=True), K.GRU(2)]
    model = randomize(keras.Sequential([keras.Input((T, D)), *layers]), rng)
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.05, 1, 0.5)
    model.compile(keras.optimizers.Adam(schedule), own_loss, metrics=["mae", lambda y, p: ops.mean(y * p, axis=-1)])
    x, y = data(model, rng), rng.normal(size=(B, 2)).astype("float32")
    model.fit(x, y, epochs=2, verbose=0)
    converted = ks.convert(model)
    assert own_loss.__name__ == "own_loss"
    assert converted.loss is own_loss
    assert converted.optimizer is not model.optimizer
    assert int(converted.optimizer.iterations) == 2
    for one in (model, converted):
        one.fit(x, y, verbose=0)
    assert int(converted.optimizer.iterations) == 3
    close(converted.get_weights(), model.get_weights(), atol=2e-5)
    np.testing.assert_allclose(converted.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), atol=2e-5)


@pytest.mark.parametrize("first_flags", [[True, True], [False, True]], ids=["frozen later", "unfrozen later"])
def test_slots_of_what_was_trained_before_the_flags_changed(first_flags, rng):
    layers = [K.LSTM(H, return_sequences=True), K.GRU(H)]
    model = randomize(keras.Sequential([keras.Input((T, D)), *layers]), rng)
    for layer, flag in zip(layers, first_flags, strict=True):
        layer.trainable = flag
    model.compile(keras.optimizers.Adam(0.01), "mse")
    x, y = data(model, rng), rng.normal(size=(B, H)).astype("float32")
    model.fit(x, y, verbose=0)
    for layer, flag in zip(layers, first_flags, strict=True):
        layer.trainable = not flag
    converted = ks.convert(model)
    assert [layer.trainable for layer in converted.layers] == [not flag for flag in first_flags]
    slots, copied = (arrays([v.value for v in m.optimizer.variables]) for m in (model, converted))
    close(copied, slots, atol=0)
    converted.layers[1].trainable, layers[1].trainable = True, True
    converted.layers[0].trainable, layers[0].trainable = first_flags[0], first_flags[0]
    for one in (model, converted):
        one.train_on_batch(x, y)
    close(converted.get_weights(), model.get_weights(), atol=2e-5)


def test_flags_policies_and_arguments():
    both = K.Bidirectional(K.LSTM(H, return_sequences=True))
    lstm = K.LSTM(H, use_cudnn=True, dtype="mixed_float16", kernel_regularizer="l2", dropout=0.2, unroll=True)
    model = keras.Sequential([keras.Input((T, D)), both, K.GRU(4, return_sequences=True, trainable=False), lstm])
    both.forward_layer.trainable = False
    both.backward_layer.cell.trainable = False
    model.compile("sgd", "mse")
    converted = ks.convert(model)
    assert [layer.trainable for layer in inner_layers(converted)] == [layer.trainable for layer in inner_layers(model)]
    assert len(converted.trainable_variables) == len(model.trainable_variables) == 3
    ours = converted.layers[-1]
    assert (ours.use_cudnn, ours.dtype_policy.name, ours.unroll, ours.dropout) == ("auto", "mixed_float16", True, 0.2)
    assert {k: v for k, v in ours.get_config().items() if k in lstm.get_config()} == lstm.get_config()


def test_states_of_stateful_layers(rng):
    """Converted in mid-stream it goes on from there, on its own."""
    layers = [K.LSTM(H, return_sequences=True, stateful=True), K.Bidirectional(K.GRU(2, stateful=True))]
    model = randomize(keras.Sequential([keras.Input(batch_shape=(B, T, D)), *layers]), rng)
    x = rng.normal(size=(3, B, T, D)).astype("float32")
    with op_by_op():
        first = model(x[0])
        converted = ks.convert(model)
        close(converted(x[1]), model(x[1]), atol=2e-6)
        converted(x[2])
        for layer in converted.layers:
            layer.reset_state()
        close(converted(x[0]), first, atol=2e-6)
        close(ks.convert(model)(x[2]), model(x[2]), atol=2e-6)


@pytest.mark.tensorflow
def test_without_recurrent_layers_it_is_an_equal_copy():
    """What `get_config` alone would lose comes along: a vocabulary, and means."""
    words = K.TextVectorization(output_sequence_length=T)
    words.adapt(["a quiet film", "a quiet, quiet soup"])
    text = keras.Sequential([keras.Input((), dtype="string"), words, K.Embedding(11, H), K.GlobalMaxPooling1D()])
    strings = np.array(["quiet soup", "film"], object)
    close(ks.convert(text)(ops.convert_to_tensor(strings)), text(ops.convert_to_tensor(strings)))
    normalization = K.Normalization()
    normalization.adapt(np.arange(10.0).reshape(2, 5))
    model = keras.Sequential([keras.Input((5,)), normalization, K.Lambda(lambda a: ops.abs(a))])
    close(ks.convert(model)(np.ones((1, 5))), model(np.ones((1, 5))))
    assert not np.allclose(model(np.ones((1, 5))), 1)


class Holder(keras.layers.Layer):
    """Makes its layer in its constructor."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = K.LSTM(H, name="out_of_reach")

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, x):
        return self.inner(x)


class Subclassed(keras.Model):
    def __init__(self, units=H, **kwargs):
        super().__init__(**kwargs)
        self.lstm = K.LSTM(units)

    def call(self, x):
        return self.lstm(x)


def test_refusals():
    x = np.ones((B, T, D), "float32")
    subclassed = Subclassed()
    subclassed(x)
    a, b = keras.Input((T, D)), keras.Input((T, D))
    shared = K.GRU(D, return_sequences=True, name="used_in_both")
    inside = keras.Model(a, shared(a), name="inside")
    for model, words in [
        (keras.Model(b, inside(shared(b))), "'used_in_both' is shared by the models .* and 'inside'"),
        (K.LSTM(H), "must be a built keras.Model, got LSTM"),
        (keras.Sequential([K.LSTM(H)]), "whose weights do not exist yet"),
        (keras.Sequential([keras.Input((T, D)), Holder()]), "recurrent layers out_of_reach"),
        (subclassed, r"\(Subclassed\) cannot be converted.*new.set_weights\(old.get_weights\(\)\)"),
    ]:
        with pytest.raises(ks.errors.InputError, match=words):
            ks.convert(model)


@pytest.mark.tensorflow
def test_the_lines_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stock = keras.Sequential([keras.Input((None, D)), K.LSTM(H, name="reader")])
    stock.save("stock.keras")
    stock.save_weights("stock.weights.h5")
    names = {"ks": ks, "keras": keras}
    exec(block("stock = "), names)
    assert type(names["model"].get_layer("reader")) is L.LSTM
    close(names["model"].get_weights(), stock.get_weights(), atol=0)


def test_the_function_stands_before_its_module():
    import keras_seq.convert

    assert keras_seq.convert is ks.convert
    assert ks.convert.__module__ == "keras_seq.convert"


@pytest.mark.parametrize("make", [sequential, bidirectional, nested_and_shared], ids=lambda make: make.__name__)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_weight_files(make, rng, tmp_path):
    """Of stock models, read by ours, and the other way; the weights of recurrent layers count, as in any other."""
    models = []
    for module in (K, L):
        keras.utils.clear_session(free_memory=False)  # names are counted anew; a collection would take seconds
        models.append(make(module))
    for source, target in (models, models[::-1]):
        for form in (".weights.h5", ".keras", ".h5"):
            path = tmp_path / f"model{form}"
            randomize(source, rng)
            (source.save_weights if form == ".weights.h5" else source.save)(path)
            target.load_weights(path)
            for a, b in zip(target.get_weights(), source.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
            path.unlink()

"""Which words are hidden while training: at the rate, each by itself, drawn anew, never padding."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_seq as ks
from tests.cases import B, T, arrays, close, dtype_of

WordDropout = ks.layers.WordDropout


def test_words_are_hidden_at_the_rate_and_padding_is_not(rng):
    ids = rng.integers(2, 1000, (53, 997))
    ids[7] = 1  # unknown words are words
    ids[:, 800:] = 0
    layer = WordDropout(0.3, unknown_id=1009, seed=5)
    hidden = arrays(layer(ids, training=True))[0]
    assert dtype_of(hidden) in ("int64", "int32")
    assert not hidden[:, 800:].any()
    chosen = hidden != ids
    assert (hidden[chosen] == 1009).all()
    rates = chosen[:, :800]
    assert abs(rates.mean() - 0.3) < 5 * np.sqrt(0.21 / rates.size)
    # Each word by itself: rows, columns and neighbours differ as chance has it.
    assert np.abs(rates.mean(axis=1) - 0.3).max() < 5 * np.sqrt(0.21 / 800)
    assert np.abs(rates.mean(axis=0) - 0.3).max() < 5 * np.sqrt(0.21 / 53)
    both = (rates[:, 1:] & rates[:, :-1]).mean()
    assert abs(both - 0.09) < 5 * np.sqrt(0.09 * 0.91 / rates.size)


def test_nothing_is_hidden_outside_training_nor_at_rate_zero(rng):
    ids = rng.integers(2, 1000, (5, 97))
    close(WordDropout(0.5)(ids), ids, atol=0)
    close(WordDropout(0.5)(ids, training=False), ids, atol=0)
    close(WordDropout(0.0)(ids, training=True), ids, atol=0)
    model = keras.Sequential([keras.Input((None,), dtype="int32"), WordDropout(0.5)])
    np.testing.assert_array_equal(model.predict(ids, verbose=0), ids)
    assert (arrays(model(ids, training=True))[0] == 1).any()


def test_each_call_draws_anew_and_seeds_repeat_the_draws():
    ids = np.full((3, 97), 8)
    draws = {}
    for name, seed in (("first", 3), ("same", 3), ("other", 4)):
        layer = WordDropout(0.5, seed=seed)
        draws[name] = [arrays(layer(ids, training=True))[0] for _ in range(3)]
    np.testing.assert_array_equal(draws["first"], draws["same"])
    every = np.array([*draws["first"], *draws["other"]]).reshape(6, -1)
    assert len(np.unique(every, axis=0)) == 6


def test_each_step_of_a_compiled_training_draws_anew():
    """The loss says how many words are hidden: words are 2, the unknown one 1; the rate of learning is zero."""
    inputs = keras.Input((97,), dtype="int32")
    hidden = keras.ops.cast(WordDropout(0.5, seed=2)(inputs), "float32")
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(2 - hidden))
    model.compile(keras.optimizers.SGD(0.0), lambda _, y: y, jit_compile=True)
    losses = []
    on_end = keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: losses.append(float(logs["loss"])))
    model.fit(np.full((5, 97), 2), np.zeros((5, 1)), batch_size=1, epochs=2, verbose=0, callbacks=[on_end])
    means = np.array(losses).reshape(2, 5) * np.arange(1, 6)  # Keras hands out the mean over the epoch so far
    counts = np.diff(means, prepend=0).round()
    assert len(np.unique(counts)) > 4
    assert abs(counts.mean() - 48.5) < 5 * np.sqrt(97 / 4 / 10)
    assert model.evaluate(np.full((5, 97), 2), np.zeros((5, 1)), verbose=0) == 0


@pytest.mark.parametrize("kind", ["uint16", "int64", "int32"])
def test_ids_keep_their_kind_and_shape(kind):
    if kind == "int64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no int64 unless told")
    symbolic, real = keras.Input((None,), dtype=kind), ops.ones((B, T), kind)
    layer = WordDropout(0.5)
    outputs = [layer(symbolic), layer(symbolic, training=True), layer(real), layer(real, training=True)]
    assert [dtype_of(y) for y in outputs] == [kind] * 4
    assert [tuple(y.shape) for y in outputs] == [(None, None)] * 2 + [(B, T)] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.0}, "rate.*below 1.*1.0"),
        ({"rate": -0.1}, "rate.*-0.1"),
        ({"rate": float("nan")}, "rate.*nan"),
        ({"rate": 0.1, "unknown_id": 0}, "unknown_id.*0"),
        ({"rate": 0.1, "unknown_id": 1.5}, "unknown_id.*1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        WordDropout(**arguments)

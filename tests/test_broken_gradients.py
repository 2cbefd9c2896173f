"""GradientMonitor where gradients stop to be numbers: which weight, which step, and what becomes of the training."""

import warnings

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.monitored import X, Y, fitted, made


def two_heads(optimizer="sgd", **compiled):
    """Two networks in one model: what is broken in one leaves the other whole."""
    x = keras.Input((3,))
    heads = {name: keras.layers.Dense(1, name=name)(keras.layers.Dense(2, name=f"{name}_in")(x)) for name in "ab"}
    model = keras.Model(x, heads)
    model.compile(optimizer, {"a": "mse", "b": "mse"}, **compiled)
    return model


def data(broken=None, value=np.nan):
    """Twelve rows, three batches; the target of `b` in one row is broken."""
    rng = np.random.default_rng(4)
    x, b = rng.normal(size=(12, 3)), np.ones((12, 1))
    if broken is not None:
        b[broken] = value
    return {"x": x, "y": {"a": np.ones((12, 1)), "b": b}}


class Count(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def path_of(model, layer):
    return model.get_layer(layer).kernel.path


@pytest.mark.parametrize("way", [{}, {"jit_compile": True}, {"run_eagerly": True}])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_it_stops_with_the_weight_and_the_step(way, value):
    model, monitor, count = two_heads(**way), ks.callbacks.GradientMonitor(), Count()
    with pytest.warns(UserWarning, match=r"gradient of '.*b_in/kernel' is not finite at step 0.*is stopped"):
        history = fitted(model, 5, monitor, count, **data(broken=2, value=value))
    assert monitor.first_nonfinite == (path_of(model, "b_in"), 0)
    assert count.batches == 2  # one more than the broken one
    assert len(history["loss"]) == 1
    assert history["nonfinite_share"] == [1.0]
    assert np.isnan(history["gradient_norm"] + history["gradient_norm_max"]).all()


def test_steps_are_counted_by_the_optimizer_also_in_a_resumed_training(tmp_path):
    model, monitor = two_heads(), ks.callbacks.GradientMonitor()
    fitted(model, 2, monitor, **data())
    assert monitor.first_nonfinite is None
    model.save(tmp_path / "model.keras")
    loaded, monitor = keras.saving.load_model(tmp_path / "model.keras"), ks.callbacks.GradientMonitor()
    with pytest.warns(UserWarning, match="at step 8 "):
        history = fitted(loaded, 9, monitor, initial_epoch=2, **data(broken=9))  # in the last batch
    assert monitor.first_nonfinite == (path_of(loaded, "b_in"), 8)
    assert len(history["loss"]) == 1
    assert history["nonfinite_share"] == [pytest.approx(1 / 3)]
    assert np.isfinite(history["gradient_norm"]).all()  # of the steps before


def test_without_stopping_it_warns_once():
    monitor = ks.callbacks.GradientMonitor(stop=False)
    with pytest.warns(UserWarning, match="goes on, with weights that are spoilt") as warned:
        history = fitted(two_heads(), 3, monitor, **data(broken=5))
    assert len([one for one in warned if "not finite" in str(one.message)]) == 1
    assert history["nonfinite_share"] == [pytest.approx(2 / 3), 1.0, 1.0]
    assert monitor.first_nonfinite[1] == 1


def test_several_steps_in_one_execution():
    with pytest.warns(UserWarning, match="at step 1 "):
        history = fitted(two_heads(steps_per_execution=3), 4, ks.callbacks.GradientMonitor(), **data(broken=5))
    assert len(history["loss"]) == 1


def test_an_embedding_is_named_too():
    y = Y.copy()
    y[7] = np.nan
    model = made("adam")
    with pytest.warns(UserWarning, match="embeddings' is not finite at step 1 "):
        fitted(model, 3, ks.callbacks.GradientMonitor(), x=X, y=y)


def test_weights_that_are_not_trained_are_not_counted():
    model, monitor = two_heads(), ks.callbacks.GradientMonitor()
    model.get_layer("b_in").trainable = False
    model.compile("sgd", {"a": "mse", "b": "mse"})
    with pytest.warns(UserWarning, match="b/kernel"):
        fitted(model, 1, monitor, **data(broken=2))
    assert monitor.first_nonfinite == (path_of(model, "b"), 0)


def test_a_scale_that_is_looked_for_is_no_fault():
    """Steps that overflow are skipped until the scale fits; norms are those of the others."""
    sgd = keras.optimizers.SGD(0.0)
    model = two_heads(keras.optimizers.LossScaleOptimizer(sgd, initial_scale=2.0**127))
    monitor, given = ks.callbacks.GradientMonitor(), data()
    given["x"] = given["x"] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        history = fitted(model, 40, monitor, **given)
    assert monitor.first_nonfinite is None
    shares = history["nonfinite_share"]
    assert shares[0] == 1.0
    assert shares[-1] == 0.0
    assert float(model.optimizer.dynamic_scale) < 2.0**126
    expected = fitted(two_heads_like(model), 1, ks.callbacks.GradientMonitor(), **given)["gradient_norm"]
    assert history["gradient_norm"][-1] == pytest.approx(expected[0], rel=1e-5)


def two_heads_like(model):
    plain = two_heads(keras.optimizers.SGD(0.0))
    plain.set_weights(model.get_weights())
    return plain


def test_a_scale_below_one_is():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0)
    model, monitor = two_heads(optimizer), ks.callbacks.GradientMonitor()
    given = data()
    given["y"]["b"][:] = np.nan
    with pytest.warns(UserWarning, match="b_in/kernel' is not finite"):
        fitted(model, 9, monitor, **given)
    assert float(optimizer.dynamic_scale) in (0.25, 0.125)  # at 2, 1, 0.5, and one step later at the most
    assert np.isfinite(np.concatenate([w.ravel() for w in model.get_weights()])).all()  # they were skipped


def test_a_train_step_that_goes_past_the_optimizer():
    class Own(keras.Sequential):
        def train_step(self, *arguments):
            logs = {"loss": keras.ops.zeros(())}
            return (logs, arguments[0]) if len(arguments) == 2 else logs

    model = Own([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="has seen no step of the optimizer"):
        history = fitted(model, 1, ks.callbacks.GradientMonitor(), x=np.ones((4, 3)), y=np.ones((4, 1)))
    assert "gradient_norm" not in history

"""The layers that benchmarks compare, each as a training step and an inference without arguments.

`contestants` has those of benchmarks/recurrent.py; benchmarks/attention.py has its own.
"""

import keras
import numpy as np

import keras_seq as ks

BACKEND = keras.backend.backend()


def contestants(layer, shape, masked, only=None):
    """`{name: (training step, inference)}`, on the same inputs; what a contestant does not have is left out."""
    batch, length, width, units = shape
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, length, width)).astype("float32")
    kept = rng.integers(length // 2, length + 1, size=(batch, 1)) > np.arange(length) if masked else None
    makers = {
        "ours": lambda: _of_keras(_ours, layer, units, x, kept),
        "stock": lambda: _of_keras(_stock, layer, units, x, kept),
        "cell": lambda: _of_keras(_cell_in_stock, layer, units, x, kept),
    }
    if BACKEND == "tensorflow":
        makers["stock_jit"] = lambda: _of_keras(_stock, layer, units, x, kept, jit_compile=True)
        makers["torch"] = lambda: None if masked else _torch_passes(layer, x, units)
    found = {name: make() for name, make in makers.items() if only in (None, name)}
    return {name: passes for name, passes in found.items() if passes}


def _of_keras(make, layer, units, *inputs, **how):
    network = _network(make, layer, units)
    return network and keras_passes(network, *inputs, **how)


def keras_passes(network, x, kept, **how):
    """`(training step, inference)` of layers that are called one after the other, on `x` with the mask `kept`."""
    passes = _jax_passes if BACKEND == "jax" else _tensorflow_passes
    return passes(network, x, kept, **how)


def _network(make, layer, units):
    """Layers to call one after the other; None if the maker has no such layer."""
    name = layer.removeprefix("Bidirectional").removeprefix("Stacked")
    layers = [make(name, units) for _ in range(2 if layer.startswith("Stacked") else 1)]
    if None in layers:
        return None
    if layer.startswith("Bidirectional"):
        wrapper = ks.layers.Bidirectional if make is _ours else keras.layers.Bidirectional
        layers = [wrapper(one) for one in layers]
    return layers


def _ours(name, units):
    return getattr(ks.layers, name)(units, return_sequences=True)


def _stock(name, units):
    known = getattr(keras.layers, name, None)
    return known and known(units, return_sequences=True)


def _cell_in_stock(name, units):
    return keras.layers.RNN(getattr(ks.layers, f"{name}Cell")(units), return_sequences=True)


def _run(network, x, mask, training):
    for layer in network:
        x = layer(x, mask=mask, training=training)
    return x


def _variables(network, x):
    _run(network, x[:1, :2], None, False)
    return [v for layer in network for v in layer.trainable_variables]


def _tensorflow_passes(network, x, kept, jit_compile=False):
    import tensorflow as tf

    values = [v.value for v in _variables(network, x)]
    x, kept = tf.constant(x), None if kept is None else tf.constant(kept)

    @tf.function(jit_compile=jit_compile)
    def train():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _run(network, x, kept, True)
            loss = tf.reduce_sum(tf.square(y))
        return tape.gradient(loss, [x, *values])

    @tf.function(jit_compile=jit_compile)
    def infer():
        return _run(network, x, kept, False)

    return train, infer


def _jax_passes(network, x, kept):
    import jax

    variables = _variables(network, x)
    others = [v for layer in network for v in layer.non_trainable_variables]

    def outputs(values, x, training):
        state = [*zip(variables, values, strict=True), *((v, v.value) for v in others)]
        with keras.StatelessScope(state_mapping=state):
            return _run(network, x, kept, training)

    gradient = jax.jit(jax.grad(lambda values, x: (outputs(values, x, True) ** 2).sum(), argnums=(0, 1)))
    forward = jax.jit(lambda values, x: outputs(values, x, False))
    values, x = [v.value for v in variables], jax.numpy.asarray(x)
    return lambda: jax.block_until_ready(gradient(values, x)), lambda: jax.block_until_ready(forward(values, x))


def _torch_passes(layer, x, units):
    """`torch.nn` on the same machine; None where it has no such layer."""
    import torch

    name = layer.removeprefix("Bidirectional").removeprefix("Stacked")
    kind = {"SimpleRNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}.get(name)
    if kind is None:
        return None
    layers, both = 1 + layer.startswith("Stacked"), layer.startswith("Bidirectional")
    module = kind(x.shape[-1], units, num_layers=layers, bidirectional=both, batch_first=True)
    return torch_passes(module, lambda inputs: module(inputs)[0], x)


def torch_passes(module, call, x):
    """`(training step, inference)` of a module of PyTorch, called as `call(x)`."""
    import torch

    inputs = torch.from_numpy(x).requires_grad_()

    def train():
        module.train()
        module.zero_grad()
        inputs.grad = None
        call(inputs).square().sum().backward()

    def infer():
        module.eval()
        with torch.no_grad():
            call(inputs)

    return train, infer

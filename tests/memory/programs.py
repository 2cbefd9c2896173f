"""Layers as programs: on JAX compiled once, quickly, and then called with other weights and inputs."""

import keras
from keras import tree

from tests.cases import ON_JAX

if ON_JAX:
    import jax
else:
    import tensorflow as tf


def compiled(function):
    """On JAX one program, which XLA takes no pains over; TensorFlow runs the function as it is."""
    if not ON_JAX:
        return function
    return jax.jit(
        function,
        compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True},
    )


class Program:
    """A layer as a function of its inputs, with the weights that it has at each call.

    Args:
        layer: a layer, which is built for the first inputs if it is not built.
        loss: a scalar function of its outputs, for `gradients`.
        of_inputs: whether the gradient of the inputs is wanted, too, before those of the weights.
        training: whether `__call__` trains; `gradients` always does, and on JAX with a `loss` both are one program.
    """

    def __init__(self, layer, loss=None, of_inputs=False, training=False):
        self.layer, self._of_inputs, self._has_loss = layer, of_inputs, loss is not None

        def outputs(x, weights, others, training):
            return layer.stateless_call(weights, others, x, training=training)[0]

        def loss_and_outputs(x, weights, others):
            y = outputs(x, weights, others, True)
            return loss(y), y

        self._run = compiled(lambda *given: outputs(*given, training))
        if ON_JAX:
            places = (0, 1) if of_inputs else (1,)
            self._gradients = compiled(jax.value_and_grad(loss_and_outputs, places, has_aux=True))
        else:
            self._loss_and_outputs = loss_and_outputs

    def __call__(self, x):
        return self.gradients(x)[0] if ON_JAX and self._has_loss else self._run(*self._given(x))

    def gradients(self, x):
        """`(outputs, gradients)`, the latter in a list."""
        given = self._given(x)
        if ON_JAX:
            (_, y), found = self._gradients(*given)
            return y, tree.flatten(found)
        with tf.GradientTape() as tape:
            tape.watch(given)
            loss, y = self._loss_and_outputs(*given)
        wanted = [*given[:1], *given[1]] if self._of_inputs else given[1]
        return y, tape.gradient(loss, wanted)

    def _given(self, x):
        x = keras.ops.convert_to_tensor(x)
        if not self.layer.built:
            self.layer.build(x.shape)
        of_kinds = self.layer.trainable_variables, self.layer.non_trainable_variables
        return x, *([variable.value for variable in variables] for variables in of_kinds)

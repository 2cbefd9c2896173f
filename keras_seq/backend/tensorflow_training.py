"""What callbacks need to see into a training step, on TensorFlow."""

import math

import tensorflow as tf


class Tally:
    """Numbers that compiled code adds up, for Python to look at: in variables that belong to no model."""

    def __init__(self):
        self._sums = self._maxima = None

    def add(self, sums, maxima):
        """Add a vector to the sums so far, and take the maxima of another and those so far. In compiled code, too."""
        if self._sums is None:
            with tf.init_scope():
                self._sums, self._maxima = (tf.Variable(tf.zeros(x.shape, tf.float64)) for x in (sums, maxima))
                self.clear()
        self._sums.assign_add(tf.cast(sums, tf.float64))
        self._maxima.assign(tf.maximum(self._maxima, tf.cast(maxima, tf.float64)))

    def look(self, wait=True):
        """`(sums, maxima)` so far as arrays, or None where nothing was ever added. With `wait` of all steps begun."""
        return None if self._sums is None else (self._sums.numpy(), self._maxima.numpy())

    def clear(self):
        if self._sums is not None:
            self._sums.assign(tf.zeros_like(self._sums))
            self._maxima.assign(tf.fill(self._maxima.shape, tf.constant(-math.inf, tf.float64)))


def dense_and_rows(gradient):
    """A gradient twice: whole, and as Keras clips it: that of an embedding as rows, a word as often as it was read."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(gradient), gradient.values
    return gradient, gradient


def observed_apply(optimizer, observe):
    """`(name, method)`: what training steps call to apply gradients, and one that calls `observe(gradients, variables)`
    before it; variables are None for those that the optimizer was built for."""
    apply = optimizer.apply

    def observing(grads, trainable_variables=None):
        grads = list(grads)
        variables = None if trainable_variables is None else list(trainable_variables)
        if not optimizer.built and variables is not None:
            optimizer.build(variables)  # what is observed may depend on its variables
        observe(grads, variables)
        return apply(grads, variables)

    return "apply", observing

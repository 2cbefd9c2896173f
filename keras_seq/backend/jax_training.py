"""What callbacks need to see into a training step, on JAX."""

from collections import deque

import jax
import keras
import numpy as np


class Tally:
    """Numbers that compiled code adds up, for Python to look at: it sends them to Python at each step."""

    def __init__(self):
        self._sent, self._so_far = deque(), None

    def add(self, sums, maxima):
        """Add a vector to the sums so far, and take the maxima of another and those so far. In compiled code, too."""
        jax.debug.callback(lambda *sent: self._sent.append(sent), sums, maxima)

    def look(self, wait=True):
        """`(sums, maxima)` so far as arrays, or None where nothing was ever added. With `wait` of all steps begun."""
        if wait:
            jax.effects_barrier()
        while self._sent:
            sums, maxima = (np.asarray(part, "float64") for part in self._sent.popleft())
            if self._so_far is not None:
                sums, maxima = self._so_far[0] + sums, np.maximum(self._so_far[1], maxima)
            self._so_far = sums, maxima
        return self._so_far

    def clear(self):
        self.look()
        self._so_far = None


def dense_and_rows(gradient):
    """A gradient twice: whole, and as Keras clips it; on JAX it is the same."""
    return gradient, gradient


def observed_apply(optimizer, observe):
    """`(name, method)`: what training steps call to apply gradients, and one that calls `observe(gradients, variables)`
    before it; variables are None for those that the optimizer was built for."""
    apply = optimizer.stateless_apply

    def observing(optimizer_variables, grads, trainable_variables):
        mapping = list(zip(optimizer.variables, optimizer_variables, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            observe(grads, None)
        return apply(optimizer_variables, grads, trainable_variables)

    return "stateless_apply", observing

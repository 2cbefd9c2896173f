"""The neural Turing machine (Graves, Wayne and Danihelka, 2014, arXiv 1410.5401).

At step t the heads, R that read and J that write, find their weights in the memory of the step before (eq. 5 to 9):

    w_c = softmax(beta K(k, M[t-1])),   w_g = g w_c + (1 - g) w[t-1],   w~ = w_g shifted by s
    w[t] = w~ ** gamma / sum

then it is read, and then written (eq. 2 to 4):

    r[t] = w_r[t] M[t-1],   M[t] = M[t-1] * product over write heads of (1 - w_w e^T) + sum over them of w_w a^T

The paper leaves the order open; most published NTMs have this one, so that all heads see one memory. Reading after
writing, a read head could see at t what was written at t; here at t + 1, through the memory.

    beta = softplus, g = sigmoid, s = softmax, gamma = 1 + softplus, e = sigmoid; k and a as they are

of their columns of xi, which are: k, a, g, e, beta, gamma, s; in each the read heads come first, a and e are those of
the write heads alone.
"""

import math

import keras
from keras import ops

from keras_seq.checks import natural_number, positive_integer
from keras_seq.memory import addressing
from keras_seq.memory.cell import MemoryCell

_STARTS = ("constant", "learned", "random")
_SMALL = 1e-6  # a memory of such values learns fastest (Collier and Beel, 2018, arXiv 1807.08518)
_FIRST = 0.9  # share of the first slot in the weights that training starts from


@keras.saving.register_keras_serializable("keras_seq")
class NTMCell(MemoryCell):
    """One step of a neural Turing machine: a controller that reads and writes a memory `(N, W)` by attention.

    Each head finds its slots by content, or from where it was, by a shift; see the head of the file for the equations.
    Weights start as learned ones, at first mostly on the first slot: were they all alike, and the memory constant, no
    step could ever tell one slot from another. It runs in `ks.layers.RNN`, which returns its states by name, also over
    time (`return_trace`), and in `keras.layers.RNN`, there without a mask and without `return_state`.

    Weights: those of the controller, `interface_kernel` W_xi `(C, I)` and `interface_bias`, `output_kernel` W_y
    `(C + R W, H)` and `output_bias`, `initial_weights` `(R + J, N)` (the softmax of a row is what a head starts from),
    and `initial_memory` `(N, W)` unless it is constant.

    Args:
        units: size `H` of the output, a linear map of the controller's output and of what is read.
        slots: number `N` of slots of the memory.
        slot_width: their size `W`.
        read_heads: number `R` of read heads.
        write_heads: number `J` of write heads.
        shift_range: how many slots a head moves at most in one step, either way; `2 shift_range + 1 <= slots`.
        controller: "lstm", "feed_forward", or a recurrent cell of this package, whose dropout acts on all that it
            reads: inputs and what came out of the memory.
        controller_units: size `C` of a controller that is given by name.
        memory_initial: what the memory starts from: "constant" (1e-6), "learned", or "random": one draw, which is kept
            with the weights and not trained. A stateful layer trains nothing that it starts from, and reads it when it
            is built and at `reset_state()`: call that after weights were loaded or set.
        clip: bound of the controller's output, None for none; of use for a controller that has none of its own, such
            as one with `activation="relu"`. Inputs, and what was read where weights meet it, are cut, whatever it is,
            to what the dtype can square: ±255 in float16, ±1.8e19 in float32.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with one dict: "controller" (the controller's), "memory" `(B, N, W)`, "read_weights" `(B, R, N)`,
            "write_weights" `(B, J, N)`, "reads" `(B, R, W)`. All but the first are float32 where the policy is half
            precision, and what is done with them is computed in it (`keras.layers.RNN` keeps them in half precision
            between steps: in float16 a memory may outgrow it there).
        training: whether the controller's dropout acts.

    Returns:
        `(output, states)`, the output `(B, H)`.

    Raises:
        ValueError: for a controller that is no cell of this package, and other arguments out of range.

    Example:

    >>> layer = RNN(NTMCell(3, slots=11, slot_width=5), return_sequences=True, return_state=True)
    >>> outputs, states = layer(np.ones((2, 7, 4)))
    >>> outputs.shape, states["memory"].shape
    (TensorShape([2, 7, 3]), TensorShape([2, 11, 5]))
    """

    def __init__(self, *args, write_heads=1, shift_range=1, memory_initial="constant", **kwargs):
        super().__init__(*args, **kwargs)
        self.write_heads = positive_integer("write_heads", write_heads)
        self.shift_range = natural_number("shift_range", shift_range)
        if 2 * self.shift_range + 1 > self.slots:
            raise ValueError(
                f"Argument `shift_range` must leave 2 shift_range + 1 <= slots, got {shift_range} for {self.slots} "
                "slots."
            )
        if memory_initial not in _STARTS:
            raise ValueError(
                f"Argument `memory_initial` must be one of {', '.join(map(repr, _STARTS))}, got {memory_initial!r}."
            )
        self.memory_initial = memory_initial
        self._heads = self.read_heads + self.write_heads

    def build(self, input_shape):
        super().build(input_shape)
        self.initial_weights = self._add("initial_weights", (self._heads, self.slots), _mostly_first)
        self.initial_memory = None
        if self.memory_initial != "constant":
            start = keras.initializers.TruncatedNormal(stddev=0.1)
            trainable = self.memory_initial == "learned"
            self.initial_memory = self._add("initial_memory", (self.slots, self.slot_width), start, trainable)

    def access_sizes(self):
        return {
            "memory": (self.slots, self.slot_width),
            "read_weights": (self.read_heads, self.slots),
            "write_weights": (self.write_heads, self.slots),
            "reads": (self.read_heads, self.slot_width),
        }

    def initial_access(self, batch_size, dtype):
        if not self.built:
            raise ValueError(
                f"Cell {self.name!r} learns what a sequence starts from, and is not built: call the layer, or a model "
                "with a keras.Input, first."
            )
        start = self.empty_access(batch_size, dtype)
        weights = ops.softmax(ops.cast(self.initial_weights, dtype))
        start["read_weights"] += weights[: self.read_heads]
        start["write_weights"] += weights[self.read_heads :]
        start["memory"] += _SMALL if self.initial_memory is None else ops.cast(self.initial_memory, dtype)
        return start

    def interface_parts(self):
        all_keys, written = self._heads * self.slot_width, self.write_heads * self.slot_width
        return [
            all_keys,
            written,
            self._heads,
            written,
            self._heads,
            self._heads,
            self._heads * (2 * self.shift_range + 1),
        ]

    def access(self, xi, states):
        k, a, g, e, beta, gamma, s = self.split_interface(xi)
        memory, before = states["memory"], ops.concatenate([states["read_weights"], states["write_weights"]], axis=1)
        w_c = addressing.content_weights(self.by_head(k), ops.softplus(beta), memory)
        w_g = addressing.interpolated(ops.sigmoid(g), w_c, before)
        moved = addressing.shifted(w_g, ops.softmax(ops.reshape(s, (-1, self._heads, 2 * self.shift_range + 1))))
        w_r, w_w = ops.split(addressing.sharpened(moved, 1 + ops.softplus(gamma)), [self.read_heads], axis=1)
        reads = addressing.read(w_r, memory)
        memory = addressing.written(memory, w_w, ops.sigmoid(self.by_head(e)), self.by_head(a))
        return {"memory": memory, "read_weights": w_r, "write_weights": w_w, "reads": reads}


def _mostly_first(shape, dtype=None):
    """Logarithms of weights of which the first slot has `_FIRST`."""
    first = math.log(_FIRST / (1 - _FIRST) * max(shape[-1] - 1, 1))
    return first * ops.one_hot(ops.zeros(shape[:-1], "int32"), shape[-1], dtype=dtype)

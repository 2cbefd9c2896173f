"""The differentiable neural computer (Graves et al., 2016, Nature 538, 471; Methods).

At step t it first writes, with one head, where there is room or where the key says:

    u[t] = (u[t-1] + w_w[t-1] - u[t-1] w_w[t-1]) * product over read heads of (1 - f w_r[t-1])
    w_w[t] = g_w (g_a allocation(u[t]) + (1 - g_a) softmax(beta_w K(k_w, M[t-1])))
    M[t] = M[t-1] * (1 - w_w[t] e^T) + w_w[t] v^T

then it keeps the order of what was written, and reads, with R heads, along that order or by content:

    L[t] = (1 - w_w[i] - w_w[j]) L[t-1] + w_w[i] p[t-1][j], its diagonal zero
    p[t] = (1 - sum of w_w[t]) p[t-1] + w_w[t]
    w_r[t] = pi_1 L[t]^T w_r[t-1] + pi_2 softmax(beta_r K(k_r, M[t])) + pi_3 L[t] w_r[t-1]
    r[t] = w_r[t] M[t]

    beta = 1 + softplus, e, f, g_a, g_w = sigmoid, pi = softmax; k and v as they are

of their columns of xi, which are: k_r, k_w, v, e, beta_r, beta_w, f, g_a, g_w, pi (for each head backward, content,
forward).
"""

import keras
from keras import ops

from keras_seq.memory import addressing
from keras_seq.memory.cell import MemoryCell


@keras.saving.register_keras_serializable("keras_seq")
class DNCCell(MemoryCell):
    """One step of a differentiable neural computer: a memory `(N, W)` with room that is kept account of, and an order.

    What is written goes to slots that are free, or to those that a key finds; a slot that was read may be freed. What
    is read is found by key, or is what was written before or after what was read last: see the head of the file for the
    equations. It runs in `ks.layers.RNN`, which returns its states by name, also over time (`return_trace`), and in
    `keras.layers.RNN`, there without a mask and without `return_state`.

    Weights: those of the controller, `interface_kernel` W_xi `(C, I)` and `interface_bias`, `output_kernel` W_y
    `(C + R W, H)` and `output_bias`. All states but the controller's start at zero: the memory is empty.

    Args:
        units: size `H` of the output, a linear map of the controller's output and of what is read.
        slots: number `N` of slots of the memory. Time and space of a step grow with its square.
        slot_width: their size `W`.
        read_heads: number `R` of read heads.
        controller: "lstm", "feed_forward", or a recurrent cell of this package, whose dropout acts on all that it
            reads: inputs and what came out of the memory.
        controller_units: size `C` of a controller that is given by name.
        clip: bound of the controller's output, None for none; of use for a controller that has none of its own, such
            as one with `activation="relu"`. Inputs, and what was read where weights meet it, are cut, whatever it is,
            to what the dtype can square: ±255 in float16, ±1.8e19 in float32.

    Call arguments:
        inputs: `(B, D)`.
        states: a list with one dict: "controller" (the controller's), "memory" `(B, N, W)`, "read_weights" `(B, R, N)`,
            "write_weights" `(B, 1, N)`, "usage" and "precedence" `(B, N)`, "links" `(B, N, N)`, "reads" `(B, R, W)`.
            All but the first are float32 where the policy is half precision, and what is done with them is computed in
            it (`keras.layers.RNN` keeps them in half precision between steps: in float16 a memory may outgrow it
            there).
        training: whether the controller's dropout acts.

    Returns:
        `(output, states)`, the output `(B, H)`.

    Raises:
        ValueError: for a controller that is no cell of this package, and other arguments out of range.

    Example:

    >>> layer = RNN(DNCCell(3, slots=11, slot_width=5, read_heads=2), return_sequences=True, return_state=True)
    >>> outputs, states = layer(np.ones((2, 7, 4)))
    >>> outputs.shape, states["links"].shape
    (TensorShape([2, 7, 3]), TensorShape([2, 11, 11]))
    """

    def access_sizes(self):
        slots = (self.slots,)
        return {
            "memory": (self.slots, self.slot_width),
            "read_weights": (self.read_heads, self.slots),
            "write_weights": (1, self.slots),
            "usage": slots,
            "precedence": slots,
            "links": (self.slots, self.slots),
            "reads": (self.read_heads, self.slot_width),
        }

    def initial_access(self, batch_size, dtype):
        return self.empty_access(batch_size, dtype)

    def interface_parts(self):
        heads, width = self.read_heads, self.slot_width
        return [heads * width, width, width, width, heads, 1, heads, 1, 1, 3 * heads]

    def access(self, xi, states):
        k_r, k_w, v, e, beta_r, beta_w, f, g_a, g_w, pi = self.split_interface(xi)
        written = ops.squeeze(states["write_weights"], axis=1)
        u = addressing.usage(states["usage"], written, states["read_weights"], ops.sigmoid(f))
        a = addressing.allocation(u)
        c_w = addressing.content_weights(self.by_head(k_w), 1 + ops.softplus(beta_w), states["memory"])
        w_w = addressing.allotted(ops.sigmoid(g_w), ops.sigmoid(g_a), a, ops.squeeze(c_w, axis=1))
        w = ops.expand_dims(w_w, 1)
        memory = addressing.written(states["memory"], w, ops.sigmoid(self.by_head(e)), self.by_head(v))
        links = addressing.linked(states["links"], w_w, states["precedence"])
        forward, backward = addressing.followed(links, states["read_weights"])
        content = addressing.content_weights(self.by_head(k_r), 1 + ops.softplus(beta_r), memory)
        pi = ops.softmax(ops.reshape(pi, (-1, self.read_heads, 3)))
        w_r = addressing.mixed(pi, backward, content, forward)
        return {
            "memory": memory,
            "read_weights": w_r,
            "write_weights": w,
            "usage": u,
            "precedence": addressing.precedence(states["precedence"], w_w),
            "links": links,
            "reads": addressing.read(w_r, memory),
        }

"""What the cells with a memory share: a controller that reads it, one product for all heads, and an output.

    h[t] = controller([x[t]; r[t-1]], h[t-1]),   h^ = h[t] cut to ±clip
    xi = h^ W_xi + b_xi                          all that the heads need
    r[t], M[t], … = access(xi, M[t-1], …)        see `ntm.py` and `dnc.py`
    y[t] = [h^; r[t]] W_y + b_y

Of the controller's projection, what depends on x alone is computed before the loop where it can be, and h^ is
multiplied by W_xi and its rows of W_y at once.
"""

import keras
from keras import ops, tree

from keras_seq import compat
from keras_seq.cells.base import Cell, dropped, map_sizes
from keras_seq.cells.inner import vector_size
from keras_seq.checks import positive_integer, positive_number
from keras_seq.kernels.kernel import affine, wide
from keras_seq.memory.controller import controller_of, projects_by_parts

_LARGEST = {"float16": 255.0, "float64": 1e154}  # of what meets weights: its square; 1.8e19 in float32 and bfloat16


class MemoryCell(compat.DropoutRNNCell, Cell):
    """A cell with a memory: the base of `NTMCell` and `DNCCell`.

    A subclass says the sizes of the memory's states in `access_sizes()`, those of the parts of xi in
    `interface_parts()`, and what a sequence starts from in `initial_access(batch_size, dtype)`, and writes
    `access(xi, states) -> new_states`: dicts by name, "reads" `(B, R, W)` among the states.

    All that has to do with the memory is in float32, and computed in it, where the policy is half precision: products
    with weights alone are in half.
    """

    hoists_projection = True

    def __init__(
        self,
        units,
        slots=128,
        slot_width=20,
        read_heads=1,
        controller="lstm",
        controller_units=100,
        clip=20.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # it would cast the memory's states, where the cell is called by itself
        self.units = positive_integer("units", units)
        self.slots = positive_integer("slots", slots)
        self.slot_width = positive_integer("slot_width", slot_width)
        self.read_heads = positive_integer("read_heads", read_heads)
        self.controller_units = positive_integer("controller_units", controller_units)
        self.controller = controller_of(controller, self.controller_units, self.dtype_policy)
        self.clip = None if clip is None else positive_number("clip", clip)
        self._seen = vector_size("controller", self.controller)
        self._read = self.read_heads * self.slot_width
        self._held_masks = {}
        self.output_size = self.units

    @property
    def state_size(self):
        """A list with one dict: the sizes of the controller's states, and of those of the memory."""
        own = self.controller.state_size
        return [{"controller": list(own) if isinstance(own, (list, tuple)) else [own], **self.access_sizes()}]

    def build(self, input_shape):
        self._features = input_shape[-1]
        if not self.controller.built:
            self.controller.build((input_shape[0], self._features + self._read))
        interface, output = sum(self.interface_parts()), (self._seen + self._read, self.units)
        self.interface_kernel = self._add("interface_kernel", (self._seen, interface), "glorot_uniform")
        self.interface_bias = self._add("interface_bias", (interface,), "zeros")
        self.output_kernel = self._add("output_kernel", output, "glorot_uniform")
        self.output_bias = self._add("output_bias", (self.units,), "zeros")
        self.built = True

    def _add(self, name, shape, initializer, trainable=True):
        return self.add_weight(shape=shape, name=name, initializer=initializer, trainable=trainable, autocast=False)

    @property
    def access_dtype(self):
        """What the memory is kept and computed in: float32, or float64."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    def get_initial_state(self, batch_size=None):
        """A list with one dict: the controller's own states, and those of the memory."""
        own = self.controller.get_initial_state(batch_size)
        return [{"controller": own, **self.initial_access(batch_size, self.access_dtype)}]

    def split_interface(self, xi):
        """The parts of xi, each `(B, its size)`."""
        parts = self.interface_parts()
        return ops.split(xi, [sum(parts[:i]) for i in range(1, len(parts))], axis=-1)

    def by_head(self, vectors):
        """`(B, H W)` as `(B, H, W)`."""
        return ops.reshape(vectors, (-1, vectors.shape[-1] // self.slot_width, self.slot_width))

    def empty_access(self, batch_size, dtype):
        """Zeros for each state of the memory, by name."""
        return map_sizes(lambda shape: ops.zeros((batch_size, *shape), dtype), self.access_sizes())

    def drop_inputs(self, inputs, training):
        # Half precision makes large inputs infinite: under a mask, as zero times that, they would be NaN.
        return super().drop_inputs(_cut(inputs, self.compute_dtype) if training else inputs, training)

    def project(self, inputs):
        """What of the controller's projection depends on the input alone; the inputs where it cannot be told apart."""
        inputs = ops.cast(_cut(inputs, self.compute_dtype), self.controller.compute_dtype)
        if not projects_by_parts(self.controller):
            return inputs
        kernel, bias = self.controller.input_weights()
        return affine(inputs, (kernel[: self._features], bias))

    def prepare(self, states, training=False):
        """The controller's constants, its rows of the kernel for what was read, and the mask of that; W_xi beside the
        rows of W_y for h^; the other rows of W_y; both biases, the one for h^ side by side."""
        own, batch = states[0]["controller"], ops.shape(states[0]["reads"])[0]
        drop = self._drawn("reads", (batch, self._read), self.controller.compute_dtype, training)
        rows = None
        if projects_by_parts(self.controller):
            rows = self.controller.input_weights()[0][self._features :]
        output = self.cast(self.output_kernel)
        of_h = ops.concatenate([self.cast(self.interface_kernel), output[: self._seen]], axis=1)
        bias = ops.concatenate([self.cast(self.interface_bias), self.cast(self.output_bias)])
        return self.controller.prepare(own, training), rows, drop, of_h, bias, output[self._seen :]

    def step(self, projected, states, constants):
        prepared, rows, drop, of_h, bias, of_reads = constants
        before = states[0]
        reads = dropped(_flat(before["reads"], self.controller.compute_dtype), drop)
        if rows is None:
            projected = self.controller.project(ops.concatenate([projected, reads], axis=-1))
        else:
            projected = projected + ops.matmul(reads, rows)
        h, own = self.controller.step(projected, before["controller"], prepared)
        h = self.cast(h)
        h = h if self.clip is None else ops.clip(h, -self.clip, self.clip)
        xi, y = ops.split(ops.matmul(h, of_h) + bias, [of_h.shape[1] - self.units], axis=-1)
        after = self.access(wide(xi), {name: wide(before[name]) for name in self.access_sizes()})
        y = y + ops.matmul(_flat(after["reads"], self.compute_dtype), of_reads)
        after["controller"] = own
        # `keras.layers.RNN` has all states in the compute dtype, and wants them back in it.
        return y, [tree.map_structure(lambda new, old: ops.cast(new, old.dtype), after, before)]

    # Dropout is the controller's, in two masks: one for inputs, one for what was read. `keras.layers.RNN` calls the
    # four below around its own loop, so that there, too, all steps share them.

    def input_mask(self, shape, dtype, training):
        """The mask of the controller's input dropout for the inputs `(B, D)`, or None where there is none."""
        return self._drawn("inputs", shape, dtype, training)

    def _drawn(self, name, shape, dtype, training):
        held = self._held_masks.get(name) if training else None
        return self.controller.input_mask(shape, dtype, training) if held is None else held

    def get_dropout_mask(self, step_input):
        batch, dtype = ops.shape(step_input)[0], self.controller.compute_dtype
        for name, size in (("inputs", self._features), ("reads", self._read)):
            self._held_masks[name] = self.controller.input_mask((batch, size), dtype, True)

    def get_recurrent_dropout_mask(self, state):
        if isinstance(self.controller, compat.DropoutRNNCell):
            self.controller.get_recurrent_dropout_mask(tree.flatten(state["controller"])[0])

    def reset_dropout_mask(self):
        self._held_masks.clear()

    def reset_recurrent_dropout_mask(self):
        if isinstance(self.controller, compat.DropoutRNNCell):
            self.controller.reset_recurrent_dropout_mask()

    def get_config(self):
        return {**super().get_config(), "controller": keras.saving.serialize_keras_object(self.controller)}


def _flat(reads, dtype):
    """`(B, R, W)` as `(B, R W)`, in the dtype of weights: a memory in float32 may outgrow half precision."""
    return ops.cast(_cut(ops.reshape(reads, (-1, reads.shape[1] * reads.shape[2])), dtype), dtype)


def _cut(tensor, dtype):
    """A tensor cut to the root of the largest number of a dtype, so that a product of two is finite."""
    limit = _LARGEST.get(dtype, 1.8e19)
    return ops.clip(tensor, -limit, limit)

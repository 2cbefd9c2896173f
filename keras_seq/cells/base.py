"""What all cells share: the three parts of a step, dropout, and the constructor as configuration."""

import inspect
from itertools import zip_longest

import keras
from keras import ops, tree

from keras_seq import compat
from keras_seq.checks import positive_integer, share
from keras_seq.kernels import IMPLEMENTATIONS
from keras_seq.kernels.kernel import affine, dropped

_SERIALIZERS = {
    "activation": keras.activations.serialize,
    "initializer": keras.initializers.serialize,
    "regularizer": keras.regularizers.serialize,
    "constraint": keras.constraints.serialize,
}


def argument_names(cell_class):
    """Names of the arguments of a cell's constructor (`name`, `dtype` … belong to Keras)."""
    return [p.name for p in _full_signature(cell_class).parameters.values() if p.kind is not p.VAR_KEYWORD]


def _full_signature(cell_class):
    """The signature of a constructor whose `**kwargs` go to the classes above: theirs follow, as keywords.

    A constructor that takes `*args` hands on positional arguments, too: theirs then keep their places.
    """
    classes = cell_class.__mro__[: cell_class.__mro__.index(Cell) + 1]
    constructors = [vars(cls)["__init__"] for cls in classes if "__init__" in vars(cls)]
    parameters, handed_on = {}, True
    for constructor in constructors:
        *own, rest = list(inspect.signature(constructor).parameters.values())[1:]
        named = [p for p in own if p.kind is not p.VAR_POSITIONAL]
        for p in named:
            parameters.setdefault(p.name, p if handed_on else p.replace(kind=p.KEYWORD_ONLY))
        handed_on = handed_on and len(named) < len(own)
    return inspect.Signature([*sorted(parameters.values(), key=lambda p: p.kind), rest])


class Cell(keras.layers.Layer):
    """A recurrence, one step of it: the base of the cells of this package.

    A subclass sets `state_size` and `output_size` and writes three methods; `call` is made of them:

    - `project(inputs)`: all that depends on the input alone, for one step `(B, D)` or a whole sequence `(B, T, D)`;
    - `prepare(states, training)`: what stays the same over a sequence (dropout masks, weights in the compute dtype);
    - `step(projected, states, constants)`: the rest, `(output, new_states)`.

    `call(x, s)` equals `step(project(x), s, prepare(s))`. A cell with gates has a fourth, which `step` does not call:
    `gate_values(projected, states, constants)`, a dict of what its gates are at that step, from the functions that its
    step computes them by. `ks.diagnostics.gate_activations` reads it.

    Weights are kept out of Keras's autocasting and cast by
    `cast`, so that a cell with a dtype policy of its own keeps it inside a layer with another.

    Args:
        implementation: how `ks.layers.RNN` runs the cell over a sequence: "auto" (by measured thresholds), "loop",
            "kernel" (backpropagation through time by hand, where the cell has it) or "cudnn" (an LSTM or GRU that
            trains on a GPU). Results are the same. Keras's numbers 0, 1 and 2 mean "auto".
    """

    hoists_projection = False  # whether to, where thresholds say nothing: that of a cell whose step is long costs less
    state_dtypes = ()  # of states that are not in the dtype that the cell computes in: a name for each, or None

    def __init__(self, **kwargs):
        implementation = kwargs.pop("implementation", "auto")
        super().__init__(**kwargs)
        if implementation not in (*IMPLEMENTATIONS, 0, 1, 2):
            raise ValueError(
                f"Argument `implementation` must be one of {', '.join(map(repr, IMPLEMENTATIONS))}, or 0, 1 or 2, "
                f"which mean 'auto', got {implementation!r}."
            )
        self.implementation = implementation if implementation in IMPLEMENTATIONS else "auto"

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__signature__ = _full_signature(cls)

    def call(self, inputs, states, training=False):
        nested = tree.is_nested(states)
        states = states if nested else [states]
        projected = self.project(self.drop_inputs(inputs, training))
        output, new_states = self.step(projected, states, self.prepare(states, training))
        return output, new_states if nested else new_states[0]

    def activations(self):
        """The activations, by the name of their arguments."""
        names = [name for name in argument_names(type(self)) if name.endswith("activation")]
        return {name: getattr(self, name) for name in names}

    def get_initial_state(self, batch_size=None):
        """Zeros for each entry of `state_size`, in a list."""
        zeros = zero_states(self.state_size, batch_size, self.compute_dtype)
        return [ops.cast(z, d) if d else z for z, d in zip_longest(zeros, self.state_dtypes)]

    def cast(self, weight):
        """A weight in the dtype that this cell computes in (None stays None)."""
        return None if weight is None else ops.cast(weight, self.compute_dtype)

    def drop_inputs(self, inputs, training):
        """Inputs `(B, D)` or `(B, T, D)` in the compute dtype, when training under one dropout mask for all steps."""
        inputs = ops.cast(inputs, self.compute_dtype)
        mask = self.input_mask((ops.shape(inputs)[0], inputs.shape[-1]), inputs.dtype, training)
        return dropped(inputs, mask if mask is None or len(inputs.shape) == 2 else ops.expand_dims(mask, 1))

    def input_mask(self, shape, dtype, training):
        """The mask of input dropout, of shape `(B, D)`, or None where there is none."""
        return None

    def get_config(self):
        """The arguments of the constructor, each under its own name; `implementation` where it is not "auto"."""
        config = {**super().get_config(), **{name: self._serialized(name) for name in argument_names(type(self))}}
        return config if self.implementation == "auto" else {**config, "implementation": self.implementation}

    def _serialized(self, name):
        value = getattr(self, name)
        serialize = _SERIALIZERS.get(name.rsplit("_", 1)[-1])
        return serialize(value) if serialize and value is not None else value


class DropoutCell(compat.DropoutRNNCell, Cell):
    """A cell with dropout, under masks that hold for a whole sequence (Gal and Ghahramani, 2016, arXiv 1512.05287).

    Args:
        dropout: share of the inputs dropped, one mask `(B, D)` for all steps of a sequence.
        recurrent_dropout: share of the recurrent state dropped where it enters the product with the recurrent
            kernel, one mask `(B, H)` for all steps and all gates.
        seed: seed of both.
    """

    def __init__(self, *, dropout=0.0, recurrent_dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.dropout = share("dropout", dropout)
        self.recurrent_dropout = share("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._held_masks = {}

    def input_mask(self, shape, dtype, training):
        """The mask of input dropout, of shape `(B, D)`, or None where there is none."""
        if not training or not self.dropout:
            return None
        if "inputs" in self._held_masks:
            return self._held_masks["inputs"]
        return self._draw_mask(self.dropout, shape, dtype)

    def recurrent_mask(self, state, training):
        """The mask of recurrent dropout for a state `(B, H)`, or None where there is none."""
        if not training or not self.recurrent_dropout:
            return None
        if "state" in self._held_masks:
            return self._held_masks["state"]
        return self._draw_mask(self.recurrent_dropout, ops.shape(state), state.dtype)

    def _draw_mask(self, rate, shape, dtype):
        return keras.random.dropout(ops.ones(shape, dtype), rate, seed=self.seed_generator)

    # `keras.layers.RNN` calls these four around its own loop, so that there, too, all steps share one mask.
    # `layers.RNN` of this package draws masks in `prepare` and holds none.

    def get_dropout_mask(self, step_input):
        if self.dropout:
            self._held_masks["inputs"] = self._draw_mask(self.dropout, ops.shape(step_input), step_input.dtype)
        return self._held_masks.get("inputs")

    def get_recurrent_dropout_mask(self, step_input):
        if self.recurrent_dropout:
            shape = ops.shape(step_input)
            self._held_masks["state"] = self._draw_mask(self.recurrent_dropout, shape, step_input.dtype)
        return self._held_masks.get("state")

    def reset_dropout_mask(self):
        self._held_masks.pop("inputs", None)

    def reset_recurrent_dropout_mask(self):
        self._held_masks.pop("state", None)


class KernelCell(DropoutCell):
    """A cell with a kernel `(D, G*H)`, a recurrent kernel `(H, G*H)` and a bias, for `G` gates of `H` units.

    The recurrent kernel reads the output of the step before, of size `output_size`, which is `H` unless a subclass
    says otherwise. The arguments are those of the cells of `keras.layers`; subclasses say what the weights mean.
    """

    gates = 1
    state_names = ("h", "c")  # of as many states as there are, for those who feed streams

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(dropout=dropout, recurrent_dropout=recurrent_dropout, seed=seed, **kwargs)
        self.units = positive_integer("units", units)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.state_size = self.units
        self.output_size = self.units

    def build(self, input_shape):
        width = self.gates * self.units
        self.kernel = self._add("kernel", (input_shape[-1], width))
        self.recurrent_kernel = self._add("recurrent_kernel", (self.output_size, width), group="recurrent")
        self.bias = self._add("bias", self.bias_shape(), self.bias_start()) if self.use_bias else None
        self.built = True

    def bias_shape(self):
        return (self.gates * self.units,)

    def bias_start(self):
        return self.bias_initializer

    def _add(self, name, shape, initializer=None, group=None):
        """A weight under the arguments of its group: `{group}_initializer`, and a regularizer and a constraint if the
        cell has arguments for them."""
        group = group or name
        return self.add_weight(
            shape=shape,
            name=name,
            initializer=initializer or getattr(self, f"{group}_initializer"),
            regularizer=getattr(self, f"{group}_regularizer", None),
            constraint=getattr(self, f"{group}_constraint", None),
            autocast=False,
        )

    def project(self, inputs):
        """`x W + b`, the columns of all gates side by side."""
        return affine(inputs, self.input_weights())

    def input_weights(self):
        """What `project` reads: `(W, b)`, in the dtype that this cell computes in; b may be None."""
        return self.cast(self.kernel), self.cast(self.bias)

    def prepare(self, states, training=False):
        """`(U, mask)`: the recurrent kernel, and the mask of recurrent dropout `(B, H)` or None."""
        return self.cast(self.recurrent_kernel), self.recurrent_mask(states[0], training)


def takes_memory(cell):
    """Whether a cell reads a memory: its `prepare` takes one, and it does not say `reads_memory = False`."""
    prepare = getattr(cell, "prepare", None)
    takes = prepare is not None and "memory" in inspect.signature(prepare).parameters
    return takes and getattr(cell, "reads_memory", True)


def zero_states(state_size, batch_size, dtype):
    """Zeros for each entry of a `state_size`, in a list: `(B, 3)` for 3, `(B, 3, 5)` for a tuple (3, 5) in a list."""
    sizes = state_size if isinstance(state_size, (list, tuple)) else [state_size]
    return [map_sizes(lambda shape: ops.zeros((batch_size, *shape), dtype), size) for size in sizes]


def map_sizes(function, size):
    """`function` of each shape in a nest of sizes: 3 is the shape (3,), (3, 5) a matrix, [3, 5] two of them."""
    if isinstance(size, dict):
        return {key: map_sizes(function, value) for key, value in size.items()}
    if isinstance(size, list):
        return [map_sizes(function, value) for value in size]
    return function(size if isinstance(size, tuple) else (size,))

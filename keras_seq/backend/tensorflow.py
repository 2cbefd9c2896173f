"""The loop's primitives on TensorFlow."""

import math

import keras
import tensorflow as tf
from keras import tree

CHUNK = 64  # steps that a kernel takes at once: their arrays fit the cache, and calls are few enough not to count

NAME = "tensorflow"
COMPILES_KERNELS = True


def device():
    """Where things run by default: "cpu", or "gpu" if there is one."""
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def runs_eagerly():
    """Whether operations run at once, so that a Python loop costs no more than a loop in a graph."""
    return tf.executing_eagerly()


def with_batch_size(tensor, size):
    """The tensor, known to have this batch size: a graph that gets another raises and names both."""
    return tf.ensure_shape(tensor, [size, *tensor.shape[1:]])


def spec_of(function, *args):
    """Shapes and dtypes of what `function(*args)` returns, without running it (and with no trace in the graph)."""
    specs = tree.map_structure(lambda x: None if x is None else tf.TensorSpec(x.shape, x.dtype), args)
    return tf.function(function, autograph=False).get_concrete_function(*specs).structured_outputs


def spec_of_step(x):
    """The spec of one step of `x`, whose first axis is time."""
    return tf.TensorSpec(x.shape[1:], x.dtype)


def gather(x, indices, rows=False):
    """`x[indices]`, or with `rows` `x[i][indices[i]]` for each i, for indices from 0 to the end.

    One operation: `ops.take` puts several more into the graph, for indices below 0.
    """
    return tf.gather(x, indices, batch_dims=int(rows))


def cut(x, begin, steps):
    """So many steps of `x` `(B, T, ...)`, from `begin` on. The gradient of `x[:, begin:end]` takes several times as
    long."""
    size = tf.concat([tf.shape(x)[:1], [steps], tf.shape(x)[2:]], 0)
    known = [x.shape[0], steps if isinstance(steps, int) else None, *x.shape[2:]]
    return tf.ensure_shape(tf.slice(x, [0, begin] + [0] * (len(x.shape) - 2), size), known)


def every(x, n, steps):
    """Each `n`-th of the first `steps` of `x` `(B, T, ...)`, from the first on.

    A slice with strides takes several times as long as a gather of rows.
    """
    if n == 1:
        return cut(x, 0, steps)
    at = tf.range(0, steps, n)
    return tf.gather(x, tf.tile(at[None], [tf.shape(x)[0], 1]), batch_dims=1)


def scan(body, carry, xs, *, reverse=False, steps=None):
    """`carry, y = body(carry, x)` for each `x` along the first axis of `xs`; the `y` are stacked along a first axis.

    `carry`, `xs` and `y` are any nests of tensors; `xs` and `y` may hold `None`. The same contract as `jax.lax.scan`.
    With `steps` only so many, the first ones, are run; the `y` of the others are zero.
    """
    flat_xs = _tensors(xs)
    length = tf.shape(flat_xs[0])[0]
    steps = length if steps is None else steps
    reads = [tf.TensorArray(x.dtype, length, element_shape=x.shape[1:]).unstack(x) for x in flat_xs]
    _, y_spec = spec_of(body, carry, _packed(xs, map(spec_of_step, flat_xs)))
    writes = [tf.TensorArray(y.dtype, length, element_shape=y.shape) for y in _tensors(y_spec)]

    def advance(carry, at):
        return body(carry, _packed(xs, [array.read(at) for array in reads]))

    carry, writes = _while(advance, carry, writes, steps, reverse)
    ys = [_stack(array, y, flat_xs[0]) for array, y in zip(writes, _tensors(y_spec), strict=True)]
    return carry, _packed(y_spec, ys)


def _while(advance, carry, writes, steps, reverse, ahead=10):
    """`carry, y = advance(carry, at)` for `at` from 0 to `steps`, or back; each tensor of `y` is written at `at`."""
    flat_carry = _tensors(carry)

    def body(time, flat_carry, writes):
        at = steps - 1 - time if reverse else time
        new_carry, y = advance(_packed(carry, flat_carry), at)
        new_flat = _tensors(new_carry)
        for old, new in zip(flat_carry, new_flat, strict=True):
            new.set_shape(old.shape)  # a batch size that only the first carry knows is known in every step
        return time + 1, new_flat, [array.write(at, v) for array, v in zip(writes, _tensors(y), strict=True)]

    _, flat_carry, writes = tf.while_loop(
        lambda time, *_: time < steps,
        body,
        (tf.constant(0), flat_carry, writes),
        maximum_iterations=steps,
        parallel_iterations=ahead,
    )
    return _packed(carry, flat_carry), writes


class Chunks:
    """Sequences `(B, T, ...)` in chunks `(K, B, ...)` of at most `CHUNK` steps, all of one size: the last may be
    shorter than it looks.

    What is read is cut and turned chunk by chunk, and what is kept between the loops stays in arrays of chunks: copies
    of the whole would cost memory, and time.
    """

    def __init__(self, x):
        known = x.shape[1] is not None and not tf.executing_eagerly()
        self.length = x.shape[1] if known else tf.shape(x)[1]
        self.count = (self.length + CHUNK - 1) // CHUNK
        if known:  # of a size that leaves no rest, if there is one
            least = max(1, self.count)
            self.count = next((n for n in range(least, 2 * least + 1) if self.length % n == 0), least)
            self.size = -(-self.length // self.count)
        else:  # of few sizes, because each may have to be compiled
            self.count = tf.maximum(self.count, 1)
            self.size = ((self.length + self.count - 1) // self.count + 7) // 8 * 8
            self.size = tf.maximum(self.size, 8)
        self.exact = known and self.count * self.size == self.length

    def split(self, nest):
        """Each tensor `(B, T, ...)` as something to read chunks from, the last with zeros at its end."""
        return tree.map_structure(lambda x: None if x is None else _Cut(x, self), nest)

    def join(self, array):
        """An array of chunks as one tensor `(B, T, ...)`."""
        shape = array.element_shape
        pieces = array.stack()  # (N, K, B, ...)
        axes = [2, 0, 1, *range(3, len(shape) + 1)]
        sizes = tf.concat([[tf.shape(pieces)[2], self.count * self.size], tf.shape(pieces)[3:]], 0)
        whole = tf.reshape(tf.transpose(pieces, axes), sizes)
        whole = whole if self.exact else whole[:, : self.length]
        return tf.ensure_shape(whole, [shape[1], self.length if isinstance(self.length, int) else None, *shape[2:]])

    def _array(self, dtype, shape):
        return tf.TensorArray(dtype, self.count, element_shape=shape, clear_after_read=False)  # read on both ways

    def loop(self, body, carry, xs, *, reverse=False):
        """`carry, y = body(carry, steps, x)` for each chunk, whose first `steps` are meant; and arrays of the `y`."""
        arrays = _tensors(xs)
        specs = [tf.TensorSpec(array.element_shape, array.dtype) for array in arrays]
        _, y_spec = spec_of(body, carry, tf.constant(0), _packed(xs, specs))
        writes = [self._array(y.dtype, y.shape) for y in _tensors(y_spec)]

        def advance(carry, at):
            steps = tf.minimum(self.size, self.length - at * self.size)
            return body(carry, steps, _packed(xs, [array.read(at) for array in arrays]))

        # Ten chunks at once, as is usual, would be projected ahead of the loop and held.
        carry, writes = _while(advance, carry, writes, self.count, reverse, ahead=2)
        return carry, _packed(y_spec, writes)


class _Cut:
    """A tensor `(B, T, ...)` that is read as if it were an array of chunks `(K, B, ...)`."""

    def __init__(self, tensor, chunks):
        self.tensor, self.chunks, self.dtype = tensor, chunks, tensor.dtype
        steps = chunks.size if isinstance(chunks.size, int) else None
        self.element_shape = tf.TensorShape([steps, tensor.shape[0], *tensor.shape[2:]])
        if chunks.exact:  # (B, N, K, ...)
            shape = tf.shape(tensor)
            self.tensor = tf.reshape(tensor, tf.concat([shape[:1], [chunks.count, chunks.size], shape[2:]], 0))

    def read(self, at):
        size = self.chunks.size
        # A slice from `at * size` would be one of all steps where XLA compiles a graph whole.
        piece = self.tensor[:, at] if self.chunks.exact else self.tensor[:, at * size : (at + 1) * size]
        piece = tf.transpose(piece, [1, 0, *range(2, len(piece.shape))])
        if not self.chunks.exact:
            missing = size - tf.shape(piece)[0]
            piece = tf.pad(piece, [[0, missing], *([[0, 0]] * (len(piece.shape) - 1))])
        return tf.ensure_shape(piece, self.element_shape)


def rows_to_compile_for(tensor):
    """As many rows as a loop is compiled for, where a graph does not fix the batch size; else None.

    The next number with three leading binary digits after the first: exact up to 16, at most an eighth too many above.
    Eight sizes from each power of two to the next are compiled at the most.
    """
    if tensor.shape[0] is not None and not tf.executing_eagerly():
        return None
    batch = tf.maximum(tf.shape(tensor)[0], 1)
    digits = tf.cast(tf.math.floor(tf.math.log(tf.cast(batch, tf.float64)) / math.log(2) + 1e-9), tf.int32)
    unit = tf.bitwise.left_shift(1, tf.maximum(digits - 3, 0))
    return (batch + unit - 1) // unit * unit


def compiled(function):
    """The function, compiled by XLA for each shape that it meets."""
    return tf.function(function, jit_compile=True, autograph=False)


def program(function, layer, ranks):
    """`function` of integer tensors of these ranks as one program, which reads a layer's variables at each call."""
    return tf.function(function, [tf.TensorSpec([None] * rank, tf.int32) for rank in ranks], autograph=False)


def gradient_program(function, variables):
    """`run(at, *arguments) -> (value, others, gradient)`, compiled, for `function(at, *arguments) -> (value, others)`.

    `at` is a list of tensors, and so is the gradient of the scalar `value` with respect to it. `variables` are read at
    each call; what the function assigns to any is dropped.
    """

    def run(at, *arguments):
        at = [tf.convert_to_tensor(one) for one in at]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            with keras.StatelessScope():
                value, others = function(at, *arguments)
        return value, others, tape.gradient(value, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return tf.function(run, autograph=False)


def with_gradient(forward, backward):
    """A function of one nest, `forward(arguments) -> (results, kept)`, whose gradient is
    `backward(arguments, kept, d_results)`, a nest like the arguments, None where there is none."""

    def run(arguments):
        results_spec = None

        @tf.custom_gradient
        def flat_run(*flat):
            nonlocal results_spec
            # Under an eager tape a compiled function would be differentiated by itself, too.
            inside = _packed(arguments, map(tf.stop_gradient, flat))
            results_spec, kept = forward(inside)

            def gradient(*d_flat):
                gradients = tree.flatten(backward(inside, kept, _packed(results_spec, d_flat)))
                given = [g for g, a in zip(gradients, tree.flatten(arguments), strict=True) if a is not None]
                return [None if g is None else _of_first_order(g) for g in given]

            return _tensors(results_spec), gradient

        # A variable that is read inside would have to be given its gradient apart.
        flat_results = flat_run(*map(tf.convert_to_tensor, _tensors(arguments)))
        return _packed(results_spec, flat_results)

    return run


@tf.custom_gradient
def _of_first_order(gradient):
    def raising(_):
        raise NotImplementedError(
            "The kernels and losses of keras_seq have gradients of first order only. For gradients of gradients give a "
            "layer `implementation='loop'`, and take a loss of Keras."
        )

    return gradient, raising


def _tensors(nest):
    """The leaves of a nest that are not None."""
    return [x for x in tree.flatten(nest) if x is not None]


def _packed(nest, tensors):
    """A nest like `nest` of other tensors, with None where it has None."""
    tensors = iter(tensors)
    return tree.map_structure(lambda x: None if x is None else next(tensors), nest)


def _stack(array, spec, like):
    """All elements of a TensorArray, in as many steps and rows as `like` has: `stack()` cannot do zero elements."""
    if tf.executing_eagerly():
        return array.stack()
    steps, batch = tf.unstack(tf.shape(like)[:2])
    unknown = tf.where(steps > 0, -1, 0)
    sizes = [(batch if i == 0 else unknown) if size is None else size for i, size in enumerate(spec.shape)]
    stacked = tf.raw_ops.TensorListStack(
        input_handle=array.flow, element_shape=tf.convert_to_tensor(sizes, tf.int32), element_dtype=spec.dtype
    )
    stacked.set_shape([like.shape[0], *spec.shape])
    return stacked

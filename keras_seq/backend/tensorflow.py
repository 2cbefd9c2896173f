"""The loop's primitives on TensorFlow."""

import tensorflow as tf
from keras import tree


def runs_eagerly():
    """Whether operations run at once, so that a Python loop costs no more than a loop in a graph."""
    return tf.executing_eagerly()


def with_batch_size(tensor, size):
    """The tensor, known to have this batch size: a graph that gets another raises and names both."""
    return tf.ensure_shape(tensor, [size, *tensor.shape[1:]])


def spec_of(function, *args):
    """Shapes and dtypes of what `function(*args)` returns, without running it (and with no trace in the graph)."""
    specs = tree.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), args)
    return tf.function(function, autograph=False).get_concrete_function(*specs).structured_outputs


def spec_of_step(x):
    """The spec of one step of `x`, whose first axis is time."""
    return tf.TensorSpec(x.shape[1:], x.dtype)


def scan(body, carry, xs):
    """`carry, y = body(carry, x)` for each `x` along the first axis of `xs`; the `y` are stacked along a first axis.

    `carry`, `xs` and `y` are any nests of tensors; `y` may hold `None`. The same contract as `jax.lax.scan`.
    """
    flat_xs = tree.flatten(xs)
    length = tf.shape(flat_xs[0])[0]
    reads = [tf.TensorArray(x.dtype, length, element_shape=x.shape[1:]).unstack(x) for x in flat_xs]
    _, y_spec = spec_of(body, carry, tree.map_structure(spec_of_step, xs))
    writes = [tf.TensorArray(y.dtype, length, element_shape=y.shape) for y in tree.flatten(y_spec)]
    flat_carry = tree.flatten(carry)

    def advance(time, flat_carry, writes):
        x = tree.pack_sequence_as(xs, [array.read(time) for array in reads])
        new_carry, y = body(tree.pack_sequence_as(carry, flat_carry), x)
        new_flat = tree.flatten(new_carry)
        for old, new in zip(flat_carry, new_flat, strict=True):
            new.set_shape(old.shape)  # a batch size that only the first carry knows is known in every step
        return time + 1, new_flat, [array.write(time, v) for array, v in zip(writes, tree.flatten(y), strict=True)]

    _, flat_carry, writes = tf.while_loop(
        lambda time, *_: time < length,
        advance,
        (tf.constant(0), flat_carry, writes),
        maximum_iterations=length,
    )
    ys = [_stack(array, y, flat_xs[0]) for array, y in zip(writes, tree.flatten(y_spec), strict=True)]
    return tree.pack_sequence_as(carry, flat_carry), tree.pack_sequence_as(y_spec, ys)


def _stack(array, spec, like):
    """All elements of a TensorArray, in as many steps and rows as `like` has: `stack()` cannot do zero elements."""
    batch = tf.shape(like)[1]
    sizes = [batch if i == 0 and size is None else -1 if size is None else size for i, size in enumerate(spec.shape)]
    stacked = tf.raw_ops.TensorListStack(
        input_handle=array.flow, element_shape=tf.convert_to_tensor(sizes, tf.int32), element_dtype=spec.dtype
    )
    stacked.set_shape([like.shape[0], *spec.shape])
    return stacked

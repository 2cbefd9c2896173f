"""cuDNN's LSTM and GRU, as Keras calls them, for any mask.

cuDNN takes rows that end early and no others. So the kept steps of each row are moved to its front, and outputs back to
where they belong; rows without a kept step are run for one step that is thrown away.
"""

import keras
from keras import ops

from keras_seq import compat
from keras_seq.backend import native
from keras_seq.backend.loop import in_reading_order, shown_output, where_rows
from keras_seq.kernels.kernel import is_of_one_class
from keras_seq.kernels.rows import kept_so_far, to_the_front


def why_no_cudnn(cell, masked, training):
    """None if cuDNN can run a cell on this machine, else the reason, as a sentence."""
    asked = {"activation": keras.activations.tanh, "recurrent_activation": keras.activations.sigmoid}
    name = type(cell).__name__
    if name not in ("LSTMCell", "GRUCell"):
        return f"cuDNN has no {name}."
    if not is_of_one_class(type(cell)):
        return f"this {name} changes the step of the cell that it derives from."
    if compat.cudnn_layers is None:
        return "this version of Keras does not offer it."
    if getattr(cell, "projection_size", None) is not None:
        return "Keras offers no projection there."
    if not getattr(cell, "reset_after", True):
        return "its GRU resets after the product (`reset_after=True`)."
    if not cell.use_bias or any(getattr(cell, key) is not value for key, value in asked.items()):
        return "it wants tanh, sigmoid and a bias."
    if training and cell.recurrent_dropout:
        return "it has no recurrent dropout."
    if native.NAME == "jax" and (name == "GRUCell" or masked or cell.compute_dtype != "float32"):
        return "on JAX Keras offers the LSTM alone, in float32 and without masks."
    if not compat.cudnn_layers.cudnn_ok(cell.activation, cell.recurrent_activation, False, use_bias=True):
        return "there is no GPU that TensorFlow or JAX can see."
    return None


def run_cudnn(cell, inputs, states, *, mask, go_backwards, return_sequences, zero_output_for_mask):
    """`(output, states)` of an LSTM or GRU over `inputs` `(B, T, D)`, as `backend.loop.loop` gives them."""
    x, keep = in_reading_order(inputs, mask, go_backwards)
    outputs, new_states = _over_rows(cell, x if keep is None else to_the_front(x, keep), states, _ends(keep))
    if keep is not None:
        outputs = _to_their_places(outputs, keep)
        new_states = where_rows(ops.any(keep, axis=1), new_states, states)
    output = outputs if return_sequences else new_states[0]
    return shown_output(output, x, keep, return_sequences, zero_output_for_mask), new_states


def _over_rows(cell, x, states, mask):
    """Keras's call of cuDNN, over rows that are whole or end early."""
    weights = [cell.cast(weight) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)]
    run = compat.cudnn_layers.lstm if len(states) == 2 else compat.cudnn_layers.gru
    activations = (cell.activation, cell.recurrent_activation)
    _, outputs, new_states = run(x, *states, mask, *weights, *activations, return_sequences=True)
    return outputs, list(new_states)


def _to_their_places(outputs, keep):
    """The output of the last kept step so far, at each step."""
    return native.gather(outputs, ops.maximum(kept_so_far(keep) - 1, 0), rows=True)


def _ends(keep):
    """The mask of rows whose kept steps are in front, each with one at least."""
    if keep is None:
        return None
    counts = ops.maximum(ops.sum(ops.cast(keep, "int32"), axis=1, keepdims=True), 1)
    return ops.arange(ops.shape(keep)[1]) < counts

"""From PyTorch: its recurrent modules as layers of this package, with their weights.

PyTorch computes `W x + b + U h + b'`, one row of W and U per unit, so its weights are the transposes of ours. Its gates
are i, f, g, o (ours too) and r, z, n (ours are z, r, n); `z` keeps the old state in both. Its GRU has the reset after
the product, where the second bias counts by itself (`reset_after=True`); elsewhere both biases add up to one.
"""

import keras
import numpy as np

from keras_seq import layers
from keras_seq.errors import InputError

# For each `module.mode`: the layer, its arguments, and the blocks of torch's rows in the order of our columns.
_MODES = {
    "RNN_TANH": (layers.SimpleRNN, {"activation": "tanh"}, (0,)),
    "RNN_RELU": (layers.SimpleRNN, {"activation": "relu"}, (0,)),
    "LSTM": (layers.LSTM, {}, (0, 1, 2, 3)),
    "GRU": (layers.GRU, {"reset_after": True}, (1, 0, 2)),
}


def from_torch(module, return_sequences=True, return_state=False, name=None, dtype=None):
    """A Keras layer that computes what a recurrent module of PyTorch computes.

    Takes `torch.nn.RNN` (tanh or relu), `torch.nn.LSTM` and `torch.nn.GRU` in all their forms: several layers, both
    directions, without biases, with a projection, with dropout between layers. The weights are copied; later changes of
    the module do not show. `torch` itself is not imported.

    Args:
        module: the module. The order of its own inputs (`batch_first`) does not matter.
        return_sequences: whether to return the outputs of all steps, or the last ones: those of the last kept step
            forwards, and of the first one backwards (in PyTorch the last rows of `h_n`, side by side).
        return_state: whether to return the final states after the output.
        name: name of the layer; None for Keras's choice.
        dtype: dtype or dtype policy; None for Keras's default.

    Returns:
        For a module of one layer a `SimpleRNN`, `LSTM`, `GRU`, or a `Bidirectional` of two. For one of several layers a
        built `keras.Model` of such layers, with `keras.layers.Dropout` between them if the module has dropout. Both are
        called as layers are, inside of a Functional model too, on `(B, T, D)` with a mask or none (masked steps are as
        if cut out, and their outputs zero, as in a packed sequence). A mask passes through the model, though Keras
        warns that it does not.

        The output is `(B, T, H)` or `(B, H)`, with both directions `2H` wide, `P` for `H` with a projection. With
        `return_state` it is followed by the states of each layer and direction, one by one, in PyTorch's order: layer
        0 forwards, layer 0 backwards, layer 1 forwards … These are `h` `(B, H)`, for an LSTM `h` `(B, H or P)` and `c`
        `(B, H)`: with `output, *states = layer(x)`, PyTorch's `h_n` are the stacked `states`, for an LSTM `states[::2]`
        and its `c_n` `states[1::2]`.

    Raises:
        InputError: for any other module, and for one whose weights have other names or shapes (quantized or pruned).

    Example::

        module = torch.nn.LSTM(5, 3, num_layers=2, bidirectional=True, batch_first=True)
        inputs = keras.Input((None, 5))
        outputs, *states = ks.interop.from_torch(module, return_state=True)(inputs)
    """
    mode = getattr(module, "mode", None)
    if mode not in _MODES or not hasattr(module, "state_dict"):
        raise InputError(
            f"Argument `module` must be a torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU, got {type(module).__name__}: "
            "convert the recurrent modules inside of it one by one; other modules have no counterpart here."
        )
    weights = {key: _array(value) for key, value in module.state_dict().items()}
    count = module.num_layers
    made = []
    for index in range(count):
        last = index == count - 1
        flags = {"return_sequences": return_sequences or not last, "return_state": return_state, "dtype": dtype}
        made.append(_layer(module, index, weights, name=name if count == 1 else None, **flags))
    if weights:
        raise _unusable(module, f"has weights of unknown names: {', '.join(sorted(weights))}")
    return made[0] if count == 1 else _stacked(module, made, return_state, name, dtype)


def _layer(module, index, weights, return_sequences, return_state, name, dtype):
    """The layer for one layer of a module, whose weights are taken out of `weights`."""
    kind, arguments, _ = _MODES[module.mode]
    if _projection(module):
        arguments = {**arguments, "projection_size": _projection(module)}
    both = bool(module.bidirectional)
    layer = kind(
        module.hidden_size,
        **arguments,
        use_bias=bool(module.bias),
        return_sequences=return_sequences,
        return_state=return_state,
        zero_output_for_mask=True,
        name=None if both else name,
        dtype=dtype,
    )
    if both:
        layer = layers.Bidirectional(layer, name=name, dtype=dtype)
    width = module.input_size if index == 0 else (1 + both) * (_projection(module) or module.hidden_size)
    layer.build((None, None, width))
    directions = [(layer.forward_layer, ""), (layer.backward_layer, "_reverse")] if both else [(layer, "")]
    for one, suffix in directions:
        values = _weights(module, f"l{index}{suffix}", weights)
        wanted = [tuple(weight.shape) for weight in one.weights]
        if [value.shape for value in values] != wanted:
            raise _unusable(module, f"has weights of shapes {[value.shape for value in values]} for {wanted}")
        one.set_weights(values)
    return layer


def _weights(module, place, weights):
    """Kernel, recurrent kernel, bias and projection kernel, as our cells have them, from torch's of one direction."""
    order = _MODES[module.mode][2]
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if module.bias else [])]
    names += ["weight_hr"] if _projection(module) else []
    missing = [f"{name}_{place}" for name in names if f"{name}_{place}" not in weights]
    if missing:
        raise _unusable(module, f"lacks the weights {', '.join(missing)}")
    torchs = {name: weights.pop(f"{name}_{place}") for name in names}

    def ours(name):
        blocks = np.split(torchs[name], len(order))
        return np.concatenate([blocks[k] for k in order]).T

    values = [ours("weight_ih"), ours("weight_hh")]
    if module.bias:
        biases = [ours("bias_ih"), ours("bias_hh")]
        values.append(np.stack(biases) if module.mode == "GRU" else sum(biases))
    return values + ([torchs["weight_hr"].T] if _projection(module) else [])


def _stacked(module, made, return_state, name, dtype):
    """Layers on top of each other, as one model."""
    x = inputs = keras.Input((None, module.input_size), dtype=made[0].compute_dtype)
    states = []
    for index, layer in enumerate(made):
        if index and module.dropout:
            x = keras.layers.Dropout(module.dropout, dtype=dtype)(x)
        x, *new = layer(x) if return_state else (layer(x),)
        states += new
    return keras.Model(inputs, [x, *states] if return_state else x, name=name)


def _projection(module):
    return getattr(module, "proj_size", 0)


def _array(tensor):
    """A tensor of PyTorch (or of another kind) as a NumPy array."""
    for step in ("detach", "cpu"):
        tensor = getattr(tensor, step)() if hasattr(tensor, step) else tensor
    if str(getattr(tensor, "dtype", None)) == "torch.bfloat16":  # NumPy has none
        tensor = tensor.float()
    return np.asarray(tensor)


def _unusable(module, what):
    return InputError(
        f"Argument `module`, a {type(module).__name__}, {what}: give a plain float module "
        "(undo quantization, pruning and parametrization first)."
    )

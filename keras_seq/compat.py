"""The private Keras names in use: each with its reason, and what happens where it is missing."""

import keras

try:
    # `keras.layers.RNN` draws one dropout mask per sequence for cells of this class only (an `isinstance` check).
    # Without it our cells still run there, with a fresh mask at each step.
    from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell
except ImportError:

    class DropoutRNNCell:
        """Stands in where Keras has no such class."""


try:
    # Whether variable updates are being collected (inside JAX's compiled functions). Without it we take it that they
    # are, which is so in `fit`, `evaluate` and `predict`.
    from keras.src.backend.common.stateless_scope import in_stateless_scope
except ImportError:

    def in_stateless_scope():
        return True


try:
    # Keras hands a layer the mask of its input, but only if that is the layer's one tensor argument: beside
    # `initial_state` the mask is lost. It is still kept with the tensor: as an attribute, or, where tensors take none
    # (JAX's tracers), in a table. Without this name only the attribute is found.
    from keras.src.backend.common.masking import get_keras_mask as _kept_mask
except ImportError:

    def _kept_mask(tensor):
        return getattr(tensor, "_keras_mask", None)


try:
    # The same the other way: to keep the mask of a tensor with its cast. Without this name it is lost.
    from keras.src.backend.common.masking import set_keras_mask as _keep_mask
except ImportError:

    def _keep_mask(tensor, mask):
        pass


try:
    # cuDNN's layers, as Keras calls them: `lstm`, `gru`, and `cudnn_ok`, which knows whether there is a GPU. Its public
    # layers would build weights of their own. Without these names `use_cudnn` finds no cuDNN.
    from keras.src import backend as cudnn_layers

    if not all(hasattr(cudnn_layers, name) for name in ("lstm", "gru", "cudnn_ok")):
        cudnn_layers = None
except ImportError:
    cudnn_layers = None


def mask_of(tensor):
    """The mask that Keras keeps with a tensor, or None."""
    return _kept_mask(tensor)


def with_mask(tensor, mask):
    """The tensor, with a mask (or None) that Keras keeps with it."""
    if mask is not None:
        _keep_mask(tensor, mask)
    return tensor


def inner_layers(layer):
    """A layer and all layers inside of it, outer ones first, each once.

    Keras has no public way to the layers of a wrapper or a cell. Without its private one those of models are found.
    """
    if hasattr(layer, "_flatten_layers"):
        return layer._flatten_layers()
    return [layer, *(inner for outer in getattr(layer, "layers", []) for inner in inner_layers(outer))]


def place_of(optimizer, variable):
    """The place of a variable among those that an optimizer was built for, which is that of its slots.

    An `update_step` is given on TensorFlow what is inside of a Keras variable, and told in no public way which one it
    is; every optimizer of Keras asks so. Without the private method this raises.
    """
    return optimizer._get_variable_index(variable)


def trained_by(optimizer):
    """The variables that an optimizer was built for, in the order of its slots.

    What a model trains now may be others, and Keras tells the first in no public way; without its private one the
    optimizer is taken to have been built for none, and `ks.convert` says that its slots do not fit.
    """
    return getattr(getattr(optimizer, "inner_optimizer", optimizer), "_trainable_variables", [])


def made_by(tensor):
    """The node of a Functional graph that a symbolic tensor comes from: `operation`, `arguments` and `outputs`.

    A graph cannot be walked through public names; without these, `ks.layers.streaming` takes Sequential models only.
    """
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]


def attention_parts(layer):
    """`(gate, dropout)` of a `keras.layers.MultiHeadAttention`: the layer that gates its output or None, and the one
    that drops weights.

    Keras has public names for its other inner layers alone. None, where `ks.layers.MultiHeadAttention` is to be Keras's
    own layer in all it does: without these names, and where a subclass writes parts of it anew, as Keras invites.
    """
    parts = ("_compute_attention", "_compute_attention_mask", "_compute_causal_mask", "_masked_softmax")
    stock = keras.layers.MultiHeadAttention
    theirs = all(getattr(type(layer), part, None) is getattr(stock, part, None) for part in parts)
    if not theirs or (layer.built and not hasattr(layer, "_dropout_layer")):
        return None
    return getattr(layer, "_gate_dense", None), getattr(layer, "_dropout_layer", None)


def takes_strings(layer):
    """Have a layer take strings as they come: a list, an array or a tensor of TensorFlow's.

    Keras makes tensors of its backend of what a layer is called with, and JAX has none of strings; lists it refuses.
    A Keras without these names does both: the layer then takes tensors alone, on the TensorFlow backend.
    """
    layer._convert_input_args = False
    layer._allow_non_tensor_positional_args = True

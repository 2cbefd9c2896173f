"""The private Keras names in use: each with its reason, and what happens where it is missing."""

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


def mask_of(tensor):
    """The mask that Keras attached to a tensor, or None.

    Keras hands a layer the mask of its input, but only if that is the layer's one tensor argument: beside
    `initial_state` the mask is lost. It still hangs on the tensor, as the attribute read here.
    """
    return getattr(tensor, "_keras_mask", None)

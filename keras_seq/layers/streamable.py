"""Which layers work step by step, so that what they make of a chunk is that chunk of what they make of the whole."""

import keras
import numpy as np
from keras import tree

from keras_seq.attention.pooling import AttentionPooling
from keras_seq.layers.pooling import SequencePooling
from keras_seq.transformer import FeedForward, LearnedPositions, SinusoidalPositions, TransformerBlock

L = keras.layers

# Each entry by itself: inputs of any rank.
_ELEMENTWISE = (
    L.Add,
    L.Average,
    L.Dropout,
    L.ELU,
    L.Embedding,
    L.GaussianDropout,
    L.GaussianNoise,
    L.Identity,
    L.LeakyReLU,
    L.Maximum,
    L.Minimum,
    L.Multiply,
    L.ReLU,
    L.Rescaling,
    L.Subtract,
)
# Each step by itself: over the last axis, which must not be that of time. Those with an `axis` must keep to it.
_OVER_FEATURES = (
    L.Activation,
    L.ActivityRegularization,
    L.AlphaDropout,
    L.BatchNormalization,
    L.Concatenate,
    L.Dense,
    L.LayerNormalization,
    L.Masking,
    L.Normalization,
    L.Softmax,
    L.SpatialDropout1D,
    L.UnitNormalization,
    FeedForward,
    *([L.RMSNormalization] if hasattr(L, "RMSNormalization") else []),
)
# Operations of `keras.ops`, by the name of their class (which is not public).
_ELEMENTWISE_OPERATIONS = set(
    """Absolute Add Cast Divide Equal Exp Gelu Greater GreaterEqual Less LessEqual Log LogicalAnd LogicalNot LogicalOr
    Maximum Minimum Multiply Negative NotEqual Power Relu Sigmoid Silu Softplus Softsign Sqrt Square Subtract Tanh
    TrueDivide""".split()
)
_REDUCTIONS = {"All", "Any", "Max", "Mean", "Min", "Sum"}

_REASONS = {
    (L.Bidirectional,): "it reads the sequence from its end, too",
    (
        L.AveragePooling1D,
        L.GlobalAveragePooling1D,
        L.GlobalMaxPooling1D,
        L.MaxPooling1D,
        SequencePooling,
        AttentionPooling,
    ): "it pools over time",
    (L.Flatten, L.Reshape, L.Permute): "it moves or merges the axis of time",
    (L.Conv1D, L.Conv1DTranspose, L.DepthwiseConv1D, L.SeparableConv1D): (
        "a convolution reads several steps at once, and those before the chunk are not kept"
    ),
    (L.Attention, L.AdditiveAttention, L.MultiHeadAttention, L.GroupQueryAttention): "it attends to all steps",
    (TransformerBlock,): (
        "it attends to all steps: put ks.layers.RNN(ks.layers.TransformerCell(block, max_length)) in its place"
    ),
    (LearnedPositions, SinusoidalPositions): "it counts from the start of what it is given: take rotary positions",
    (L.RNN,): "it is a recurrent layer of Keras, not of this package: call `ks.convert(model)` first",
}


def why_not(layer, args, tensors, also=()):
    """Why a layer that is called on streams does not work step by step, or None if it does.

    Args:
        layer: a layer, or an operation of `keras.ops`.
        args: all that it is called on.
        tensors: the symbolic tensors `(B, T, ...)` among that.
        also: classes that are vouched for.
    """
    if also and isinstance(layer, also):
        return None
    activation = getattr(layer, "activation", None)
    if isinstance(activation, keras.Layer):
        return why_not(activation, args, tensors, also)
    if callable(activation) and not str(getattr(activation, "__module__", "keras.")).startswith("keras."):
        return "its activation is a function of your own, which may look at several steps"
    ranks = {len(tensor.shape) for tensor in tensors}
    if not isinstance(layer, keras.Layer):
        return _why_not_operation(layer, args, ranks)
    if type(layer) in (*_ELEMENTWISE, *_OVER_FEATURES) and len(ranks) > 1:
        return "its inputs have different ranks"
    if type(layer) in _ELEMENTWISE:
        return None
    if type(layer) in _OVER_FEATURES:
        return None if _keeps_to_features(layer, *ranks) else "it works along the axis of time"
    for classes, reason in _REASONS.items():
        if isinstance(layer, classes):
            return reason
    return (
        "it is not known to work step by step. If it does, vouch for it: "
        f"`ks.layers.streaming(model, also=({type(layer).__name__},))`"
    )


def _why_not_operation(operation, args, ranks):
    name = type(operation).__name__
    if not type(operation).__module__.startswith("keras.") or len(ranks) > 1:
        return "it is not known to work step by step"
    constants = [a for a in tree.flatten(args) if not isinstance(a, (keras.KerasTensor, str, type(None)))]
    if name in _ELEMENTWISE_OPERATIONS:
        return "it is given an array, which may have an axis of time" if any(map(np.ndim, constants)) else None
    if name in _REDUCTIONS:
        return None if _keeps_to_features(operation, *ranks) else "it works along the axis of time"
    return "it is not known to work step by step"


def _keeps_to_features(layer, rank):
    """Whether the axes that a layer works along are all the last one, and that is not time."""
    return rank > 2 and all(axis in (-1, rank - 1) for axis in tree.flatten(getattr(layer, "axis", -1)))

"""Losses that Keras has not."""

import keras
from keras import ops

from keras_seq.checks import share


@keras.saving.register_keras_serializable("keras_seq")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of class indices with label smoothing (Szegedy et al., 2016, arXiv 1512.00567, section 7).

        loss = -(1 - s) log p[y] - s / C * sum over c of log p[c]

    `keras.losses.CategoricalCrossentropy(label_smoothing=s)` is the same for one-hot targets and probabilities
    that sum to 1; the sparse loss of Keras has no such argument.

    Args:
        smoothing: share `s` of the target that is spread over all classes, at least 0 and below 1.
        from_logits: whether predictions are logits in place of probabilities.

    Call arguments:
        y_true: indices `(B,)` or `(B, 1)`, or `(B, T)` for sequences.
        y_pred: `(B, C)`, or `(B, T, C)`.

    Example:

    >>> loss = ks.losses.SmoothedCrossentropy(0.1)
    >>> round(float(loss(np.array([0]), np.array([[0.9, 0.1]]))), 4)
    0.2152
    """

    def __init__(self, smoothing=0.0, from_logits=False, name="smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.smoothing = share("smoothing", smoothing)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, -1)
        hit = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=self.from_logits)
        if not self.smoothing:
            return hit
        log_p = ops.log_softmax(y_pred) if self.from_logits else ops.log(ops.maximum(y_pred, keras.config.epsilon()))
        return (1 - self.smoothing) * hit - self.smoothing * ops.mean(log_p, axis=-1)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing, "from_logits": self.from_logits}

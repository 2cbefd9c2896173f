"""Cross-entropies: of class indices with label smoothing, and of tokens that may be padding."""

from functools import partial

import keras
from keras import ops

from keras_seq.backend import native
from keras_seq.checks import fits, share


@keras.saving.register_keras_serializable("keras_seq")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of class indices with label smoothing (Szegedy et al., 2016, arXiv 1512.00567, section 7).

        loss = -(1 - s) log p[y] - s / C * sum over c of log p[c]

    `keras.losses.CategoricalCrossentropy(label_smoothing=s)` is the same for one-hot targets and probabilities
    that sum to 1; the sparse loss of Keras has no such argument. With `from_logits` gradients are of first order only.

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
        if self.from_logits:
            return crossentropy_of_logits(y_true, y_pred, self.smoothing)
        hit = ops.sparse_categorical_crossentropy(y_true, y_pred)
        if not self.smoothing:
            return hit
        log_p = ops.log(ops.maximum(y_pred, keras.config.epsilon()))
        return _smoothed(hit, ops.mean(log_p, axis=-1), self.smoothing)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable("keras_seq")
class TokenCrossentropy(keras.losses.Loss):
    """Cross-entropy of token ids against logits, over the tokens that are not padding (id 0).

        loss = sum over tokens of w * ce / number of tokens,    ce = -(1 - s) log p[y] - s / V * sum over v of log p[v]

    The mean is that over all tokens of the batch, so a long sentence weighs more than a short one. A batch of nothing
    but padding has loss 0. A Keras mask of the predictions changes nothing: the ids alone say what is padding. Logits
    at padding get the gradient 0. All is computed in float32 at least, whatever the logits are. Gradients are of first
    order only.

    Args:
        smoothing: share `s` of the target that is spread over all of the vocabulary, at least 0 and below 1 (Szegedy
            et al., 2016, arXiv 1512.00567, section 7; Vaswani et al., 2017, arXiv 1706.03762, section 5.4, use 0.1).
        reduction: as for all losses of Keras: `"sum_over_batch_size"` or `"mean"`, the mean over tokens; `"sum"`;
            `"mean_with_sample_weight"`, which divides by the sum of the tokens' weights; `"none"`, a loss for each
            token `(B, T)`, 0 at padding.

    Call arguments:
        y_true: ids `(B, T)`, 0 for padding.
        y_pred: logits `(B, T, V)`.
        sample_weight: `w`: a number, one for each row, `(B,)` or `(B, 1)`, or one for each token, `(B, T)`. As
            elsewhere in Keras, the mean is divided by the number of tokens, not by their weights.

    Raises:
        ValueError: for arrays of other shapes.

    Example:

    >>> loss = ks.losses.TokenCrossentropy()
    >>> logits = np.log([[[0.1, 0.8, 0.1], [0.1, 0.4, 0.5], [0.2, 0.2, 0.6]]])
    >>> round(float(loss(np.array([[1, 2, 0]]), logits)), 4)  # -(log 0.8 + log 0.5) / 2
    0.4581
    """

    def __init__(self, smoothing=0.0, name="token_crossentropy", dtype=None, **kwargs):
        # Keras puts the ids, too, into the dtype of the loss: half precision has no room for them.
        dtype = keras.dtype_policies.get(dtype or keras.config.floatx()).compute_dtype
        super().__init__(name=name, dtype=keras.backend.result_type(dtype, "float32"), **kwargs)
        self.smoothing = share("smoothing", smoothing)

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        weight = token_weights(self.name, y_true, y_pred, sample_weight, self.dtype)
        if self.reduction in ("sum_over_batch_size", "mean"):
            # Keras divides by the number of all positions.
            kept = ops.sum(ops.cast(y_true != 0, self.dtype))
            positions = ops.cast(ops.size(y_true), self.dtype)
            weight = weight * ops.divide_no_nan(positions, kept)
        # Of another rank, so that it is a tensor that has no mask of Keras: reduced together with one, the mean would
        # be over what it keeps.
        tokens = ops.reshape(y_true, (-1,)), ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        loss = super().__call__(*tokens, ops.reshape(weight, (-1,)))
        if self.reduction in (None, "none"):
            return ops.reshape(loss, ops.shape(y_true))
        return ops.sum(loss)  # a number already, but for no positions at all

    def call(self, y_true, y_pred):
        loss = crossentropy_of_logits(y_true, y_pred, self.smoothing)
        return ops.where(y_true != 0, loss, 0)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}


def crossentropy_of_logits(y_true, logits, smoothing=0.0):
    """The smoothed cross-entropy `(...)` of indices `(...)` and logits `(..., C)`.

    With `log p = z - lse(z)` all of it comes from three numbers for each row: lse, the logit of `y`, the mean logit.
    The gradient is written by hand (`p` less the smoothed target), which takes half the time of what Keras derives, and
    is 0 for rows that do not count, whatever their logits are.
    """
    y_true = ops.cast(y_true, "int32")
    rows = ops.reshape(y_true, (-1,)), ops.reshape(logits, (-1, logits.shape[-1]))
    loss = native.with_gradient(partial(_forward, smoothing), partial(_backward, smoothing))(rows)
    return ops.reshape(loss, ops.shape(y_true))


def _forward(smoothing, rows):
    y, z = rows
    lse = ops.logsumexp(z, axis=-1)
    hit = lse - _at(y, z)
    return (_smoothed(hit, ops.mean(z, axis=-1) - lse, smoothing) if smoothing else hit), lse


def _backward(smoothing, rows, lse, d_loss):
    y, z = rows
    d_loss = ops.expand_dims(d_loss, -1)  # (N, 1)
    p_less_floor = ops.exp(z - ops.expand_dims(lse, -1)) - smoothing / z.shape[-1]
    d_z = ops.where(d_loss != 0, d_loss * p_less_floor, 0)
    d_at_y = _at(y, d_z) - (1 - smoothing) * ops.squeeze(d_loss, -1)
    places = ops.stack([ops.arange(ops.shape(y)[0], dtype="int32"), y], axis=-1)
    return None, ops.scatter_update(d_z, places, d_at_y)


def _at(y, z):
    return ops.squeeze(ops.take_along_axis(z, ops.expand_dims(y, -1), axis=-1), -1)


def _smoothed(hit, mean_log_p, smoothing):
    return (1 - smoothing) * hit - smoothing * mean_log_p


def token_weights(name, y_true, logits, sample_weight, dtype):
    """The weights `(B, T)` of ids `(B, T)`: 0 where the id is, else the weight of the token, or of its row, or 1.

    Raises:
        ValueError: names `name` where the shapes do not fit.
    """
    ids, scores = tuple(y_true.shape), tuple(logits.shape)
    if len(ids) != 2 or len(scores) != 3 or not fits(scores[:2], ids):
        raise ValueError(f"{name!r} needs ids (B, T) and logits (B, T, V), got shapes {ids} and {scores}.")
    return ops.cast(y_true != 0, dtype) * step_weights(name, sample_weight, ids, dtype)


def step_weights(name, sample_weight, shape, dtype):
    """Weights that can be multiplied with values of the steps, of shape `(B, T)`; 1 where none are given.

    Raises:
        ValueError: names `name` where the weights do not fit the steps.
    """
    if sample_weight is None:
        return ops.ones((), dtype)
    weight, steps = ops.cast(ops.convert_to_tensor(sample_weight), dtype), tuple(shape)
    given = tuple(weight.shape)
    if len(given) == 1 and fits(given, steps[:1]):
        weight = ops.expand_dims(weight, -1)
    elif not (given == () or fits(given, steps) or fits(given, (steps[0], 1))):
        raise ValueError(
            f"Argument `sample_weight` of {name!r} must be a number, or have one for each row, (B,), or each step, "
            f"(B, T), of sequences of shape {steps}, got shape {given}."
        )
    return weight

"""`sentiment_model`: from a text to one of a few labels."""

import keras

from keras_seq.layers import AttentionPooling, SequencePooling
from keras_seq.models.encoders import encoder_layers
from keras_seq.models.text import TextClassifier

_POOLINGS = ("last", "mean", "max", "attention")


def sentiment_model(
    vectorizer,
    labels,
    encoder="lstm",
    units=64,
    depth=1,
    bidirectional=False,
    pooling="last",
    embedding_dim=64,
    dropout=0.3,
    learning_rate=1e-3,
    clipnorm=1.0,
):
    """A compiled model that judges texts: embedding, recurrent encoder, pooling, softmax.

    Padding is masked to the end, so a text gets the same result in any batch. An unknown word has an embedding of its
    own; an empty text gets the probabilities that the bias of the last layer gives; of a long one the first
    `vectorizer.max_length` words count.

    Args:
        vectorizer: from `ks.data.text_vectorizer`.
        labels: two or more labels, all strings or all integers; outputs are in their order.
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, a cell, or a layer `(B, T, E)` to `(B, T, H)` (or to `(B, H)`
            with `pooling="last"`).
        units: size `H` of the encoder, in each direction.
        depth: layers of the encoder.
        bidirectional: whether it reads both ways.
        pooling: how the outputs of all steps become one vector: `"last"` (the final output of each direction),
            `"mean"`, `"max"` or `"attention"`.
        embedding_dim: size `E` of the embedding of a word.
        dropout: share dropped of the embeddings and of the pooled vector.
        learning_rate: of Adam.
        clipnorm: the norm to which the gradient of each weight is clipped, None for no clipping.

    Returns:
        A `TextClassifier`, compiled with Adam, sparse categorical cross-entropy and accuracy.

    Raises:
        ValueError: for labels, an encoder or a pooling that cannot be.

    Example:

    >>> vectorizer = ks.data.text_vectorizer(["a quiet film", "a loud film"])
    >>> model = ks.models.sentiment_model(vectorizer, labels=["negative", "positive"], units=4)
    >>> model.predict(["a quiet, funny film", ""], verbose=0).shape
    (2, 2)
    """
    labels = _checked_labels(labels)
    if pooling not in _POOLINGS:
        raise ValueError(f"Argument `pooling` must be one of {', '.join(_POOLINGS)}, got {pooling!r}.")
    ids = keras.Input((None,), dtype="int32", name="ids")
    vocabulary = vectorizer.vocabulary_size()
    x = keras.layers.Embedding(vocabulary, embedding_dim, mask_zero=True, name="embedding")(ids)  # (B, T, E)
    x = keras.layers.Dropout(dropout, name="embedding_dropout")(x)
    for layer in encoder_layers(encoder, units, depth, bidirectional, return_sequences=pooling != "last"):
        x = layer(x)
    if len(x.shape) == 3:
        pool = AttentionPooling(name="pooling") if pooling == "attention" else SequencePooling(pooling, name="pooling")
        x = pool(x)  # (B, H)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    y = keras.layers.Dense(len(labels), activation="softmax", dtype="float32", name="probabilities")(x)
    model = TextClassifier(keras.Model(ids, y, name="network"), vectorizer, labels, name="sentiment")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, clipnorm=clipnorm),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _checked_labels(labels):
    labels = [label.item() if hasattr(label, "item") else label for label in labels]
    if len(labels) < 2 or len(set(labels)) < len(labels) or {type(label) for label in labels} not in ({str}, {int}):
        raise ValueError(f"Argument `labels` must be two or more different strings, or integers, got {labels!r}.")
    return labels

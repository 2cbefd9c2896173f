"""`sentiment_model`: from a text to one of a few labels, or several of them."""

import keras

from keras_seq.checks import share
from keras_seq.layers import AttentionPooling, SequencePooling, WordDropout
from keras_seq.losses import SmoothedCrossentropy
from keras_seq.models.embeddings import embedded
from keras_seq.models.encoders import encoder_layers
from keras_seq.models.text import TextClassifier
from keras_seq.optimizers import adam

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
    embeddings=None,
    train_embeddings=True,
    subword_buckets=None,
    dropout=0.3,
    embedding_dropout=None,
    word_dropout=0.0,
    recurrent_dropout=0.0,
    weight_decay=0.0,
    label_smoothing=0.0,
    averaging=None,
    multi_label=False,
    learning_rate=1e-3,
    clipnorm=1.0,
):
    """A compiled model that judges texts: embedding, recurrent encoder, pooling, softmax.

    Padding is masked to the end, so a text gets the same result in any batch. An unknown word has an embedding of its
    own; an empty text gets the probabilities that the bias of the last layer gives; of a long one the first
    `vectorizer.max_length` words count. What each way of regularisation was worth on real reviews is told in
    `benchmarks/README.md`.

    Args:
        vectorizer: from `ks.data.text_vectorizer`.
        labels: two or more labels, all strings or all integers; outputs are in their order.
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, `"clockwork"` (`units` a multiple of 4), a cell, or a layer
            `(B, T, E)` to `(B, T, H)` (or to `(B, H)` with `pooling="last"`).
        units: size `H` of the encoder, in each direction.
        depth: layers of the encoder.
        bidirectional: whether it reads both ways.
        pooling: how the outputs of all steps become one vector: `"last"` (the final output of each direction),
            `"mean"`, `"max"` or `"attention"`; or a list of the last three, whose vectors are joined.
        embedding_dim: size `E` of the embedding of a word.
        embeddings: vectors that the embedding starts from: what `ks.data.load_vectors` returns, or an array `(V, E)`;
            then `embedding_dim` is theirs.
        train_embeddings: whether the embedding is trained; `False` keeps `embeddings` as they are.
        subword_buckets: how many vectors the runs of letters in words share, such as 20,000, which are added to the
            embedding of the word (`ks.layers.SubwordEmbedding`, which tells what they cost); None for none.
        dropout: share dropped of the pooled vector.
        embedding_dropout: share dropped of the embeddings; None for `dropout`.
        word_dropout: share of the words that are hidden while training (`ks.layers.WordDropout`).
        recurrent_dropout: share of the recurrent state that is dropped, under one mask for all steps of a text
            ("variational", Gal and Ghahramani, 2016); for an encoder given by name.
        weight_decay: of `ks.optimizers.AdamW`, which leaves biases alone.
        label_smoothing: share of the target that is spread over all labels; with `multi_label`, how much of the way to
            1/2 each target is moved.
        averaging: None, or the momentum of a running average of the weights, such as 0.99, which takes their place when
            `fit` ends. It reaches back about `1 / (1 - averaging)` steps: train many times as long.
            `keras.callbacks.SwapEMAWeights()` lets validation judge the average; to stop early, add
            `ks.callbacks.ResumableEarlyStopping`. Those of Keras keep averages only behind
            `SwapEMAWeights(swap_on_epoch=True)` in the list: `ModelCheckpoint`, and `EarlyStopping` with
            `restore_best_weights=True` (without it `fit` ends with weights that are no average).
        multi_label: whether a text may have several labels, or none: sigmoids in place of the softmax.
        learning_rate: of Adam.
        clipnorm: the norm to which the gradient of each weight is clipped, None for no clipping; or a dict that clips
            otherwise, such as `{"global_clipnorm": 1.0}` or `{"clipvalue": 0.5}`: see `ks.optimizers.clipping`.

    Returns:
        A `TextClassifier`, compiled with Adam, cross-entropy and accuracy.

    Raises:
        ValueError: for labels, an encoder, a pooling or embeddings that cannot be.

    Example:

    >>> vectorizer = ks.data.text_vectorizer(["a quiet film", "a loud film"])
    >>> model = ks.models.sentiment_model(vectorizer, labels=["negative", "positive"], units=4)
    >>> model.predict(["a quiet, funny film", ""], verbose=0).shape
    (2, 2)
    """
    labels = _checked_labels(labels)
    _check_shares(
        dropout=dropout,
        embedding_dropout=embedding_dropout,
        word_dropout=word_dropout,
        label_smoothing=label_smoothing,
        averaging=averaging,
    )
    poolings = _checked_poolings(pooling)
    ids = keras.Input((None,), dtype="int32", name="ids")
    words = WordDropout(word_dropout, name="word_dropout")(ids) if word_dropout else ids
    x = embedded(words, vectorizer.vocabulary, embedding_dim, embeddings, train_embeddings, subword_buckets)
    x = keras.layers.Dropout(dropout if embedding_dropout is None else embedding_dropout, name="embedding_dropout")(x)
    for layer in encoder_layers(encoder, units, depth, bidirectional, poolings != ["last"], recurrent_dropout):
        x = layer(x)
    if len(x.shape) == 3:
        x = _pooled(x, poolings)  # (B, H)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    activation = "sigmoid" if multi_label else "softmax"
    y = keras.layers.Dense(len(labels), activation=activation, dtype="float32", name="probabilities")(x)
    model = TextClassifier(keras.Model(ids, y, name="network"), vectorizer, labels, multi_label, name="sentiment")
    average = {} if averaging is None else {"use_ema": True, "ema_momentum": averaging}
    model.compile(
        optimizer=adam(learning_rate, weight_decay, clipnorm=clipnorm, **average),
        loss=_loss(multi_label, label_smoothing),
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy") if multi_label else "accuracy"],
    )
    return model


def _checked_labels(labels):
    labels = [label.item() if hasattr(label, "item") else label for label in labels]
    if len(labels) < 2 or len(set(labels)) < len(labels) or {type(label) for label in labels} not in ({str}, {int}):
        raise ValueError(f"Argument `labels` must be two or more different strings, or integers, got {labels!r}.")
    return labels


def _check_shares(**shares):
    for name, value in shares.items():
        if value is not None or name not in ("embedding_dropout", "averaging"):
            share(name, value)


def _checked_poolings(pooling):
    poolings = list(pooling) if isinstance(pooling, (list, tuple)) else [pooling]
    allowed = _POOLINGS[1:] if isinstance(pooling, (list, tuple)) else _POOLINGS
    if not poolings or any(one not in allowed or poolings.count(one) > 1 for one in poolings):
        raise ValueError(
            f"Argument `pooling` must be one of {', '.join(_POOLINGS)}, or a list of {', '.join(_POOLINGS[1:])}, "
            f"got {pooling!r}."
        )
    return poolings


def _pooled(x, poolings):
    """One vector `(B, H)` for outputs `(B, T, H)`; those of several poolings side by side."""
    vectors = []
    for mode in poolings:
        name = "pooling" if len(poolings) == 1 else f"{mode}_pooling"
        vectors.append((AttentionPooling(name=name) if mode == "attention" else SequencePooling(mode, name=name))(x))
    return vectors[0] if len(vectors) == 1 else keras.layers.Concatenate(name="pooled")(vectors)


def _loss(multi_label, smoothing):
    if multi_label:
        return keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
    return SmoothedCrossentropy(smoothing) if smoothing else "sparse_categorical_crossentropy"

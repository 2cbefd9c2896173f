"""Vectors for the words of a text model."""

import keras
import numpy as np

from keras_seq.layers import SubwordEmbedding


def embedded(ids, words, dim, start=None, trainable=True, subword_buckets=None):
    """Vectors `(B, T, E)` with a mask, for ids `(B, T)`: of words, and of the letters in them.

    Args:
        ids: a Keras tensor, 0 for padding.
        words: those that the ids 2, 3, … stand for.
        dim: size `E`, where `start` does not say it.
        start: what the embedding of words starts from: an array `(V, E)`, `ks.data.WordVectors`, or None.
        trainable: whether the embedding of words is trained.
        subword_buckets: number of vectors for the runs of letters in words, or None for none.

    Raises:
        ValueError: where `start` does not fit, or is None and not to be trained.
    """
    vocabulary = len(words) + 2
    if start is not None:
        matrix = np.asarray(getattr(start, "matrix", start), "float32")
        if matrix.ndim != 2 or len(matrix) != vocabulary:
            raise ValueError(
                f"Argument `embeddings` must have shape (V, E) with V = {vocabulary}, the size of the vectoriser's "
                f"vocabulary, got {matrix.shape}: load it with ks.data.load_vectors(path, vectorizer)."
            )
        if getattr(start, "words", tuple(words)) != tuple(words):
            raise ValueError(
                "Argument `embeddings` has the vectors of another vectoriser's words: load it with "
                "ks.data.load_vectors(path, vectorizer) for this one."
            )
        if not np.isfinite(matrix).all():
            raise ValueError(
                f"Argument `embeddings` must be finite, row {int(np.argwhere(~np.isfinite(matrix))[0, 0])} is not."
            )
        dim = matrix.shape[1]
    elif not trainable:
        raise ValueError("Argument `train_embeddings` is False, but there are no `embeddings` to keep: give both.")
    embedding = keras.layers.Embedding(vocabulary, dim, mask_zero=True, trainable=trainable, name="embedding")
    parts = [embedding(ids)]
    if start is not None:
        embedding.set_weights([matrix])
    if subword_buckets is not None:
        parts.append(SubwordEmbedding(words, subword_buckets, dim, name="embedding_of_letters")(ids))
    return keras.layers.Add(name="embeddings")(parts) if len(parts) > 1 else parts[0]

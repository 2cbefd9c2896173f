"""What the models of texts share: telling strings from ids, and graphs that take strings."""

import keras

from keras_seq.errors import InputError
from keras_seq.layers.tokenizer import PADDING


def are_strings(x):
    """Whether `x` holds texts: strings in a list, an array, a column or a TensorFlow tensor."""
    if isinstance(x, (str, bytes)):
        raise InputError(f"Texts must come in a list, got the single text {x!r}: write [{x!r}].")
    dtype = str(getattr(x, "dtype", ""))
    if isinstance(x, (list, tuple)) or dtype in ("object", "category"):
        return not len(x) or any(isinstance(value, (str, bytes)) for value in x)
    return dtype == "str" or "string" in dtype or dtype[:2] in ("<U", "|S")


def joined(rows, tokens, lengths):
    """Ids `(B, T)` of ragged prompts `(B, S)` and the tokens `(B, L)` behind them, padded at their ends."""
    import tensorflow as tf

    behind = tf.RaggedTensor.from_tensor(tokens, lengths=lengths)
    return tf.concat([rows, tf.cast(behind, rows.dtype)], axis=1).to_tensor(PADDING)


def write_serving(model, vectorizers, name, serve, filepath, verbose=False):
    """Write a SavedModel of a model with one endpoint `name`, `serve(text (B,))`, which is its `serving_default`.

    Raises:
        ValueError: on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel that takes strings is written on the TensorFlow backend, this is "
            f"{keras.backend.backend()!r}: save the model as .keras, and load and export it "
            "with KERAS_BACKEND=tensorflow."
        )
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    for part in (model, *vectorizers):
        archive.track(part)
    archive.add_endpoint(name, serve, input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    archive.write_out(filepath, verbose=verbose)

"""Models of texts: strings or ids in, with the vectoriser on board."""

import keras
import numpy as np

from keras_seq.errors import InputError


@keras.saving.register_keras_serializable("keras_seq")
class TextClassifier(keras.Model):
    """A network from word ids to the probabilities of labels, with the vectoriser that makes the ids.

    `fit`, `evaluate` and `predict` take strings (a list, an array, a column), ids, or a dataset of either, such as
    `ks.data.text_dataset` makes. Labels are given as they stand in `labels`; where those are strings, integers are
    taken for indices. Strings become ids on the way in, in batches of like length. `save` keeps the vectoriser;
    `export` puts it into the graph.

    Args:
        network: a `keras.Model` from ids `(B, T)` to probabilities `(B, C)`.
        vectorizer: a `ks.layers.TextVectorizer`.
        labels: the `C` labels, all strings or all integers.

    Call arguments:
        ids: `(B, T)`, 0 for padding.

    Returns:
        Probabilities `(B, C)`, in the order of `labels`.
    """

    def __init__(self, network, vectorizer, labels, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        # Past Keras's tracking: a layer of strings among its layers would keep JAX from compiling the model. It has no
        # weights, and its words are in the config.
        object.__setattr__(self, "vectorizer", vectorizer)
        # XLA compiles anew for each length bucket, which on TensorFlow costs more than it saves.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.labels = list(labels)
        self.built = True

    def call(self, ids, training=None):
        return self.network(ids, training=training)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        **kwargs,
    ):
        """`keras.Model.fit`, for strings too: their order is another one each epoch, unless `shuffle=False`."""
        if validation_split and _are_strings(x):
            raise InputError("Argument `validation_split` cannot cut strings: use ks.data.split and `validation_data`.")
        if isinstance(validation_data, (tuple, list)):
            names = ("x", "y", "sample_weight")
            held_out = self._as_ids(*validation_data, batch_size=kwargs.get("validation_batch_size") or batch_size)
            strings = _are_strings(validation_data[0])
            validation_data = held_out["x"] if strings else tuple(held_out[name] for name in names if name in held_out)
        elif validation_data is not None:
            validation_data = self._as_ids(validation_data)["x"]
        data = self._as_ids(x, y, sample_weight, batch_size, shuffle)
        return super().fit(
            **data,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle and "batch_size" in data,  # Keras shuffles arrays; datasets come shuffled
            class_weight=class_weight,
            **kwargs,
        )

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """`keras.Model.evaluate`, for strings too."""
        return super().evaluate(**self._as_ids(x, y, sample_weight, batch_size), verbose=verbose, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """`keras.Model.predict`, for strings too: probabilities `(B, C)`, in the order of `x`."""
        if hasattr(x, "element_spec"):
            x = self._dataset_as_ids(x)
        if not _are_strings(x):
            return super().predict(x, batch_size=batch_size, verbose=verbose, **kwargs)
        from keras_seq.data.text import checked_texts, vectorized

        rows = vectorized(checked_texts(x), self.vectorizer)
        order = np.argsort([len(row) for row in rows], kind="stable")  # texts of like length, little padding
        dataset = self._batches([rows[i] for i in order], (), batch_size, shuffle=False)
        probabilities = super().predict(dataset, verbose=verbose, **kwargs)
        return probabilities[np.argsort(order)]

    def _as_ids(self, x, y=None, sample_weight=None, batch_size=None, shuffle=False):
        """What `keras.Model` is to be given for `x` and `y`: arrays and datasets of ids and indices of labels."""
        if hasattr(x, "element_spec"):
            return {"x": self._dataset_as_ids(x)}
        from keras_seq.data.text import checked_texts, encoded_labels, vectorized

        given = {"y": None if y is None else encoded_labels(y, self.labels), "sample_weight": sample_weight}
        given = {name: np.asarray(value) for name, value in given.items() if value is not None}
        if not _are_strings(x):
            return {"x": x, "batch_size": batch_size, **given}
        rows = vectorized(checked_texts(x), self.vectorizer)
        for name, value in given.items():
            if len(value) != len(rows):
                raise InputError(f"Argument `{name}` has {len(value)} rows, the texts are {len(rows)}.")
        return {"x": self._batches(rows, tuple(given.values()), batch_size, shuffle)}

    def _batches(self, rows, columns, batch_size, shuffle):
        from keras_seq.data.batches import BUCKETS, TextBatches

        return TextBatches(rows, columns, batch_size or 32, BUCKETS, self.vectorizer.max_length, shuffle).dataset()

    def _dataset_as_ids(self, dataset):
        """A dataset whose texts become ids, and labels indices in `self.labels`, where they are not that yet."""
        import tensorflow as tf

        def encode(x, y=None, *rest):
            ids = self.vectorizer(x) if x.dtype == tf.string else x
            if y is None:
                return ids
            # Indices are int32 (`text_dataset` makes them so), or any integers beside labels that are strings.
            indices = y.dtype == tf.int32 or (isinstance(self.labels[0], str) and y.dtype != tf.string)
            known = list(range(len(self.labels))) if indices else self.labels
            if isinstance(known[0], str) != (y.dtype == tf.string):
                raise InputError(f"The dataset has labels of type {y.dtype.name}, the model {self.labels}.")
            matches = y[:, None] == tf.constant(known, y.dtype)  # (B, C)
            message = f"A label of the dataset is not among the labels of the model, {known}."
            is_known = tf.reduce_all(tf.reduce_any(matches, axis=1))
            with tf.control_dependencies([tf.debugging.Assert(is_known, [message, y])]):
                return ids, tf.argmax(matches, axis=1), *rest

        return dataset.map(encode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

    def export(self, filepath, format="tf_saved_model", verbose=False, **kwargs):
        """Write a graph for serving. As SavedModel it takes strings and needs TensorFlow alone.

        Its signature `serve` (`serving_default`) takes `text (B,)` and gives `label (B,)` and `probabilities (B, C)`.
        Other formats of `keras.Model.export` get the network, which takes ids.

        Raises:
            ValueError: for a SavedModel on another backend than TensorFlow.
        """
        if format != "tf_saved_model":
            self.network.export(filepath, format=format, verbose=verbose, **kwargs)
            return
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "A SavedModel that takes strings is written on the TensorFlow backend, this is "
                f"{keras.backend.backend()!r}: save the model as .keras, and load and export it "
                "with KERAS_BACKEND=tensorflow."
            )
        import tensorflow as tf

        def serve(text):
            probabilities = self.network(self.vectorizer(text), training=False)
            label = tf.gather(tf.constant(self.labels), tf.argmax(probabilities, axis=-1))
            return {"label": label, "probabilities": probabilities}

        archive = keras.export.ExportArchive()
        archive.track(self)
        archive.track(self.vectorizer)
        archive.add_endpoint("serve", serve, input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
        archive.write_out(filepath, verbose=verbose)

    def get_config(self):
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "vectorizer": keras.saving.serialize_keras_object(self.vectorizer),
            "labels": self.labels,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("network", "vectorizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


def _are_strings(x):
    """Whether `x` holds texts: strings in a list, an array, a column or a TensorFlow tensor."""
    if isinstance(x, (str, bytes)):
        raise InputError(f"Texts must come in a list, got the single text {x!r}: write [{x!r}].")
    dtype = str(getattr(x, "dtype", ""))
    if isinstance(x, (list, tuple)) or dtype in ("object", "category"):
        return not len(x) or any(isinstance(value, (str, bytes)) for value in x)
    return dtype == "str" or "string" in dtype or dtype[:2] in ("<U", "|S")

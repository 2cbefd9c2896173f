"""Models of texts: strings or ids in, with the vectoriser on board."""

import keras
import numpy as np

from keras_seq.errors import InputError
from keras_seq.models.strings import are_strings, write_serving


@keras.saving.register_keras_serializable("keras_seq")
class TextClassifier(keras.Model):
    """A network from word ids to the probabilities of labels, with the vectoriser that makes the ids.

    `fit`, `evaluate` and `predict` take strings (a list, an array, a column), ids, or a dataset of either, such as
    `ks.data.text_dataset` makes. Labels are given as they stand in `labels`; where those are strings, integers are
    taken for indices. With `multi_label` a text has any number of labels: each row of `y` is a list of them, or zeros
    and ones `(C,)`. Strings become ids on the way in, in batches of like length. `save` keeps the vectoriser; `export`
    puts it into the graph.

    Args:
        network: a `keras.Model` from ids `(B, T)` to probabilities `(B, C)`.
        vectorizer: a `ks.layers.TextVectorizer`.
        labels: the `C` labels, all strings or all integers.
        multi_label: whether a text may have several labels, or none; then probabilities do not sum to 1.

    Call arguments:
        ids: `(B, T)`, 0 for padding.

    Returns:
        Probabilities `(B, C)`, in the order of `labels`.
    """

    def __init__(self, network, vectorizer, labels, multi_label=False, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        # Past Keras's tracking: a layer of strings among its layers would keep JAX from compiling the model. It has no
        # weights, and its words are in the config.
        object.__setattr__(self, "vectorizer", vectorizer)
        # XLA compiles anew for each length bucket, which on TensorFlow costs more than it saves.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.labels = list(labels)
        self.multi_label = multi_label
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
        """`keras.Model.fit`, for strings too: their order is another one each epoch, unless `shuffle=False`.

        `class_weight` is a dict from labels to weights, 1 for those it has not, or `"balanced"` (with `y`, or a dataset
        of `ks.data.text_dataset`): `N / (C n)` for a label that `n` of `N` texts have, so that all weigh alike.
        """
        if validation_split and are_strings(x):
            raise InputError("Argument `validation_split` cannot cut strings: use ks.data.split and `validation_data`.")
        if isinstance(validation_data, (tuple, list)):
            names = ("x", "y", "sample_weight")
            held_out = self._as_ids(*validation_data, batch_size=kwargs.get("validation_batch_size") or batch_size)
            strings = are_strings(validation_data[0])
            validation_data = held_out["x"] if strings else tuple(held_out[name] for name in names if name in held_out)
        elif validation_data is not None:
            validation_data = self._as_ids(validation_data)["x"]
        data = self._as_ids(x, y, sample_weight, batch_size, shuffle)
        history = super().fit(
            **data,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle and "batch_size" in data,  # Keras shuffles arrays; datasets come shuffled
            class_weight=self._weight_of_index(class_weight, x, y),
            **kwargs,
        )
        if keras.backend.backend() == "jax":
            # Weights that became averages share their arrays with the optimizer, and `predict` gives away its own.
            for variable in self.optimizer.variables:
                variable.assign(keras.ops.copy(variable))
        return history

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """`keras.Model.evaluate`, for strings too."""
        return super().evaluate(**self._as_ids(x, y, sample_weight, batch_size), verbose=verbose, **kwargs)

    def predict(self, x, batch_size=None, verbose="auto", **kwargs):
        """`keras.Model.predict`, for strings too: probabilities `(B, C)`, in the order of `x`."""
        if hasattr(x, "element_spec"):
            x = self._dataset_as_ids(x)
        if not are_strings(x):
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
            if y is not None or sample_weight is not None:
                raise InputError("A dataset holds its own labels and weights: do not give `y` or `sample_weight`, too.")
            return {"x": self._dataset_as_ids(x)}
        from keras_seq.data.text import checked_texts, vectorized

        given = {"y": None if y is None else self._encoded(y), "sample_weight": sample_weight}
        given = {name: np.asarray(value) for name, value in given.items() if value is not None}
        if not are_strings(x):
            return {"x": x, "batch_size": batch_size, **given}
        rows = vectorized(checked_texts(x), self.vectorizer)
        for name, value in given.items():
            if len(value) != len(rows):
                raise InputError(f"Argument `{name}` has {len(value)} rows, the texts are {len(rows)}.")
        return {"x": self._batches(rows, tuple(given.values()), batch_size, shuffle)}

    def as_batch(self, x, y=None, sample_weight=None):
        """All rows as the one batch `(x, y, sample_weight)` that the loss is given: strings become ids."""
        given = self._as_ids(x, y, sample_weight, batch_size=len(x))
        if not are_strings(x):
            return tuple(given.get(name) for name in ("x", "y", "sample_weight"))
        columns = iter(next(iter(given["x"])) if y is not None or sample_weight is not None else given["x"])
        return next(columns), *(None if one is None else next(columns) for one in (y, sample_weight))

    def _encoded(self, y):
        """Targets as the loss wants them: indices `(N,)`, or zeros and ones `(N, C)`."""
        from keras_seq.data.targets import encoded_labels, many_hot

        return many_hot(y, self.labels) if self.multi_label else encoded_labels(y, self.labels)

    def _weight_of_index(self, class_weight, x, y):
        """Class weights by index, from those by label."""
        if class_weight is None:
            return None
        from keras_seq.data.targets import balanced_weights

        if self.multi_label:
            raise InputError("Argument `class_weight` needs one label for each text: give `sample_weight` instead.")
        if not isinstance(class_weight, dict) and class_weight != "balanced":
            raise InputError(f"Argument `class_weight` must be a dict or 'balanced', got {class_weight!r}.")
        if class_weight == "balanced":
            columns = getattr(getattr(x, "batches", None), "columns", ())  # indices there are int32
            if y is None and not columns:
                raise InputError(
                    "class_weight='balanced' needs `y`, or a dataset of ks.data.text_dataset: give a dict."
                )
            y = columns[0] if y is None else y
            return balanced_weights(y if columns and y.dtype == "int32" else self._encoded(y), len(self.labels))
        by_index = isinstance(self.labels[0], str) and not any(isinstance(key, str) for key in class_weight)
        known = list(range(len(self.labels))) if by_index else self.labels
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise InputError(f"Argument `class_weight` has {unknown[0]!r}, which is no label: they are {self.labels}.")
        return {i: class_weight.get(label, 1.0) for i, label in enumerate(known)}

    def _batches(self, rows, columns, batch_size, shuffle):
        from keras_seq.data.batches import TextBatches

        return TextBatches(rows, columns, batch_size or 32, None, self.vectorizer.max_length, shuffle).dataset()

    def _dataset_as_ids(self, dataset):
        """A dataset whose texts become ids, and labels indices in `self.labels`, where they are not that yet."""
        import tensorflow as tf

        of_labels = dataset.element_spec[1:2] if isinstance(dataset.element_spec, tuple) else ()
        if self.multi_label and any(s.shape.rank not in (2, None) or s.dtype == tf.string for s in of_labels):
            raise InputError("A model with `multi_label` needs zeros and ones (B, C): see ks.data.text_dataset.")
        order = getattr(getattr(dataset, "batches", None), "labels", None)
        if self.multi_label and order not in (None, self.labels):
            raise InputError(f"The dataset has its labels in the order {order}, the model in {self.labels}: mend one.")

        def encode(x, y=None, *rest):
            ids = self.vectorizer(x) if x.dtype == tf.string else x
            if y is None:
                return ids
            if self.multi_label:
                return ids, tf.ensure_shape(y, (None, len(self.labels))), *rest
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

        return dataset.map(encode, num_parallel_calls=2).prefetch(2)

    def export(self, filepath, format="tf_saved_model", verbose=False, **kwargs):
        """Write a graph for serving. As SavedModel it takes strings and needs TensorFlow alone.

        Its signature `serve` (`serving_default`) takes `text (B,)` and gives `label (B,)` and `probabilities (B, C)`;
        with `multi_label`, in place of the one `label`, all `labels (C,)`, in the order of the probabilities.
        Other formats of `keras.Model.export` get the network, which takes ids.

        Raises:
            ValueError: for a SavedModel on another backend than TensorFlow.
        """
        if format != "tf_saved_model":
            self.network.export(filepath, format=format, verbose=verbose, **kwargs)
            return
        import tensorflow as tf

        def serve(text):
            probabilities = self.network(self.vectorizer(text), training=False)
            labels = tf.constant(self.labels)
            if self.multi_label:
                return {"labels": labels, "probabilities": probabilities}
            return {"label": tf.gather(labels, tf.argmax(probabilities, axis=-1)), "probabilities": probabilities}

        write_serving(self, [self.vectorizer], "serve", serve, filepath, verbose)

    def get_config(self):
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "vectorizer": keras.saving.serialize_keras_object(self.vectorizer),
            "labels": self.labels,
            "multi_label": self.multi_label,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("network", "vectorizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)

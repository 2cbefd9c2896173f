"""The model that translates: ids in training, strings in use, with both vectorisers on board."""

import keras
from keras import ops

from keras_seq.checks import positive_integer, share
from keras_seq.errors import InputError
from keras_seq.models.strings import are_strings, write_serving
from keras_seq.models.translation import Translator, checked_search, serving

LENGTH_PENALTY = 1.0


@keras.saving.register_keras_serializable("keras_seq")
class Seq2Seq(keras.Model):
    """An `EncoderDecoder` with the vectorisers of both sides: strings in, strings out.

    `fit` and `evaluate` take what `ks.data.pair_dataset` makes, or two lists of strings. `translate` turns strings into
    strings; `export` writes a SavedModel that does. Of a text longer than its vectoriser's `max_length` the first
    tokens count; tokens never seen are read as the unknown one, which is never said.

    Args:
        network: an `EncoderDecoder`.
        source_vectorizer, target_vectorizer: `ks.layers.Tokenizer`s.
        scheduled_sampling: share of the tokens before that are, in training, not the true ones but those that the
            model would say (Bengio et al., 2015, arXiv 1506.03099), in two passes (Mihaylova & Martins, 2019, arXiv
            1906.07651): the first, with teacher forcing, says them all. Above 0 the share is a weight that is not
            trained, `sampling_share`, which `ks.callbacks.TeacherForcing` changes while the model trains.

    Call arguments:
        inputs: a dict of ids, `source` `(B, S)` and `target` `(B, T)`, as `ks.data.pair_dataset` makes them.
        training: whether dropout and sampling act.

    Returns:
        Logits `(B, T, V)` of the tokens that come next.
    """

    def __init__(self, network, source_vectorizer, target_vectorizer, scheduled_sampling=0.0, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.scheduled_sampling = share("scheduled_sampling", scheduled_sampling)
        self.seed_generator = keras.random.SeedGenerator()
        self.sampling_share = None
        if self.scheduled_sampling:
            # A weight and no number, which a compiled training step would keep as it was when it was traced.
            start = keras.initializers.Constant(self.scheduled_sampling)
            how = {"name": "sampling_share", "dtype": "float32", "trainable": False, "autocast": False}
            self.sampling_share = self.add_weight((), start, **how)
        # Past Keras's tracking: a layer of strings among its layers would keep JAX from compiling the model. They have
        # no weights, and their tokens are in the config.
        object.__setattr__(self, "source_vectorizer", source_vectorizer)
        object.__setattr__(self, "target_vectorizer", target_vectorizer)
        object.__setattr__(self, "_translator", Translator(self))
        # XLA compiles anew for each shape, which on TensorFlow costs more than it saves.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.built = True

    def call(self, inputs, training=None):
        if not isinstance(inputs, dict) or not {"source", "target"} <= set(inputs):
            given = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise ValueError(
                f"Model {self.name!r} reads a dict of ids, `source` (B, S) and `target` (B, T), as "
                f"ks.data.pair_dataset makes it, got {given}: strings are for `fit`, `evaluate` and `translate`."
            )
        source, target = inputs["source"], inputs["target"]
        training = bool(training)
        if not training or self.sampling_share is None:
            return self.network(source, target, training=training)
        encoded = self.network.encode(source, training)
        target = self._partly_said(target, encoded)
        return self.network.logits(self.network.decode(target, encoded, training)[0], training)

    def _partly_said(self, target, encoded):
        """Targets of which some tokens are those that the model itself would have said there."""
        logits = self.network.allowed(self.network.logits(self.network.decode(target, encoded)[0]))
        said = ops.cast(ops.argmax(logits, axis=-1), target.dtype)
        said = ops.concatenate([target[:, :1], said[:, :-1]], axis=1)
        drawn = keras.random.uniform(ops.shape(target), dtype="float32", seed=self.seed_generator)
        return ops.where(ops.less(drawn, self.sampling_share) & (target != 0), said, target)

    def fit(self, x=None, y=None, batch_size=None, validation_data=None, shuffle=True, **kwargs):
        """`keras.Model.fit`, for strings too: `fit(sources, targets, validation_data=(sources, targets))`.

        Strings are batched by number of tokens, as by `ks.data.pair_dataset`, or by `batch_size` pairs; their order is
        another one each epoch, unless `shuffle=False`.
        """
        if isinstance(validation_data, (tuple, list)) and len(validation_data) and are_strings(validation_data[0]):
            if len(validation_data) != 2:
                raise InputError(
                    f"Argument `validation_data` must be (sources, targets) where it holds strings, got "
                    f"{len(validation_data)} parts."
                )
            validation_data = self._pairs(*validation_data, kwargs.get("validation_batch_size"))
        if are_strings(x):
            x, y, batch_size = self._pairs(x, y, batch_size, shuffle, **kwargs), None, None
        shuffle = shuffle and not hasattr(x, "element_spec")  # Keras shuffles arrays; datasets come shuffled
        return super().fit(x, y, batch_size=batch_size, validation_data=validation_data, shuffle=shuffle, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """`keras.Model.evaluate`, for strings too."""
        if are_strings(x):
            x, y, batch_size = self._pairs(x, y, batch_size, **kwargs), None, None
        return super().evaluate(x, y, batch_size=batch_size, **kwargs)

    def predict(self, x, **kwargs):
        """`keras.Model.predict`: logits, of ids. Strings are for `translate`.

        On JAX all batches must be of one shape.
        """
        if are_strings(x):
            raise InputError("`predict` gives logits, of ids of both sides: for strings call `translate(texts)`.")
        return super().predict(x, **kwargs)

    def as_batch(self, x, y=None, sample_weight=None):
        """All rows as the one batch `(x, y, sample_weight)` that the loss is given: strings become ids."""
        if not are_strings(x):
            return x, y, sample_weight
        (batch,) = self._pairs(x, y, batch_size=len(x), sample_weight=sample_weight)
        return *batch, None

    def _pairs(self, sources, targets=None, batch_size=None, shuffle=False, **kwargs):
        """The dataset of two lists of strings, or an error for what does not go with strings."""
        for name in ("validation_split", "sample_weight", "class_weight"):
            if kwargs.get(name) is not None and kwargs[name] != 0.0:
                raise InputError(
                    f"Argument `{name}` does not go with strings: for validation cut the pairs by ks.data.split and "
                    "give `validation_data`; for weights give ids, as ks.data.pair_dataset makes them."
                )
        from keras_seq.data.pairs import pair_dataset, paired

        frame = paired(sources, [] if targets is None else targets)
        vectorizers = self.source_vectorizer, self.target_vectorizer
        return pair_dataset(frame, *vectorizers, batch_size=batch_size, shuffle=shuffle)

    def translate(
        self,
        texts,
        beam_width=4,
        n_best=None,
        return_attention=False,
        max_length=None,
        length_penalty=LENGTH_PENALTY,
        batch_size=32,
    ):
        """Translations of texts, by beam search.

        Args:
            texts: a list of strings. An empty one is translated by an empty one.
            beam_width: how many hypotheses are followed; 1 for greedy decoding.
            n_best: None, or how many translations of each text are returned, at most `beam_width`.
            return_attention: whether to return the weights of attention, too.
            max_length: of a translation, in tokens; at most and by default the `max_length` of the target's vectoriser.
            length_penalty: as in `ks.decoding.beam_search`.
            batch_size: how many texts are translated at a time.

        Returns:
            A list of strings. With `return_attention` a list of `Translation`s; with `n_best` a list of lists of them,
            the best first; fewer than `n_best` where no more were found.

        Raises:
            InputError: for something else than strings, an `n_best` above `beam_width`, or weights of a model without
                attention.
        """
        from keras_seq.data.text import checked_texts

        if not are_strings(texts):
            raise InputError(f"Argument `texts` must be a list of strings, got {type(texts).__name__}.")
        texts = checked_texts(texts) if len(texts) else []
        positive_integer("batch_size", batch_size)
        how = self._search(beam_width, n_best, length_penalty, max_length, return_attention)
        found = self._translator(texts, *how, return_attention, batch_size)
        if n_best is not None:
            return found
        return [best[0] if return_attention else best[0].text for best in found]

    def _search(self, beam_width, n_best, length_penalty, max_length, return_attention):
        if return_attention and self.network.attention is None:
            raise InputError("Argument `return_attention` asks for weights of a model without attention: leave it out.")
        return checked_search(self.network, beam_width, n_best, length_penalty, max_length)

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=False,
        *,
        beam_width=4,
        n_best=None,
        return_attention=False,
        max_length=None,
        length_penalty=LENGTH_PENALTY,
    ):
        """Write a SavedModel that takes strings and needs TensorFlow alone.

        Its signature `translate` (`serving_default`) takes `text (B,)` and gives `text` and `score`, `(B,)` both; with
        `n_best` `(B, n)`, the best first, and a score of -inf where no more were found. With `return_attention` it also
        gives `attention`, `(B, T, S)` or `(B, n, T, S)`, with zeros behind the ends. The other arguments are those of
        `translate`, fixed in the graph.

        Raises:
            ValueError: for another format, or on another backend than TensorFlow.
            InputError: as `translate`.
        """
        if format != "tf_saved_model":
            raise ValueError(
                f"Argument `format` must be 'tf_saved_model', got {format!r}: the graph takes strings, which no other "
                "format has."
            )
        how = self._search(beam_width, n_best, length_penalty, max_length, return_attention)
        serve = serving(self, *how, return_attention)
        write_serving(self, [self.source_vectorizer, self.target_vectorizer], "translate", serve, filepath, verbose)

    def load_own_variables(self, store):
        """The share of sampling, where both the model and the file have one.

        A file has none that was written before the share was a weight, or by a model that does not sample.
        """
        if self.sampling_share is not None and store.keys():
            super().load_own_variables(store)

    def get_config(self):
        parts = ("network", "source_vectorizer", "target_vectorizer")
        saved = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in parts}
        return {**super().get_config(), **saved, "scheduled_sampling": self.scheduled_sampling}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("network", "source_vectorizer", "target_vectorizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)

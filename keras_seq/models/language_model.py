"""The model that writes: ids in training, strings in use, with its tokenizer on board."""

import keras
import numpy as np
from keras import ops

from keras_seq.callbacks import ResetStates
from keras_seq.checks import natural_number, positive_integer
from keras_seq.decoding import sample
from keras_seq.decoding.greedy import sample_by
from keras_seq.errors import InputError
from keras_seq.layers.tokenizer import END, PADDING
from keras_seq.models.programs import Programs
from keras_seq.models.strings import are_strings, joined, write_serving

FINENESS = 2**24  # the numbers that are drawn are so many parts of 1: all that a float32 tells apart
EDGE = 16  # prompts are padded to a multiple of it: on JAX each length is compiled


@keras.saving.register_keras_serializable("keras_seq")
class LanguageModel(keras.Model):
    """A `LanguageNetwork` with its tokenizer: it learns from long streams of ids, and goes on with texts.

    `fit` and `evaluate` take what `ks.data.stream_dataset` makes of `ks.data.token_stream`. Where the network has
    `lanes`, states go on from batch to batch; each epoch, and each `evaluate`, begins anew (`ks.callbacks.ResetStates`,
    which needs not be given).

    Args:
        network: a `LanguageNetwork`.
        tokenizer: a `ks.layers.Tokenizer`.

    Call arguments:
        inputs: ids `(B, T)`; `B` is the number of lanes, where the network has some.
        training: whether dropout acts.

    Returns:
        Logits `(B, T, V)` of the tokens that come next.
    """

    def __init__(self, network, tokenizer, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.seed_generator = keras.random.SeedGenerator()
        # Past Keras's tracking: a layer of strings among its layers would keep JAX from compiling the model. It has no
        # weights, and its tokens are in the config.
        object.__setattr__(self, "tokenizer", tokenizer)
        object.__setattr__(self, "_programs", Programs(network))
        self.built = True

    def call(self, inputs, training=None):
        return self.network(inputs, training=bool(training))

    def fit(self, x=None, y=None, callbacks=None, shuffle=True, **kwargs):
        """`keras.Model.fit`, of ids. Windows of lanes, and those of a dataset, keep their order."""
        shuffle = shuffle and self.network.lanes is None and not hasattr(x, "element_spec")
        return super().fit(_ids(x), y, callbacks=self._with_reset(callbacks), shuffle=shuffle, **kwargs)

    def evaluate(self, x=None, y=None, callbacks=None, **kwargs):
        """`keras.Model.evaluate`, of ids: the loss is in nats per token."""
        return super().evaluate(_ids(x), y, callbacks=self._with_reset(callbacks), **kwargs)

    def predict(self, x, **kwargs):
        """`keras.Model.predict`, of ids: logits. In lanes it goes on from where the call before has ended."""
        return super().predict(_ids(x), **kwargs)

    def _with_reset(self, callbacks):
        """Callbacks, and, where states go on from batch to batch, the one that begins anew."""
        if self.network.lanes is None or isinstance(callbacks, keras.callbacks.CallbackList):  # that of `fit`, complete
            return callbacks
        callbacks = [] if callbacks is None else callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        own = [] if any(isinstance(one, ResetStates) for one in callbacks) else [ResetStates()]
        return [*own, *callbacks]

    def generate(self, prompts, max_length=100, temperature=1.0, top_k=None, top_p=None, seed=None, batch_size=32):
        """Texts that go on from prompts: tokens are drawn one by one, each from what the model says of those before.

        A text ends where the model says so, which it can have learnt only from texts with ends
        (`ks.data.token_stream` of several), or after `max_length` tokens. Padding, unknown and start are never drawn.

        Args:
            prompts: a list of strings. One without tokens begins a text, as if another had just ended.
            max_length: how many tokens are drawn at most.
            temperature, top_k, top_p: as those of `ks.decoding.sample`.
            seed: an integer, for the same texts in each call; a `keras.random.SeedGenerator`; or None.
            batch_size: how many prompts are gone on with at a time.

        Returns:
            A list of strings: the prompts, as their tokens are written (an unknown one as U+FFFD), and what follows.

        Raises:
            InputError: for something else than a list of strings.
            ValueError: for numbers that cannot be, and where weights are NaN.
        """
        from keras_seq.data.text import checked_texts

        if not are_strings(prompts):
            raise InputError(f"Argument `prompts` must be a list of strings, got {type(prompts).__name__}.")
        prompts = checked_texts(prompts, "prompts") if len(prompts) else []
        natural_number("max_length", max_length)
        size, how = positive_integer("batch_size", batch_size), (max_length, temperature, top_k, top_p)
        shape = (max(1, max_length), len(prompts))  # for all at once: what a prompt gets does not depend on its batch
        numbers = np.asarray(keras.random.randint(shape, 0, FINENESS, dtype="int32", seed=seed))
        texts = []
        for start in range(0, len(prompts), size):
            part = slice(start, start + size)
            rows = self.tokenizer.uncut(prompts[part])
            width = -(-max(1, int(rows.bounding_shape()[1])) // EDGE) * EDGE
            ids = rows.to_tensor(PADDING, (None, width)).numpy()
            found = self._programs.run(_written, (ids, numbers[:, part]), how)
            tokens, lengths, scores = map(np.asarray, found)
            if not np.isfinite(scores).all():
                raise ValueError(f"Model {self.name!r} says nothing that has a probability: are its weights NaN?")
            written = joined(rows, tokens, lengths)
            texts += [text.decode() for text in self.tokenizer.detokenize(written).numpy()]
        return texts

    def export(
        self,
        filepath,
        format="tf_saved_model",
        verbose=False,
        *,
        max_length=100,
        temperature=1.0,
        top_k=None,
        top_p=None,
    ):
        """Write a SavedModel that takes strings and needs TensorFlow alone.

        Its signature `generate` (`serving_default`) takes `text (B,)`, prompts, and gives `text (B,)`, other ones in
        each call. The other arguments are those of `generate`, fixed in the graph.

        Raises:
            ValueError: for another format, or on another backend than TensorFlow.
        """
        if format != "tf_saved_model":
            raise ValueError(
                f"Argument `format` must be 'tf_saved_model', got {format!r}: the graph takes strings, which no other "
                "format has."
            )
        natural_number("max_length", max_length)

        def serve(text):
            rows = self.tokenizer.uncut(text)
            step, start, state = self.network.stepper(rows.to_tensor(PADDING))
            how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": self.seed_generator}
            found = sample(step, start, state, end=END, max_length=max_length, pad=PADDING, **how)
            return {"text": self.tokenizer.detokenize(joined(rows, *found[:2]))}

        write_serving(self, [self.tokenizer], "generate", serve, filepath, verbose)

    def get_config(self):
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("network", "tokenizer")}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for name in ("network", "tokenizer"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


def _written(network, ids, numbers, max_length, temperature, top_k, top_p):
    """`Decoded` of what follows ids `(B, S)`, drawn by integers `(L, B)` below FINENESS."""
    step, start, state = network.stepper(ids)
    how = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "max_length": max_length}
    uniform = ops.cast(numbers, "float32") / FINENESS
    return sample_by(lambda shape: uniform, step, start, state, end=END, pad=PADDING, **how)


def _ids(x):
    """`x`, or an error for strings."""
    if isinstance(x, str) or (x is not None and not hasattr(x, "element_spec") and are_strings(x)):
        raise InputError(
            "A language model trains on windows of ids, got strings: give "
            "ks.data.stream_dataset(ks.data.token_stream(text, model.tokenizer), length=100, batch_size=32). "
            "`generate` takes strings."
        )
    return x

"""BLEU of a model's translations, epoch by epoch."""

import keras

from keras_seq.checks import positive_integer
from keras_seq.errors import InputError, MissingExtraError


class BleuScore(keras.callbacks.Callback):
    """Translates held-out texts as epochs end, and puts their BLEU (0 to 100) into the logs.

    It is sacreBLEU's (Post, 2018, arXiv 1804.08771) with its default tokenizer, 13a. Keras hands one dict of logs to
    all callbacks in the order of their list, then to `History` and the progress bar that it adds itself: so
    `EarlyStopping(monitor="val_bleu", mode="max")` and `ModelCheckpoint` see the score if they come later in the list.
    In epochs between two translations the last score is repeated; before the first there is none.

    Attributes: `translations`, the last ones, and `signature`, sacreBLEU's, which tells how it was measured; both are
    None before the first score.

    Args:
        texts: strings to translate.
        references: a translation of each.
        every: translate after each so many epochs.
        batch_size: how many texts are given to `model.translate` at a time.
        name: the key in the logs.
        **how: further arguments of `model.translate(texts, **how)`, such as `beam_width=1`.

    Raises:
        MissingExtraError: without sacreBLEU (`pip install keras_seq[translation]`).
        ValueError: if there are no texts, or not as many references.
        InputError: for a model that cannot translate.
    """

    def __init__(self, texts, references, every=1, batch_size=32, name="val_bleu", **how):
        super().__init__()
        self.texts, self.references = _strings("texts", texts), _strings("references", references)
        if not self.texts or len(self.texts) != len(self.references):
            raise ValueError(
                "Arguments `texts` and `references` must be of the same length, 1 or more, got "
                f"{len(self.texts)} and {len(self.references)}: give one reference for each text."
            )
        self.every = positive_integer("every", every)
        self.batch_size = positive_integer("batch_size", batch_size)
        self.name = name
        self.how = how
        self.translations = self.signature = self._score = None
        _sacrebleu()  # missing, it should be missed before the first epoch

    def on_train_begin(self, logs=None):
        self.translations = self.signature = self._score = None
        if not callable(getattr(self.model, "translate", None)):
            raise InputError(
                f"ks.callbacks.BleuScore needs a model with a method `translate(texts)`, got a "
                f"{type(self.model).__name__}: train a sequence-to-sequence model of ks.models, or write the method."
            )

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            self._measure()
        if logs is not None and self._score is not None:
            logs[self.name] = self._score

    def _measure(self):
        starts = range(0, len(self.texts), self.batch_size)
        batches = [self.model.translate(self.texts[i : i + self.batch_size], **self.how) for i in starts]
        self.translations = [text for batch in batches for text in batch]
        if len(self.translations) != len(self.texts):
            raise ValueError(
                f"`translate` must return one string for each text: {len(self.texts)} were given, "
                f"{len(self.translations)} came back."
            )
        bleu = _sacrebleu().metrics.BLEU()
        self._score = bleu.corpus_score(self.translations, [self.references]).score
        self.signature = str(bleu.get_signature())


def _strings(name, values):
    values = [values] if isinstance(values, str) else list(values)
    others = [value for value in values if not isinstance(value, str)]
    if others:
        raise ValueError(f"Argument `{name}` must be a list of strings, got one of {type(others[0]).__name__}.")
    return values


def _sacrebleu():
    try:
        import sacrebleu
    except ImportError as error:
        raise MissingExtraError("ks.callbacks.BleuScore", "translation") from error
    return sacrebleu

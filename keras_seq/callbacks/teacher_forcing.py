"""How often a decoder is told the truth while it trains, epoch by epoch or step by step."""

import math

import keras

from keras_seq.callbacks.scheduled import Scheduled
from keras_seq.checks import number_at_least_zero, positive_number
from keras_seq.errors import InputError


def _linear(t, rate, offset):
    return min(1.0, offset - rate * t)


def _exponential(t, rate, offset):
    return rate**t


def _inverse_sigmoid(t, rate, offset):
    left = rate * math.exp(-t / rate)  # both sides of the fraction by exp(t / rate), which overflows
    return left / (left + 1.0)


DECAYS = {"linear": _linear, "exponential": _exponential, "inverse_sigmoid": _inverse_sigmoid}


class TeacherForcing(Scheduled):
    """Lets a sequence-to-sequence model begin with the true tokens before, and rely on its own more and more.

    Scheduled sampling (Bengio, Vinyals, Jaitly and Shazeer, 2015, arXiv 1506.03099, section 2.4): at epoch or step `t`,
    from 0, each token that the decoder reads is the true one with probability `truth[t]`, else the one that the model
    would have said:

        truth[t] = max(minimum, min(1, offset - rate * t))           decay="linear"
        truth[t] = max(minimum, rate ** t)                           decay="exponential", rate below 1
        truth[t] = max(minimum, rate / (rate + exp(t / rate)))       decay="inverse_sigmoid", rate at least 1
        share[t] = 1 - truth[t]

    The share is set as `sampling_share` of a `ks.models.Seq2Seq`, in the place of the one that it was made with, and
    stands in the progress bar and in `History` under that name. It depends on the epoch (or the optimizer's count of
    steps) alone, so a resumed training goes on with the right one. When the training ends, the last share stays,
    unless a callback puts the weights of an earlier epoch back.

    Args:
        decay: one of the above.
        rate: the paper's `c` of the line, its `k` of the other two: how fast the probability falls. Of an inverse
            sigmoid it falls the slower the larger the rate is.
        minimum: the probability below which it does not fall (the paper's epsilon).
        offset: of the line (its `k`): above 1 for a time of the truth alone.
        per: `"epoch"` or `"step"`.

    Raises:
        ValueError: for arguments that cannot be, or do not go together.
        InputError: when training begins with a model that does not sample.

    Example:

    >>> frame = ks.data.dates(rows=8)
    >>> source, target = (ks.data.tokenizer(frame[name], split="characters") for name in ("text", "iso"))
    >>> model = ks.models.seq2seq_model(source, target, units=4, scheduled_sampling=0.5)
    >>> forcing = ks.callbacks.TeacherForcing("linear", rate=0.25, minimum=0.5)
    >>> history = model.fit(frame["text"], frame["iso"], epochs=4, verbose=0, callbacks=[forcing])
    >>> history.history["sampling_share"]
    [0.0, 0.25, 0.5, 0.5]
    """

    shown_as = "sampling_share"

    def __init__(self, decay, rate, minimum=0.0, offset=1.0, per="epoch"):
        super().__init__(per)
        if not isinstance(decay, str) or decay not in DECAYS:
            raise ValueError(f"Argument `decay` must be one of {', '.join(map(repr, DECAYS))}, got {decay!r}.")
        self.decay, self.rate = decay, positive_number("rate", rate)
        self.minimum, self.offset = number_at_least_zero("minimum", minimum), positive_number("offset", offset)
        if (decay == "exponential" and self.rate >= 1) or (decay == "inverse_sigmoid" and self.rate < 1):
            wanted = "below 1" if decay == "exponential" else "at least 1"
            raise ValueError(f"Argument `rate` must be {wanted} where `decay` is {decay!r}, got {rate!r}.")
        if self.minimum > 1:
            raise ValueError(f"Argument `minimum` must be a probability, from 0 to 1, got {minimum!r}.")
        if decay != "linear" and self.offset != 1:
            raise ValueError(f"Argument `offset` is of decay='linear', got {offset!r} beside {decay!r}: leave it out.")

    def on_train_begin(self, logs=None):
        if getattr(self.model, "sampling_share", None) is None:
            raise InputError(
                f"Model {self.model.name!r} does not sample what it says itself, which ks.callbacks.TeacherForcing is "
                "about: make it by ks.models.seq2seq_model(..., scheduled_sampling=0.5); any share above 0 will do."
            )

    def value(self):
        return float(keras.ops.convert_to_numpy(self.model.sampling_share))

    def set(self, t):
        self.model.sampling_share.assign(1.0 - max(self.minimum, DECAYS[self.decay](t, self.rate, self.offset)))

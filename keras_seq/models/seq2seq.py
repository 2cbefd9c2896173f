"""`seq2seq_model`: from a text to another, token by token."""

from keras_seq.checks import share
from keras_seq.layers.tokenizer import check_tokenizer
from keras_seq.losses import TokenCrossentropy
from keras_seq.metrics import Perplexity, TokenAccuracy
from keras_seq.models.encoder_decoder import EncoderDecoder
from keras_seq.models.sequence_to_sequence import Seq2Seq
from keras_seq.optimizers import adam


def seq2seq_model(
    source_vectorizer,
    target_vectorizer,
    encoder="gru",
    decoder=None,
    attention="additive",
    input_feeding=False,
    bidirectional=False,
    depth=1,
    units=256,
    embedding_dim=None,
    num_heads=None,
    hidden_units=None,
    shared_embeddings=False,
    dropout=0.1,
    recurrent_dropout=0.0,
    weight_decay=0.0,
    label_smoothing=0.0,
    scheduled_sampling=0.0,
    learning_rate=1e-3,
    clipnorm=1.0,
):
    """A compiled model that turns texts into texts: an encoder, and a decoder that attends to what it has read.

    It trains with teacher forcing on what `ks.data.pair_dataset` makes, or on two lists of strings, and has a verb of
    its own, `translate`.

    Args:
        source_vectorizer, target_vectorizer: from `ks.data.tokenizer`; the same one twice for a joint vocabulary.
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, `"clockwork"`, a cell, a layer `(B, S, E)` to `(B, S, M)`, or
            `"transformer"`.
        decoder: the same for the other side, a layer being taken for its cell; None for what the encoder is.
        attention: how a recurrent decoder attends: a score layer or its name, "additive" and "normalized_additive"
            (before each step, after Bahdanau), "dot", "scaled_dot" or "general" (after it, after Luong); None for a
            decoder that starts from the final states of the encoder and sees no more. A transformer has its own.
        input_feeding: whether a recurrent decoder also reads what it attended to at the step before.
        bidirectional: whether a recurrent encoder reads both ways. A transformer does.
        depth: layers of the encoder, and of the decoder.
        units: size of the layers; of a bidirectional one in each direction.
        embedding_dim: size `E` of the embeddings; None for `units`.
        num_heads: of the attention of a transformer; None for 4.
        hidden_units: of its feed-forward part; None for `4 * units`.
        shared_embeddings: False; `"target"`, to score tokens by their embeddings (Press and Wolf, 2017, arXiv
            1608.05859); or True, which also embeds the source by them, and needs a joint vocabulary.
        dropout: share dropped of embeddings, between layers, and before the scores; in a transformer also inside.
        recurrent_dropout: of layers given by name, as in `sentiment_model`.
        weight_decay: of `ks.optimizers.AdamW`, which leaves biases alone.
        label_smoothing: share of the target that is spread over all tokens.
        scheduled_sampling: see `Seq2Seq`; by `ks.callbacks.TeacherForcing` it follows a schedule.
        learning_rate: of Adam, a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        clipnorm: the norm to which the gradient of each weight is clipped, None for no clipping; or a dict that clips
            otherwise, such as `{"global_clipnorm": 1.0}` or `{"clipvalue": 0.5}`: see `ks.optimizers.clipping`.

    Returns:
        A `Seq2Seq`, compiled with Adam, cross-entropy, accuracy of tokens and perplexity.

    Raises:
        ValueError: for arguments that cannot be, or do not go together.

    Example:

    >>> frame = ks.data.dates(rows=8)
    >>> source, target = (ks.data.tokenizer(frame[name], split="characters") for name in ("text", "iso"))
    >>> model = ks.models.seq2seq_model(source, target, units=4)
    >>> history = model.fit(frame["text"], frame["iso"], verbose=0)
    >>> texts = model.translate(["9 March 1987", ""])  # eight dates have taught it nothing yet
    >>> len(texts), texts[1]
    (2, '')
    """
    check_tokenizer("source_vectorizer", source_vectorizer)
    check_tokenizer("target_vectorizer", target_vectorizer)
    share("label_smoothing", label_smoothing)
    if shared_embeddings is True and not _alike(source_vectorizer, target_vectorizer):
        raise ValueError(
            "Argument `shared_embeddings` needs one vocabulary, and `source_vectorizer` and `target_vectorizer` have "
            "two: give the same tokenizer twice, made from the texts of both sides, or share 'target' alone."
        )
    network = EncoderDecoder(
        source_vectorizer.size,
        target_vectorizer.size,
        target_vectorizer.max_length + 1,  # and the end
        encoder=encoder,
        decoder=decoder,
        attention=attention,
        input_feeding=input_feeding,
        bidirectional=bidirectional,
        depth=depth,
        units=units,
        embedding_dim=embedding_dim,
        num_heads=num_heads,
        hidden_units=hidden_units,
        shared_embeddings=shared_embeddings,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        name="network",
    )
    model = Seq2Seq(network, source_vectorizer, target_vectorizer, scheduled_sampling, name="seq2seq")
    model.compile(
        optimizer=adam(learning_rate, weight_decay, clipnorm=clipnorm),
        loss=TokenCrossentropy(label_smoothing),
        metrics=[TokenAccuracy(), Perplexity()],
    )
    return model


def _alike(*tokenizers):
    """Whether the ids of tokenizers stand for the same tokens."""
    return len({(one.split, one.lowercase, one.keep_spaces, *one.vocabulary) for one in tokenizers}) == 1

"""`language_model`: from the tokens of a text so far to the next."""

from keras_seq.layers.tokenizer import check_tokenizer
from keras_seq.losses import TokenCrossentropy
from keras_seq.metrics import Perplexity, TokenAccuracy
from keras_seq.models.language_model import LanguageModel
from keras_seq.models.language_network import LanguageNetwork
from keras_seq.optimizers import adam


def language_model(
    tokenizer,
    encoder="lstm",
    units=256,
    depth=1,
    embedding_dim=None,
    num_heads=None,
    hidden_units=None,
    context=None,
    dropout=0.0,
    recurrent_dropout=0.0,
    lanes=None,
    weight_decay=0.0,
    learning_rate=1e-3,
    clipnorm=1.0,
):
    """A compiled model that says which token comes next, and so writes texts (Mikolov et al., 2010; Karpathy, 2015).

    It trains on windows of a long stream, `ks.data.stream_dataset(ks.data.token_stream(text, tokenizer), ...)`, and has
    a verb of its own, `generate`.

    Args:
        tokenizer: from `ks.data.tokenizer`: characters (with `keep_spaces=True` also the ends of lines), words or
            subwords.
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, `"clockwork"`, a cell, a recurrent layer that reads forwards, or
            `"transformer"`: causal blocks with norms first, and positions that turn queries and keys.
        units: size `H` of the layers.
        depth: how many there are.
        embedding_dim: size `E` of the embeddings; None for `units`.
        num_heads: of the attention of a transformer; None for 4.
        hidden_units: of its feed-forward part; None for `4 * units`.
        context: how many tokens a transformer attends to when it writes; it needs this: the length of the windows that
            it is trained on.
        dropout: share dropped of embeddings, between layers, and before the scores; in a transformer also inside.
        recurrent_dropout: of layers given by name, as in `sentiment_model`.
        lanes: None, and each window begins anew; or the rows of a batch, each of which goes on from the states in which
            the batch before left it (gradients end at a window's edge: truncated backpropagation through time). It is
            the `batch_size` of `stream_dataset`.
        weight_decay: of `ks.optimizers.AdamW`, which leaves biases alone.
        learning_rate: of Adam, a number or a `keras.optimizers.schedules.LearningRateSchedule`.
        clipnorm: the norm to which the gradient of each weight is clipped, None for no clipping; or a dict that clips
            otherwise: see `ks.optimizers.clipping`.

    Returns:
        A `LanguageModel`, compiled with Adam, cross-entropy in nats per token, accuracy and perplexity.

    Raises:
        ValueError: for arguments that cannot be, or do not go together.

    Example:

    >>> text = "to be, or not to be:\\nthat is the question.\\n"
    >>> tokenizer = ks.data.tokenizer([text], split="characters", keep_spaces=True)
    >>> model = ks.models.language_model(tokenizer, encoder="gru", units=8, lanes=2)
    >>> windows = ks.data.stream_dataset(ks.data.token_stream(text, tokenizer), length=7, batch_size=2)
    >>> history = model.fit(windows, epochs=2, verbose=0)
    >>> (said,) = model.generate(["to "], max_length=5, seed=0)  # it knows nothing yet
    >>> said.startswith("to ")
    True
    """
    check_tokenizer("tokenizer", tokenizer)
    network = LanguageNetwork(
        tokenizer.size,
        encoder=encoder,
        units=units,
        depth=depth,
        embedding_dim=embedding_dim,
        num_heads=num_heads,
        hidden_units=hidden_units,
        context=context,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        lanes=lanes,
        name="network",
    )
    model = LanguageModel(network, tokenizer, name="language")
    model.compile(
        optimizer=adam(learning_rate, weight_decay, clipnorm=clipnorm),
        loss=TokenCrossentropy(),
        metrics=[TokenAccuracy(), Perplexity()],
    )
    return model

"""The network of a sequence-to-sequence model: encoder, decoder, and the embeddings of both.

memory, summaries = encoder(source)
logits[t]         = decoder(target up to t, memory, summaries)
"""

import keras
from keras import ops, tree

from keras_seq.attention.scores import SCORES
from keras_seq.checks import positive_integer, share
from keras_seq.decoding import tile_beams
from keras_seq.layers import SequencePooling
from keras_seq.layers.stacked import asks_for
from keras_seq.layers.tokenizer import END
from keras_seq.models.decoders import (
    Encoded,
    RecurrentDecoder,
    TransformerDecoder,
    cells_like,
    is_vector,
    transformer_blocks,
)
from keras_seq.models.encoders import check_encoder, encoder_layers, saved_encoder

STEPS = 64  # for which it is looked at what an encoder returns


@keras.saving.register_keras_serializable("keras_seq")
class EncoderDecoder(keras.layers.Layer):
    """From ids of a source, and of a target so far, to the logits of the target's next tokens.

    Args:
        source_size, target_size: sizes `V` of the vocabularies.
        max_length: the longest target that is decoded.
        encoder, decoder, attention, input_feeding, bidirectional, depth, units, embedding_dim, num_heads, hidden_units,
            shared_embeddings, dropout, recurrent_dropout: as in `ks.models.seq2seq_model`.

    Call arguments:
        source: ids `(B, S)`, 0 for padding.
        target: ids `(B, T)`, each row the start and the tokens so far.
        training: whether dropout acts.

    Returns:
        Logits `(B, T, V)`, in float32.
    """

    def __init__(
        self,
        source_size,
        target_size,
        max_length,
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_encoder("encoder", encoder, "transformer")
        if decoder is not None:
            check_encoder("decoder", decoder, "transformer")
        self.source_size, self.target_size, self.max_length = source_size, target_size, max_length
        # Past Keras's tracking: what is given is copied, and its own weights, if it has any, are not the network's.
        for name, given in (("encoder", encoder), ("decoder", decoder), ("attention", attention)):
            object.__setattr__(self, name, given)
        self.input_feeding, self.bidirectional = input_feeding, bidirectional
        self.depth, self.units = positive_integer("depth", depth), positive_integer("units", units)
        self.embedding_dim = self.units if embedding_dim is None else positive_integer("embedding_dim", embedding_dim)
        self.num_heads, self.hidden_units = num_heads, hidden_units
        self.shared_embeddings = shared_embeddings
        self.dropout, self.recurrent_dropout = share("dropout", dropout), share("recurrent_dropout", recurrent_dropout)
        self._check_parts()
        self._check_embeddings()
        self._make()
        self._build()
        self.built = True

    def _check_parts(self):
        """Raise where an argument is for parts of a kind that there is none of, or is no such thing."""
        for name in ("bidirectional", "input_feeding"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"Argument `{name}` must be True or False, got {getattr(self, name)!r}.")
        if isinstance(self.attention, str) and self.attention not in SCORES:
            raise ValueError(
                f"Argument `attention` must be None, a score layer or one of {', '.join(SCORES)}, got "
                f"{self.attention!r}."
            )
        encodes, decodes = (self._is_transformer(kind) for kind in (self.encoder, self._decoder_kind))
        neither = not (encodes or decodes)
        for name, given, where in (
            ("bidirectional", encodes and self.bidirectional, "a recurrent encoder"),
            ("input_feeding", decodes and self.input_feeding, "a recurrent decoder"),
            ("attention", decodes and self.attention != "additive", "a recurrent decoder"),
            ("recurrent_dropout", encodes and decodes and self.recurrent_dropout, "recurrent layers"),
            ("num_heads", neither and self.num_heads is not None, "a transformer"),
            ("hidden_units", neither and self.hidden_units is not None, "a transformer"),
        ):
            if given:
                raise ValueError(f"Argument `{name}` is for {where}, and there is none: leave it out.")

    def _check_embeddings(self):
        if not isinstance(self.shared_embeddings, bool) and self.shared_embeddings != "target":
            raise ValueError(
                f"Argument `shared_embeddings` must be False, True or 'target', got {self.shared_embeddings!r}."
            )
        if self.shared_embeddings is True and self.source_size != self.target_size:
            raise ValueError(
                "Argument `shared_embeddings` needs one vocabulary for both sides: give the same tokenizer twice, made "
                "from the texts of both, or share those of the 'target' with the output alone."
            )
        if not any(self._is_transformer(kind) for kind in (self.encoder, self._decoder_kind)):
            return
        heads = positive_integer("num_heads", self.num_heads or 4)
        if self.units % (2 * heads):
            raise ValueError(
                f"Argument `units` must be a multiple of twice `num_heads` in a transformer, of {2 * heads}, got "
                f"{self.units}: positions turn pairs of the columns of each head."
            )
        if self.embedding_dim != self.units:
            raise ValueError(
                f"Argument `embedding_dim` must be that of a transformer, `units`, {self.units}, got "
                f"{self.embedding_dim}: leave it out."
            )

    @property
    def _decoder_kind(self):
        return self.encoder if self.decoder is None else self.decoder

    @staticmethod
    def _is_transformer(kind):
        return isinstance(kind, str) and kind == "transformer"

    def _make(self):
        """The layers."""
        parts = {"dtype": self.dtype_policy}
        blocks = (self.depth, self.units, self.num_heads or 4, self.hidden_units, self.dropout, self.dtype_policy)
        self.source_embedding = self._embedding(self.source_size, "source_embedding")
        same = self.shared_embeddings is True
        self.target_embedding = self.source_embedding if same else self._embedding(self.target_size, "target_embedding")
        self.encoder_norm = None
        if self._is_transformer(self.encoder):
            self.encoder_parts = transformer_blocks(*blocks, causal=False)
            self.encoder_norm = keras.layers.LayerNormalization(epsilon=1e-5, name="encoder_norm", **parts)
        else:
            how = (self.depth, self.bidirectional, True, self.recurrent_dropout, True, self.dtype_policy)
            self.encoder_parts = encoder_layers(self.encoder, self.units, *how)
        kind = self._decoder_kind
        if self._is_transformer(kind):
            decoder_blocks = transformer_blocks(*blocks, causal=True, cross_attention=True)
            self.decoding = TransformerDecoder(decoder_blocks, self.max_length, self.dropout, name="decoder", **parts)
        else:
            how = (self.depth, self.dropout, self.recurrent_dropout, self.attention is not None, self.dtype_policy)
            how = (cells_like(kind, self.units, *how), self.attention, self.input_feeding, self.dropout)
            self.decoding = RecurrentDecoder(*how, name="decoder", **parts)
        # Transformer blocks drop by themselves what they add.
        between = 0.0 if self._is_transformer(self.encoder) else self.dropout
        shares = [self.dropout] + [between] * (self.depth - 1)
        self.encoder_drops = [keras.layers.Dropout(share, **parts) for share in shares]
        self.mean = SequencePooling("mean", **parts)
        self.drop = keras.layers.Dropout(self.dropout, **parts)
        tied = self.shared_embeddings
        self.readout = None
        if tied and self.decoding.units != self.embedding_dim:
            self.readout = keras.layers.Dense(self.embedding_dim, name="readout", **parts)
        self.scores = None if tied else keras.layers.Dense(self.target_size, name="scores", **parts)
        self.bias = self.add_weight((self.target_size,), "zeros", name="bias") if tied else None

    def _embedding(self, size, name):
        start = keras.initializers.RandomNormal(stddev=self.embedding_dim**-0.5)
        return keras.layers.Embedding(size, self.embedding_dim, start, dtype=self.dtype_policy, name=name)

    def _build(self):
        """All weights, for inputs of unknown lengths."""
        for embedding in (self.source_embedding, self.target_embedding):
            if not embedding.built:
                embedding.build((None, None))
        x, sizes = keras.KerasTensor((None, STEPS, self.embedding_dim), self.compute_dtype), []
        for layer in self.encoder_parts:
            if not layer.built:
                layer.build((None, None, x.shape[-1]))
            x, *states = tree.flatten(layer.compute_output_spec(x))
            sizes.append([state.shape[-1] for state in states if is_vector(state)])
            if len(x.shape) != 3 or x.shape[1] != STEPS:
                raise ValueError(
                    f"Argument `encoder` must return a sequence as long as it reads, (B, {STEPS}, M) for {STEPS} "
                    f'steps, got shape {tuple(x.shape)}: give a convolution padding="same" and no strides.'
                )
        memory_shape = (None, None, x.shape[-1])
        if self.encoder_norm is not None:
            self.encoder_norm.build(memory_shape)
        cells = [type(getattr(layer, "cell", None)) for layer in self.encoder_parts]
        if not all(sizes):
            sizes, cells = [[x.shape[-1]]], [None]
        self.decoding.build((None, None, self.embedding_dim), memory_shape, sizes, cells)
        size = self.decoding.units
        for layer in (self.readout, self.scores):
            if layer is not None:
                layer.build((None, None, size))

    def call(self, source, target, training=False):
        encoded = self.encode(source, training)
        return self.logits(self.decode(target, encoded, training)[0], training)

    def compute_output_spec(self, source, target, training=False):
        return keras.KerasTensor((*target.shape, self.target_size), "float32")

    def encode(self, source, training=False):
        """`Encoded`, of ids `(B, S)`."""
        keep = ops.not_equal(source, 0)
        x, summaries = self._vectors(self.source_embedding, source), []
        for drop, layer in zip(self.encoder_drops, self.encoder_parts, strict=True):
            told = {}
            if asks_for(layer.call, "mask"):
                told["mask"] = keep
            else:  # what a convolution reads beyond the end of a row must not depend on the batch
                x = ops.where(ops.expand_dims(keep, -1), x, 0)
            told |= {"training": training} if asks_for(layer.call, "training") else {}
            x, *states = tree.flatten(layer(drop(x, training=training), **told))
            summaries.append([state for state in states if is_vector(state)])
        memory = x if self.encoder_norm is None else self.encoder_norm(x)
        if not all(summaries):
            summaries = [[self.mean(memory, mask=keep)]]
        return Encoded(memory, keep, summaries)

    def decode(self, target, encoded, training=False):
        """`(h, weights)`, `(B, T, H)` and `(B, T, S)` or None, of ids `(B, T)`: teacher forcing."""
        return self.decoding(self._vectors(self.target_embedding, target), encoded, training=training)

    def logits(self, h, training=False):
        """Logits `(..., V)`, in float32, of what the decoder gives `(..., H)`."""
        h = self.drop(h, training=training)
        if self.scores is not None:
            return ops.cast(self.scores(h), "float32")
        h = h if self.readout is None else self.readout(h)
        embeddings = ops.cast(self.target_embedding.embeddings, self.compute_dtype)
        logits = ops.matmul(h, ops.transpose(embeddings)) + ops.cast(self.bias, self.compute_dtype)
        return ops.cast(logits, "float32")

    def stepper(self, encoded, width=1):
        """`(step, state)` for `ks.decoding`, of which a beam search with this width calls `step`."""
        state = self.decoding.begin(encoded)
        tiled = Encoded(*tile_beams((encoded.memory, encoded.keep), width), None)
        constants = self.decoding.prepare(tile_beams(state, width), tiled)

        def step(tokens, state):
            h, state = self.decoding.step(self._vectors(self.target_embedding, tokens), state, constants)
            return self.allowed(self.logits(h)), state

        return step, state

    def allowed(self, logits):
        """Logits of what may be said: -inf for padding, unknown and start, the ids below that of the end."""
        return ops.where(ops.arange(self.target_size) < END, float("-inf"), logits)

    def _vectors(self, embedding, ids):
        """Vectors `(..., E)` of ids, of about unit variance."""
        return embedding(ids) * ops.cast(self.embedding_dim**0.5, self.compute_dtype)

    def get_config(self):
        names = """source_size target_size max_length bidirectional depth units embedding_dim num_heads hidden_units
            shared_embeddings dropout recurrent_dropout input_feeding""".split()
        layers = {name: saved_encoder(getattr(self, name)) for name in ("encoder", "decoder", "attention")}
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, **layers}

    @classmethod
    def from_config(cls, config):
        layers = {name: config[name] for name in ("encoder", "decoder", "attention")}
        made = {name: keras.saving.deserialize_keras_object(v) for name, v in layers.items() if isinstance(v, dict)}
        return cls(**{**config, **made})

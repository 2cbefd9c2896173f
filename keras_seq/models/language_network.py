"""The network of a language model: what it says of the next token, given those so far.

x[t]        = embedding(ids[t])                  (B, T, E)
h[t], state = encoder(x[t], state)               (B, T, H)
logits[t]   = h[t] W + b                         (B, T, V), of ids[t+1]

In training the encoder reads whole windows; in writing its cells take one step at a time, with the same weights.
"""

import keras
from keras import ops, tree

from keras_seq.checks import positive_integer, share
from keras_seq.layers import RNN, StackedRNNCells, TransformerCell
from keras_seq.layers.tokenizer import END, PADDING
from keras_seq.models.encoders import check_encoder, saved_encoder
from keras_seq.models.stack import Stack, is_transformer, runs_a_cell


@keras.saving.register_keras_serializable("keras_seq")
class LanguageNetwork(keras.layers.Layer):
    """From ids to the logits of the ids that come next.

    Args:
        size: of the vocabulary, `V`.
        encoder, units, depth, embedding_dim, num_heads, hidden_units, context, dropout, recurrent_dropout, lanes: as in
            `ks.models.language_model`.

    Call arguments:
        ids: `(B, T)`; 0, padding, may stand at the end.
        training: whether dropout acts.

    Returns:
        Logits `(B, T, V)`, in float32.
    """

    def __init__(
        self,
        size,
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size, self.units, self.depth = size, positive_integer("units", units), positive_integer("depth", depth)
        # Past Keras's tracking: what is given is copied, and its own weights, if it has any, are not the network's.
        object.__setattr__(self, "encoder", encoder)
        self.embedding_dim = self.units if embedding_dim is None else positive_integer("embedding_dim", embedding_dim)
        self.num_heads, self.hidden_units = num_heads, hidden_units
        self.context = None if context is None else positive_integer("context", context)
        self.dropout, self.recurrent_dropout = share("dropout", dropout), share("recurrent_dropout", recurrent_dropout)
        self.lanes = None if lanes is None else positive_integer("lanes", lanes)
        self._check()
        self._make()

    def _check(self):
        """Raise for an encoder that cannot take one step at a time, and for what does not go with it."""
        check_encoder("encoder", self.encoder, "transformer")
        transformer = is_transformer(self.encoder)
        if not transformer and not runs_a_cell(self.encoder):
            raise ValueError(
                "Argument `encoder` must read forwards, step by step: a name, a cell, or a recurrent layer with "
                f"go_backwards=False, got {type(self.encoder).__name__}."
            )
        if getattr(self.encoder, "stateful", False) and self.lanes is None:
            raise ValueError("Argument `encoder` is a stateful layer: give the rows of its batches as `lanes`, too.")
        if transformer and self.context is None:
            raise ValueError(
                "Argument `context` must say how many tokens a transformer attends to when it writes: give the length "
                "of the windows that it is trained on."
            )
        for name, wrong, where in (
            ("context", not transformer and self.context is not None, "a transformer"),
            ("lanes", transformer and self.lanes is not None, "a recurrent encoder, which has states to go on from"),
        ):
            if wrong:
                raise ValueError(f"Argument `{name}` is for {where}, and there is none: leave it out.")

    def _make(self):
        parts = {"dtype": self.dtype_policy}
        start = keras.initializers.RandomNormal(stddev=1.0)
        self.embedding = keras.layers.Embedding(self.size, self.embedding_dim, start, name="embedding", **parts)
        self.drop = keras.layers.Dropout(self.dropout, name="drop", **parts)
        self.reader = Stack(
            self.encoder,
            self.units,
            self.depth,
            num_heads=self.num_heads,
            hidden_units=self.hidden_units,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            return_sequences=True,
            causal=True,
            stateful=self.lanes is not None,
            name="encoder",
            **parts,
        )
        self.scores = keras.layers.Dense(self.size, name="scores", **parts)
        self.embedding.build((self.lanes, None))
        self.reader.build((self.lanes, None, self.embedding_dim))
        self.scores.build((None, None, self.reader.size))
        cells = [
            TransformerCell(part, self.context) if is_transformer(self.encoder) else part.cell
            for part in self.reader.parts
        ]
        writer = RNN(StackedRNNCells(cells, **parts), return_state=True, **parts)
        writer.build((None, None, self.units if is_transformer(self.encoder) else self.embedding_dim))
        object.__setattr__(self, "writer", writer)  # past Keras's tracking: its weights are those of the encoder
        self.built = True

    def call(self, ids, training=False):
        h, _ = self.reader(self.drop(self.embedding(ids), training=training), training=training)
        return self._logits(self.drop(h, training=training))

    def compute_output_spec(self, ids, training=False):
        return keras.KerasTensor((*ids.shape, self.size), "float32")

    def stepper(self, ids):
        """`(step, start, state)` for `ks.decoding`, which go on from ids `(B, S)`, padded at their ends with 0.

        The logits of what is never said, padding, unknown and start, are -inf. Rows without ids go on from END: where
        one text has ended, another begins.
        """
        lengths = ops.sum(ops.cast(ids != PADDING, "int32"), axis=1)  # (B,)
        ids = ops.pad(ids, [[0, 0], [0, 1]])  # no step at all is no sequence
        last = ops.take_along_axis(ids, ops.maximum(lengths - 1, 0)[:, None], axis=1)[:, 0]
        before = ops.arange(ops.shape(ids)[1]) < lengths[:, None] - 1
        cell = self.writer.cell
        _, *states = self.writer(self._entered(ids), mask=before)
        state = tree.pack_sequence_as(cell.get_initial_state(ops.shape(ids)[0]), tree.flatten(states))
        constants = cell.prepare(state)

        def step(tokens, state):
            h, state = cell.step(cell.project(self._entered(tokens)), state, constants)
            h = h if self.reader.norm is None else self.reader.norm(h)
            return ops.where(ops.arange(self.size) < END, float("-inf"), self._logits(h)), state

        return step, ops.where(lengths > 0, last, END), state

    def _entered(self, ids):
        """What the lowest cell reads of ids `(...)`: vectors `(..., E)`, in a transformer `(..., H)`."""
        x = self.embedding(ids)
        return x if self.reader.entry is None else self.reader.entry(x)

    def _logits(self, h):
        return ops.cast(self.scores(h), "float32")

    def get_config(self):
        names = "size units depth embedding_dim num_heads hidden_units context dropout recurrent_dropout lanes".split()
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "encoder": saved_encoder(self.encoder)}

    @classmethod
    def from_config(cls, config):
        encoder = config["encoder"]
        if isinstance(encoder, dict):
            config = {**config, "encoder": keras.saving.deserialize_keras_object(encoder)}
        return cls(**config)

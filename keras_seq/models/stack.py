"""Layers on top of each other that read a sequence: what `encoder=` means, with dropout between them."""

import keras
from keras import ops

from keras_seq.checks import positive_integer, share
from keras_seq.layers.stacked import asks_for
from keras_seq.models.decoders import transformer_blocks
from keras_seq.models.encoders import check_encoder, encoder_layers, is_cell


def is_transformer(encoder):
    return isinstance(encoder, str) and encoder == "transformer"


def runs_a_cell(encoder):
    """Whether an encoder is one cell that is run forwards: its states can be gone on from."""
    if isinstance(encoder, str):
        return encoder != "transformer"
    return is_cell(encoder) or (isinstance(encoder, keras.layers.RNN) and not encoder.go_backwards)


class Stack(keras.layers.Layer):
    """An encoder of some depth: `x, states = stack(x)`.

    Args:
        encoder: `"simple_rnn"`, `"lstm"`, `"gru"`, `"clockwork"`, a cell, a layer `(B, T, D)` to `(B, T, H)`, or
            `"transformer"`: blocks with norms first and positions that turn queries and keys, and a norm at the end.
        units, depth, bidirectional, recurrent_dropout: as of `encoder_layers`.
        num_heads, hidden_units: of a transformer.
        dropout: share dropped between layers, and inside of transformer blocks.
        return_sequences: whether `x` is what the top layer says at all steps, `(B, T, H)`, or in the end, `(B, H)`.
        causal: whether a step of a transformer attends to none after it.
        stateful: whether recurrent layers go on from the states in which the batch before left them.

    Returns:
        `x`, and the final states of each layer, a list of lists; empty ones where it leaves none.
    """

    def __init__(
        self,
        encoder,
        units,
        depth=1,
        bidirectional=False,
        num_heads=None,
        hidden_units=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        causal=False,
        stateful=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_encoder("encoder", encoder, "transformer")
        self.return_sequences = return_sequences
        self.entry = self.norm = None
        if is_transformer(encoder):
            self._check_heads(units, num_heads, bidirectional, recurrent_dropout)
            blocks = (depth, units, num_heads or 4, hidden_units, dropout, self.dtype_policy)
            self.parts = transformer_blocks(*blocks, causal)
            self.entry = keras.layers.Dense(units, name="entry", dtype=self.dtype_policy)
            self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm", dtype=self.dtype_policy)
        else:
            for name, given in (("num_heads", num_heads), ("hidden_units", hidden_units)):
                if given is not None:
                    raise ValueError(f"Argument `{name}` is for a transformer, and there is none: leave it out.")
            states = runs_a_cell(encoder) and not bidirectional
            how = (return_sequences, recurrent_dropout, states, self.dtype_policy, stateful)
            self.parts = encoder_layers(encoder, units, depth, bidirectional, *how)
        between = 0.0 if self.entry is not None else share("dropout", dropout)  # transformer blocks drop by themselves
        self.drops = [keras.layers.Dropout(between, dtype=self.dtype_policy) for _ in self.parts[1:]]

    @staticmethod
    def _check_heads(units, num_heads, bidirectional, recurrent_dropout):
        heads = positive_integer("num_heads", num_heads or 4)
        if units % (2 * heads):
            raise ValueError(
                f"Argument `units` must be a multiple of twice `num_heads` in a transformer, of {2 * heads}, got "
                f"{units}: positions turn pairs of the columns of each head."
            )
        for name, given in (("bidirectional", bidirectional), ("recurrent_dropout", recurrent_dropout)):
            if given:
                raise ValueError(f"Argument `{name}` is for a recurrent encoder, and there is none: leave it out.")

    def build(self, shape):
        if self.entry is not None:
            self.entry.build(shape)
            shape = (*shape[:-1], self.entry.units)
        x = keras.KerasTensor(shape, self.compute_dtype)
        for layer in self.parts:
            if not layer.built:
                layer.build(tuple(x.shape))
            x, _ = _parted(layer.compute_output_spec(x))
        if self.norm is not None:
            self.norm.build(tuple(x.shape))
        of_steps = len(x.shape) == 3 and x.shape[1] == shape[1]
        if not (of_steps or (len(x.shape) in (2, 3) and not self.return_sequences)):
            raise ValueError(
                f"Argument `encoder` must return a sequence as long as it reads, got shape {tuple(x.shape)} for "
                f'{tuple(shape)}: give a convolution padding="same" and no strides.'
            )
        self.size = x.shape[-1]
        self.built = True

    def call(self, x, training=False):
        x = x if self.entry is None else self.entry(x)
        states = []
        for level, layer in enumerate(self.parts):
            x = self.drops[level - 1](x, training=training) if level else x
            told = {"training": training} if asks_for(layer.call, "training") else {}
            x, left = _parted(layer(x, **told))
            states.append(left)
        x = x if self.norm is None else self.norm(x)
        return (x[:, -1] if len(x.shape) == 3 and not self.return_sequences else x), states


def _parted(returned):
    """The output of a layer, and a list of the states that it may return besides."""
    return (returned[0], list(returned[1:])) if isinstance(returned, (tuple, list)) else (returned, [])


def each_times(x, times):
    """Each row of `(B, …)` so many times, one after the other: `(B times, …)`."""
    return x if times == 1 else ops.repeat(x, times, axis=0)

"""The transformer block (Vaswani et al., 2017, arXiv 1706.03762, figure 1), encoder and decoder.

    x = x + attention(x)                    to the sequence itself
    x = x + memory_attention(x, memory)     a decoder's, if it reads a memory
    x = x + feed_forward(x)

After each sum a layer normalisation as in the paper (`norm_first=False`), or before each part (`norm_first=True`, Xiong
et al., 2020, arXiv 2002.04745: it trains without a warm-up; a stack of such blocks wants one more norm at its end).
"""

import keras
from keras import ops

from keras_seq import compat
from keras_seq.attention.multi_head import MultiHeadAttention, zeroed, zeroed_weights
from keras_seq.checks import check_mask, check_sequences, positive_integer, positive_number, share
from keras_seq.transformer.feed_forward import FeedForward


@keras.saving.register_keras_serializable("keras_seq")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a feed-forward part, and between them, for a decoder, attention to a memory.

    The parts are `attention`, `memory_attention` and `feed_forward`, with the norms `attention_norm` and so on.

    Args:
        units: size `D` of inputs and outputs.
        num_heads: number of heads; `D` must be a multiple of it.
        hidden_units: size of the layer inside of the feed-forward part; None for `4 D`.
        activation: of the feed-forward part, such as "relu" or "gelu".
        norm_first: whether norms stand before the parts or after the sums; see `keras_seq.transformer.block`.
        causal: whether a step attends only to steps up to itself.
        cross_attention: whether the block reads a memory.
        rotary: whether self-attention turns by positions; a number is the base (see `ks.layers.MultiHeadAttention`).
        sliding_window: a step attends to steps less than so many away.
        dropout: share dropped of what each part gives, of the activations inside of the feed-forward part, and of
            attention weights.
        use_bias: whether the attention parts have biases.
        norm_epsilon: what the norms add to the variance.
        kernel_initializer: how kernels start.
        seed: seed of the dropout.

    Call arguments:
        sequences: `(B, T, D)`.
        memory: `(B, S, M)`, with `cross_attention`.
        mask: booleans `(B, T)`, false where a step does not count; by default the mask that came with `sequences`.
        memory_mask: booleans `(B, S)`; by default the mask that came with `memory`.
        return_attention_scores: whether to return the weights too.
        training: whether dropout acts.

    Returns:
        `(B, T, D)`, zeros at masked steps; with `return_attention_scores` a tuple of it, the weights of self-attention
        `(B, N, T, T)`, and with `cross_attention` those over the memory `(B, N, T, S)`.

    Raises:
        ValueError: where `units` is no multiple of `num_heads`; for inputs of another size; for a memory that the block
            does not read, or that it lacks.

    Example:

    >>> TransformerBlock(8, num_heads=2, cross_attention=True)(np.ones((2, 7, 8)), np.ones((2, 11, 3))).shape
    TensorShape([2, 7, 8])
    """

    def __init__(
        self,
        units,
        num_heads,
        hidden_units=None,
        activation="relu",
        norm_first=True,
        causal=False,
        cross_attention=False,
        rotary=False,
        sliding_window=None,
        dropout=0.0,
        use_bias=True,
        norm_epsilon=1e-5,
        kernel_initializer="glorot_uniform",
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = positive_integer("units", units)
        self.num_heads = positive_integer("num_heads", num_heads)
        if units % num_heads:
            raise ValueError(
                f"Argument `units` must be a multiple of `num_heads`, got {units} and {num_heads}: the heads may be "
                f"{', '.join(str(n) for n in range(1, units + 1) if units % n == 0)}."
            )
        self.hidden_units = positive_integer("hidden_units", 4 * units if hidden_units is None else hidden_units)
        self.activation = keras.activations.get(activation)
        self.norm_first = norm_first
        self.causal = causal
        self.cross_attention = cross_attention
        self.rotary = rotary if isinstance(rotary, bool) else positive_number("rotary", rotary)
        if rotary and self.units // self.num_heads % 2:
            raise ValueError(
                f"Argument `rotary` turns pairs of columns: `units / num_heads` must be even, got "
                f"{units} / {num_heads}."
            )
        self.sliding_window = None if sliding_window is None else positive_integer("sliding_window", sliding_window)
        self.dropout = share("dropout", dropout)
        self.use_bias = use_bias
        self.norm_epsilon = positive_number("norm_epsilon", norm_epsilon)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.supports_masking = True
        self.autocast = False  # a cast loses the mask on Keras 3.13

    def build(self, sequences_shape, memory_shape=None):
        self._check_shapes(sequences_shape, memory_shape)
        step_shape = (None, None, self.units)
        self.attention = self._attention(self.rotary, self.sliding_window, "attention", 0)
        self.attention.build(step_shape, step_shape)
        names = ["attention", "feed_forward"]
        if self.cross_attention:
            self.memory_attention = self._attention(False, None, "memory_attention", 1)
            self.memory_attention.build(step_shape, (None, None, memory_shape[-1]))
            names.insert(1, "memory_attention")
        self.feed_forward = FeedForward(
            self.hidden_units,
            self.activation,
            dropout=self.dropout,
            kernel_initializer=self.kernel_initializer,
            seed=self._seed(2),
            dtype=self.dtype_policy,
            name="feed_forward",
        )
        self.feed_forward.build(step_shape)
        for place, name in enumerate(names):
            norm = keras.layers.LayerNormalization(
                epsilon=self.norm_epsilon, dtype=self.dtype_policy, name=f"{name}_norm"
            )
            norm.build(step_shape)
            setattr(self, f"{name}_norm", norm)
            drop = keras.layers.Dropout(
                self.dropout, seed=self._seed(3 + place), dtype=self.dtype_policy, name=f"{name}_drop"
            )
            setattr(self, f"{name}_drop", drop)
        self.built = True

    def _attention(self, rotary, sliding_window, name, place):
        return MultiHeadAttention(
            self.num_heads,
            self.units // self.num_heads,
            dropout=self.dropout,
            use_bias=self.use_bias,
            output_shape=self.units,
            kernel_initializer=self.kernel_initializer,
            rotary=rotary,
            sliding_window=sliding_window,
            seed=self._seed(place),
            dtype=self.dtype_policy,
            name=name,
        )

    def _seed(self, place):
        """A seed for each place where something is dropped: with one for all, masks of one shape would be alike."""
        return None if self.seed is None else self.seed + place

    def check_size(self, shape):
        """Raise unless inputs `(..., D)` are of size `units`."""
        if shape[-1] != self.units:
            raise ValueError(
                f"Layer {self.name!r} adds to its inputs, which must be of size `units`, {self.units}, got inputs of "
                f"shape {tuple(shape)}: put a keras.layers.Dense({self.units}) before it."
            )

    def _check_shapes(self, sequences_shape, memory_shape):
        check_sequences(self, [sequences_shape])
        self.check_size(sequences_shape)
        if self.cross_attention and memory_shape is None:
            raise ValueError(f"Layer {self.name!r} has `cross_attention`: call it with a `memory` (B, S, M).")
        if memory_shape is not None and not self.cross_attention:
            raise ValueError(f"Layer {self.name!r} was given a `memory` and reads none: set `cross_attention`.")

    def call(
        self,
        sequences,
        memory=None,
        mask=None,
        memory_mask=None,
        return_attention_scores=False,
        training=False,
    ):
        self._check_shapes(sequences.shape, None if memory is None else memory.shape)
        mask = compat.mask_of(sequences) if mask is None else mask
        check_mask(self, mask, sequences)
        if memory is not None:
            memory_mask = compat.mask_of(memory) if memory_mask is None else memory_mask
            check_mask(self, memory_mask, memory, "memory_mask")
        mask = None if mask is None else ops.cast(mask, "bool")
        x = ops.cast(sequences, self.compute_dtype)
        scores = []

        def attention(h):
            # Not by its call, which would make zeros of masked steps once more.
            keep = self.attention.keep(h, h, mask, mask, causal=self.causal)
            asked = {"weighed": return_attention_scores, "training": training}
            output, a = self.attention.attended(h, h, h, mask, mask, keep, **asked)
            if return_attention_scores:
                scores.append(zeroed_weights(a, mask))
            return output

        def memory_attention(h):
            how = {"query_mask": mask, "value_mask": memory_mask, "training": training}
            if not return_attention_scores:
                return self.memory_attention(h, memory, **how)
            output, a = self.memory_attention(h, memory, **how, return_attention_scores=True)
            scores.append(a)
            return output

        x = self.through(zeroed(x, mask), attention, memory_attention, training)
        x = zeroed(x, mask)
        return (x, *scores) if return_attention_scores else x

    def through(self, x, attention, memory_attention, training=False):
        """The block as its figure draws it, with its two kinds of attention given as functions of `(..., D)`."""
        x = self._added("attention", x, attention, training)
        if self.cross_attention:
            x = self._added("memory_attention", x, memory_attention, training)
        return self._added("feed_forward", x, lambda h: self.feed_forward(h, training=training), training)

    def _added(self, name, x, part, training):
        """`x` and what a part makes of it, with the norm before or after."""
        norm, drop = getattr(self, f"{name}_norm"), getattr(self, f"{name}_drop")
        if self.norm_first:
            return x + drop(part(norm(x)), training=training)
        return norm(x + drop(part(x), training=training))

    def compute_mask(self, sequences, mask=None):
        return mask

    def compute_output_spec(
        self,
        sequences,
        memory=None,
        mask=None,
        memory_mask=None,
        return_attention_scores=False,
        training=False,
    ):
        self._check_shapes(sequences.shape, None if memory is None else memory.shape)
        check_mask(self, mask, sequences)
        spec = keras.KerasTensor(sequences.shape, self.compute_dtype)
        if not return_attention_scores:
            return spec
        batch, length = sequences.shape[:2]
        lengths = [length, *([memory.shape[1]] if self.cross_attention else [])]
        return spec, *(keras.KerasTensor((batch, self.num_heads, length, keys), self.compute_dtype) for keys in lengths)

    def compute_output_shape(self, sequences_shape, memory_shape=None):
        return tuple(sequences_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
            "norm_first": self.norm_first,
            "causal": self.causal,
            "cross_attention": self.cross_attention,
            "rotary": self.rotary,
            "sliding_window": self.sliding_window,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "norm_epsilon": self.norm_epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "seed": self.seed,
        }

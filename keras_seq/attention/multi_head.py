"""Multi-head attention (Vaswani et al., 2017, arXiv 1706.03762, eq. 1 and section 3.2.2), in the letters of Keras:

q = query Q + b_q,  k = key K + b_k,  v = value V + b_v         for each of N heads
a = softmax over the kept s of  q[t] . k[s] / sqrt(C)           (B, N, T, S)
output[t] = sum over heads of (sum over s of a[t, s] v[s]) O + b_o
"""

import inspect

import keras
import numpy as np
from keras import ops

from keras_seq import compat
from keras_seq.attention.rotary import kept_positions, rotary
from keras_seq.attention.scores import LOWEST, scaled
from keras_seq.backend import native
from keras_seq.backend.loop import zero_where_masked
from keras_seq.checks import check_mask, positive_integer, positive_number


def attend(query, keys, values, keep=None, drop=None, weighed=False):
    """`(output, a)`: attention of each head by itself, with its weights if they are asked for.

    Args:
        query, keys, values: `(B, T, N, C)`, `(B, S, N, C)`, `(B, S, N, C')`.
        keep: booleans that broadcast to `(B, N, T, S)`, or None. A query for which nothing is kept gives a mean of no
            meaning, which the caller replaces.
        drop: None, or a function of the weights, such as dropout, whose result is used in their place; `a` are those
            before.
        weighed: whether the weights are asked for.

    Returns:
        `(B, T, N, C')`, and `(B, N, T, S)` or None.
    """
    # Keras's has fused implementations on other devices than CPUs, and fewer operations, which tells for one row. It is
    # not exact in double precision.
    precision = keras.backend.standardize_dtype(query.dtype)
    serves = native.device() != "cpu" or query.shape[0] == 1
    # (And its products may leave the range of float16; of other sizes JAX takes none.)
    serves = serves and precision not in ("float64", "float16") and query.shape[-1] == values.shape[-1]
    if serves and drop is None and not weighed:
        whole = None if keep is None else ops.broadcast_to(keep, _scores_shape(query, keys))
        return ops.dot_product_attention(query, keys, values, mask=whole), None
    scores = ops.einsum("btnc,bsnc->bnts", *scaled(query, keys))
    scores = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
    if keep is not None:  # added, which is faster than chosen: what is to be added is small until it is broadcast
        scores = scores + ops.where(keep, ops.zeros((), scores.dtype), ops.cast(LOWEST, scores.dtype))
    a = ops.cast(ops.softmax(scores, axis=-1), values.dtype)
    return ops.einsum("bnts,bsnc->btnc", a if drop is None else drop(a), values), a if weighed else None


def _scores_shape(query, keys):
    return ops.shape(query)[0], query.shape[2], ops.shape(query)[1], ops.shape(keys)[1]


@keras.saving.register_keras_serializable("keras_seq")
class MultiHeadAttention(keras.layers.MultiHeadAttention):
    """Attention of several heads: of a sequence to itself, or to another.

    Drop-in for `keras.layers.MultiHeadAttention`. What is different: a query that is masked, or that may attend to
    nothing at all, gives zeros, and so does a head that may attend to nothing before the output is made of the heads;
    what stands at masked steps counts in no way, be it NaN; rotary positions and windows count kept steps, so that
    there results do not depend on how rows are padded (a causal mask counts places, as in Keras: the same for a
    sequence to itself); and decoding step by step has a cache (`ks.layers.TransformerCell`).

    Args:
        num_heads, key_dim, value_dim … seed: as in `keras.layers.MultiHeadAttention`, as it is installed.
        rotary: whether queries and keys are turned by their positions (see `keras_seq.attention.rotary`); a number is
            the base of the wavelengths, True is 10000.
        sliding_window: a query attends to keys less than so many positions away (the installed Keras may have it, too).

    Call arguments:
        query: `(B, T, D)`.
        value: `(B, S, D')`.
        key: `(B, S, D'')`; by default `value`.
        query_mask, value_mask, key_mask: booleans `(B, T)`, `(B, S)`, `(B, S)`; by default the masks that came with
            the tensors.
        attention_mask: booleans `(B, T, S)`, or `(B, N, T, S)`: which keys each query may attend to.
        return_attention_scores: whether to return the weights beside the output.
        training: whether dropout acts.
        use_causal_mask: whether a query attends only to keys up to its own place.

    Returns:
        `(B, T, D)`, or `(B, T, *output_shape)`; with `return_attention_scores` a tuple of it and the weights
        `(B, N, T, S)`.

    Raises:
        ValueError: for `rotary` with an odd `key_dim`; for `rotary`, or a `sliding_window` that the installed Keras
            does not have, with inputs of other than three axes. (With such inputs, with `flash_attention`, and in a
            subclass that writes parts of Keras's attention anew, this layer is Keras's own, masks included.)

    Example:

    >>> x = np.ones((2, 7, 4))
    >>> MultiHeadAttention(2, 6, rotary=True)(x, x, use_causal_mask=True).shape
    TensorShape([2, 7, 4])
    """

    def __init__(self, *args, **kwargs):
        given = _SIGNATURE.bind(self, *args, **kwargs).arguments
        given.update(given.pop("kwargs", {}))
        rotary, window = given.pop("rotary", False), given.get("sliding_window")
        if "sliding_window" not in _OF_KERAS:
            given.pop("sliding_window", None)
        given.pop("self")
        given = {name: int(one) if isinstance(one, np.integer) else one for name, one in given.items()}  # for files
        super().__init__(**given)
        for name in ("num_heads", "key_dim"):
            positive_integer(name, given[name])
        self.autocast = False  # a cast loses the mask on Keras 3.13
        if rotary and self.key_dim % 2:
            raise ValueError(f"Argument `rotary` turns pairs of columns: `key_dim` must be even, got {self.key_dim}.")
        self.rotary = rotary if isinstance(rotary, bool) else positive_number("rotary", rotary)
        self.sliding_window = None if window is None else positive_integer("sliding_window", window)
        self.flash_attention = given.get("flash_attention")

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        masks = {"query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask}
        how = {"return_attention_scores": return_attention_scores, "training": training}
        if not self._is_ours(query, value):
            query, value, key = map(self._cast_with_mask, (query, value, key))
            how.update(attention_mask=attention_mask, use_causal_mask=use_causal_mask)
            return super().call(query, value, key, **masks, **how)
        query_keep, key_keep = self._masks(query, value, key, **masks)
        same, key = value is query and key_keep is query_keep, None if key is value else key
        query = self._clean(query, query_keep)
        value = query if same else self._clean(value, key_keep)
        key = value if key is None else self._clean(key, key_keep)
        keep = self.keep(query, key, query_keep, key_keep, attention_mask, use_causal_mask)
        output, a = self.attended(query, key, value, query_keep, key_keep, keep, return_attention_scores, training)
        # What may leave a query without a key. (A query is never too far from itself.)
        hides = key_keep is not None or attention_mask is not None or (self.sliding_window and key is not query)
        answered = _answered(query_keep, keep if hides else None)
        output = zeroed(output, answered)
        if key is not query and not key.shape[1]:  # no keys, or none as the graph runs
            output = zeroed(output, ops.convert_to_tensor(ops.shape(key)[1] > 0))
        return (output, zeroed_weights(a, answered)) if return_attention_scores else output

    def _cast_with_mask(self, tensor):
        """A tensor as Keras's own attention reads it: in the dtype of this layer, with the mask that came with it."""
        if tensor is None or keras.backend.standardize_dtype(tensor.dtype) == self.compute_dtype:
            return tensor
        return compat.with_mask(ops.cast(tensor, self.compute_dtype), compat.mask_of(tensor))

    def _clean(self, sequence, keep):
        """A sequence in the dtype that this layer computes in, zero where it is masked."""
        return zeroed(ops.cast(sequence, self.compute_dtype), keep)

    def attended(self, query, key, value, query_keep, key_keep, keep, weighed=False, training=False):
        """`(output, a)`, where nothing is NaN at masked steps: what stands there in the output has no meaning.

        Args:
            query, key, value: `(B, T, D)`, `(B, S, D'')`, `(B, S, D')`.
            query_keep, key_keep: their masks, booleans `(B, T)`, `(B, S)`, or None.
            keep: what `keep` gave for them.
            weighed: whether the weights are asked for; else `a` is None.
            training: whether dropout acts.
        """
        q, k, v = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        if self.rotary:
            of_query, of_key = self._positions(query, key, query_keep, key_keep)
            q, k = self.turned(q, of_query), self.turned(k, of_key)
        gate, dropout = compat.attention_parts(self)
        drop = (lambda a: dropout(a, training=True)) if training and self.dropout else None
        output, a = attend(q, k, v, keep, drop, weighed)
        if keep is not None and keep.shape[1] != 1:  # a mask for each head may hide all from one
            found = ops.any(keep, axis=3, keepdims=True)  # (B, N, T, 1)
            output = ops.where(ops.swapaxes(found, 1, 2), output, ops.zeros_like(output))
            a = ops.where(found, a, ops.zeros_like(a)) if weighed else None
        return self.output_dense(output if gate is None else output * gate(query)), a

    def _is_ours(self, query, value):
        """Whether this layer attends by itself, or as `keras.layers.MultiHeadAttention`."""
        ours = len(query.shape) == len(value.shape) == 3 and not self.flash_attention and compat.attention_parts(self)
        only_here = {"rotary": self.rotary, "sliding_window": self.sliding_window and "sliding_window" not in _OF_KERAS}
        for name, is_set in only_here.items():
            if is_set and not ours:
                raise ValueError(
                    f"Argument `{name}` of layer {self.name!r} is for sequences (B, T, D), without `flash_attention` "
                    f"and parts of Keras's attention written anew, got inputs of shapes {tuple(query.shape)} and "
                    f"{tuple(value.shape)}."
                )
        return ours

    def _masks(self, query, value, key, query_mask, value_mask, key_mask):
        """The mask of the query `(B, T)`, and that of the keys `(B, S)`, booleans or None."""
        query_keep = _mask_of(self, query, query_mask, "query_mask")
        key_keep = _mask_of(self, value, value_mask, "value_mask")
        if value is query and value_mask is query_mask:
            key_keep = query_keep
        if key is None or key is value:
            return query_keep, key_keep
        of_key = _mask_of(self, key, key_mask, "key_mask")
        both = key_keep is not None and of_key is not None
        return query_keep, ops.logical_and(key_keep, of_key) if both else (of_key if key_keep is None else key_keep)

    def _positions(self, query, key, query_keep, key_keep):
        """Positions of queries and keys, `(B, T)` and `(B, S)`."""
        of_query = kept_positions(query_keep, ops.shape(query)[1])
        return of_query, of_query if key is query else kept_positions(key_keep, ops.shape(key)[1])

    def turned(self, vectors, positions):
        """Queries or keys `(B, T, N, C)` as their positions `(B, T)` turn them; see `rotary`."""
        return rotary(vectors, positions, 10_000.0 if self.rotary is True else self.rotary)

    def keep(self, query, key, query_keep, key_keep, attention_mask=None, causal=False):
        """Which keys each query may attend to: booleans that broadcast to `(B, N, T, S)`, or None for all."""
        parts = [] if key_keep is None else [key_keep[:, None, None, :]]
        if attention_mask is not None:
            mask = ops.cast(attention_mask, "bool")
            mask = ops.expand_dims(mask, -3) if len(mask.shape) < 4 else mask  # the axis of heads
            parts.append(mask if len(mask.shape) == 4 else ops.expand_dims(mask, 0))
        if causal:
            until = ops.arange(ops.shape(query)[1])[:, None] >= ops.arange(ops.shape(key)[1])
            parts.append(until[None, None])
        if self.sliding_window:
            of_query, of_key = self._positions(query, key, query_keep, key_keep)
            near = ops.abs(of_query[:, :, None] - of_key[:, None, :]) < self.sliding_window
            parts.append(near[:, None])
        keep = None
        for part in parts:
            keep = part if keep is None else ops.logical_and(keep, part)
        return keep

    def compute_output_spec(self, query, value, key=None, *args, **kwargs):
        ours = self._is_ours(query, value)
        spec = super().compute_output_spec(query, value, key, *args, **kwargs)
        if not ours or not isinstance(spec, tuple):
            return spec
        shape = (query.shape[0], self.num_heads, query.shape[1], value.shape[1])  # Keras's has T in place of S
        return spec[0], keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        own = {"rotary": self.rotary, "sliding_window": self.sliding_window, "flash_attention": self.flash_attention}
        return {**super().get_config(), **own}


_OF_KERAS = inspect.signature(keras.layers.MultiHeadAttention.__init__).parameters


def _signature():
    """That of the installed Keras, with our arguments by keyword alone."""
    *named, rest = _OF_KERAS.values()
    defaults = {
        name: value for name, value in {"sliding_window": None, "rotary": False}.items() if name not in _OF_KERAS
    }
    own = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value) for name, value in defaults.items()]
    return inspect.Signature([*named, *own, rest])


_SIGNATURE = _signature()
MultiHeadAttention.__init__.__signature__ = _SIGNATURE


def _mask_of(layer, tensor, mask, name):
    """The mask given for a sequence, or the one that came with it, as booleans `(B, T)`; None if there is none."""
    mask = compat.mask_of(tensor) if mask is None else mask
    check_mask(layer, mask, tensor, name)
    return None if mask is None else ops.cast(mask, "bool")


def zeroed(sequence, keep):
    """Steps `(B, T, ...)` that are not kept as zeros: NaN times a weight of zero would be NaN, also in gradients."""
    return sequence if keep is None else zero_where_masked(sequence, keep)


def zeroed_weights(a, keep):
    """Weights `(B, N, T, S)` with zeros for the queries that are not kept."""
    return a if keep is None else ops.where(keep[:, None, :, None], a, ops.zeros_like(a))


def _answered(query_keep, keep):
    """Which queries are kept and have a key to attend to: booleans `(B, T)`, or None for all of them."""
    if keep is None:
        return query_keep
    found = ops.any(keep, axis=(1, 3))
    return found if query_keep is None else ops.logical_and(query_keep, found)

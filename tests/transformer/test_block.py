"""`TransformerBlock` against the oracle and against PyTorch's layers on the same weights."""

import math

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests import oracle
from tests.cases import EXACT, B, M, S, T, arrays, padded, randomize

L = ks.layers
D, N, F = 6, 3, 17  # features, heads and hidden units


def erf_gelu(x):
    return np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2)(x)


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "gelu": erf_gelu}


def expected(x, memory, keep, memory_keep, weights, activation, norm_first, causal):
    """One row, by the figure of the paper."""
    cross = memory is not None
    norms, attention, cross_attention = weights["norms"], weights["attention"], weights["memory_attention"]

    def feed_forward(h):
        W1, b1, W2, b2 = weights["feed_forward"]
        return ACTIVATIONS[activation](h @ W1 + b1) @ W2 + b2

    own = keep[:, None] & keep[None]
    own = own & np.tri(T, dtype=bool) if causal else own
    parts = [lambda h: oracle.multi_head(h, h, attention, own)[0]]
    if cross:
        parts.append(lambda h: oracle.multi_head(h, memory, cross_attention, keep[:, None] & memory_keep[None])[0])
    parts.append(feed_forward)
    for part, (gamma, beta) in zip(parts, norms, strict=True):

        def norm(a, gamma=gamma, beta=beta):
            return oracle.layer_norm(a, gamma, beta, 1e-5)

        x = x + part(norm(x)) if norm_first else norm(x + part(x))
    return np.where(keep[:, None], x, 0)


def weights_of(block):
    names = (
        ["attention", "memory_attention", "feed_forward"] if block.cross_attention else ["attention", "feed_forward"]
    )
    found = {name: getattr(block, name).get_weights() for name in names}
    return {"memory_attention": None, **found, "norms": [getattr(block, f"{n}_norm").get_weights() for n in names]}


@pytest.mark.usefixtures("steps_in_python")
@pytest.mark.parametrize("norm_first", [True, False], ids=["pre", "post"])
@pytest.mark.parametrize("cross", [True, False], ids=["decoder", "encoder"])
@pytest.mark.parametrize(("activation", "causal"), [("relu", True), ("gelu", False)])
def test_against_the_oracle(norm_first, cross, activation, causal, rng):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        block = L.TransformerBlock(
            D, N, F, activation, norm_first=norm_first, causal=causal, cross_attention=cross, dtype="float64"
        )
        x, mask = padded(rng, (B, T, D))
        memory, memory_mask = rng.normal(size=(len(x), S, M)), rng.random((len(x), S)) < 0.6
        given = {"memory": memory, "memory_mask": memory_mask} if cross else {}
        block(x, **given)
        randomize(block, rng)
        found = arrays(block(x, mask=mask, **given))[0]
    finally:
        keras.config.set_dtype_policy(before)
    for row in range(len(x)):
        of_memory = (memory[row], memory_mask[row]) if cross else (None, None)
        one = (x[row], of_memory[0], mask[row], of_memory[1], weights_of(block), activation, norm_first, causal)
        exact = EXACT * 1000 if activation == "relu" else 5e-6  # Keras's gelu has constants of single precision
        np.testing.assert_allclose(found[row][mask[row]], expected(*one)[mask[row]], atol=exact)
        assert not found[row][~mask[row]].any()


def from_torch(module, block):
    """The weights of a layer of PyTorch, part by part."""

    def array(name):
        return module.state_dict()[name].numpy()

    def attention(name):
        rows = array(f"{name}.in_proj_weight").reshape(3, N, D // N, D)
        biases = array(f"{name}.in_proj_bias").reshape(3, N, D // N)
        projections = [part for i in range(3) for part in (rows[i].transpose(2, 0, 1), biases[i])]
        return [*projections, array(f"{name}.out_proj.weight").T.reshape(N, D // N, D), array(f"{name}.out_proj.bias")]

    block.attention.set_weights(attention("self_attn"))
    names = ["attention_norm", "feed_forward_norm"]
    if block.cross_attention:
        block.memory_attention.set_weights(attention("multihead_attn"))
        names.insert(1, "memory_attention_norm")
    for place, name in enumerate(names, start=1):
        getattr(block, name).set_weights([array(f"norm{place}.weight"), array(f"norm{place}.bias")])
    dense = [array(f"linear{i}.{kind}") for i in (1, 2) for kind in ("weight", "bias")]
    block.feed_forward.set_weights([w.T for w in dense])


@pytest.mark.parametrize("norm_first", [True, False], ids=["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("decoder", [False, True], ids=["encoder", "decoder"])
def test_against_torch(norm_first, activation, decoder, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'keras_seq[torch]'")
    torch.manual_seed(7)
    kind = torch.nn.TransformerDecoderLayer if decoder else torch.nn.TransformerEncoderLayer
    module = kind(D, N, F, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    module.eval()
    block = L.TransformerBlock(D, N, F, activation, norm_first=norm_first, causal=decoder, cross_attention=decoder)
    x, memory = (rng.normal(size=(B, length, D)).astype("float32") for length in (T, S))
    mask, memory_mask = np.arange(T) < np.array([[T], [4]]), np.arange(S) < np.array([[5], [S]])
    given = (x, memory) if decoder else (x,)
    masks = {"mask": mask, "memory_mask": memory_mask} if decoder else {"mask": mask}
    block(*given)
    with torch.no_grad():
        from_torch(module, block)
        hidden = {"src_key_padding_mask": torch.tensor(~mask)}
        if decoder:
            hidden = {
                "tgt_key_padding_mask": torch.tensor(~mask),
                "memory_key_padding_mask": torch.tensor(~memory_mask),
                "tgt_mask": torch.tensor(~np.tri(T, dtype=bool)),
            }
        theirs = module(*map(torch.tensor, given), **hidden).numpy()
    np.testing.assert_allclose(arrays(block(*given, **masks))[0][mask], theirs[mask], atol=3e-5)


def test_scores_are_returned_on_demand(rng):
    block = L.TransformerBlock(D, N, F, causal=True, cross_attention=True)
    x, memory = rng.normal(size=(B, T, D)), rng.normal(size=(B, S, M))
    y, own, across = block(x, memory, return_attention_scores=True)
    np.testing.assert_allclose(y, block(x, memory), atol=1e-6)
    assert own.shape == (B, N, T, T)
    assert across.shape == (B, N, T, S)
    np.testing.assert_allclose(arrays(own)[0].sum(-1), 1, atol=1e-5)
    assert not np.triu(arrays(own)[0], 1).any()
    symbolic = block(keras.Input((None, D)), keras.Input((None, M)), return_attention_scores=True)
    assert [s.shape for s in symbolic] == [(None, None, D), (None, N, None, None), (None, N, None, None)]


def test_dropout_acts_in_training_alone_and_differs_from_part_to_part(rng):
    block = L.TransformerBlock(D, N, F, dropout=0.5, seed=5)
    x = rng.normal(size=(B, T, D)).astype("float32")
    quiet = arrays(block(x))[0]
    np.testing.assert_array_equal(arrays(block(x))[0], quiet)
    assert np.abs(arrays(block(x, training=True))[0] - quiet).max() > 0.1
    ones = np.ones((B, T, D), "float32")
    a, b = (arrays(drop(ones, training=True))[0] for drop in (block.attention_drop, block.feed_forward_drop))
    assert (a != b).any()
    rates = [part.dropout for part in (block.attention, block.feed_forward)]
    assert rates == [0.5, 0.5]  # of weights, and of activations


def test_weights_of_one_shape_start_apart():
    feed_forward = L.FeedForward(D)  # two square kernels
    feed_forward.build((B, T, D))
    first, _, second, _ = feed_forward.get_weights()
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: L.TransformerBlock(7, 2), "units.*multiple of `num_heads`, got 7 and 2.*1, 7"),
        (lambda: L.TransformerBlock(D, 0), "num_heads.*positive"),
        (lambda: L.TransformerBlock(D, N)(np.ones((B, T, D + 1))), "size `units`, 6, got.*7"),
        (lambda: L.TransformerBlock(D, N, cross_attention=True)(np.ones((B, T, D))), "call it with a `memory`"),
        (lambda: L.TransformerBlock(D, N)(np.ones((B, T, D)), np.ones((B, S, M))), "reads none"),
        (lambda: L.TransformerBlock(D, N)(np.ones((B, T, D)), mask=np.ones((B, S), bool)), "mask.*(B, T)"),
        (lambda: L.TransformerBlock(D, N)(np.ones((B, D))), r"sequences \(B, T, D\)"),
        (
            lambda: L.TransformerBlock(D, N, cross_attention=True)(
                np.ones((B, T, D)), np.ones((B, S, M)), memory_mask=np.ones((B, T), bool)
            ),
            "`memory_mask`",
        ),
        (lambda: L.TransformerBlock(D, N, dropout=1.0), "dropout.*below 1, got 1.0"),
        (lambda: L.TransformerBlock(D, N, sliding_window=0), "sliding_window.*positive"),
        (lambda: L.TransformerBlock(D, 2, rotary=True), "rotary.*even, got 6 / 2"),
        (lambda: L.TransformerBlock(D, N, rotary=-1.0), "rotary.*positive"),
        (lambda: L.FeedForward(0), "hidden_units.*positive"),
        (lambda: L.FeedForward(3, dropout=-0.1), "dropout.*at least 0"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()

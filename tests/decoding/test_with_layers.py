"""Decoders over the cells that attend: to a memory, and to what was decoded so far."""

import keras
import numpy as np
import pytest

import keras_seq as ks
from tests.cases import M, S, arrays, close, randomize

L = ks.layers
V, D, N, LENGTH = 19, 6, 3, 5


def around(rng):
    """An embedding and a dense layer of random weights."""
    embed, head = keras.layers.Embedding(V, D), keras.layers.Dense(V)
    embed.build((None,))
    head.build((None, D))
    return randomize(embed, rng, 3.0), randomize(head, rng, 1.0)


def test_a_transformer_decodes_from_its_caches_as_from_full_passes(rng):
    """Two blocks with a memory; of each row, the tokens that full passes over what was decoded so far give."""
    embed, head = around(rng)
    blocks = [L.TransformerBlock(D, N, 17, causal=True, rotary=True, cross_attention=True) for _ in range(2)]
    for block in blocks:
        block.build((None, None, D), (None, None, M))
        randomize(block, rng, 1.0)
    cells = [L.TransformerCell(block, LENGTH) for block in blocks]
    memory, keep = rng.normal(size=(2, S, M)).astype("float32"), rng.random((2, S)) < 0.7
    constants = [c.prepare(c.get_initial_state(2), memory=keras.ops.array(memory), memory_mask=keep) for c in cells]

    def step(tokens, states):
        h, new_states = embed(tokens), []
        for cell, state, constant in zip(cells, states, constants, strict=True):
            h, state = cell.step(cell.project(h), state, constant)
            new_states.append(state)
        return head(h), new_states

    states = [cell.get_initial_state(2) for cell in cells]
    found = arrays(ks.decoding.greedy(step, np.array([1, 2]), states, end=None, max_length=LENGTH))
    tokens = np.array([[1], [2]])
    for _ in range(LENGTH):
        h = embed(tokens)
        for block in blocks:
            h = block(h, memory, memory_mask=keep)
        tokens = np.concatenate([tokens, arrays(head(h))[0][:, -1:].argmax(-1)], axis=1)
    np.testing.assert_array_equal(found[0], tokens[:, 1:])
    assert len(np.unique(found[0])) > 2


@pytest.mark.parametrize("attend", ["before", "after"])
def test_a_beam_search_with_attention_is_that_of_each_row(attend, rng):
    """Beams follow their states, and each reads the memory of its row: alone, a row gives the same."""
    embed, head = around(rng)
    cell = L.AttentionCell(L.GRUCell(D), "general", attend, attention_units=D, input_feeding=True)
    cell.build((None, D), (None, S, M))
    randomize(cell, rng, 1.5)
    memory = rng.normal(size=(3, S, M)).astype("float32")

    def search(memory, start):
        tiled = ks.decoding.tile_beams(memory, 4)
        constants = cell.prepare(cell.get_initial_state(4 * len(start)), memory=tiled)

        def step(tokens, states):
            output, states = cell.step(cell.project(embed(tokens)), states, constants)
            return head(output), states

        how = {"end": 0, "max_length": LENGTH, "width": 4, "n_best": 3, "length_penalty": 0.6}
        return ks.decoding.beam_search(step, start, cell.get_initial_state(len(start)), **how)

    start = np.array([1, 2, 3])
    together = arrays(search(memory, start))
    for row in range(3):
        alone = arrays(search(memory[row : row + 1], start[row : row + 1]))
        np.testing.assert_array_equal(together[0][row], alone[0][0])
        close([together[2][row]], [alone[2][0]], atol=1e-4, rtol=1e-4)
    assert len({tuple(t) for t in together[0].reshape(-1, LENGTH)}) > 5

"""Decoders: loops over `step(tokens, state) -> (logits, state)` that know no model."""

from keras_seq.decoding.beam import beam_search, tile_beams
from keras_seq.decoding.greedy import greedy, sample
from keras_seq.decoding.loop import Decoded

__all__ = ["Decoded", "beam_search", "greedy", "sample", "tile_beams"]

"""Networks of sequence-to-sequence models of all kinds, with random weights."""

import keras
import numpy as np

import keras_seq as ks
from keras_seq.models.encoder_decoder import EncoderDecoder

SOURCE, TARGET, UNITS = 17, 19, 6  # sizes of the vocabularies
B, S, T = 3, 7, 5

KINDS = {
    "gru": {},
    "lstm": {"encoder": "lstm", "depth": 2, "bidirectional": True, "attention": "general", "input_feeding": True},
    "simple_rnn": {"encoder": "simple_rnn", "attention": "normalized_additive", "input_feeding": True},
    "no attention": {"encoder": "lstm", "attention": None, "depth": 2, "shared_embeddings": "target"},
    "no attention, both ways": {"encoder": "gru", "attention": None, "bidirectional": True, "embedding_dim": 4},
    "transformer": {"encoder": "transformer", "depth": 2, "shared_embeddings": "target", "hidden_units": 11},
    "transformer to gru": {"encoder": "transformer", "decoder": "gru", "attention": "scaled_dot"},
    "gru to transformer": {"decoder": "transformer", "bidirectional": True},
    "convolution": {"encoder": keras.layers.Conv1D(5, 3, padding="same"), "decoder": "gru", "depth": 2},
    "cell": {"encoder": ks.layers.LayerNormLSTMCell(5), "attention": ks.layers.AdditiveScore(3)},
    "layer": {"encoder": ks.layers.Bidirectional(ks.layers.GRU(5)), "shared_embeddings": "target"},
    "of keras": {"encoder": keras.layers.LSTM(5), "decoder": ks.layers.GRUCell(4), "attention": "additive"},
}


def network_of(kind=None, **arguments):
    arguments = {"units": UNITS, "dropout": 0.3, **(KINDS[kind] if kind else {}), **arguments}
    if "transformer" in (arguments.get("encoder"), arguments.get("decoder")):
        arguments.setdefault("num_heads", 3)
    network = EncoderDecoder(SOURCE, TARGET, T, **arguments)
    rng = np.random.default_rng(5)
    for weight in network.weights:  # biases too
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(rng.normal(size=weight.shape) * 0.4)
    return network

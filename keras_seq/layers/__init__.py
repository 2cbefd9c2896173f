"""All layers and cells, under the names a Keras user expects."""

from keras_seq.attention import (
    AdditiveScore,
    AttentionCell,
    AttentionPooling,
    DotScore,
    GeneralScore,
    MultiHeadAttention,
)
from keras_seq.cells import (
    ClockworkRNNCell,
    GRUCell,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LayerNormSimpleRNNCell,
    LSTMCell,
    PeepholeLSTMCell,
    SimpleRNNCell,
)
from keras_seq.layers.bidirectional import Bidirectional
from keras_seq.layers.linear import DLinear, NLinear
from keras_seq.layers.pooling import SequencePooling
from keras_seq.layers.quantiles import QuantileHead, monotone_quantiles
from keras_seq.layers.recurrent import (
    DNC,
    GRU,
    LSTM,
    NTM,
    ClockworkRNN,
    LayerNormGRU,
    LayerNormLSTM,
    LayerNormSimpleRNN,
    PeepholeLSTM,
    SimpleRNN,
)
from keras_seq.layers.reversible_norm import ReversibleNorm
from keras_seq.layers.rnn import RNN
from keras_seq.layers.stacked import StackedRNNCells
from keras_seq.layers.streaming import streaming
from keras_seq.layers.subwords import SubwordEmbedding
from keras_seq.layers.tokenizer import Tokenizer
from keras_seq.layers.vectorizer import TextVectorizer
from keras_seq.layers.word_dropout import WordDropout
from keras_seq.memory import DNCCell, NTMCell
from keras_seq.transformer import (
    FeedForward,
    LearnedPositions,
    SinusoidalPositions,
    TransformerBlock,
    TransformerCell,
)

__all__ = [
    "DNC",
    "GRU",
    "LSTM",
    "NTM",
    "RNN",
    "AdditiveScore",
    "AttentionCell",
    "AttentionPooling",
    "Bidirectional",
    "ClockworkRNN",
    "ClockworkRNNCell",
    "DLinear",
    "DNCCell",
    "DotScore",
    "FeedForward",
    "GRUCell",
    "GeneralScore",
    "LSTMCell",
    "LayerNormGRU",
    "LayerNormGRUCell",
    "LayerNormLSTM",
    "LayerNormLSTMCell",
    "LayerNormSimpleRNN",
    "LayerNormSimpleRNNCell",
    "LearnedPositions",
    "MultiHeadAttention",
    "NLinear",
    "NTMCell",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "QuantileHead",
    "ReversibleNorm",
    "SequencePooling",
    "SimpleRNN",
    "SimpleRNNCell",
    "SinusoidalPositions",
    "StackedRNNCells",
    "SubwordEmbedding",
    "TextVectorizer",
    "Tokenizer",
    "TransformerBlock",
    "TransformerCell",
    "WordDropout",
    "monotone_quantiles",
    "streaming",
]

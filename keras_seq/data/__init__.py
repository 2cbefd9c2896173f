"""Frames and files to `tf.data`."""

from keras_seq.data.dates import dates
from keras_seq.data.frames import read_frame, reviews, split
from keras_seq.data.pairs import pair_dataset, read_pairs
from keras_seq.data.streams import stream_dataset
from keras_seq.data.targets import labels_of
from keras_seq.data.text import text_dataset, text_vectorizer
from keras_seq.data.tokenizer import tokenizer
from keras_seq.data.vectors import WordVectors, load_vectors

__all__ = [
    "WordVectors",
    "dates",
    "labels_of",
    "load_vectors",
    "pair_dataset",
    "read_frame",
    "read_pairs",
    "reviews",
    "split",
    "stream_dataset",
    "text_dataset",
    "text_vectorizer",
    "tokenizer",
]

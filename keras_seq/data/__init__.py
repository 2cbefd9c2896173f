"""Frames and files to `tf.data`."""

from keras_seq.data import tasks
from keras_seq.data.calendar import calendar_features
from keras_seq.data.dates import dates
from keras_seq.data.frames import read_frame, reviews, split
from keras_seq.data.load import load
from keras_seq.data.pairs import pair_dataset, read_pairs
from keras_seq.data.scaling import Scaler
from keras_seq.data.series import Panel, Series, read_series
from keras_seq.data.streams import stream_dataset
from keras_seq.data.targets import labels_of
from keras_seq.data.text import text_dataset, text_vectorizer
from keras_seq.data.tokenizer import token_stream, tokenizer
from keras_seq.data.vectors import WordVectors, load_vectors
from keras_seq.data.windows import window_dataset

__all__ = [
    "Panel",
    "Scaler",
    "Series",
    "WordVectors",
    "calendar_features",
    "dates",
    "labels_of",
    "load",
    "load_vectors",
    "pair_dataset",
    "read_frame",
    "read_pairs",
    "read_series",
    "reviews",
    "split",
    "stream_dataset",
    "tasks",
    "text_dataset",
    "text_vectorizer",
    "token_stream",
    "tokenizer",
    "window_dataset",
]

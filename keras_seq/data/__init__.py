"""Frames and files to `tf.data`."""

from keras_seq.data.frames import read_frame, reviews, split
from keras_seq.data.streams import stream_dataset
from keras_seq.data.text import labels_of, text_dataset, text_vectorizer

__all__ = ["labels_of", "read_frame", "reviews", "split", "stream_dataset", "text_dataset", "text_vectorizer"]

"""Factories that assemble whole models, and the models with verbs of their own."""

from keras_seq.models.sentiment import sentiment_model
from keras_seq.models.text import TextClassifier

__all__ = ["TextClassifier", "sentiment_model"]

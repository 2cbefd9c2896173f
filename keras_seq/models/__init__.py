"""Factories that assemble whole models, and the models with verbs of their own."""

from keras_seq.models import baselines
from keras_seq.models.forecast_model import ForecastModel
from keras_seq.models.forecaster import Forecaster
from keras_seq.models.forecasting import forecasting_model
from keras_seq.models.language import language_model
from keras_seq.models.language_model import LanguageModel
from keras_seq.models.memory import memory_model
from keras_seq.models.sentiment import sentiment_model
from keras_seq.models.seq2seq import seq2seq_model
from keras_seq.models.sequence_to_sequence import Seq2Seq
from keras_seq.models.text import TextClassifier
from keras_seq.models.translation import Translation

__all__ = [
    "ForecastModel",
    "Forecaster",
    "LanguageModel",
    "Seq2Seq",
    "TextClassifier",
    "Translation",
    "baselines",
    "forecasting_model",
    "language_model",
    "memory_model",
    "sentiment_model",
    "seq2seq_model",
]

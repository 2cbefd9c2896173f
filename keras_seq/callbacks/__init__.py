"""Callbacks for `model.fit`."""

from keras_seq.callbacks.averaging import AverageOfLast
from keras_seq.callbacks.bleu import BleuScore
from keras_seq.callbacks.gradients import GradientMonitor
from keras_seq.callbacks.rates import CosineDecay, ExponentialDecay, InverseTimeDecay, StepDecay
from keras_seq.callbacks.resuming import EpochSeed, ResumableEarlyStopping, SafeBackup
from keras_seq.callbacks.states import ResetStates
from keras_seq.callbacks.teacher_forcing import TeacherForcing

__all__ = [
    "AverageOfLast",
    "BleuScore",
    "CosineDecay",
    "EpochSeed",
    "ExponentialDecay",
    "GradientMonitor",
    "InverseTimeDecay",
    "ResetStates",
    "ResumableEarlyStopping",
    "SafeBackup",
    "StepDecay",
    "TeacherForcing",
]

"""Cells with a memory that they write and read by attention. Reached as `ks.layers.NTMCell` and so on."""

from keras_seq.memory.dnc import DNCCell
from keras_seq.memory.ntm import NTMCell

__all__ = ["DNCCell", "NTMCell"]

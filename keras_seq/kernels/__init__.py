"""Whole-sequence passes with backpropagation through time by hand, and the one place that chooses among them."""

from keras_seq.kernels.bptt import run
from keras_seq.kernels.choice import IMPLEMENTATIONS, log, resolve, why_no_kernel
from keras_seq.kernels.cudnn import run_cudnn, why_no_cudnn

__all__ = ["IMPLEMENTATIONS", "log", "resolve", "run", "run_cudnn", "why_no_cudnn", "why_no_kernel"]

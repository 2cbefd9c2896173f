"""Pictures of what models do."""

from keras_seq.diagnostics.attention import attention_map

__all__ = ["attention_map"]

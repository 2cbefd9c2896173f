"""The loop over time, for the backend that Keras runs on.

`loop.py` holds what is the same everywhere; `tensorflow.py` and `jax.py` hold the primitives that it, the kernels, the
decoders and the diagnostics stand on: `gather`, `cut`, `every`, `scan`, `spec_of`, `Chunks`, `with_gradient`,
`gradient_program`, `compiled`, `program`; `tensorflow_training.py` and `jax_training.py` what callbacks need to see
into a training step. This is the only code that is written twice.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from keras_seq.backend import tensorflow as native
    from keras_seq.backend import tensorflow_training as training
elif keras.backend.backend() == "jax":
    from keras_seq.backend import jax as native
    from keras_seq.backend import jax_training as training
else:
    raise ImportError(
        f"keras_seq runs on the Keras backends 'tensorflow' and 'jax', got {keras.backend.backend()!r}. "
        "Set the environment variable KERAS_BACKEND to one of them before importing keras."
    )

__all__ = ["native", "training"]

"""`memory_model`: from sequences to the bits that are to be said, by a network that reads and writes a memory."""

import keras

from keras_seq.layers import DNCCell, NTMCell
from keras_seq.losses import BitCrossentropy
from keras_seq.metrics import BitsPerSequence, ExactSequences
from keras_seq.models.encoders import check_encoder, encoder_layers
from keras_seq.optimizers import GravesRMSprop, clipping

CLIP = {"global_clipnorm": 10.0}
_CELLS = {"ntm": NTMCell, "dnc": DNCCell}


def memory_model(
    features,
    bits,
    cell="ntm",
    controller=None,
    units=100,
    slots=None,
    slot_width=None,
    read_heads=None,
    learning_rate=2e-4,
    clipnorm=CLIP,
    jit_compile="auto",
):
    """A compiled model that answers sequences with bits, such as those of `ks.data.tasks.memory_dataset`.

    Args:
        features: size `D` of the inputs.
        bits: of the targets.
        cell: `"ntm"` or `"dnc"`; a cell or a layer, which is copied with fresh weights; or, to compare with,
            `"simple_rnn"`, `"lstm"` or `"gru"`. What is no memory of `bits` outputs gets a dense layer at its end.
        controller: of a memory given by name: `"lstm"` (also where it is None) or `"feed_forward"`, or a cell.
        units: of that controller, or of another cell given by name.
        slots, slot_width, read_heads: of a memory given by name; None for what its cell has by default.
        learning_rate: of RMSprop, a number or a `keras.optimizers.schedules.LearningRateSchedule`. The papers have
            1e-4, with which it takes longer.
        clipnorm: a number clips the gradient of each weight, a dict otherwise: see `ks.optimizers.clipping`. By default
            all are clipped together, to a norm of 10.
        jit_compile: as in `keras.Model.compile`, which leaves it off on a CPU; `True` compiles a step for each length
            (seconds), and makes steps of few rows several times as fast.

    Returns:
        A `keras.Model` from `(B, T, D)` to logits `(B, T, bits)`, compiled with RMSprop, `ks.losses.BitCrossentropy`,
        and the metrics `bits_per_sequence` and `exact_sequences`; all of these look at the steps of the sample weights
        alone. The RMSprop is `ks.optimizers.GravesRMSprop`.

    Raises:
        ValueError: for a cell that is not known, and arguments that do not go with it.

    Example:

    >>> x, y, w = ks.data.tasks.copy(rows=5, length=2)
    >>> model = ks.models.memory_model(features=9, bits=8, slots=5, slot_width=3, units=7)
    >>> model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True).keys()
    dict_keys(['bits_per_sequence', 'exact_sequences', 'loss'])
    """
    check_encoder("cell", cell, *_CELLS)
    of_memory = {"controller": controller, "slots": slots, "slot_width": slot_width, "read_heads": read_heads}
    of_memory = {name: value for name, value in of_memory.items() if value is not None}
    if isinstance(cell, str) and cell in _CELLS:
        cell = _CELLS[cell](bits, controller_units=units, **of_memory)
    elif of_memory:
        raise ValueError(
            f"Argument `{next(iter(of_memory))}` goes with cell {' or '.join(map(repr, _CELLS))}, got {cell!r}: give a "
            "cell of your own its arguments where you make it."
        )
    inputs = keras.Input((None, features), name="inputs")
    (layer,) = encoder_layers(cell, units, 1, bidirectional=False, return_sequences=True)
    x = layer(inputs)
    own = getattr(layer, "cell", None)
    if not isinstance(own, tuple(_CELLS.values())) or own.units != bits:
        x = keras.layers.Dense(bits, name="head")(x)
    logits = keras.layers.Activation("linear", dtype="float32", name="logits")(x)
    model = keras.Model(inputs, logits, name="memory")
    model.compile(
        GravesRMSprop(learning_rate, **clipping(clipnorm)),
        BitCrossentropy(),
        weighted_metrics=[BitsPerSequence(), ExactSequences()],
        jit_compile=jit_compile,
    )
    return model

"""What benchmarks/algorithmic.py trains.

`sizes` are arguments of `ks.data.tasks.memory_dataset`, `model` of `ks.models.memory_model`. `judged` are the sizes
that sequences are judged at, `bars` the bits per sequence that each must stay below: a training is solved when all do,
on validation sequences. One that is not solved ends after `sequences`; with `steps` it goes on for so many steps. The
learning rate falls from 2e-4 to a twentieth of it in `decay_steps`, along a cosine. (The papers have 1e-4, which took
longer here.)
"""

_COPY = {"task": "copy", "sizes": {"length": [1, 20], "bits": 8}, "batch_size": 1, "every": 500, "sequences": 80_000}
_COPY["decay_steps"] = 60_000
_COPY["judged"] = {"20": {"length": 20}, "40": {"length": 40}, "80": {"length": 80}}
_COPY["bars"] = {"20": 0.01, "40": 1.0, "80": 1.0}
_NTM = {"cell": "ntm", "slots": 128, "slot_width": 20, "controller": "feed_forward", "units": 100}
_DNC = {"cell": "dnc", "slots": 32, "slot_width": 16, "read_heads": 1}

TASKS = {
    # A vector of zeros looks like the silence after the mark: a controller with a state tells them apart at any length.
    "ntm_copy": {**_COPY, "model": {**_NTM, "controller": "lstm"}},
    "dnc_copy": {
        **_COPY,
        "model": {**_DNC, "controller": "feed_forward", "units": 100},
        "judged": {"20": {"length": 20}},
        "bars": {"20": 0.01},
    },
    "dnc_repeat_copy": {
        "task": "repeat_copy",
        "sizes": {"length": [1, 5], "repeats": [1, 5], "bits": 8},
        "batch_size": 1,
        "every": 500,
        "sequences": 160_000,
        "decay_steps": 120_000,
        "model": {**_DNC, "controller": "lstm", "units": 64},  # which can count
        "judged": {"all": {}, "5 × 5": {"length": 5, "repeats": 5}},
        "bars": {"all": 0.1, "5 × 5": 0.1},
    },
    "ntm_recall": {
        "task": "associative_recall",
        "sizes": {"items": [2, 6], "item_length": 3, "bits": 6},
        "batch_size": 1,
        "every": 500,
        "sequences": 60_000,
        "decay_steps": 60_000,
        "model": _NTM,
        "judged": {"6": {"items": 6}, "10": {"items": 10}},
        "bars": {"6": 1.0},
    },
}
TASKS["lstm_copy"] = {**_COPY, "model": {"cell": "lstm", "units": 256}}  # without a memory, to compare with
TASKS["ntm_copy_20k"] = {**TASKS["ntm_copy"], "steps": 20_000}
TASKS["dnc_repeat_copy_20k"] = {**TASKS["dnc_repeat_copy"], "steps": 20_000}

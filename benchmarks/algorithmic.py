"""Tasks that need a memory: copy, repeat copy and associative recall, by an NTM and a DNC.

    python benchmarks/algorithmic.py ntm_copy --seeds 0 1 2 3
    python benchmarks/algorithmic.py dnc_copy dnc_repeat_copy ntm_recall lstm_copy
    python benchmarks/algorithmic.py ntm_copy_20k dnc_repeat_copy_20k     # so many steps, whether solved or not
    python benchmarks/algorithmic_report.py                               # the figure

Protocol. Sequences to train on are drawn anew by the seed of the training, and none is seen twice but by chance. After
every so many (`every`), 200 validation sequences of each judged size are answered, others each time; a training is
solved, and ends, when the bits per sequence of all sizes with a bar were below it 20 times in a row, or ends with its
budget. Then 1,000 test sequences of each size are answered, which nothing was chosen by. Bits per sequence is the
cross-entropy of all bits of an answer, in bits. Validation and test sequences are the same for all seeds. `curve` has,
for each validation, the sequences seen, the mean over those trained on since the one before, and the validation bits;
`seconds` are wall time with all compilation and validation, `cpu_seconds` the process's. `not_finite` counts steps with
a gradient that is no finite number.

Settings stand in algorithmic_settings.py. Results are merged into benchmarks/results/algorithmic.json, one entry a task
and seed; what is there is not run again.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import results_file
from algorithmic_settings import TASKS
from keras import ops

import keras_seq as ks

KEYS = ("task", "seed")
VALIDATION, TEST = 1_000_000, 4_000_000  # seeds that no training has
IN_A_ROW = 20


@keras.saving.register_keras_serializable("benchmarks")
class Watched(ks.optimizers.GravesRMSprop):
    """Counts the steps whose gradients are not all finite, before they are clipped."""

    def build(self, variables):
        super().build(variables)
        self.not_finite = self.add_variable((), name="not_finite", initializer="zeros", dtype="int32")

    def apply(self, grads, trainable_variables=None):
        odd = ops.any(ops.stack([ops.any(ops.logical_not(ops.isfinite(g))) for g in grads]))
        super().apply(grads, trainable_variables)
        self.not_finite.assign_add(ops.cast(odd, "int32"))


def judged(model, settings, rows, seed):
    """Bits per sequence and the share of exact ones, for each size that is judged."""
    scores = {}
    for name, sizes in settings["judged"].items():
        wanted = {key: tuple(v) if isinstance(v, list) else v for key, v in {**settings["sizes"], **sizes}.items()}
        x, y, w = getattr(ks.data.tasks, settings["task"])(rows, **wanted, seed=seed)
        found = model.evaluate(x, y, sample_weight=w, batch_size=200, verbose=0, return_dict=True)
        scores[name] = {"bits": found["bits_per_sequence"], "exact": found["exact_sequences"]}
    return scores


def run(settings, seed):
    """One training and what came of it."""
    keras.utils.set_random_seed(seed)
    how = {"batch_size": settings["batch_size"], "batches": settings["every"] // settings["batch_size"], "seed": seed}
    dataset = ks.data.tasks.memory_dataset(settings["task"], **how, **settings["sizes"])
    features, bits = dataset.batches.task.widths
    rate = keras.optimizers.schedules.CosineDecay(2e-4, settings["decay_steps"], alpha=0.05)
    model = ks.models.memory_model(features, bits, **settings["model"], learning_rate=rate, jit_compile=True)
    model.optimizer = Watched.from_config(model.optimizer.get_config())
    model.optimizer.build(model.trainable_variables)
    budget = settings.get("steps", 0) * settings["batch_size"] or settings["sequences"]
    curve, seen, held, solved, wall, cpu = [], 0, 0, None, time.perf_counter(), time.process_time()
    while seen < budget and not (solved and "steps" not in settings):
        seen += settings["every"]
        history = model.fit(dataset, verbose=0).history
        scores = judged(model, settings, 200, VALIDATION + len(curve))
        curve.append(
            {
                "sequences": seen,
                "training": round(history["bits_per_sequence"][0], 5),
                **{name: round(one["bits"], 5) for name, one in scores.items()},
            }
        )
        print(json.dumps({"seconds": round(time.perf_counter() - wall), **curve[-1]}), flush=True)
        held = held + 1 if all(scores[name]["bits"] < bar for name, bar in settings["bars"].items()) else 0
        if solved is None and held == IN_A_ROW:
            solved = {"sequences": seen, **_seconds(wall, cpu)}
    return {
        "solved": solved,
        "sequences": seen,
        **_seconds(wall, cpu),
        "not_finite": int(model.optimizer.not_finite.value),
        "parameters": model.count_params(),
        "metrics": judged(model, settings, 1000, TEST),
        "curve": curve,
    }


def _seconds(wall, cpu):
    return {"seconds": round(time.perf_counter() - wall, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+", choices=TASKS, metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    for task in arguments.tasks:
        for seed in arguments.seeds:
            entry = {"task": task, "seed": seed, "settings": TASKS[task]}
            if any(entry.items() <= done.items() for done in results_file.read("algorithmic")):
                continue
            result = {**entry, **run(TASKS[task], seed), "versions": ks.saving.versions()}
            results_file.merge("algorithmic", result, KEYS, __doc__)
            print(json.dumps({name: value for name, value in result.items() if name != "curve"}), flush=True)
            keras.backend.clear_session()


if __name__ == "__main__":
    main()

"""Translation: generated dates, and image captions from German to English.

    python benchmarks/translation.py --task dates_gru --seeds 3
    python benchmarks/translation.py --task multi30k_gru              # also multi30k_transformer
    python benchmarks/translation.py --task multi30k_gru --validate   # judged on the validation pairs alone

Protocol (TARGETS): dates by the share of exact ISO dates, greedy, on days that no training row has. Multi30k task 1,
de to en: 29,000 pairs to train on, 1,014 to choose by, judged once on the 1,000 of test 2016, against the raw
references in lower case, by sacreBLEU with its own tokenizer (13a), the signature stored. Texts are lower-cased, cut
into subwords by one byte-pair encoding of both sides of the training pairs; no other data. The last epoch's weights
are judged. Settings are those of the literature; none was chosen by results here.

A training is written to benchmarks/results/TASK_SEED.training as it goes, and taken up where it was interrupted;
`train_seconds` counts the epochs of all processes. Results are merged into benchmarks/results/translation.json.
"""

import argparse
import json
import os
import shutil
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
from reviews import DATA
from translation_settings import SETTINGS

import keras_seq as ks
from keras_seq.cli.training import Clock, alone_in

KEYS = ("task", "seed", "judged_on")
MAX_LENGTH = 64  # tokens; the longest caption has fewer


def pairs_of(task):
    """Frames with `source` and `target`, by the name of the part."""
    if task.startswith("dates"):
        frame = ks.data.dates(rows=20_000, seed=0).rename(columns={"text": "source", "iso": "target"})
        train, test = (frame[frame["split"] == part] for part in ("train", "test"))
        train, validation = ks.data.split(train, 0.05, seed=0)
        return {"train": train, "validation": validation, "test": test}
    names = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    folder = DATA / "multi30k"
    return {
        part: ks.data.read_pairs(folder / f"{name}.de.gz", folder / f"{name}.en.gz") for part, name in names.items()
    }


def tokenizers_of(task, settings, train):
    if task.startswith("dates"):
        source = ks.data.tokenizer(train["source"], split="characters", lowercase=True, max_length=40)
        return source, ks.data.tokenizer(train["target"], split="characters", max_length=12)
    texts = [*train["source"], *train["target"]]
    how = {"split": "subwords", "lowercase": True, "max_tokens": settings["max_tokens"], "max_length": MAX_LENGTH}
    return (ks.data.tokenizer(texts, **how),) * 2


def trained(task, settings, seed, parts, work):
    """The model, trained, and the seconds that it took."""
    keras.utils.set_random_seed(seed)
    tokenizers = tokenizers_of(task, settings, parts["train"])
    by = {name: settings[name] for name in ("batch_size", "tokens_per_batch") if name in settings}
    dataset, validation = (
        ks.data.pair_dataset(parts[part], *tokenizers, **by, shuffle=part == "train", seed=seed)
        for part in ("train", "validation")
    )
    steps = len(dataset) * settings["epochs"]
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - settings["warmup_steps"],
        warmup_target=settings["peak_rate"],
        warmup_steps=settings["warmup_steps"],
    )
    model = ks.models.seq2seq_model(*tokenizers, learning_rate=rate, **settings["model"])
    clock = Clock(work / "seconds.json")
    seed_of_epoch = ks.callbacks.EpochSeed(seed, dataset)
    backup = ks.callbacks.SafeBackup(work / "backup")
    callbacks = [seed_of_epoch, clock, backup]
    model.fit(dataset, epochs=settings["epochs"], validation_data=validation, verbose=2, callbacks=callbacks)
    return model, clock.seconds


def scores(model, pairs, lowercase):
    """Greedy and by beam search, `exact` and BLEU, with the seconds that all of the pairs took."""
    import sacrebleu

    references = [text.lower() if lowercase else text for text in pairs["target"]]
    result = {}
    for name, width in (("greedy", 1), ("beam", 4)):
        model.translate(pairs["source"][:64], beam_width=width)  # traced
        started = time.perf_counter()
        said = model.translate(pairs["source"], beam_width=width, batch_size=64)
        seconds = time.perf_counter() - started
        bleu = sacrebleu.metrics.BLEU()
        result[name] = {
            "exact": float(np.mean([a == b for a, b in zip(said, references, strict=True)])),
            "bleu": bleu.corpus_score(said, [references]).score,
            "signature": str(bleu.get_signature()),
            "seconds": round(seconds, 2),
            "translations": said[:5],
        }
    return result


def run(task, seed, settings, part):
    """One training, judged on one part of the pairs."""
    parts = pairs_of(task)
    work = results_file.RESULTS / f"{task}_{seed}.training"
    work.mkdir(exist_ok=True)
    with alone_in(work):
        begun = {"settings": settings, "versions": ks.saving.versions()}
        if not (work / "run.json").exists():
            (work / "run.json").write_text(json.dumps(begun), encoding="utf-8")
        if json.loads((work / "run.json").read_text(encoding="utf-8")) != begun:
            raise SystemExit(f"{work} holds a training with other settings or versions: remove it.")
        if (work / "model.keras").exists():
            model = keras.saving.load_model(work / "model.keras")
            seconds = json.loads((work / "seconds.json").read_text(encoding="utf-8"))
        else:
            model, seconds = trained(task, settings, seed, parts, work)
            model.save(work / "model.keras")
            shutil.rmtree(work / "backup")
    return {
        "metrics": scores(model, parts[part], lowercase=task.startswith("multi30k")),
        "rows": {name: len(frame) for name, frame in parts.items()},
        "parameters": model.count_params(),
        "train_seconds": round(seconds, 1),
        "settings": settings,
        "versions": ks.saving.versions(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SETTINGS, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--validate", action="store_true", help="judge on the validation pairs, not on the test ones")
    arguments = parser.parse_args()
    settings = SETTINGS[arguments.task]
    part = "validation" if arguments.validate else "test"
    for seed in range(arguments.seeds):
        entry = {"task": arguments.task, "seed": seed, "judged_on": part}
        wanted = {**entry, "settings": settings}
        if any(
            all(done.get(key) == value for key, value in wanted.items()) for done in results_file.read("translation")
        ):
            continue
        result = {**entry, **run(arguments.task, seed, settings, part)}
        results_file.merge("translation", result, KEYS, __doc__)
        print(json.dumps({**entry, "metrics": result["metrics"], "train_seconds": result["train_seconds"]}))


if __name__ == "__main__":
    main()

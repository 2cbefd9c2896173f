"""Sentiment on real reviews.

    python benchmarks/sentiment.py --task mr               # ten folds of Rotten Tomatoes MR
    python benchmarks/sentiment.py --task imdb             # IMDB, 25,000 reviews to train on, 25,000 to test
    python benchmarks/sentiment.py --task mr --folds 3 --change word_dropout=0   # what a setting is worth
    python benchmarks/sentiment.py --task mr --baselines   # the baselines of results that are there, anew

Protocol (TARGETS; Kim, 2014): MR by ten-fold cross-validation, IMDB as divided by its authors; accuracy; no pretrained
vectors. Settings, the number of epochs among them, are the same for all folds. They are judged by `--change`, which
trains on nine tenths of the training rows of a fold and judges by the tenth that is left, epoch by epoch. For MR that
was done inside the training rows of folds 1 to 4, which hold rows that are test rows of the other folds. Without
`--change` a model is trained on all training rows of a fold, and judged on its test rows once, at the end.

Results are merged into benchmarks/results/sentiment_TASK.json and sentiment_changes.json, one for each fold and seed;
what is there is not run again, so an interrupted benchmark goes on where it was.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import results_file
from nbsvm import NBSVM
from reviews import imdb_frame, mr_frame
from sentiment_settings import SETTINGS

import keras_seq as ks
from keras_seq.cli.report import bag_of_words, calibration_error, majority, scores

FOLDS = 10
LABELS = ["negative", "positive"]
OF_WORDS = ("max_tokens", "min_count", "max_length")
OF_TRAINING = ("epochs", "batch_size", "decay")
KEYS = ("task", "seed", "fold")


def parts_of(task, fold):
    """Training and test rows. Folds of MR are drawn once, by seed 0; IMDB has one."""
    if task == "imdb":
        return imdb_frame("train"), imdb_frame("test")
    frame = mr_frame()
    of_row = np.random.default_rng(0).permutation(len(frame)) % FOLDS
    return frame[of_row != fold], frame[of_row == fold]


def train(settings, rows, seed, validation=None):
    """A model trained on `rows`, and what there is to say about it."""
    keras.utils.set_random_seed(seed)
    vectorizer = ks.data.text_vectorizer(rows["text"], **{name: settings[name] for name in OF_WORDS})
    of_model = {name: value for name, value in settings.items() if name not in (*OF_WORDS, *OF_TRAINING)}
    model = ks.models.sentiment_model(vectorizer, LABELS, **of_model)
    dataset = ks.data.text_dataset(rows, vectorizer, batch_size=settings["batch_size"], seed=seed)
    if validation is not None:
        validation = ks.data.text_dataset(validation, vectorizer, batch_size=256, shuffle=False)
    started = time.perf_counter()
    history = model.fit(
        dataset,
        epochs=settings["epochs"],
        validation_data=validation,
        verbose=2,
        callbacks=[
            *([keras.callbacks.SwapEMAWeights()] if settings.get("averaging") else []),
            ks.callbacks.InverseTimeDecay(settings["decay"]),
        ],
    ).history
    return model, {
        "validation_accuracies": [round(value, 4) for value in history.get("val_accuracy", [])],
        "parameters": model.count_params(),
        "train_seconds": round(time.perf_counter() - started, 1),
        "settings": settings,
        "versions": ks.saving.versions(),
    }


def run(task, fold, seed):
    """One fold, judged on its test rows, with the baselines beside it."""
    rest, test = parts_of(task, fold)
    model, about = train(SETTINGS[task], rest, seed)
    del about["validation_accuracies"]
    probabilities = model.predict(test["text"], verbose=0)
    truth = test["label"].tolist()
    return {
        "rows": {"train": len(rest), "test": len(test)},
        "metrics": {
            **scores(truth, [LABELS[i] for i in probabilities.argmax(axis=1)]),
            "ece": calibration_error(test["label"].map(LABELS.index), probabilities),
        },
        "baselines": baselines(task, rest, test, model.vectorizer),
        **about,
    }


def baselines(task, rest, test, vectorizer):
    """Scores of models that know less. NB-SVM reads IMDB cut into words as the model does; MR comes cut into words."""
    texts = [rest["text"], test["text"]]
    if task == "imdb":
        texts = [[t.decode() for t in vectorizer.standardize_text(one.tolist()).numpy()] for one in texts]
    nbsvm = NBSVM().fit(texts[0], rest["label"].map(LABELS.index)).predict(texts[1])
    judged = {
        "nbsvm_bigrams": [LABELS[i] for i in nbsvm],
        "bag_of_words": bag_of_words(rest, test, "text", "label", vectorizer),
        "majority": majority(rest["label"], len(test)),
    }
    return {name: scores(test["label"].tolist(), labels) for name, labels in judged.items()}


def baselines_anew(task):
    name = f"sentiment_{task}"
    for result in results_file.read(name):
        rest, test = parts_of(task, result["fold"])
        words = {key: result["settings"][key] for key in OF_WORDS}
        result["baselines"] = baselines(task, rest, test, ks.data.text_vectorizer(rest["text"], **words))
        results_file.merge(name, result, KEYS, __doc__)
        print(json.dumps({"fold": result["fold"], **result["baselines"]}))


def try_change(task, fold, seed, change):
    """One fold with other settings, judged on validation rows."""
    rows, validation = held_out(task, parts_of(task, fold)[0], seed)
    _, about = train({**SETTINGS[task], **change}, rows, seed, validation)
    return {"rows": {"train": len(rows), "validation": len(validation)}, **about}


def held_out(task, rows, seed):
    """Nine tenths of the rows, and a tenth to judge by.

    The test films of IMDB are others than those to train on, and reviews of one film with one label stand side by side.
    So there the tenth is the last one of each label. That is not all: a film whose praise is held out may have its
    blame among the rest.
    """
    if task == "mr":
        return ks.data.split(rows, 0.1, stratify="label", seed=seed)
    place = rows.groupby("label").cumcount() / rows.groupby("label")["label"].transform("size")
    return rows[place < 0.9], rows[place >= 0.9]


def parsed_change(text):
    name, value = text.split("=", 1)
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=SETTINGS, required=True)
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many of the ten folds of MR to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--change", nargs="*", type=parsed_change, metavar="NAME=VALUE", help="on validation rows only")
    parser.add_argument("--baselines", action="store_true", help="only the baselines, for results that are there")
    arguments = parser.parse_args()
    if arguments.baselines:
        baselines_anew(arguments.task)
        return
    change = None if arguments.change is None else dict(arguments.change)
    name = f"sentiment_{arguments.task}" if change is None else "sentiment_changes"
    for fold in range(arguments.folds if arguments.task == "mr" else 1):
        entry = {"task": arguments.task, "seed": arguments.seed, "fold": fold}
        wanted = {**entry, "settings": {**SETTINGS[arguments.task], **(change or {})}}
        if any(all(done.get(key) == value for key, value in wanted.items()) for done in results_file.read(name)):
            continue
        of_fold = (arguments.task, fold, arguments.seed)
        result = {**entry, **(run(*of_fold) if change is None else try_change(*of_fold, change))}
        results_file.merge(name, result, KEYS if change is None else (*KEYS, "settings"), __doc__)
        print(json.dumps({**entry, **{k: result[k] for k in ("metrics", "validation_accuracies") if k in result}}))


if __name__ == "__main__":
    main()

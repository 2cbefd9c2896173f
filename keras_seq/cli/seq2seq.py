"""`keras-seq train seq2seq`: from pairs of texts to an artefact, with a report on pairs that the training never saw."""

import re
import shutil
import sys
from dataclasses import dataclass, field

import keras
import pandas as pd

from keras_seq import callbacks, data, models, saving
from keras_seq.cli.averaging import ResumableAverageOfLast
from keras_seq.cli.seq2seq_report import print_report, reported
from keras_seq.cli.training import alone_in, check_backend, digest, go_on, refuse, work_folder
from keras_seq.cli.translate import say_what_is_cut
from keras_seq.data.frames import column
from keras_seq.data.text import checked_texts
from keras_seq.errors import InputError

VALIDATION_SIZE = 0.05  # of the pairs that are not held out
BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]*")

# What is taken for an option that is not given: by what is translated, and where the encoder is a transformer.
DEFAULTS = {
    "dates": {
        "encoder": "gru",
        "units": 32,
        "embedding_dim": 8,
        "dropout": 0.1,
        "split": "characters",
        "min_count": 1,
        "max_length": 40,
        "lowercase": True,
        "epochs": 4,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "warmup": 0.0,
    },
    "data": {
        "encoder": "gru",
        "units": 256,
        "dropout": 0.3,
        "label_smoothing": 0.1,
        "split": "words",
        "min_count": 2,
        "max_length": 128,
        "lowercase": False,
        "epochs": 20,
        "tokens_per_batch": 3072,
        "learning_rate": 2e-3,
        "warmup": 0.05,
        "test_size": 0.1,
    },
}
TRANSFORMER = {
    "dates": {"units": 64, "depth": 2, "epochs": 6, "learning_rate": 2e-3, "warmup": 0.1},
    "data": {"units": 128, "depth": 4, "epochs": 30, "learning_rate": 3e-3},
}
MODEL = """encoder attention input_feeding bidirectional depth units embedding_dim num_heads dropout label_smoothing
    scheduled_sampling shared_embeddings""".split()
TOKENS = ["split", "max_tokens", "min_count", "max_length", "lowercase"]
BATCHES = ["batch_size", "tokens_per_batch"]
SHARED = {"none": False, "target": "target", "all": True}


@dataclass
class Settings:
    """All that a training depends on. `data` None is the generated dates."""

    data: str | None = None
    data_target: str | None = None
    source: str = "source"
    target: str = "target"
    model: dict = field(default_factory=dict)  # arguments of seq2seq_model
    tokens: dict = field(default_factory=dict)  # arguments of tokenizer
    batches: dict = field(default_factory=dict)  # arguments of pair_dataset
    epochs: int = 20
    patience: int = 5
    average_last: int | None = None
    learning_rate: float = 2e-3
    decay: str = "cosine"
    warmup: float = 0.0
    teacher_forcing: str | None = None
    forcing_rate: float | None = None
    test_size: float | None = None
    seed: int = 0


def settings_of(options):
    """`Settings` from the options of the command line, None where an option was not given."""
    given = {name: value for name, value in options.items() if value is not None}
    _check_together(given)
    data_kind = "data" if "data" in given else "dates"
    defaults = dict(DEFAULTS[data_kind])
    if given.get("encoder") == "transformer":
        defaults.update(TRANSFORMER[data_kind])
        defaults.pop("embedding_dim", None)  # is its units
    else:
        defaults["bidirectional"] = True
    if set(BATCHES) & set(given):
        defaults = {name: value for name, value in defaults.items() if name not in BATCHES}
    columns = {"source": "text", "target": "iso"} if data_kind == "dates" else {}
    chosen = {**defaults, **columns, **given}
    groups = {
        group: {name: chosen.pop(name) for name in names if name in chosen}
        for group, names in (("model", MODEL), ("tokens", TOKENS), ("batches", BATCHES))
    }
    if groups["model"].get("attention") == "none":
        groups["model"]["attention"] = None
    if "shared_embeddings" in groups["model"]:
        groups["model"]["shared_embeddings"] = SHARED[groups["model"]["shared_embeddings"]]
    for name in {"data", "data_target"} & set(chosen):
        chosen[name] = str(chosen[name])
    settings = Settings(**chosen, **groups)
    _forcing(settings)  # raises where they do not go together, before there is anything to clear away
    return settings


def _check_together(given):
    """Raise for options that have no say beside others."""
    if given.get("encoder") == "transformer":
        recurrent = {"attention", "input_feeding", "bidirectional"}
        refuse(given, recurrent, "is of recurrent encoders: a transformer has its own way. Leave it out.")
    else:
        refuse(given, {"num_heads"}, "is of --encoder transformer: leave it out.")
    if "data" not in given:
        tables = {"data_target", "source", "target", "test_size"}
        refuse(given, tables, "needs --data FILE: the generated dates have their own.")
    if "data_target" in given:
        refuse(given, {"source", "target"}, "names a column of a table: with --data-target files hold lines.")
    if "average_last" in given:
        refuse(given, {"patience"}, "chooses the best epoch, which --average-last does not: give one of them.")
    if len({"teacher_forcing", "forcing_rate"} & set(given)) == 1:
        raise InputError("Options --teacher-forcing and --forcing-rate make a schedule together: give both, or none.")
    if "teacher_forcing" in given and not given.get("scheduled_sampling"):
        raise InputError("Option --teacher-forcing needs --scheduled-sampling, the share to rise to, above 0.")
    if set(BATCHES) <= set(given):
        raise InputError("Options --batch-size and --tokens-per-batch both bound a batch: give one of them.")


def train_to_artefact(settings, out, force=False):
    """Train, write the artefact to the folder `out`, and print the report.

    While it trains, all that is needed to go on lies in the folder `out` + `.training`.
    """
    check_backend()
    saving.check_free(out, force)
    parts = load_parts(settings)
    model, datasets = compose(settings, parts)
    work = work_folder(out, settings, digest(parts.values()))
    for name, vectorizer in ((settings.source, model.source_vectorizer), (settings.target, model.target_vectorizer)):
        say_what_is_cut(parts["train"][name], vectorizer, f"to train on, in column {name!r},")
    with alone_in(work):
        seconds = fit(settings, model, datasets, work)
    print(f"Translating the {len(parts['test'])} texts that were held out.", file=sys.stderr)
    report, examples = reported(model, parts["test"], datasets["test"], settings.source, settings.target)
    card = {
        "kind": "seq2seq",
        "data": " and ".join(filter(None, (settings.data, settings.data_target))) or "generated dates",
        "split": {name: len(frame) for name, frame in parts.items()},
        "seed": settings.seed,
        "train_seconds": round(seconds, 1),
        "metrics": report["model"],
        "baselines": {"copy": report["copy"]},
    }
    saving.save(model, out, card, overwrite=force)
    shutil.rmtree(work)
    print_report(report, len(parts["test"]), examples)
    example = "9 March 1987" if settings.data is None else "Your text."
    print(f"Wrote {out} ({seconds:.0f} s of training). Try: keras-seq predict {out} '{example}'")


def load_parts(settings):
    """The pairs to train on, to validate on, and held out: `{"train": frame, "validation": …, "test": …}`.

    A source that stands in several pairs is in one part with all of them.
    """
    if settings.data is None:
        frame = data.dates()
        train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    else:
        train, test = _divided(_pairs(settings), settings.source, settings.test_size, settings.seed)
    train, validation = _divided(train, settings.source, VALIDATION_SIZE, settings.seed)
    sides = [settings.source, settings.target]
    return {"train": train[sides], "validation": validation[sides], "test": test[sides]}


def _pairs(settings):
    """The pairs of a table or of two files, or an error that names the first that is none."""
    if settings.data_target is not None:
        frame = data.read_pairs(settings.data, settings.data_target)
    elif settings.source == settings.target:
        raise InputError(f"Options --source and --target must name two columns, got {settings.source!r} twice.")
    else:
        frame = data.read_frame(settings.data)
    for name in (settings.source, settings.target):
        texts = checked_texts(column(frame, name), name)
        empty = [row for row, text in enumerate(texts) if BLANK.fullmatch(text)]
        if empty:
            raise InputError(
                f"Column {name!r} must hold a text in each row, got {texts[empty[0]]!r} in row {empty[0]} "
                f"({len(empty)} such row(s)): drop those rows, on both sides."
            )
    sources = frame[settings.source].nunique()
    if sources < 3:
        raise InputError(
            f"There are pairs of {sources} different text(s) in column {settings.source!r}; three are needed (to "
            "train, to validate, held out): add rows."
        )
    return frame


def _divided(frame, source, share, seed):
    """Two frames of which no source is in both."""
    _, chosen = data.split(frame[[source]].drop_duplicates(), share, seed=seed)
    held_out = frame[source].isin(chosen[source])
    return frame[~held_out], frame[held_out]


def compose(settings, parts):
    """The model to train, and its data: `(model, {"train": dataset, "validation": …, "test": …})`."""
    keras.utils.set_random_seed(settings.seed)
    sides = [parts["train"][name] for name in (settings.source, settings.target)]
    if settings.model.get("shared_embeddings") is True:
        vectorizers = [data.tokenizer(pd.concat(sides), **settings.tokens)] * 2
    else:
        vectorizers = [data.tokenizer(texts, **settings.tokens) for texts in sides]
    datasets = {
        part: data.pair_dataset(
            frame,
            *vectorizers,
            settings.source,
            settings.target,
            **settings.batches,
            shuffle=part == "train",
            seed=settings.seed,
        )
        for part, frame in parts.items()
    }
    rate = _rate(settings, settings.epochs * len(datasets["train"]))
    try:
        model = models.seq2seq_model(*vectorizers, **settings.model, learning_rate=rate)
    except ValueError as error:  # options that do not go together
        raise InputError(str(error)) from error
    return model, datasets


def _rate(settings, steps):
    """The learning rate over so many steps: up to its peak, and, if it decays, down to zero."""
    rising = round(settings.warmup * steps)
    peak = settings.learning_rate
    if settings.decay == "none":
        if not rising:
            return peak
        return keras.optimizers.schedules.PolynomialDecay(peak / rising, rising, peak)
    rises = {"warmup_target": peak, "warmup_steps": rising} if rising else {}
    return keras.optimizers.schedules.CosineDecay(0.0 if rising else peak, max(1, steps - rising), **rises)


def _forcing(settings):
    """The schedule of teacher forcing in a list, which is empty where there is none."""
    if settings.teacher_forcing is None:
        return []
    least = 1 - settings.model["scheduled_sampling"]
    try:
        return [callbacks.TeacherForcing(settings.teacher_forcing, settings.forcing_rate, minimum=least)]
    except ValueError as error:
        raise InputError(f"Option --forcing-rate does not go with --teacher-forcing: {error}") from error


def fit(settings, model, datasets, work):
    """Train a model, or go on with the training in the folder `work`. Returns the seconds that all of it took."""
    if settings.average_last is None:
        ending = callbacks.ResumableEarlyStopping(
            work / "best", monitor="val_loss", patience=settings.patience, restore_best_weights=True
        )
    else:
        ending = ResumableAverageOfLast(work / "last", settings.average_last)
    return go_on(model, datasets, settings, work, ending, *_forcing(settings))

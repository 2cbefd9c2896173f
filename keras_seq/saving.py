"""The artefact: a folder with the model, a graph that serves without this package, and a card that says what it is.

DIR/model.keras     the Keras model, for `load`
DIR/saved_model/    for TensorFlow alone
DIR/card.json       what was trained on what, and how well it does
"""

import json
import os
import platform
import shutil
import sys
import uuid
import zipfile
from importlib.metadata import version
from pathlib import Path

import keras

from keras_seq import errors

_CARD = {
    "kind": None,
    "data": None,
    "split": None,
    "seed": None,
    "versions": None,
    "parameters": None,
    "train_seconds": None,
    "metrics": {},
    "baselines": {},
}
_KINDS = {"TextClassifier": "sentiment", "Seq2Seq": "seq2seq", "LanguageModel": "language", "ForecastModel": "forecast"}


def save(model, path, card=None, overwrite=False):
    """Write a model as an artefact: `model.keras`, `saved_model/` and `card.json` in one folder.

    The folder is written under a temporary name and renamed when it is complete. A process that is killed leaves at
    `path` all of it, what was there before, or, for the moment between two renamings, nothing; then both stand beside
    it under hidden names that end in `.partial`.

    Args:
        model: a model of `ks.models`, or another `keras.Model` (then `kind` is its class).
        path: the folder.
        card: a dict with entries for the card: `kind`, `data`, `split`, `seed`, `train_seconds`, `metrics`,
            `baselines`; versions and parameters are filled in.
        overwrite: whether a folder that is there may be replaced.

    Raises:
        InputError: where `path` is there and may not be replaced, or the card has unknown entries.
        ValueError: on another backend than TensorFlow, which alone writes the SavedModel of a text model.
    """
    path = Path(path).absolute()
    card = {**_CARD, **(card or {})}
    unknown = sorted(set(card) - set(_CARD))
    if unknown:
        raise errors.InputError(f"Unknown entries of the card: {', '.join(unknown)}. Known are {', '.join(_CARD)}.")
    check_free(path, overwrite)
    card["kind"] = card["kind"] or _KINDS.get(type(model).__name__, type(model).__name__)
    card["parameters"] = model.count_params()
    card["versions"] = versions()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        temporary.mkdir()
        model.save(temporary / "model.keras")
        model.export(str(temporary / "saved_model"), format="tf_saved_model", verbose=False)
        (temporary / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        _swap_in(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load(path):
    """The model of an artefact, ready for `predict` and `fit`. No code from the file is run.

    Raises:
        InputError: where `path` is no artefact, or only a part of one.
    """
    path = Path(path)
    card = read_card(path)
    try:
        return keras.saving.load_model(path / "model.keras", safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        reason = str(error).strip().split("\n")[0]
        writer = (card.get("versions") or {}).get("keras", "unknown")
        raise errors.InputError(
            f"File {str(path / 'model.keras')!r} cannot be loaded ({reason}). It was written with Keras {writer}, this "
            f"is {keras.__version__}: files of a newer Keras need that one. If it is half written, train anew."
        ) from error


def read_card(path):
    """The card of an artefact, as a dict.

    Raises:
        InputError: where `path` is no artefact, or only a part of one.
    """
    path = Path(path)
    if not path.is_dir():
        raise errors.InputError(f"There is no folder {str(path)!r}: train a model into it, or check the path.")
    missing = [
        name for name in ("card.json", "model.keras", "saved_model/saved_model.pb") if not (path / name).is_file()
    ]
    if missing:
        raise errors.InputError(
            f"Folder {str(path)!r} is no artefact of keras_seq, or only a part of one: {', '.join(missing)} missing. "
            "Name a folder that ks.saving.save or `keras-seq train` wrote."
        )
    try:
        card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise errors.InputError(
            f"File {str(path / 'card.json')!r} is no JSON: {error}. Train the model anew."
        ) from None
    if not isinstance(card, dict) or "kind" not in card:
        raise errors.InputError(f"File {str(path / 'card.json')!r} does not say what `kind` of model this is.")
    return card


def check_free(path, overwrite=False):
    """Raise unless an artefact may be written to `path`: nothing there, or an artefact that may be replaced."""
    path = Path(path).absolute()
    parent = next(parent for parent in path.parents if parent.exists())
    if not parent.is_dir():
        raise errors.InputError(f"Cannot write to {str(path)!r}: {str(parent)!r} is a file. Name another folder.")
    if path.is_file():
        raise errors.InputError(f"{str(path)!r} is a file, where a folder is to be written: name a folder.")
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise errors.InputError(
            f"{str(path)!r} is there already and is not overwritten: name another folder, or pass --force "
            "(overwrite=True)."
        )
    read_card(path)
    others = sorted({entry.name for entry in path.iterdir()} - {"card.json", "model.keras", "saved_model"})
    if others:
        raise errors.InputError(
            f"Folder {str(path)!r} holds more than an artefact ({', '.join(others)}), so it is not replaced: "
            "move that, or name another folder."
        )


def versions():
    """Versions of what a result depends on."""
    modules = {name: sys.modules[name].__version__ for name in ("keras", keras.backend.backend(), "numpy")}
    return {"python": platform.python_version(), "keras_seq": version("keras_seq"), **modules}


def _swap_in(temporary, path):
    """Put a complete folder in the place of another; what was there is removed once the new one stands."""
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(temporary, path)
    except BaseException:  # also an interruption from the keyboard
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)

"""Files that an option names to be written: checked before anything is computed."""

import importlib.util

from keras_seq.errors import InputError, MissingExtraError


def check_file(option, path, *endings):
    """Raise unless a file of one of these endings can be written to `path`; None is no file."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise InputError(f"Option {option} must name a file that ends in {' or '.join(endings)}, got {str(path)!r}.")
    if not path.absolute().parent.is_dir() or path.is_dir():
        raise InputError(f"Option {option} cannot write to {str(path)!r}: name a file in a folder that is there.")


def check_picture(option, path):
    """Raise unless a picture can be written to `path`; None is no picture."""
    check_file(option, path, ".png")
    if path is not None and not importlib.util.find_spec("matplotlib"):
        raise MissingExtraError(f"Option {option}", "plots")

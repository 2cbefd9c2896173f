"""Errors whose message is the whole story: the command line prints them without a traceback."""


class InputError(ValueError):
    """Something that the user gave cannot be used. The message names it, says what was expected, and the remedy."""


class MissingExtraError(ImportError):
    """An optional package is needed. The message names the extra that brings it."""

    def __init__(self, what, extra):
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'keras_seq[{extra}]'")

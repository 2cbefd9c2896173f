"""The error for bad input: its message is the whole story, so the command line prints it without a traceback."""


class InputError(ValueError):
    """Something that the user gave cannot be used. The message names it, says what was expected, and the remedy."""

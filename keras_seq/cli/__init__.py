"""The command line: `keras-seq train`, `keras-seq predict`, `keras-seq diagnose`."""

import importlib.util
import sys

from keras_seq.errors import InputError, MissingExtraError


def main():
    """Run the command line; bad input ends in one line on standard error and exit code 2."""
    try:
        if not all(importlib.util.find_spec(name) for name in ("typer", "rich", "sklearn")):
            raise MissingExtraError("The command line", "cli")
        from keras_seq.cli.app import app

        app()
    except (InputError, MissingExtraError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)

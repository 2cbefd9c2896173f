"""The command line: `keras-seq train sentiment`, `keras-seq predict`."""

import sys

from keras_seq.errors import InputError, MissingExtraError


def main():
    """Run the command line; bad input ends in one line on standard error and exit code 2."""
    try:
        from keras_seq.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "sklearn"):
            raise
        sys.exit(str(MissingExtraError("The command line", "cli")))
    try:
        app()
    except (InputError, MissingExtraError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)

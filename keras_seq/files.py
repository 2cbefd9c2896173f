"""Files that are there whole or not at all."""

import contextlib
from pathlib import Path


@contextlib.contextmanager
def written_whole(path, mode="wb"):
    """A file to write to, under a temporary name beside `path`, that takes its name when all is written.

    After an error the temporary file is removed, and what was at `path` is there as before. Text is UTF-8.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Tables from files, and their division into parts."""

import lzma
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from keras_seq.errors import InputError, MissingExtraError

# An empty cell is a missing value; a review that reads "NA" or "null" is not.
_CELLS = {"keep_default_na": False, "na_values": [""], "index_col": False}
_BROKEN = (ValueError, OSError, EOFError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, pd.errors.ParserWarning)
_READERS = {
    ".csv": lambda path: pd.read_csv(path, **_CELLS),
    ".tsv": lambda path: pd.read_csv(path, sep="\t", **_CELLS),
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
    ".ndjson": lambda path: pd.read_json(path, lines=True, dtype=False),
    ".parquet": lambda path: _read_parquet(path),
}


def read_frame(path):
    """A table as a pandas frame: CSV, TSV, JSON lines (`.jsonl`, `.ndjson`) or Parquet, told by the file's ending.

    Text files are UTF-8, with a first line that names the columns; `.gz`, `.bz2`, `.xz` and `.zip` behind the ending
    are unpacked. Empty cells are missing values (NaN).

    Args:
        path: the file.

    Returns:
        A `pandas.DataFrame` with at least one row.

    Raises:
        InputError: where the file is missing, empty, of an unknown kind, not UTF-8, or cannot be parsed.
        MissingExtraError: for Parquet without pyarrow (`pip install keras_seq[parquet]`).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}: check the path.")
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in (".gz", ".bz2", ".xz", ".zip"):
        endings.pop()
    reader = _READERS.get(endings[-1] if endings else "")
    if reader is None:
        raise InputError(f"File {str(path)!r} must end in one of {', '.join(_READERS)}: rename or convert it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut
            frame = reader(path)
    except UnicodeDecodeError as error:
        raise InputError(
            f"File {str(path)!r} is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start}): "
            "convert it, for example with `iconv -f latin1 -t utf-8`."
        ) from error
    except pd.errors.EmptyDataError:
        raise InputError(f"File {str(path)!r} is empty: it needs a header line and rows.") from None
    except _BROKEN as error:
        raise InputError(
            f"File {str(path)!r} cannot be read as {''.join(path.suffixes)}: {' '.join(str(error).split())}. "
            "Mend or convert the file."
        ) from error
    if frame.empty:
        raise InputError(f"File {str(path)!r} has no rows: give a file with at least one.")
    return frame


def _read_parquet(path):
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise MissingExtraError("Reading Parquet", "parquet") from error


def split(frame, test_size=0.2, stratify=None, seed=0):
    """Divide the rows of a frame at random into two.

    Args:
        frame: a `pandas.DataFrame`.
        test_size: share of the rows that go to the second part.
        stratify: a column whose values are to have the same shares in both parts (each at least one row in both), or
            None.
        seed: the same seed gives the same parts.

    Returns:
        `(train, test)`: frames with the rows in their order and with their index.

    Raises:
        InputError: where a column is missing or a part would be empty.

    Example:

    >>> train, test = ks.data.split(ks.data.reviews(), stratify="label", seed=0)
    >>> len(train), len(test)
    (3200, 800)
    """
    if not 0 < test_size < 1:
        raise InputError(f"Argument `test_size` must be between 0 and 1, got {test_size!r}.")
    if stratify is None:
        groups = [np.arange(len(frame))]
    else:
        values = column(frame, stratify)
        groups = [np.flatnonzero(values == value) for value in pd.unique(values.dropna())]
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(frame), bool)
    for rows in groups:
        if len(rows) < 2:
            what = f"value {frame[stratify].iloc[rows[0]]!r} of column {stratify!r}" if stratify else "the frame"
            raise InputError(f"Cannot divide {what}: it has {len(rows)} row(s), two are needed. Add rows or drop it.")
        count = min(max(round(test_size * len(rows)), 1), len(rows) - 1)
        chosen[rng.permutation(rows)[:count]] = True
    return frame[~chosen], frame[chosen]


def column(frame, name):
    """A column of a frame, or an error that names those there are."""
    if name not in frame.columns:
        raise InputError(f"There is no column {name!r}: the columns are {', '.join(map(repr, frame.columns))}.")
    return frame[name]


def reviews():
    """The embedded reviews: 4,000 short reviews of films, books, devices, food and places, made for this project.

    Returns:
        A frame with the columns `text`, `label` (`positive`, `negative`), `topic`, `style` (`plain`, `negation`,
        `contrast`, `irony`), `source` (`written` by hand: 1,000 rows; `composed` from a small grammar: 3,000) and
        `split` (`train`: 3,400, `test`: 600, balanced).

    Example:

    >>> frame = ks.data.reviews()
    >>> frame["label"].value_counts().sort_index().to_dict()
    {'negative': 2000, 'positive': 2000}
    """
    return read_frame(Path(__file__).with_name("reviews.csv"))

"""The dates task: days in the many forms that people write, and in the one of ISO 8601. All of it is generated.

What tells day from month is the punctuation, one order for each:

    9.3.1987    dots: day, month, year
    3/9/1987    slashes: month, day, year
    1987-3-9    dashes and spaces between numbers: year, month, day
"""

import datetime

import numpy as np
import pandas as pd

from keras_seq.checks import natural_number, positive_integer

_FIRST, _LAST = datetime.date(1950, 1, 1), datetime.date(2030, 12, 31)
_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_SUFFIXES = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
_CASES = (str, str.lower, str.upper)
_FORMS = {
    "iso": "{y}-{mm}-{dd}",
    "dashes": "{y}-{m}-{d}",
    "spaces": "{y} {mm} {dd}",
    "dots": "{d}.{m}.{y}",
    "dots_padded": "{dd}.{mm}.{y}",
    "dots_short_year": "{d}.{m}.{yy}",
    "slashes": "{m}/{d}/{y}",
    "slashes_padded": "{mm}/{dd}/{y}",
    "slashes_short_year": "{m}/{d}/{yy}",
    "day_month_year": "{d} {month} {y}",
    "day_abbreviation_year": "{d} {mon} {y}",
    "day_abbreviation_year_dashes": "{dd}-{mon}-{y}",
    "day_month_short_year": "{d} {month} '{yy}",
    "ordinal_month_year": "{ordinal} {month} {y}",
    "the_ordinal_of_month": "the {ordinal} of {month}, {y}",
    "month_day_year": "{month} {d}, {y}",
    "abbreviation_day_year": "{mon} {d}, {y}",
    "dotted_abbreviation_day_year": "{mon_dot} {d}, {y}",
    "abbreviation_day_short_year": "{mon} {d} '{yy}",
    "month_ordinal_year": "{month} {ordinal}, {y}",
    "year_month_day": "{y} {month} {d}",
    "weekday_day_month_year": "{weekday} {d} {month} {y}",
    "weekday_month_day_year": "{weekday}, {month} {d}, {y}",
    "weekday_abbreviation_day": "{wd}, {d} {mon} {y}",
}


def dates(rows=20_000, seed=0):
    """Days from 1950 to 2030, each in one of 24 written forms and in ISO 8601: a small task of translation.

    Days, forms and the case of letters (as usual, lower, upper) are drawn evenly. Numbers with dots are day, month,
    year; with slashes month, day, year; with dashes or spaces year, month, day. Years of two digits are 1950 to 1999
    for 50 to 99, 2000 to 2030 for 00 to 30. So each text stands for one day.

    A tenth of the days is held out, the same whatever `rows` and `seed` are: no day of a `test` row stands in a `train`
    row of any frame.

    Args:
        rows: how many.
        seed: the same rows and seed give the same frame.

    Returns:
        A frame with the columns `text` ("monday, march 9, 1987", "9.3.87", …), `iso` ("1987-03-09"), `form` (the name
        of the written form) and `split` (`train`, `test`).

    Raises:
        ValueError: where `rows` is not a positive integer, or `seed` not an integer of 0 or more.

    Example:

    >>> ks.data.dates(rows=3, seed=9)[["text", "iso"]]
                            text         iso
    0                  2/23/1984  1984-02-23
    1                 2020 06 28  2020-06-28
    2  the 5th of november, 2027  2027-11-05
    """
    rng = np.random.default_rng(natural_number("seed", seed))
    rows = positive_integer("rows", rows)
    days = rng.integers(_FIRST.toordinal(), _LAST.toordinal() + 1, rows)
    forms = rng.choice(list(_FORMS), rows)
    cases = rng.integers(len(_CASES), size=rows)
    dates = [datetime.date.fromordinal(day) for day in days.tolist()]
    drawn = zip(dates, forms, cases, strict=True)
    texts = [_CASES[case](_FORMS[form].format_map(_parts(date))) for date, form, case in drawn]
    isos = [date.isoformat() for date in dates]
    return pd.DataFrame({"text": texts, "iso": isos, "form": forms, "split": _split(days)})


def _parts(day):
    """What the forms are put together from."""
    month, weekday = _MONTHS[day.month - 1], _WEEKDAYS[day.weekday()]
    return {
        "d": day.day,
        "dd": f"{day.day:02}",
        "ordinal": f"{day.day}{_SUFFIXES.get(day.day, 'th')}",
        "m": day.month,
        "mm": f"{day.month:02}",
        "month": month,
        "mon": month[:3],
        "mon_dot": month[:3] + "." * (len(month) > 3),
        "y": day.year,
        "yy": f"{day.year % 100:02}",
        "weekday": weekday,
        "wd": weekday[:3],
    }


def _split(days):
    """Which part each day is in, by a hash of its number (the last steps of SplitMix64), which no seed changes."""
    mixed = days.astype("uint64") * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.where((mixed ^ (mixed >> np.uint64(31))) % np.uint64(10) == 0, "test", "train")

"""The dates task: each text means its day and no other, and the days that are held out stay so."""

import calendar
import datetime
import re

import numpy as np
import pandas as pd
import pytest

import keras_seq as ks
from keras_seq.data.dates import _FORMS, _parts, _split

FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2030, 12, 31)

# A second statement of the forms, to read what was written.
Y, YY = r"(?P<y>\d{4})", r"(?P<yy>\d\d)"
D, DD = r"(?P<d>[1-9]|[12]\d|3[01])", r"(?P<d>0[1-9]|[12]\d|3[01])"
M, MM = r"(?P<m>[1-9]|1[0-2])", r"(?P<m>0[1-9]|1[0-2])"
NTH = r"(?P<d>[23]?1st|2?2nd|2?3rd|(?:[4-9]|1\d|2[04-9]|30)th)"
MONTH = rf"(?P<m>{'|'.join(calendar.month_name[1:])})"
MON = rf"(?P<m>{'|'.join(calendar.month_abbr[1:])})"
MON_DOT = rf"(?P<m>May(?= )|(?:{'|'.join(name for name in calendar.month_abbr[1:] if name != 'May')})(?=\.))\.?"
DAY = rf"(?P<weekday>{'|'.join(calendar.day_name)})"
DAY_3 = rf"(?P<weekday>{'|'.join(calendar.day_abbr)})"
PATTERNS = {
    "iso": f"{Y}-{MM}-{DD}",
    "dashes": f"{Y}-{M}-{D}",
    "spaces": f"{Y} {MM} {DD}",
    "dots": rf"{D}\.{M}\.{Y}",
    "dots_padded": rf"{DD}\.{MM}\.{Y}",
    "dots_short_year": rf"{D}\.{M}\.{YY}",
    "slashes": f"{M}/{D}/{Y}",
    "slashes_padded": f"{MM}/{DD}/{Y}",
    "slashes_short_year": f"{M}/{D}/{YY}",
    "day_month_year": f"{D} {MONTH} {Y}",
    "day_abbreviation_year": f"{D} {MON} {Y}",
    "day_abbreviation_year_dashes": f"{DD}-{MON}-{Y}",
    "day_month_short_year": f"{D} {MONTH} '{YY}",
    "ordinal_month_year": f"{NTH} {MONTH} {Y}",
    "the_ordinal_of_month": f"the {NTH} of {MONTH}, {Y}",
    "month_day_year": f"{MONTH} {D}, {Y}",
    "abbreviation_day_year": f"{MON} {D}, {Y}",
    "dotted_abbreviation_day_year": rf"{MON_DOT} {D}, {Y}",
    "abbreviation_day_short_year": f"{MON} {D} '{YY}",
    "month_ordinal_year": f"{MONTH} {NTH}, {Y}",
    "year_month_day": f"{Y} {MONTH} {D}",
    "weekday_day_month_year": f"{DAY} {D} {MONTH} {Y}",
    "weekday_month_day_year": f"{DAY}, {MONTH} {D}, {Y}",
    "weekday_abbreviation_day": f"{DAY_3}, {D} {MON} {Y}",
}


@pytest.fixture(scope="module")
def frame():
    return ks.data.dates(rows=30_000, seed=3)


def read(text, form):
    """The day that a text in that form stands for."""
    parts = re.fullmatch(PATTERNS[form], text, re.IGNORECASE)
    assert parts, (form, text)
    parts = parts.groupdict()
    month = parts["m"] if parts["m"].isdigit() else list(calendar.month_abbr).index(parts["m"][:3].title())
    year = int(parts["y"]) if "y" in parts else 1900 + (int(parts["yy"]) - 50) % 100 + 50
    day = datetime.date(year, int(month), int(re.match(r"\d+", parts["d"])[0]))
    if "weekday" in parts:
        assert calendar.day_abbr[day.weekday()] == parts["weekday"][:3].title(), text
    return day


def test_each_text_is_in_its_form_and_means_its_day(frame):
    assert list(frame.columns) == ["text", "iso", "form", "split"]
    for text, iso, form in zip(frame["text"][:5000], frame["iso"], frame["form"], strict=False):
        assert read(text, form).isoformat() == iso


def test_no_text_stands_for_two_days():
    """All days in all forms, whatever their case."""
    day_of = {}
    for number in range(FIRST.toordinal(), LAST.toordinal() + 1):
        words = _parts(datetime.date.fromordinal(number))
        for form in _FORMS.values():
            assert day_of.setdefault(form.format_map(words).lower(), number) == number, form.format_map(words)
    assert len(day_of) > 20 * (LAST - FIRST).days  # some forms agree: 10.11.1950 needs no padding


def test_all_forms_occur_about_equally_often(frame):
    counts = frame["form"].value_counts()
    assert set(counts.index) == set(PATTERNS) == set(_FORMS)
    mean = len(frame) / len(PATTERNS)
    assert (abs(counts - mean) < 5 * mean**0.5).all()


def test_each_form_with_letters_occurs_in_each_case(frame):
    for form, rows in frame.groupby("form"):
        texts = rows["text"][rows["text"].str.contains("[a-zA-Z]")]
        if len(texts) == 0:
            assert re.fullmatch("iso|dashes|spaces|dots.*|slashes.*", form)
            continue
        lower, upper = texts == texts.str.lower(), texts == texts.str.upper()
        usual = texts.str.fullmatch(PATTERNS[form])  # as it stands there
        assert (lower | upper | usual).all()
        assert min(lower.sum(), upper.sum(), usual.sum()) > 0.25 * len(texts)


def test_days_are_drawn_evenly_from_the_first_to_the_last():
    iso = ks.data.dates(rows=60_000, seed=0)["iso"]
    assert iso.min() == FIRST.isoformat()
    assert iso.max() == LAST.isoformat()
    years = iso.str[:4].value_counts()
    assert len(years) == 81
    assert (abs(years - len(iso) / 81) < 5 * (len(iso) / 81) ** 0.5).all()
    assert iso.str[5:].nunique() == 366


def test_no_day_is_in_both_parts_of_any_frames(frame):
    frames = [frame, *(ks.data.dates(rows, seed) for rows, seed in [(20_000, 0), (999, 0), (5000, 8), (1, 5)])]
    rows = pd.concat(frames)
    assert set(rows["split"]) == {"train", "test"}
    assert (rows.groupby("iso")["split"].nunique() == 1).all()


def test_a_tenth_of_the_days_is_held_out(frame):
    days = frame.drop_duplicates("iso")
    assert len(days) > 15_000
    assert abs((days["split"] == "test").mean() - 0.1) < 0.01
    for part in (days["iso"].str[:4], days["iso"].str[5:7], days["iso"].str[8:]):  # year, month, day of the month
        shares = (days["split"] == "test").groupby(part).mean()
        assert shares.between(0.02, 0.2).all()


def test_the_days_held_out_are_those_of_other_versions():
    """A saved model was tested on them."""
    days = np.arange(FIRST.toordinal(), FIRST.toordinal() + 60)
    assert np.flatnonzero(_split(days) == "test").tolist() == [13, 19, 23, 26, 27, 51]


def test_rows_and_seed_give_the_frame():
    first = ks.data.dates(rows=50, seed=4)
    assert len(first) == 50
    assert first.index.tolist() == list(range(50))
    pd.testing.assert_frame_equal(ks.data.dates(rows=50, seed=4), first)
    assert (ks.data.dates(rows=50, seed=5)["iso"] != first["iso"]).sum() > 45


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *(({"rows": rows}, f"`rows` must be a positive integer, got {rows!r}") for rows in (0, -3, True, None)),
        ({"rows": 2.5}, r"`rows` .* got 2\.5"),
        *(({"seed": seed}, f"`seed` must be an integer, 0 or more, got {seed!r}") for seed in (-1, True, None, "a")),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ks.data.dates(**arguments)

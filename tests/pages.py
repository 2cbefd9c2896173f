"""The pages for users, README.md and docs/, and the blocks of Python on them."""

import re

from tests.processes import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def block(words):
    """The one block of Python on all pages that holds these words; a block that is indented is not looked at."""
    blocks = [
        one for page in PAGES for one in re.findall(r"(?m)^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL)
    ]
    (found,) = [one for one in blocks if words in one]
    return found

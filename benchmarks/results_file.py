"""Result files: JSON, merged entry by entry, written whole or not at all."""

import json
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def read(name):
    """The entries of a result file; none if it is not there."""
    return content(name)["results"] if (RESULTS / f"{name}.json").exists() else []


def content(name):
    """All that a result file holds."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def merge(name, entry, keys, protocol):
    """Put an entry into a result file, in the place of an earlier one that agrees in `keys`."""

    def identity(one):
        return [one[key] for key in keys]

    entries = [one for one in read(name) if identity(one) != identity(entry)]
    write(name, {"protocol": protocol, "results": sorted([*entries, entry], key=lambda one: json.dumps(identity(one)))})


def write(name, content):
    temporary = RESULTS / f"{name}.tmp"
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(RESULTS / f"{name}.json")

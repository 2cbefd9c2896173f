"""The pictures of the README: outputs of the notebooks, taken from them as they are stored.

python notebooks/pictures.py            # writes docs/NAME.png for each cell that has the tag picture-NAME
python notebooks/pictures.py --check    # fails where one is not what the notebook shows
"""

import base64
import sys
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "docs"
TAG = "picture-"


def pictures():
    """`(name, bytes)` of each picture whose cell has a tag."""
    for path in sorted(HERE.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for tag in cell.metadata.get("tags", []):
                if tag.startswith(TAG):
                    (encoded,) = [out.data["image/png"] for out in cell.outputs if "image/png" in out.get("data", {})]
                    yield tag.removeprefix(TAG), base64.b64decode(encoded)


def main():
    for name, content in pictures():
        target = FOLDER / f"{name}.png"
        if "--check" not in sys.argv:
            target.with_suffix(".tmp").write_bytes(content)
            target.with_suffix(".tmp").replace(target)
        elif not target.exists() or target.read_bytes() != content:
            sys.exit(f"docs/{name}.png: run python notebooks/pictures.py")


if __name__ == "__main__":
    main()

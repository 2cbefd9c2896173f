"""The notebooks: they run from top to bottom, are stored with their outputs, and use the library only."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(path):
    """The cells of code, those of Markdown."""
    cells = nbformat.read(path, as_version=4).cells
    return [[cell for cell in cells if cell.cell_type == kind] for kind in ("code", "markdown")]


def run(path, **environment):
    command = [sys.executable, FOLDER / "run.py", "--small", "--no-store", path]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.tensorflow
@every_notebook
def test_it_runs_without_real_data(path, tmp_path):
    before = path.read_bytes()
    run(path, KERAS_SEQ_DATA=str(tmp_path / "nothing"))
    assert path.read_bytes() == before


@pytest.mark.tensorflow
@pytest.mark.data
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if "KERAS_SEQ_DATA" in path.read_text("utf-8")], ids=lambda path: path.stem
)
def test_it_runs_on_real_data(path):
    run(path)


@every_notebook
def test_it_is_stored_as_it_ran(path, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.get("executed") == importlib.import_module("run").digest(notebook)
    cells, _ = code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)  # a picture


@every_notebook
def test_it_defines_no_layer(path):
    cells, _ = code(path)
    assert not re.findall(r"^\s*class ", "\n".join(cell.source for cell in cells), re.MULTILINE)


@every_notebook
def test_its_links_lead_somewhere(path):
    _, cells = code(path)
    for link in re.findall(r"\]\(([^)#]+)", "\n".join(cell.source for cell in cells)):
        assert link.startswith("https://") or (FOLDER / link).exists(), link


def test_they_are_numbered():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]


def test_the_pictures_of_the_readme_are_theirs():
    done = subprocess.run([sys.executable, FOLDER / "pictures.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((FOLDER.parent / "docs").glob("*.png"))) == 3

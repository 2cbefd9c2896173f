"""Executes notebooks and stores their outputs in them.

    make notebooks                                 # all, in full
    python notebooks/run.py notebooks/03*.ipynb    # these
    python notebooks/run.py --small --no-store     # as the tests run them

A notebook is executed from its top in a kernel of its own, in the folder of the notebooks, and written when its last
cell has run: to a temporary name first, so that one that fails stays as it was. What differs from run to run, but says
nothing (times of execution, ids, versions of the kernel), is left out. Its metadata say what code gave the outputs, so
that a cell which is edited and not executed is found by the tests.
"""

import argparse
import hashlib
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
SMALL = "KERAS_SEQ_SMALL"
SECONDS = 3600  # for a cell, on a machine that is busy


def execute(path, small=False):
    """The notebook with new outputs; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    environment = {name: value for name, value in os.environ.items() if name != SMALL}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONHASHSEED": "0", **({SMALL: "1"} if small else {})}
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(path.parent), env=environment)
    return tidy(notebook)


def tidy(notebook):
    """The notebook without what says nothing of it."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}, "executed": digest(notebook)}
    notebook.metadata = nbformat.from_dict(about)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.from_dict({name: cell.metadata[name] for name in cell.metadata if name == "tags"})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _of_a_library(output)]
    return notebook


def digest(notebook):
    """A hash of the code of all cells, the same for all ways to lay it out."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(re.sub(r"[\s,;()]", "", code).encode()).hexdigest()


def _of_a_library(output):
    """Whether it is a message of a library, such as TensorFlow's of its devices and of functions traced anew."""
    told = output.output_type == "stream"
    return told and (output.name == "stderr" or output.text.startswith(("WARNING:tensorflow", "INFO:tensorflow")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of this folder, where none is named")
    parser.add_argument("--small", action="store_true", help="fewer rows and epochs, as the tests do")
    parser.add_argument("--no-store", action="store_true", help="leave the files as they are")
    arguments = parser.parse_args()
    for path in arguments.notebooks or sorted(HERE.glob("*.ipynb")):
        started = time.perf_counter()
        notebook = execute(path.resolve(), arguments.small)
        if not arguments.no_store:
            new = path.with_suffix(".new")
            nbformat.write(notebook, new)
            new.replace(path)
        print(f"{path.name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())

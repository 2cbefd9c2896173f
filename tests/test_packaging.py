"""What `import keras_seq` brings with it, and what the distribution holds."""

import ast
import json

import pytest

import keras_seq
from tests.processes import ROOT, python, run_code

PACKAGE = ROOT / "keras_seq"
OPTIONAL = {"sklearn", "typer", "pyarrow", "matplotlib", "sacrebleu", "tokenizers"}  # rich comes with Keras
HEAVY = {"tensorflow", "pandas", "jax"}

# Which of our modules may import what, wherever in the file.
ALLOWED = {
    "tensorflow": (
        "backend/tensorflow.py",
        "backend/tensorflow_training.py",
        "data/",
        "saving.py",
        "layers/tokenizer.py",
        "layers/vectorizer.py",
        "models/text.py",
        "models/strings.py",
        "models/forecast_serving.py",
    ),
    "pandas": ("data/", "cli/", "diagnostics/"),
    "jax": ("backend/jax.py", "backend/jax_training.py"),
    "sklearn": ("cli/",),
    "typer": ("cli/",),
    "tokenizers": ("data/tokenizer.py",),
    "rich": ("cli/",),
    "torch": (),
}


def imports_of(path, everywhere=True):
    """Names of the packages that a file imports; only those at its top unless `everywhere`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if everywhere else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_where_a_package_may_be_imported(package):
    files = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if package in imports_of(path)]
    assert [name for name in files if not name.startswith(ALLOWED[package])] == []


def test_the_core_imports_neither_pandas_nor_plots_nor_the_extras():
    """Looked up in the source, since Keras itself imports pandas where it is installed."""
    lazy = ("data/", "cli/", "saving.py", "backend/")
    core = [path for path in PACKAGE.rglob("*.py") if not path.relative_to(PACKAGE).as_posix().startswith(lazy)]
    assert len(core) > 15
    found = {path.name: set(imports_of(path, everywhere=False)) & (OPTIONAL | HEAVY) for path in core}
    assert {name: packages for name, packages in found.items() if packages} == {}


IMPORTED = """
import json, sys
import keras_seq
lazy = sorted(name for name in sys.modules if name.startswith(("keras_seq.data", "keras_seq.saving", "keras_seq.cli")))
public = {name: len(dir(getattr(keras_seq, name))) for name in keras_seq.__all__}
print(json.dumps({"lazy": lazy, "public": public, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


@pytest.mark.tensorflow
def test_without_the_extras_it_is_imported_whole(tmp_path):
    """As after `pip install keras_seq`: neither typer nor scikit-learn nor pyarrow is there."""
    answer = json.loads(run_code(IMPORTED, tmp_path, block=OPTIONAL))
    assert answer["lazy"] == []
    assert all(answer["public"].values())
    assert not OPTIONAL & set(answer["modules"])


def test_on_jax_tensorflow_stays_out(tmp_path):
    pytest.importorskip("jax")
    code = "import sys, keras_seq; print(sorted(n for n in sys.modules if n == 'tensorflow'))"
    assert run_code(code, tmp_path, KERAS_BACKEND="jax").strip() == "[]"


def test_public_names_are_there_and_others_are_not():
    for name in keras_seq.__all__:
        module = getattr(keras_seq, name)
        for public in getattr(module, "__all__", ()):
            assert getattr(module, public).__doc__, f"{name}.{public} has no docstring"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = keras_seq.nonsense


def test_the_distribution_takes_the_reviews_along():
    import configparser

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    pattern = config["options.package_data"]["keras_seq.data"]
    assert list((PACKAGE / "data").glob(pattern))
    assert {"cli", "dev", "bench", "parquet"} <= set(config["options.extras_require"])
    missing = [path.parent for path in PACKAGE.rglob("*.py") if not (path.parent / "__init__.py").exists()]
    assert missing == []  # `find:` takes packages only


def test_the_command_is_there(tmp_path):
    done = python("-m", "pip", "show", "--files", "keras_seq", cwd=tmp_path)
    assert "keras-seq" in done.stdout or "entry_points.txt" in done.stdout

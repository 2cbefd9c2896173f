"""Python in another process: another backend, blocked imports, exit codes, kills."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The command line, and the options of a training that takes a second.
MAIN = "from keras_seq.cli import main; main()"
TINY = ["--units", 4, "--embedding-dim", 4, "--batch-size", 8, "--encoder", "simple_rnn", "--learning-rate", 0.03]

# Put before code: no finder finds these packages any more, as if they were not installed.
BLOCK = """
import sys

class _Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in {names!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(_Hiding, sys.meta_path)
"""


def environment(**changes):
    """The environment of this process, quiet, with changes; `None` takes a variable away."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"}
    env.update(changes)
    return {name: value for name, value in env.items() if value is not None}


def python(*arguments, cwd=None, stdin=None, timeout=300, **env):
    """Run the interpreter and return the finished process, its output as text."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env=environment(**env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def run_code(code, cwd, block=(), **env):
    """Run code that must succeed and return what it printed. `block` names packages that cannot be imported there."""
    code = (BLOCK.format(names=set(block)) if block else "") + code
    done = python("-c", code, cwd=cwd, **env)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout

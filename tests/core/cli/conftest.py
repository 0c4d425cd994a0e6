"""A quick search in a folder of its own, and ways to call the command line."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from morphml_core.cli import main

FUNCTION = """\
import math, time


def score(candidate):
    held = candidate.hyperparameters
    if held["kind"] == "bad":
        raise ValueError("this kind never works")
    return {"value": 1 - (held["x"] - 0.3) ** 2, "cost": held["y"]}


def fail(candidate):
    raise ValueError("nothing works")


def slow(candidate):
    time.sleep(0.05)
    return score(candidate)


def chatty(candidate):
    print("a word from the evaluation")
    return score(candidate)
"""

CONFIGURATION = """\
experiment: quick
seed: 3
objectives: [value, {name: cost, goal: minimize}]
space:
  name: parameters
  decisions: {x: {real: [0, 1]}, y: {integer: [1, 10]}, kind: {choice: [a, b, bad]}}
evaluator: {name: function, function: "my_function.py:score"}
stop: {trials: 12}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with quick.yaml and the function that it names."""
    (tmp_path / "my_function.py").write_text(FUNCTION)
    (tmp_path / "quick.yaml").write_text(CONFIGURATION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(folder):
    """Call `morphml` in this process; gives the result with `exit_code`, `stdout` and `stderr`."""

    def called(*arguments):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return called


@pytest.fixture
def ran(call):
    """The same, after a search has been run."""
    assert call("run", "quick.yaml").exit_code == 0
    return call


@pytest.fixture
def command():
    """The command line as another process sees it."""
    script = Path(sys.executable).with_name("morphml")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from morphml_core.cli import main; main()"]


@pytest.fixture
def shell(folder, command):
    """Run `morphml` as a process of its own."""

    def called(*arguments):
        return subprocess.run(
            [*command, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )

    return called

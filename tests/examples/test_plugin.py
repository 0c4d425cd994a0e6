"""The plugin to copy: it installs, is found by its entry point, searches, and passes its own tests."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"

SEARCH = """
from morphml_core.plugins.component import ComponentRef
from morphml_core.plugins.loader import Loader
from morphml_core.testing.problems import Search, problem

given = problem("flat")
optimizer = Loader().load(ComponentRef("optimizer", "hill_climb", {"mutations": 2})).create(given)
past = list(Search(optimizer, given).run(60).past())
best = [max(trial.metrics["accuracy"] for trial in past[:count]) for count in (5, 60)]
print(type(optimizer).__name__, len(past), best[0] < best[1])
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment in which the plugin, built and installed by pip, can be imported."""
    target = tmp_path_factory.mktemp("installed")
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
        "--no-build-isolation", "--target", str(target), str(PLUGIN),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}


def run(environment, *arguments, cwd=None):
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_plugin_has_at_most_20_lines_of_code():
    source = (PLUGIN / "src" / "hill_climb.py").read_text()
    docstring = ast.parse(source).body[0]
    lines = [
        line
        for line in source.splitlines()[docstring.end_lineno :]
        if line.strip() and not line.lstrip().startswith("#")
    ]
    assert len(lines) <= 20


def test_it_is_found_by_name_and_searches(environment):
    done = run(environment, "-c", SEARCH)
    assert (done.stdout.strip(), done.stderr) == ("HillClimb 60 True", "")


def test_its_own_tests_pass(environment, tmp_path):
    done = run(environment, "-m", "pytest", "-p", "no:cacheprovider", str(PLUGIN / "tests"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout

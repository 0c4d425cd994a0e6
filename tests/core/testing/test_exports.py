"""What `morphml_core.testing` exports, and when it imports it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import morphml_core.testing
from morphml_core.plugins.component import KINDS


def test_there_is_a_suite_for_each_kind():
    assert sorted(morphml_core.testing.__all__) == sorted(f"{kind.capitalize()}Suite" for kind in KINDS)
    assert dir(morphml_core.testing) == morphml_core.testing.__all__


@pytest.mark.parametrize("kind", KINDS)
def test_each_suite_is_found_by_name(kind):
    suite = getattr(morphml_core.testing, f"{kind.capitalize()}Suite")
    assert suite.__module__ == f"morphml_core.testing.{kind}"
    assert suite.__doc__
    assert "make" in vars(suite)


def test_an_unknown_name():
    with pytest.raises(
        AttributeError, match=r"module 'morphml_core\.testing' has no attribute 'Suite'; it has ArtifactsSuite, "
    ):
        morphml_core.testing.Suite  # noqa: B018 - reading it is the test


def test_importing_the_package_imports_no_suite():
    code = "import sys, morphml_core.testing as t; print([m for m in sys.modules if m.startswith('morphml_core.testing.') or m == 'pytest'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pytest_plugin_shows_values_in_failing_suites(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from morphml_core.testing import OptimizerSuite\n"
        "class Nothing:\n"
        "    def ask(self, numbers, pending): return ['no proposal']\n"
        "    def tell(self, trials): pass\n"
        "class TestNothing(OptimizerSuite):\n"
        "    @pytest.fixture\n"
        "    def make(self): return lambda problem: Nothing()\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "proposals_than_asked",
        "test_it.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "assert ['no proposal'] == []" in done.stdout


def test_a_suite_without_make_says_what_it_needs(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "from morphml_core.testing import SchedulerSuite\nclass TestMine(SchedulerSuite):\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "waits_for_ever", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "a SchedulerSuite needs a fixture 'make' that returns a function of () to a scheduler" in done.stdout

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from morphml_core.cli import main
from morphml_core.plugins.catalogue import Catalogue


def run(*arguments):
    return CliRunner().invoke(main, ["plugins", *arguments], catch_exceptions=False)


def test_one_kind_as_a_table():
    found = run("executor")
    assert found.exit_code == 0
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["kind", "name", "distribution", "version"]
    assert ["executor", "inline", "morphml-core"] in [line[:3] for line in lines]
    assert {line[0] for line in lines[1:]} == {"executor"}


def test_all_kinds_as_json():
    found = json.loads(run("--json").stdout)
    assert {"kind", "name", "distribution", "version", "target"} == set(found[0])
    assert {"space", "optimizer", "storage", "hook"} <= {row["kind"] for row in found}


def test_listing_imports_no_component():
    code = (
        "import sys; from click.testing import CliRunner; from morphml_core.cli import main\n"
        "CliRunner().invoke(main, ['plugins'], catch_exceptions=False)\n"
        "print([n for n in ('morphml_optimizers', 'morphml_core.optimizer.random', 'torch', 'sqlalchemy', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unknown_kind():
    found = run("optimiser")
    assert (found.exit_code, found.stderr) == (2, "Error: there is no kind 'optimiser'; did you mean 'optimizer'?\n")


def test_checking_says_ok():
    found = run("optimizer", "--check", "--json")
    assert found.exit_code == 0
    assert {row["check"] for row in json.loads(found.stdout)} == {"ok"}


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A third party on the path, whose component cannot be imported and whose other name is taken."""
    info = tmp_path / "my_bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[morphml.stopper]\nbad = my_bad:component\nmedian = my_bad:other\n")
    (tmp_path / "my_bad.py").write_text("raise RuntimeError('no luck')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_checking_says_what_is_wrong(broken):
    found = run("stopper", "--check", "--json")
    assert found.exit_code == 2
    taken = "stopper 'median' is registered by morphml-core and by my-bad; write 'morphml-core:median' or 'my-bad:median' to choose"
    assert [(row["distribution"], row["name"], row["check"]) for row in json.loads(found.stdout)] == [
        ("my-bad", "bad", "stopper 'bad' (my_bad:component of my-bad 1.0) cannot be imported: RuntimeError: no luck"),
        ("morphml-core", "median", taken),
        ("my-bad", "median", taken),
    ]


def test_listing_what_is_broken_is_fine(broken):
    assert run("stopper").exit_code == 0


def test_stale_metadata_is_noted(broken):
    stale = broken / "stale" / "my_bad-0.5.dist-info"
    stale.mkdir(parents=True)
    (stale / "METADATA").write_text("Metadata-Version: 2.1\nName: my-bad\nVersion: 0.5\n")
    (stale / "entry_points.txt").write_text("[morphml.stopper]\nbad = my_bad:component\n")
    sys.path.append(str(stale.parent))
    try:
        found = run("stopper")
    finally:
        sys.path.remove(str(stale.parent))
    assert found.stderr == (
        "Note: my-bad is installed more than once: 1.0 is used, 0.5 is hidden behind it; "
        "uninstall it until none is left, then install it again\n"
    )


def test_nothing_of_a_kind():
    if Catalogue.installed().names("scheduler"):
        pytest.skip("a scheduler is installed")
    assert run("scheduler").stdout == "nothing is installed\n"

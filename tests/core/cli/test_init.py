import json
from pathlib import Path

import pytest
import yaml

from morphml_core.cli.init import SPACES


@pytest.mark.parametrize("space", SPACES)
def test_the_starter_file_is_valid(space, call):
    pytest.importorskip("sklearn")
    result = call("init", "my search.yaml", "--space", space)
    assert result.stdout == "Wrote my search.yaml.  Next: morphml run 'my search.yaml'\n"
    assert yaml.safe_load(Path("my search.yaml").read_text())["experiment"] == "my-search"
    assert call("validate", "my search.yaml").exit_code == 0


def test_the_starter_file_runs(call):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    call("init")
    result = call(
        "run",
        "morphml.yaml",
        "--json",
        "--set",
        "stop.trials=1",
        "--set",
        "evaluator.epochs=1",
        "--set",
        "executor=inline",
    )
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["trials"]["finished"] == 1
    assert (Path(summary["export"]["folder"]) / "model.py").exists()
    assert "test_accuracy" in summary["export"]["metrics"]


def test_an_existing_file_is_left_alone(call, folder):
    before = (folder / "quick.yaml").read_text()
    result = call("init", "quick.yaml")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: quick.yaml exists already; name another file, or remove it first\n",
    )
    assert (folder / "quick.yaml").read_text() == before


def test_a_folder_that_cannot_be_made(call):
    result = call("init", "quick.yaml/inner/new.yaml")
    assert result.exit_code == 2
    assert result.stderr == "Error: cannot make the folder quick.yaml/inner: Not a directory; name another file\n"


def test_a_folder_that_is_a_file(call):
    result = call("init", "quick.yaml/new.yaml")
    assert result.exit_code == 2
    assert result.stderr == "Error: cannot make the folder quick.yaml: File exists; name another file\n"


def test_a_starter_file_is_not_toml(call):
    result = call("init", "new.toml")
    assert result.exit_code == 2
    assert result.stderr == "Error: new.toml would be read as TOML, and the starter file is YAML; name it new.yaml\n"
    assert not Path("new.toml").exists()

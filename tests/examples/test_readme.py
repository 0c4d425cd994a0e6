"""Every command and every block of code that the README shows does what it says."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from morphml_core.config import read_configuration

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
SHORT = ["--set", "stop.trials=6", "--set", "finalists={top: 1, repeats: 1, epochs: 2}", "--set", "evaluator.epochs=2"]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_python_block_runs(tmp_path):
    (block,) = blocks("python")
    (tmp_path / "block.py").write_text(block)
    run = subprocess.run([sys.executable, "block.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"\{'score': -?[\d.]+\}\n", run.stdout)


def test_the_configuration_can_be_read(tmp_path):
    (block,) = blocks("yaml")
    (tmp_path / "digits.yaml").write_text(block)
    configuration = read_configuration(tmp_path / "digits.yaml")
    assert configuration.experiment == "digits"
    assert [objective.name for objective in configuration.objectives] == ["accuracy", "parameters"]


def test_the_console_commands_run(tmp_path):
    pytest.importorskip("torch")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (block,) = blocks("console")
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in block.splitlines()]
    assert [command[1] for command in commands] == ["validate", "run", "show", "trials", "export", "plugins"]
    for command in commands:
        assert command[0] == "morphml"
        more = SHORT if "examples/digits.yaml" in command else []
        run = subprocess.run(
            [str(BIN / "morphml"), *command[1:], *more], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{command}: {run.stderr}"
        assert "Traceback" not in run.stderr
    assert (tmp_path / "results" / "digits" / "report.html").exists()
    assert {"weights.pt", "model.py", "model.pt2"} <= {path.name for path in (tmp_path / "my-network").iterdir()}


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target

"""Every command and every block of code that the README shows does what it says."""

import re
import shlex
import shutil
import socket
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
    block, _ = blocks("console")
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


@pytest.mark.timeout(240)
def test_the_commands_of_a_cluster_run(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("morphml_distributed")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    _, block = blocks("console")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    text = block.replace("{name: grpc}", f"{{name: grpc, listen: {address}}}").replace("127.0.0.1:4567", address)
    commands = [shlex.split(line.removeprefix("$ ").removesuffix(" &"), comments=True) for line in text.splitlines()]
    assert [command[:2] for command in commands] == [["pip", "install"], ["morphml", "run"], ["morphml", "worker"]]
    assert (ROOT / commands[0][-1] / "pyproject.toml").exists()
    master, worker = ([str(BIN / "morphml"), *command[1:]] for command in commands[1:])
    quiet = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*master, *SHORT], **quiet) as search, subprocess.Popen(worker, **quiet) as helper:
        _, said = search.communicate(timeout=200)
        helper.terminate()
        helper.communicate(timeout=30)
    assert (search.returncode, helper.returncode) == (0, 0), said
    assert (tmp_path / "results" / "digits" / "report.html").exists()


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target

"""docs/distributed.md is followed as it stands, on one machine instead of three."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def commands(start):
    """The commands that the page shows and that begin with this."""
    found = re.findall(rf"^ {{4,}}({re.escape(start)} .*)$", PAGE, flags=re.MULTILINE)
    assert found, start
    return found


@pytest.mark.timeout(120)
def test_three_machines_in_ten_minutes(tmp_path, port):
    def here(text):
        return text.replace("10.0.0.1:4567", f"127.0.0.1:{port}").replace("0.0.0.0:4567", f"127.0.0.1:{port}")

    def start(text):
        return subprocess.Popen(
            [str(BIN / "morphml"), *shlex.split(here(text))[1:]], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    (init,) = commands("morphml cluster init")
    with start(init) as done:
        assert done.wait(30) == 0
    copied = {Path(file).name for line in commands("scp") for file in shlex.split(line)[1:-1]}
    (worker,) = commands("morphml worker")
    assert {Path(file).name for file in re.findall(r"cluster/\S+", worker)} == copied
    (block,) = re.findall(r"^   ```yaml\n(.*?)^   ```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    shown = yaml.safe_load(here(block))
    assert shown.pop("trial") == {"gpus": 1, "cpus": 4}
    search = {
        "experiment": "fashion", "objectives": ["score"], "output": "results", "stop": {"trials": 20},
        "space": {"name": "parameters", "decisions": {"a": {"choice": [0, 1, 2, 3]}, "b": {"integer": [0, 3]}, "x": {"real": [0, 1]}}},
        "evaluator": {"name": "function", "function": "morphml_distributed.chaos.evaluation:evaluate"},
    }  # fmt: skip
    (tmp_path / "fashion.yaml").write_text(yaml.safe_dump({**search, **shown}))
    (run,), (show,) = commands("morphml run"), commands("morphml cluster show 10.0.0.1:4567")
    with start(run) as master, start(worker) as helper:
        for _ in range(30):  # the master takes a moment to start
            with start(f"{show} --json") as looking:
                seen, _ = looking.communicate(timeout=60)
            if looking.returncode == 0:
                break
        said, _ = master.communicate(timeout=100)
        helper.terminate()
        helper.communicate(timeout=30)
    assert master.returncode == 0, said
    assert (looking.returncode, '"workers"' in seen) == (0, True), seen


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        path = ROOT / "docs" / (file or "distributed.md")
        assert path.exists(), target
        heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert not anchor or anchor in {head.lower().replace(" ", "-") for head in heads}, target

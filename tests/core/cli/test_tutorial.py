"""The tutorial is run as it stands, with fewer and shorter trainings."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?:`([\w.]+)`:\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
SHORTER = {
    "executor: {name: processes, workers: 2}": "executor: inline",
    "epochs: 8": "epochs: 1",
    "trials: 30": "trials: 3",
    "finalists: {top: 3, repeats: 2}": "finalists: {top: 1, repeats: 1}",
}


def sections():
    return re.split(r"^## ", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]


def save_or_run(folder, name, kind, text):
    if name:
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        (folder / name).write_text(text, encoding="utf-8")
        return []
    assert kind == "console", f"a block of {kind} that is neither saved nor run"
    return [line.removeprefix("$ ") for line in text.splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("section", sections(), ids=lambda section: section.splitlines()[0])
def test_every_step_runs(section, tmp_path):
    if "name: train" in section:
        pytest.importorskip("torch")
        pytest.importorskip("sklearn")
    if "regularized_evolution" in section:
        pytest.importorskip("morphml_optimizers")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    for name, kind, text in BLOCK.findall(section):
        for command in save_or_run(tmp_path, name, kind, text):
            done = subprocess.run(
                command,
                shell=True,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert "Warning" not in done.stderr
            assert done.stdout


def test_the_files_of_the_tutorial_are_all_saved():
    names = [name for section in sections() for name, _, _ in BLOCK.findall(section) if name]
    assert names == [
        "digits.yaml",
        "own_space.yaml",
        "my_function.py",
        "own_function.yaml",
        "search.py",
        "results.csv",
        "own_table.yaml",
    ]


def test_what_is_linked_is_there():
    for target in re.findall(r"\]\(([\w.-]+\.md)\)", TUTORIAL.read_text(encoding="utf-8")):
        assert (TUTORIAL.parent / target).exists(), target

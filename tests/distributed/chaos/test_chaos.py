"""Kill everything: a search under real faults has every trial once, and the trajectory of an undisturbed one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from morphml_distributed.chaos.network import why_not

MORPHML = str(Path(sys.executable).with_name("morphml"))


def chaos(*arguments, timeout):
    return subprocess.run(
        [MORPHML, "chaos", "--json", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.timeout(460)
def test_two_minutes_of_every_fault(tmp_path):
    done = chaos("--seed", "1", "--length", "2m", "--folder", str(tmp_path / "chaos"), timeout=440)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["broken"] == []
    expected = {"kill_worker", "stop_worker", "kill_master", "lock_storage", "step_clock"}
    assert expected | ({"cut_network"} if why_not() is None else set()) <= set(found["faults"])
    assert sum(found["faults"].values()) > 20
    assert found["lost_attempts"] > 0


def test_a_fault_that_is_not_there():
    done = chaos("--faults", "kill_worker,earthquake", timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "Error: Invalid value for '--faults': there is no fault 'earthquake'; there are kill_worker, stop_worker, kill_master, "
        "stop_master, lock_storage, cut_network, step_clock"
    )


def test_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "kept").write_text("x")
    done = chaos("--folder", str(tmp_path), timeout=60)
    assert (done.returncode, done.stderr) == (
        2, f"Error: the folder {tmp_path} is not empty; name one that is not there yet\n",
    )  # fmt: skip

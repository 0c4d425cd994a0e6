"""`benchmarks/scaling.py`: simulated clusters of each policy, and its files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def scaling(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "scaling.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_policy_keeps_simulated_workers_busy(tmp_path):
    done = scaling("--workers", 1, 40, "--output", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["policy"], each["workers"]) for each in found] == [
        (policy, workers)
        for policy in ("fifo", "priority", "round_robin", "load_balancing", "work_stealing", "adaptive")
        for workers in (1, 40)
    ]
    assert all(0.95 < each["efficiency"] <= 1.0 for each in found)
    assert all(each["tasks"] == 20 * each["workers"] for each in found)
    assert json.loads((tmp_path / "scaling.json").read_text()) == found
    pytest.importorskip("matplotlib")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_results_are_added_to_former_ones(tmp_path):
    for workers in (2, 3):
        done = scaling("--workers", workers, "--policy", "fifo", "--tasks", 40, "--output", tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"simulated, fifo, {workers} workers: efficiency 9" in done.stdout
    assert [each["workers"] for each in json.loads((tmp_path / "scaling.json").read_text())] == [2, 3]

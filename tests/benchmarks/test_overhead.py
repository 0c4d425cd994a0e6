"""`benchmarks/overhead.py`: what an ask and a tell cost, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def overhead(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "overhead.py"), "--part", "asks", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_asks_and_tells_of_ours_and_a_peer(tmp_path):
    done = overhead(
        "--optimizer", "random", "parego", "nothing", "--peers", "--at", 10, 100, "--output", tmp_path, "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["asks"]
    assert [each["optimizer"] for each in found] == ["random", "parego", "nothing", "optuna-tpe"]
    assert [each.get("objectives") for each in found] == [1, 2, None, 1]
    assert found[2]["failed"].startswith("there is no optimizer 'nothing'")
    for each in (found[0], found[1], found[3]):
        assert list(each["ask_ms"]) == list(each["tell_ms"]) == ["10", "100"]
        assert all(0.0 < value < 10_000.0 for value in [*each["ask_ms"].values(), *each["tell_ms"].values()])
        assert each["memory_mb"]["told"] == 130
    assert json.loads((tmp_path / "overhead.json").read_text())["asks"] == found
    pytest.importorskip("matplotlib")
    assert (tmp_path / "overhead.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_slow_is_cut_short():
    done = overhead("--optimizer", "regularized_evolution", "--at", 10, 100, "--patience", 0)
    assert done.returncode == 0, done.stderr
    assert "13" in done.stdout
    assert "100:" not in done.stdout

"""`benchmarks/hypervolume.py`: shares of the front, kept runs, and the same tables for peers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytest.importorskip("moocore")


def hypervolume(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "hypervolume.py"), *map(str, arguments), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def results(*arguments):
    done = hypervolume(*arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_shares_of_both_tables_are_kept_and_added_to(data, tmp_path):
    shared = ("--data", data, "--evaluations", 60, "--processes", 1, "--output", tmp_path)
    first = results(*shared, "--optimizer", "nsga2", "random", "--options", "population=8", "--runs", 2)
    assert [(each["table"], each["optimizer"], each["options"]) for each in first] == [
        ("nasbench201", "nsga2", {"population": 8}), ("nasbench201", "random", {}),
        ("macro", "nsga2", {"population": 8}), ("macro", "random", {}),
    ]  # fmt: skip
    assert all(0.5 < each["share"]["60"]["mean"] < 1.0 for each in first)
    file = tmp_path / "macro" / "random@60.json"
    before = json.loads(file.read_text())["curves"]
    shares = [share for _, share in before["0"]]
    assert [count for count, _ in before["0"]] == [25, 50, 60]
    assert shares == sorted(shares)
    again = results(*shared, "--table", "macro", "--optimizer", "random", "--runs", 3)
    after = json.loads(file.read_text())["curves"]
    assert (again[0]["runs"], [after[seed] for seed in "01"]) == (3, [before[seed] for seed in "01"])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert sorted(each["runs"] for each in summary["results"]) == [2, 2, 2, 3]
    pytest.importorskip("matplotlib")
    assert (tmp_path / "hypervolume.png").read_bytes().startswith(b"\x89PNG")


def test_the_whole_table_is_the_whole_share(script, data):
    hypervolume = script("hypervolume")
    for name in hypervolume.SOURCES:
        bench = hypervolume.bench(data, name)
        assert hypervolume.volume(bench.losses) / bench.volume == 1.0
        assert all(0.0 <= loss <= 1.0 for row in bench.losses[::50] for loss in row)


def test_pymoo_searches_the_same_tables(data):
    pytest.importorskip("pymoo")
    shared = ("--data", data, "--evaluations", 100, "--runs", 1, "--processes", 1)
    found = results(*shared, "--peers", "nsga2", "nsga3", "moead")
    assert [each["optimizer"] for each in found] == ["pymoo nsga2", "pymoo nsga3", "pymoo moead"] * 2
    assert all(0.6 < each["share"]["100"]["mean"] < 1.0 for each in found)


def test_an_option_that_nobody_has(data):
    done = hypervolume("--data", data, "--optimizer", "nsga2", "--options", "size=3")
    assert (done.returncode, done.stderr) == (2, "error: none of the optimizers nsga2 has an option 'size'\n")


def test_nothing_to_run():
    done = hypervolume()
    expected = "error: nothing to run; name optimizers with --optimizer, or other libraries with --peers\n"
    assert (done.returncode, done.stderr) == (2, expected)

"""`benchmarks/regret.py`: its output, its messages, and the published figure that regularized evolution has to meet."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("MORPHML_DATA", ROOT.parent / "shared" / "data"))


def regret(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "regret.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def results(*arguments):
    done = regret(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def table(tmp_path):
    """27 architectures, the sum of whose digits is what counts."""
    rows = [f"{a}{b}{c},{a + b + c},{a + b + c + 0.5}," for a, b, c in itertools.product(range(3), repeat=3)]
    path = tmp_path / "sums.csv"
    path.write_text("\n".join(["arch,acc_0,acc_1,acc_2", *rows]))
    return path


def test_an_object_for_each_table_and_optimizer(table):
    found = results(
        "--table", table, "--table", table, "--optimizer", "random", "--optimizer", "regularized_evolution",
        "--evaluations", 30, "--runs", 4, "--metric", "acc_", "--options", "population=6",
    )  # fmt: skip
    assert [each["optimizer"] for each in found] == ["random", "regularized_evolution"] * 2
    assert found[:2] == found[2:]
    assert [each["options"] for each in found[:2]] == [{}, {"population": 6}]
    assert {each["table"] for each in found} == {str(table)}
    assert {each["runs"] for each in found} == {4}
    assert [list(each["regret"]) for each in found[:2]] == [["25", "30"]] * 2
    assert found[0]["regret"]["30"] == {"mean": 0.0, "sem": 0.0}


def test_the_other_direction(table):
    found = results(
        "--table", table, "--optimizer", "random", "--evaluations", 27, "--runs", 2, "--metric", "acc_0", "--minimize"
    )
    assert found[0]["regret"]["27"] == {"mean": 0.0, "sem": 0.0}
    assert 0.0 <= found[0]["regret"]["25"]["mean"] <= 1.0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--optimizer", "randm"], "there is no optimizer 'randm'; did you mean 'random'?"),
        (["--optimizer", "random", "--options", "size=3"], "none of the optimizers random has an option 'size'"),
        (
            ["--optimizer", "regularized_evolution", "--options", "population=x"],
            "optimizer 'regularized_evolution': 'population' must be a whole number, but it is 'x' (a string)",
        ),
        (
            ["--optimizer", "random"],
            "the table {table} has no column 'val_acc_200ep_s'; there are arch, acc_0, acc_1, acc_2",
        ),
        (
            ["--optimizer", "random", "--key", "acc_1", "--metric", "acc_"],
            "the column 'acc_1' of {table} must have digits, the same number in each row; choose another with --key",
        ),
    ],
)
def test_what_does_not_fit(table, arguments, expected):
    done = regret("--table", table, *arguments)
    assert (done.returncode, done.stderr.strip()) == (2, f"error: {expected.format(table=table)}")


@pytest.mark.skipif(not DATA.is_dir(), reason="the published tables are not here; set MORPHML_DATA to their folder")
def test_regularized_evolution_reaches_the_reference():
    tables = [DATA / "nasbench201" / f"{name}.csv.gz" for name in ("cifar10", "cifar100")]
    found = results(
        "--table", tables[0], "--table", tables[1], "--optimizer", "regularized_evolution", "--evaluations", 100, "--runs", 200,
        "--options", "population=20", "sample=5",
    )  # fmt: skip
    for result, reference in zip(found, (0.232, 0.861), strict=True):
        after = result["regret"]["100"]
        assert abs(after["mean"] - reference) < 2.5 * after["sem"]


def test_a_built_in_space_with_its_graphs(tmp_path):
    rows = [f"{''.join(map(str, digits))},{sum(digits)}" for digits in itertools.product(range(5), repeat=6)]
    path = tmp_path / "cells.csv"
    path.write_text("\n".join(["ops,acc", *rows]))
    shared = ("--table", path, "--optimizer", "random", "--evaluations", 8, "--runs", 1, "--metric", "acc")
    built_in, flat = results(*shared, "--space", "nasbench201")[0], results(*shared)[0]
    assert (built_in.pop("space"), flat.pop("space")) == ("nasbench201", None)
    assert built_in == flat


def test_a_space_that_does_not_fit_the_keys(table):
    done = regret("--table", table, "--optimizer", "random", "--space", "nasbench201", "--metric", "acc_")
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: the keys have 3 digits, but the space 'nasbench201' is not made of so many equal choices\n"
    )

"""`benchmarks/regret.py`: its output, its messages, and the published figure that regularized evolution has to meet."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def test_regularized_evolution_reaches_the_reference(data):
    found = results(
        "--table", "nasbench201/*", "--data", data, "--flat", "--optimizer", "regularized_evolution", "--evaluations", 100, "--runs", 200,
        "--options", "population=20", "sample=5",
    )  # fmt: skip
    assert [each["table"] for each in found] == ["nasbench201/cifar10", "nasbench201/cifar100"]
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


def test_a_folder_of_results_is_added_to(table, tmp_path):
    folder = tmp_path / "out"
    shared = ("--table", table, "--metric", "acc_", "--at", 5, 10, "--output", folder)
    first = results(*shared, "--optimizer", "random", "--runs", 3)[0]
    file = next(folder.glob("*/random@10.json"))
    kept = json.loads(file.read_text())
    assert (sorted(kept["curves"]), kept["method"], kept["evaluations"]) == (["0", "1", "2"], "random", 10)
    kept["curves"]["1"] = [[1, 7.0]]  # is taken as it is, not run again
    file.write_text(json.dumps(kept))
    again = results(*shared, "--optimizer", "random", "regularized_evolution", "--options", "population=6", "--runs", 4)
    assert [(each["optimizer"], each["runs"]) for each in again] == [("random", 4), ("regularized_evolution", 4)]
    after = json.loads(file.read_text())["curves"]
    assert after["1"] == [[1, 7.0]]
    assert [after[seed] for seed in "02"] == [kept["curves"][seed] for seed in "02"]
    assert first["regret"]["10"] != again[0]["regret"]["10"]
    assert {path.name for path in folder.glob("*/*")} == {
        "random@10.json",
        "regularized_evolution,population=6@10.json",
    }
    summary = json.loads((folder / "summary.json").read_text())
    replaced = results(*shared, "--optimizer", "random", "--runs", 3, "--again")[0]
    assert (replaced["runs"], replaced["regret"]) == (3, first["regret"])
    assert summary["at"] == [5, 10]
    assert [each["runs"] for each in summary["results"]] == [4, 4]
    pytest.importorskip("matplotlib")
    assert (folder / "regret.png").read_bytes().startswith(b"\x89PNG")


def test_no_search_begins_after_the_limit(table, tmp_path):
    arguments = ("--table", table, "--metric", "acc_", "--optimizer", "random", "--runs", 3, "--output", tmp_path)
    assert results(*arguments, "--limit", 0) == []


def test_peers_follow_the_same_rule(script, data, monkeypatch):
    """A peer that proposes what ours has proposed sees the same values, and has the same regrets."""
    regret, peers = script("regret"), script("peers")
    table = regret.Table("nasbench201/cifar10", data, flat=True)
    (reference,) = regret.references(["random"], [])
    ours = regret.search(table, regret.Method("random", reference), 30, 5)
    drawn = list(regret._search_of_ours(regret.bench(table), reference, 30, 5))

    def copy(decisions, tell, evaluations, seed):
        for genotype, value in drawn:
            assert tell(genotype) == -value
        tell(drawn[0][0])

    monkeypatch.setitem(peers.PEERS, "copy", copy)
    assert regret.search(table, regret.Method("copy"), 30, 5) == ours
    assert len(ours) == 30
    assert ours == sorted(ours, reverse=True) or min(ours) >= 0.0


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-tpe-univariate", "optuna-nsga2"])
@pytest.mark.parametrize("table", ["nas_bench_graph/cora", "hpolib_fcnet/protein_structure"])
def test_optuna_searches_every_kind_of_table(script, data, table, name):
    regret = script("regret")
    found = [regret.search(regret.Table(table, data), regret.Method(name), 25, seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 25
    assert all(value >= 0.0 for value in found[0] if not math.isnan(value))


def test_who_is_behind_whom(script):
    regret, figures = script("regret"), script("figures")

    def runs(table, method, values):
        return figures.Runs(table, method, 50, curves={seed: [(1, value)] for seed, value in enumerate(values)})

    found = regret.compare(
        [
            runs("one", "ours", [1.0, 1.1, 1.2]), runs("one", "smac", [2.0, 2.1, 2.2]), runs("one", "optuna-tpe", [0.0, 0.1, 0.2]),
            runs("two", "ours", [1.0, 1.1, 1.2]), runs("two", "smac", [1.0, 1.1, 1.3]),
            runs("three", "ours", [1.0, 1.1, 1.2]), runs("three", "smac", [4.0, 4.1, 4.2]),
            runs("four", "ours", [1.0, 1.1, 1.2]),
        ],
        [50, 100],
    )  # fmt: skip
    assert list(found) == ["ours"]
    assert found["ours"]["never behind"] == 2
    assert found["ours"]["100"] == {"tables": 0, "not behind any peer": 0, "ahead of every peer": 0, "behind": {}}
    assert found["ours"]["50"] == {
        "tables": 3, "not behind any peer": 2, "ahead of every peer": 1, "behind": {"one": ["optuna-tpe by 1 ± 0.23"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--peers", "hyperopt"], "there is no peer 'hyperopt'; there are optuna-tpe, "),
        ([], "nothing to run; name optimizers with --optimizer, or other libraries with --peers"),
    ],
)
def test_peers_that_do_not_exist(table, arguments, expected):
    done = regret("--table", table, *arguments)
    assert done.returncode != 0
    assert done.stderr.startswith(f"error: {expected}")

import json

import pytest
from click.testing import CliRunner

from morphml_core import __version__
from morphml_core.cli import main

GOOD = """\
experiment: a
objectives: [value, {name: cost, goal: minimize}]
constraints: [cost <= 5]
space: {name: parameters, decisions: {x: {real: [0, 1]}}}
evaluator: {name: function, function: "mine.py:measure"}
storage: memory
hooks: []
stop: {trials: 5, time: 1m}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def measure(candidate):\n    raise SystemExit('evaluated')\n")

    def run(text, *arguments):
        (tmp_path / "a.yaml").write_text(text)
        return CliRunner().invoke(main, ["validate", "a.yaml", *arguments], catch_exceptions=False)

    return run


def test_a_line_for_each_section(run):
    found = run(GOOD + "optimizer: random\n")
    assert found.stderr == ""
    assert found.exit_code == 0
    assert [line.split(maxsplit=1) for line in found.stdout.splitlines()] == [
        ["experiment", "a"],
        ["objectives", "maximize value, minimize cost"],
        ["constraints", "cost <= 5"],
        ["space", f"parameters (morphml-core {__version__})"],
        ["evaluator", f"function (morphml-core {__version__})"],
        ["optimizer", f"random (morphml-core {__version__})"],
        ["executor", f"inline (morphml-core {__version__})"],
        ["storage", f"memory (morphml-core {__version__})"],
        ["artifacts", f"local (morphml-core {__version__})"],
        ["stop", "trials 5, time 1 min"],
        ["a.yaml", "is fine"],
    ]


def test_as_json(run):
    found = json.loads(run(GOOD, "--json").stdout)
    assert (found["valid"], found["configuration"]["experiment"]) == (True, "a")
    assert found["components"]["storage"] == f"memory (morphml-core {__version__})"


def test_nothing_is_written(run, tmp_path):
    run(GOOD.replace("storage: memory", "storage: sqlite:///a.db"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["a.yaml", "mine.py"]


BAD = GOOD.replace("real: [0, 1]", "real: [2, 1]").replace("storage: memory", "storage: memry") + "optimizer: randm\n"


def test_every_complaint(run):
    found = run(BAD)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr.splitlines() == [
        "Error: a.yaml:4: space 'parameters': decisions.x: a real needs low <= high, but got 2.0 and 1.0",
        "Error: a.yaml:6: there is no storage 'memry'; did you mean 'memory'?",
        "Error: a.yaml:9: there is no optimizer 'randm'; did you mean 'random'?",
    ]


def test_every_complaint_as_json(run):
    found = run(BAD, "--json")
    assert found.exit_code == 2
    held = json.loads(found.stdout)
    assert held["valid"] is False
    assert held["complaints"][2] == {
        "where": "a.yaml:9",
        "message": "there is no optimizer 'randm'; did you mean 'random'?",
    }


def test_changes(run):
    found = run(GOOD, "--set", "stop.trials=many")
    assert (found.exit_code, found.stderr) == (
        2,
        "Error: --set stop.trials=many: section 'stop': 'trials' must be a whole number, but it is 'many' (a string)\n",
    )


def test_a_file_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(main, ["validate", "absent.yaml"], catch_exceptions=False)
    assert (found.exit_code, found.stderr) == (2, "Error: absent.yaml: cannot be read: No such file or directory\n")


def test_metrics_that_the_evaluator_never_gives(run, tmp_path):
    (tmp_path / "t.csv").write_text("x,right,size\n1,0.5,3\n2,0.7,5\n")
    text = GOOD.replace("{real: [0, 1]}", "{choice: [1, 2]}").replace(
        '{name: function, function: "mine.py:measure"}', "{name: table, path: t.csv, key: x, metrics: {values: right, size: size}}"
    )  # fmt: skip
    found = run(text)
    assert found.exit_code == 2
    assert found.stderr == (
        "Error: a.yaml: section 'objectives': the evaluator 'table' gives no metric 'value'; did you mean 'values'?\n"
        "Error: a.yaml: section 'objectives': the evaluator 'table' gives no metric 'cost'; it gives values, size\n"
        "Error: a.yaml: section 'constraints': the evaluator 'table' gives no metric 'cost'; it gives values, size\n"
    )

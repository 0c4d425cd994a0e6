"""The commands that read what a search has recorded, and `retry`."""

import csv
import io
import json

import pytest


def test_show(ran):
    lines = ran("show", "quick.yaml").stdout.splitlines()
    summary = json.loads(ran("show", "quick.yaml", "--json").stdout)
    counts, best = summary["trials"], summary["best"]
    assert lines[0] == "experiment   quick"
    assert lines[1] == "status       ended: 12 trials are done"
    assert lines[2] == f"trials       {counts['finished']} finished, {counts['failed']} failed"
    assert lines[3] == f"optimizer    {summary['optimizer']}"
    assert lines[4].startswith("search time  ")
    assert (
        lines[5]
        == f"best         trial {best['number']}: value {best['metrics']['value']:.4f}, cost {best['metrics']['cost']:.0f}"
    )
    assert lines[6:9] == ["", "Pareto front", "  trial   value  cost"]
    assert len(lines) == 9 + len(summary["front"])


def test_show_json_has_what_is_promised(ran):
    summary = json.loads(ran("show", "quick.yaml", "--json").stdout)
    assert {"experiment", "status", "optimizer", "trials", "best", "front"} <= set(summary)
    assert set(summary["trials"]) == {"finished", "failed", "stopped", "running", "pending", "duplicates"}
    assert set(summary["best"]) == {"number", "metrics", "genotype", "fingerprint"}
    assert set(summary["best"]["genotype"]) == {"x", "y", "kind"}
    assert all(set(trial) == set(summary["best"]) for trial in summary["front"])


@pytest.mark.parametrize("name", ["show", "trials", "best", "report", "retry"])
def test_an_experiment_that_has_not_started(name, call):
    result = call(name, "quick.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: experiment 'quick' has not started")


def test_best(ran):
    best = json.loads(ran("best", "quick.yaml", "--json").stdout)
    lines = ran("best", "quick.yaml").stdout.splitlines()
    assert lines[0] == f"trial        {best['number']}"
    assert lines[1] == "state        finished"
    assert lines[-4:] == [
        "decisions", f"  x     {best['genotype']['x']:.4g}", f"  y     {best['genotype']['y']}", f"  kind  {best['genotype']['kind']}",
    ]  # fmt: skip
    trials = json.loads(ran("trials", "quick.yaml", "--json").stdout)
    assert best["metrics"]["value"] == max(trial["metrics"]["value"] for trial in trials if trial["metrics"])


def test_best_without_a_success(call):
    call("run", "quick.yaml", "--set", "evaluator.function=my_function.py:fail")
    result = call("best", "quick.yaml", "--set", "evaluator.function=my_function.py:fail")
    assert result.exit_code == 1
    assert (
        result.stderr == "Error: no trial of 'quick' has succeeded yet; `morphml show` says how many have been tried\n"
    )


def test_trials_as_a_table(ran):
    lines = ran("trials", "quick.yaml").stdout.splitlines()
    assert lines[0].split() == ["trial", "state", "value", "cost", "seconds", "note"]
    assert len(lines) == 13
    failed = ran("trials", "quick.yaml", "--state", "failed").stdout.splitlines()
    assert all(
        line.split()[1] == "failed" and line.endswith("error: ValueError: this kind never works") for line in failed[1:]
    )


def test_trials_as_csv_agree_with_json(ran):
    rows = list(csv.DictReader(io.StringIO(ran("trials", "quick.yaml", "--format", "csv").stdout)))
    trials = json.loads(ran("trials", "quick.yaml", "--format", "json").stdout)
    assert [int(row["number"]) for row in rows] == [trial["number"] for trial in trials] == list(range(12))
    for row, trial in zip(rows, trials, strict=True):
        assert row["state"] == trial["state"]
        assert row["metrics.value"] == str(trial["metrics"].get("value", ""))
        assert row["genotype.kind"] == trial["genotype"]["kind"]


def test_a_limit_keeps_the_last(ran):
    trials = json.loads(ran("trials", "quick.yaml", "--json", "--limit", 3).stdout)
    assert [trial["number"] for trial in trials] == [9, 10, 11]
    assert ran("trials", "quick.yaml", "--limit", 0).exit_code == 2


def test_export_needs_an_evaluator_that_trains(ran):
    result = ran("export", "quick.yaml", "--to", "network")
    assert result.exit_code == 2
    assert (
        result.stderr
        == "Error: there is no network to export: the evaluator 'function' trains none; use one that does, such as train\n"
    )


@pytest.mark.parametrize("which", ["12", "-1", "worst", "²", "9" * 5000])
def test_export_of_a_trial_that_is_not_there(ran, which):
    result = ran("export", "quick.yaml", "--to", "network", f"--trial={which}")
    assert result.exit_code == 2
    assert result.stderr == f"Error: '{which}' is no trial of 'quick'; there are trials 0 to 11 (or write best)\n"


def test_report(ran, folder):
    pytest.importorskip("plotly")
    assert ran("report", "quick.yaml", "--to", "page.html").stdout == "Wrote page.html\n"
    assert json.loads(ran("report", "quick.yaml", "--json").stdout) == {"report": "results/quick/report.html"}
    assert "<h1>quick</h1>" in (folder / "page.html").read_text()
    result = ran("report", "quick.yaml", "--to", folder)
    assert result.stderr == f"Error: cannot write the report to {folder}: Is a directory; name another file\n"


def test_retry_puts_failed_trials_back(ran):
    failed = [
        trial["number"] for trial in json.loads(ran("trials", "quick.yaml", "--json", "--state", "failed").stdout)
    ]
    first = failed[0]
    result = ran("retry", "quick.yaml", "--trial", first)
    assert result.stdout == f"Back in the queue: trial {first}. `morphml run quick.yaml` evaluates them again.\n"
    assert json.loads(ran("show", "quick.yaml", "--json").stdout)["trials"]["pending"] == 1
    assert json.loads(ran("retry", "quick.yaml", "--json").stdout) == {"retried": failed[1:]}
    assert ran("retry", "quick.yaml").stdout == "There is no failed trial to retry.\n"
    assert ran("run", "quick.yaml").exit_code == 0
    again = json.loads(ran("trials", "quick.yaml", "--json", "--state", "failed").stdout)
    assert [(trial["number"], trial["attempt"]) for trial in again] == [(number, 2) for number in failed]

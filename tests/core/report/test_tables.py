import json
import math

import attrs

from morphml_core.problem import Budget, Cause, Trial, TrialState
from morphml_core.report import tables
from morphml_core.report.format import number
from morphml_core.space.decisions import Genotype


def test_facts_in_words(material):
    found = {fact.name: fact.value for fact in tables.facts(material)}
    assert found["Objectives"] == "maximize accuracy, minimize parameters"
    assert found["Constraints"] == "parameters <= 80000"
    assert found["Space"] == f"{len(material.problem.decisions)} decisions, infinitely many genotypes"
    assert found["Trials"] == "63 (48 finished, 6 stopped, 6 failed, 3 repeat)"
    assert found["Status"] == "ended: 60 trials"


def test_failures_are_grouped_with_different_messages(material):
    (failure,) = tables.failures(material)
    assert (failure.cause, failure.count) == ("error", 6)
    assert failure.examples == (
        (7, "ValueError: <script>alert('x')</script> & \"quotes\" </script>\n  File my.py, line 3, in score"),
    )


def test_long_messages_are_cut(material):
    failed = attrs.evolve(material.trials[7], message="the reason " + "x" * 2000)
    (failure,) = tables.failures(attrs.evolve(material, trials=[failed]))
    assert failure.examples[0][1].startswith("the reason x")
    assert failure.examples[0][1].endswith("x ...")
    assert len(failure.examples[0][1]) == 604


def test_finalists_show_the_mean_of_the_repeats_and_the_first_result(material):
    (row,) = tables.finalists(material)
    assert (row.number, row.repeats) == (material.best.repeat_of, 3)
    assert row.columns[0].endswith(f" (first {number(material.trials[row.number].metrics['accuracy'])})")
    assert " ± " in row.columns[0]


def test_the_table_of_trials_is_json_without_gaps(material):
    table = tables.trials(material)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["columns"][:5] == ["trial", "state", "accuracy", "parameters", "duration"]
    assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    assert table["columns"][table["lead"]] == material.problem.decisions.decisions[0].path


def test_values_that_json_cannot_say_are_text(material):
    odd = attrs.evolve(material.trials[0], metrics={"accuracy": math.nan, "parameters": math.inf})
    assert tables.trials(attrs.evolve(material, trials=[odd]))["rows"][0][2:4] == ["nan", "inf"]


def test_a_long_table_keeps_the_best(material, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", 5)
    rows = tables.trials(material)["rows"]
    assert len(rows) == 5
    assert material.best.number in [row[0] for row in rows]


def test_notes():
    trial = Trial(4, Genotype(()), TrialState.FAILED, cause=Cause.TIMEOUT, message="it took longer than 5 s\nin my.py")
    assert tables.note(trial) == "timeout: it took longer than 5 s"
    assert tables.note(Trial(4, Genotype(()), duplicate_of=2)) == "equals trial 2"
    assert tables.note(Trial(4, Genotype(()), repeat_of=2)) == "repeats trial 2"
    assert tables.note(Trial(4, Genotype(()), origin="mutation of 3")) == "mutation of 3"


def test_budgets():
    assert tables.budget(Budget()) == "full"
    assert tables.budget(Budget(3, 0.25)) == "3 epochs, 25% of the data"

"""`morphml trials`: every trial, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from typing import Any

import click

from morphml_core.cli import common
from morphml_core.problem import Problem, Trial, TrialState
from morphml_core.report.format import number
from morphml_core.report.tables import note


@click.command(short_help="List the trials.")
@common.configuration
@common.overrides
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="What to print.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--state", type=click.Choice([state.value for state in TrialState]), help="Only trials in this state.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the last N of them.", metavar="N")
def command(
    config: str, overrides: Sequence[str], form: str, as_json: bool, state: str | None, limit: int | None
) -> None:
    """List the trials in the order of their numbers.

    CSV and JSON hold everything that is known: all metrics, and all decisions by path.
    """
    with common.recorded(config, overrides) as experiment:
        trials = [trial for trial in experiment.trials() if state is None or trial.state.value == state]
        trials = trials[-limit:] if limit else trials
        if as_json or form == "json":
            common.print_json([common.describe(experiment.problem, trial) for trial in trials])
        elif form == "csv":
            _print_csv(experiment.problem, trials)
        else:
            click.echo("\n".join(table(experiment.problem, trials)))


def table(problem: Problem, trials: Sequence[Trial]) -> list[str]:
    """The trials in aligned columns: number, state, objectives, seconds, and a note."""
    names = [objective.name for objective in problem.objectives]
    rows = [
        [
            str(trial.number),
            trial.state.value,
            *(_cell(trial, name) for name in names),
            f"{trial.duration:.1f}",
            note(trial),
        ]
        for trial in trials
    ]
    return common.grid(
        ["trial", "state", *names, "seconds", "note"], rows, [True, False, *[True] * len(names), True, False]
    )


def _cell(trial: Trial, name: str) -> str:
    return number(trial.metrics[name]) if name in trial.metrics else ""


_FIELDS = (
    "number",
    "state",
    "fingerprint",
    "duration",
    "attempt",
    "cause",
    "message",
    "duplicate_of",
    "repeat_of",
    "continues",
    "origin",
)


def _print_csv(problem: Problem, trials: Sequence[Trial]) -> None:
    """One row a trial: fields, budget, metrics, and decisions (empty where inactive)."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.metrics))
    paths = [decision.path for decision in problem.decisions.decisions]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [
            *_FIELDS,
            "epochs",
            "fraction",
            *(f"metrics.{name}" for name in names),
            *(f"genotype.{path}" for path in paths),
        ]
    )
    for trial in trials:
        described = common.describe(problem, trial)
        cells: list[Any] = [described[field] for field in _FIELDS]
        cells += [trial.budget.epochs, trial.budget.fraction]
        cells += [trial.metrics.get(name) for name in names]
        cells += ["|".join(map(str, slot)) if isinstance(slot, tuple) else slot for slot in trial.genotype.slots]
        writer.writerow(cells)

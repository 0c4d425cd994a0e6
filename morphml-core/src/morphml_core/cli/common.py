"""What several commands share: their arguments, opening an experiment, and printing."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from morphml_core.errors import MorphMLError
from morphml_core.report.format import duration, number, value

if TYPE_CHECKING:
    from morphml_core.problem import Problem, Trial
    from morphml_core.session import Experiment

configuration = click.argument("config", type=click.Path())
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a setting: --set stop.trials=50.  May be given again."
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class NoResultError(MorphMLError):
    """There is no successful trial to show or to write."""

    exit_code = 1


@contextmanager
def recorded(config: str, overrides: Sequence[str] = (), *, read_only: bool = True) -> Iterator[Experiment]:
    """The experiment of a configuration, closed at the end."""
    from morphml_core.session import open_experiment

    with quiet_stdout():
        experiment = open_experiment(config, overrides, read_only=read_only)
    try:
        yield experiment
    finally:
        experiment.close()


def chosen(experiment: Experiment, which: str = "best") -> Trial:
    """The best trial, or the one of a number.  Raises `NoResultError` where none has succeeded, `MorphMLError` where there is no such number."""
    if which == "best":
        best = experiment.best()
        if best is None:
            raise NoResultError(
                f"no trial of '{experiment.name}' has succeeded yet; `morphml show` says how many have been tried"
            )
        return best
    count = len(experiment.state.trials)
    number = int(which) if which.isascii() and which.isdigit() and len(which) < 10 else count
    if number >= count:
        there = f"there are trials 0 to {count - 1}" if count else "there are no trials yet"
        raise MorphMLError(f"'{which}' is no trial of '{experiment.name}'; {there} (or write best)")
    return experiment.state.trials[number]


@contextmanager
def quiet_stdout(quiet: bool = True) -> Iterator[None]:
    """While `quiet`, whatever user code prints goes to stderr, in worker processes too: stdout is for results alone."""
    if not quiet:
        yield
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def plain(held: Any) -> Any:
    """The value as JSON can say it: numbers that are not finite become null, tuples lists, anything unknown its text."""
    if isinstance(held, float) and not math.isfinite(held):
        return None
    if isinstance(held, Mapping):
        return {str(key): plain(inner) for key, inner in held.items()}
    if isinstance(held, list | tuple):
        return [plain(inner) for inner in held]
    return held if held is None or isinstance(held, bool | int | float | str) else str(held)


def print_json(held: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(plain(held), indent=2, ensure_ascii=False))


def describe(problem: Problem, trial: Trial) -> dict[str, Any]:
    """A trial as JSON: everything that is known of it, with its genotype by path."""
    return {
        "number": trial.number,
        "state": trial.state.value,
        "metrics": dict(trial.metrics),
        "genotype": problem.decisions.values(trial.genotype),
        "fingerprint": trial.fingerprint,
        "budget": {"epochs": trial.budget.epochs, "fraction": trial.budget.fraction},
        "duration": trial.duration,
        "attempt": trial.attempt,
        "cause": trial.cause.value if trial.cause else None,
        "message": trial.message,
        "duplicate_of": trial.duplicate_of,
        "repeat_of": trial.repeat_of,
        "continues": trial.continues,
        "origin": trial.origin,
    }


def objectives_line(problem: Problem, trial: Trial) -> str:
    """The objectives of a trial in one line: "accuracy 0.9713, parameters 12,345"."""
    names = [objective.name for objective in problem.objectives]
    return ", ".join(f"{name} {number(trial.metrics[name])}" for name in names if name in trial.metrics)


def trial_lines(problem: Problem, trial: Trial) -> list[str]:
    """A trial in some lines: metrics, then decisions, then what else there is to know."""
    rows = [("trial", str(trial.number)), ("state", trial.state.value)]
    rows += [(name, number(held)) for name, held in trial.metrics.items()]
    rows += [("duration", duration(trial.duration)), ("fingerprint", trial.fingerprint)]
    rows += [("message", trial.message)] if trial.message else []
    decisions = [(path, value(slot)) for path, slot in problem.decisions.values(trial.genotype).items()]
    return [*pairs(rows), "", "decisions", *("  " + line for line in pairs(decisions))]


def pairs(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and values in two aligned columns."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name:<{width}}  {held}" for name, held in rows]


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """A table in aligned columns; `right` says which of them are aligned on the right."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    sides = [">" if side else "<" for side in right]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]

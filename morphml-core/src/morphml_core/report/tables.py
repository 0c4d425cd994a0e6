"""The tables of the page, as plain rows: summary, trials, failures, finalists."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import attrs

from morphml_core.experiment.ranking import Finalist
from morphml_core.problem import Budget, Trial, TrialState
from morphml_core.report.format import duration, first_line, number, value
from morphml_core.report.material import Material, kind

ROWS = 2500
_EXAMPLES = 3
_LONGEST = 600


@attrs.frozen
class Fact:
    """One line of the summary."""

    name: str
    value: str


@attrs.frozen
class Failure:
    """The failed trials of one cause: how many, and some different messages, each with a trial that has it."""

    cause: str
    count: int
    examples: tuple[tuple[int, str], ...]


@attrs.frozen
class FinalistRow:
    """A finalist: how often it was repeated, and a text for each objective."""

    number: int
    repeats: int
    columns: tuple[str, ...]


def facts(material: Material) -> list[Fact]:
    """The summary's lines."""
    problem, trials = material.problem, material.trials
    counts = Counter(kind(trial) for trial in trials)
    states = ", ".join(f"{number(count)} {name}" for name, count in counts.most_common())
    size = problem.decisions.size
    sizes = "infinitely many" if math.isinf(size) else number(size) if size < 1e15 else f"about {size:.2g}"
    found = [
        Fact("Objectives", ", ".join(f"{objective.goal} {objective.name}" for objective in problem.objectives)),
        Fact("Constraints", ", ".join(map(str, [*problem.constraints, *problem.predicates])) or "none"),
        Fact("Space", f"{len(problem.decisions)} decisions, {sizes} genotypes"),
        Fact("Trials", f"{number(len(trials))}" + (f" ({states})" if states else "")),
        Fact("Different candidates", number(len({trial.fingerprint or trial.genotype for trial in trials}))),
        Fact("Evaluation time", duration(sum(trial.duration for trial in trials))),
    ]
    if material.elapsed is not None:
        found.append(Fact("Search time", duration(material.elapsed)))
    if material.status:
        found.append(Fact("Status", material.status + (f": {material.reason}" if material.reason else "")))
    return found


def budget(held: Budget) -> str:
    """A budget in words."""
    parts = [f"{held.epochs} epochs"] if held.epochs is not None else []
    parts += [f"{held.fraction:.0%} of the data"] if held.fraction != 1 else []
    return ", ".join(parts) or "full"


def trials(material: Material) -> dict[str, Any]:
    """The table of trials: column names, which of them are numeric, rows of plain values, and how many there are in all.

    Holds the best `ROWS` trials where there are more.
    """
    problem = material.problem
    names = list(dict.fromkeys([*(o.name for o in problem.objectives), *(c.metric for c in problem.constraints)]))
    others = dict.fromkeys(name for trial in material.trials for name in trial.metrics)
    names += [name for name in others if name not in names]
    paths = [decision.path for decision in problem.decisions.decisions]
    chosen = list(material.trials)
    if len(chosen) > ROWS:
        chosen = sorted(sorted(chosen, key=problem.rank_key)[:ROWS], key=lambda trial: trial.number)
    budgets = len({trial.budget for trial in material.trials}) > 1
    head = ["trial", "state", *names, "duration", *(["budget"] if budgets else []), *paths, "note"]
    return {
        "columns": head,
        "lead": len(head) - len(paths) - 1,
        "rows": [_row(trial, names, len(paths), budgets) for trial in chosen],
        "total": len(material.trials),
    }


def _row(trial: Trial, names: Sequence[str], width: int, budgets: bool) -> list[Any]:
    slots = list(trial.genotype.slots) + [None] * (width - len(trial.genotype))
    values = [slot if slot is None or isinstance(slot, int | float | str) else value(slot) for slot in slots]
    held = [_finite(trial.metrics.get(name)) for name in names]
    middle = [budget(trial.budget)] if budgets else []
    return [trial.number, kind(trial), *held, round(trial.duration, 3), *middle, *values, note(trial)]


def _finite(metric: float | None) -> float | str | None:
    if metric is None or math.isfinite(metric):
        return metric
    return str(metric)


def note(trial: Trial) -> str:
    """What there is to say of a trial in a few words: why it failed or stopped, whose result it has, where it came from."""
    parts = []
    if trial.duplicate_of is not None:
        parts.append(f"equals trial {trial.duplicate_of}")
    if trial.repeat_of is not None:
        parts.append(f"repeats trial {trial.repeat_of}")
    if trial.cause is not None:
        parts.append(trial.cause.value)
    if trial.message:
        parts.append(first_line(trial.message)[:200])
    if trial.origin and not parts:
        parts.append(trial.origin)
    return ": ".join(part for part in parts if part)


def failures(material: Material) -> list[Failure]:
    """Failed trials by cause, most frequent first, with up to three different messages each."""
    by_cause: dict[str, list[Trial]] = defaultdict(list)
    for trial in material.trials:
        if trial.state is TrialState.FAILED:
            by_cause[trial.cause.value if trial.cause else "unknown"].append(trial)
    ranked = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    return [Failure(cause, len(failed), _examples(failed)) for cause, failed in ranked]


def _examples(failed: Sequence[Trial]) -> tuple[tuple[int, str], ...]:
    found: dict[str, tuple[int, str]] = {}
    for trial in failed:
        message = trial.message.strip() or "no message"
        short = message if len(message) <= _LONGEST else message[:_LONGEST] + " ..."
        found.setdefault(first_line(message), (trial.number, short))
    return tuple(found.values())[:_EXAMPLES]


def finalists(material: Material) -> list[FinalistRow]:
    """The trials that were evaluated again, best mean first; one column an objective: first result, mean and spread."""
    names = [objective.name for objective in material.problem.objectives]
    return [
        FinalistRow(finalist.trial.number, len(finalist.repeats), tuple(_again(finalist, name) for name in names))
        for finalist in material.finalists
    ]


def _again(finalist: Finalist, name: str) -> str:
    first, mean = finalist.trial.metrics.get(name, math.nan), finalist.metrics.get(name, math.nan)
    spread = f" ± {finalist.deviations[name]:.2g}" if len(finalist.repeats) > 1 and name in finalist.deviations else ""
    return f"{number(mean)}{spread} (first {number(first)})"

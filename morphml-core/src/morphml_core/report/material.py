"""What the page is made of: an experiment's trials and what is said about them, read once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from morphml_core.experiment.ranking import Finalist
from morphml_core.graph.operations import Signature
from morphml_core.problem import Objective, Problem, Trial, TrialState


@attrs.frozen(eq=False, kw_only=True)
class Material:
    """All that a report needs.

    `trials` are in number order; `elapsed` is how long the search has run, in seconds (None: not known);
    `signature` is what the networks read and return, where the evaluator knows it: it gives the drawing its shapes.
    """

    experiment: str
    problem: Problem
    trials: Sequence[Trial]
    status: str = ""
    reason: str = ""
    best: Trial | None = None
    front: Sequence[Trial] = ()
    finalists: Sequence[Finalist] = ()
    configuration: Mapping[str, Any] = attrs.field(factory=dict)
    versions: Mapping[str, str] = attrs.field(factory=dict)
    elapsed: float | None = None
    signature: Signature | None = None

    @property
    def main(self) -> Objective:
        """The first objective."""
        return self.problem.objectives[0]


def measured(trial: Trial, metric: str) -> bool:
    """Whether the trial is over with a finite value of the metric."""
    good = trial.state in (TrialState.FINISHED, TrialState.STOPPED)
    return good and math.isfinite(trial.metrics.get(metric, math.nan))


def compared(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The finished trials of the search that have the metric, each candidate once: what decisions are compared by.

    Trials that were stopped early are left out: their metrics say as much of the stopper as of the candidate.
    """
    return [
        trial
        for trial in trials
        if trial.state is TrialState.FINISHED
        and measured(trial, metric)
        and trial.duplicate_of is None
        and trial.repeat_of is None
    ]


def kind(trial: Trial) -> str:
    """The trial's state as the page shows it: duplicates and repeats apart."""
    if trial.repeat_of is not None and trial.state is TrialState.FINISHED:
        return "repeat"
    if trial.duplicate_of is not None and trial.state is TrialState.FINISHED:
        return "duplicate"
    return trial.state.value


def best_so_far(problem: Problem, trials: Sequence[Trial], objective: Objective) -> tuple[list[int], list[float]]:
    """Where the best value of an objective improved: trial numbers and values.

    Trials that break a constraint and repeats of finalists do not count.
    """
    numbers: list[int] = []
    values: list[float] = []
    best = math.inf
    for trial in trials:
        if trial.repeat_of is not None or trial.state is not TrialState.FINISHED or not measured(trial, objective.name):
            continue
        if problem.violation(trial) > 0:
            continue
        loss = objective.loss(trial.metrics[objective.name])
        if loss < best:
            best = loss
            numbers.append(trial.number)
            values.append(trial.metrics[objective.name])
    return numbers, values


def thin(trials: Sequence[Trial], keep: frozenset[int], limit: int) -> list[Trial]:
    """At most about `limit` trials, evenly spread in number, always with those in `keep`."""
    if len(trials) <= limit:
        return list(trials)
    step = len(trials) / limit
    spread = {int(index * step) for index in range(limit)}
    return [trial for index, trial in enumerate(trials) if index in spread or trial.number in keep]

"""Which trials lead: the best, the Pareto front, and the finalists.  Kept up to date trial by trial.

Feasible trials come before infeasible ones, larger budgets before smaller ones (a short training says less), then
the objectives decide; of equal trials the first leads.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import attrs

from morphml_core.problem import Metrics, Problem, Trial, TrialState

Losses = tuple[float, ...]


@attrs.frozen
class Finalist:
    """A leader that was evaluated again: the mean and standard deviation of each metric over its finished repeats.

    Its own first result is left out of the mean: it was chosen because that result was good, so it is likely to have been lucky.
    """

    trial: Trial
    repeats: tuple[int, ...]
    metrics: Metrics
    deviations: Metrics


class Ranking:
    """The best trial and the front over finished trials.

    `add` takes O(log n) for one and two objectives, and O(size of the front) for more.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._prefix: Losses = (math.inf,)
        self._front: list[tuple[Losses, Trial]] = []
        self._best: tuple[Losses, Trial] | None = None
        self._repeats: dict[int, tuple[Trial, list[Trial]]] = {}

    def add(self, trial: Trial) -> None:
        """Take in a finished trial of the search."""
        problem = self._problem
        violation = problem.violation(trial) if problem.constraints else 0.0
        prefix, losses = (violation, -self._work(trial)), problem.losses(trial)
        if self._best is None or (*prefix, *losses) < self._best[0]:
            self._best = (*prefix, *losses), trial
        if len(losses) == 1 or prefix > self._prefix:
            return
        if prefix < self._prefix:
            self._prefix, self._front = prefix, []
        insert = _insert_in_plane if len(losses) == 2 else _insert
        insert(self._front, losses, trial)

    def _work(self, trial: Trial) -> float:
        epochs = trial.budget.epochs if trial.budget.epochs is not None else self._problem.budget.epochs
        return (math.inf if epochs is None else epochs) * trial.budget.fraction

    def add_repeat(self, leader: Trial, repeat: Trial) -> None:
        """Take in a finished repeat of a finalist."""
        self._repeats.setdefault(leader.number, (leader, []))[1].append(repeat)

    @property
    def best(self) -> Trial | None:
        """The trial to hand back: the best repeat of the finalist with the best mean, or the best trial where nothing was repeated."""
        finalists = self.finalists
        if finalists:
            repeats = self._repeats[finalists[0].trial.number][1]
            return min(repeats, key=lambda trial: (*self._problem.rank_key(trial), trial.number))
        return self._best[1] if self._best else None

    @property
    def front(self) -> Sequence[Trial]:
        """The trials that no other beats in every objective, by their first objective; with one objective the best alone."""
        if self._best is None:
            return []
        if len(self._problem.objectives) == 1:
            return [self._best[1]]
        return [trial for _, trial in sorted(self._front, key=lambda entry: (entry[0], entry[1].number))]

    @property
    def finalists(self) -> Sequence[Finalist]:
        """The trials that were repeated, the best mean first."""
        found = [_finalist(leader, repeats) for leader, repeats in self._repeats.values()]
        return sorted(found, key=self._mean_key)

    def _mean_key(self, finalist: Finalist) -> tuple[float, ...]:
        mean = attrs.evolve(finalist.trial, metrics=finalist.metrics, state=TrialState.FINISHED)
        return (*self._problem.rank_key(mean), finalist.trial.number)

    def leaders(self, trials: Sequence[Trial], count: int) -> list[Trial]:
        """The `count` best of finished trials with distinct fingerprints; those of the front first."""
        front = {trial.number for trial in self.front}
        problem = self._problem

        def key(trial: Trial) -> tuple[float, ...]:
            violation = problem.violation(trial)
            return (trial.number not in front, violation, -self._work(trial), *problem.losses(trial), trial.number)

        chosen: dict[str, Trial] = {}
        for trial in sorted(trials, key=key):
            if len(chosen) == count:
                break
            chosen.setdefault(trial.fingerprint, trial)
        return list(chosen.values())


def _insert(front: list[tuple[Losses, Trial]], losses: Losses, trial: Trial) -> None:
    if any(_covers(other, losses) for other, _ in front):
        return
    front[:] = [entry for entry in front if not _covers(losses, entry[0])]
    front.append((losses, trial))


def _covers(one: Losses, other: Losses) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def _insert_in_plane(front: list[tuple[Losses, Trial]], losses: Losses, trial: Trial) -> None:
    """Insert into a front that is sorted by the first loss, so by the second one downwards (Kung et al., 1975)."""
    place = bisect_left(front, losses, key=lambda entry: entry[0])
    if place and front[place - 1][0][1] <= losses[1]:
        return
    if place < len(front) and front[place][0] == losses:
        return
    end = place
    while end < len(front) and front[end][0][1] >= losses[1]:
        end += 1
    front[place:end] = [(losses, trial)]


def _finalist(leader: Trial, repeats: Sequence[Trial]) -> Finalist:
    names = [name for name in repeats[0].metrics if all(name in repeat.metrics for repeat in repeats)]
    means = {name: math.fsum(repeat.metrics[name] for repeat in repeats) / len(repeats) for name in names}
    spread = {
        name: math.sqrt(math.fsum((repeat.metrics[name] - mean) ** 2 for repeat in repeats) / max(1, len(repeats) - 1))
        for name, mean in means.items()
    }
    return Finalist(leader, tuple(repeat.number for repeat in repeats), means, spread)

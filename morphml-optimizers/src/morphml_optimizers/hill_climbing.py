"""Optimizer `hill_climbing`: random steps from the best of the climb, restarts where none is better (Russell and Norvig)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.optimizer.fresh import Fresh, taken
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.ranking import Standing, standing

_START = "start"


@attrs.frozen
class Config:
    """How far a step goes, and when a climb is over."""

    mutations: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How many decisions a step changes."""
    patience: int = attrs.field(default=40, validator=attrs.validators.ge(1))
    """After so many trials without a better one, the next climb starts at a random genotype."""


class HillClimbing:
    """First-choice hill climbing with random restarts (Russell and Norvig, "Artificial Intelligence: A Modern Approach", section 4.1), asynchronous.

    A climb starts at the first random genotype that has a result; each proposal is a mutation of the best trial of the climb, and the first that is told as
    better takes its place.  After `patience` trials that are not better the next climb starts.  Better is by (failed, constraint violation, loss);
    failed trials are never climbed from, stopped ones count with what they reported.  Pending trials are steps from where the climb
    was: they count when they are told, also in the next climb.  One objective.  A step that is known, pending or refused is drawn anew.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        if len(problem.objectives) > 1:
            names = ", ".join(objective.name for objective in problem.objectives)
            message = (
                f"the optimizer 'hill_climbing' follows one objective, but there are {len(problem.objectives)} ({names}); "
                "wrap it in 'parego', or choose one that follows several, like 'nsga2'"
            )
            raise ConfigurationError([Complaint("optimizer", message)])
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._top: tuple[Trial, Standing] | None = None
        self._waited = 0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Steps from the best of the climb; random genotypes where one starts.  Takes as long whatever the number of trials told."""
        if self._top is None:
            return self._fresh.propose(numbers, pending, self._problem.decisions.sample, _START)
        trial = self._top[0]
        busy, proposals = taken(pending), list[Proposal]()
        for number in numbers:
            rng = self._problem.lent_rng(number)
            step = partial(self._problem.decisions.mutate, trial.genotype, rng, self._config.mutations)
            genotype = self._fresh.draw(step, busy, rng)
            if genotype is None:
                break
            busy.add(genotype)
            proposals.append(Proposal(genotype, origin=f"step from {trial.number}"))
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Go on from each trial that is better; start again after `patience` that are not."""
        self._fresh.tell(trials)
        for trial in trials:
            self._take(trial, standing(self._problem, trial))

    def _take(self, trial: Trial, mine: Standing) -> None:
        if self._top is None:
            if trial.origin == _START and not mine.failed:
                self._top, self._waited = (trial, mine), 0
        elif mine < self._top[1]:
            self._top, self._waited = (trial, mine), 0
        else:
            self._waited += 1
            if self._waited >= self._config.patience:
                self._top = None


component = optimizer(Config, HillClimbing)

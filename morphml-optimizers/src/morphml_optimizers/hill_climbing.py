"""Optimizer `hill_climbing`: random steps from the best of the climb, kicks where none is better (Russell and Norvig)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.ranking import Standing, standing
from morphml_optimizers.single import single_objective
from morphml_optimizers.walk import START, steps


@attrs.frozen
class Config:
    """How far a step goes, and when a climb is over."""

    mutations: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How many decisions a step changes."""
    patience: int = attrs.field(default=15, validator=attrs.validators.ge(1))
    """After so many trials without a better one, the next climb starts."""
    kick: int = attrs.field(default=2, validator=attrs.validators.ge(0))
    """It starts at the best trial of all with so many decisions changed; 0: at a random genotype."""


class HillClimbing:
    """First-choice hill climbing (Russell and Norvig, "Artificial Intelligence: A Modern Approach", section 4.1) with kicks (Lourenço, Martin, Stützle, "Iterated Local Search", 2003), asynchronous.

    The first climb starts at the first random genotype that has a result; each proposal is a mutation of the best trial of the climb, and the first that is told as
    better takes its place.  After `patience` trials that are not better the next climb starts, at the best trial of all with `kick` decisions
    changed: on tables of known results that finds more than random starts.  Better is by (failed, constraint violation, loss);
    failed trials are never climbed from, stopped ones count with what they reported.  Pending trials are steps from where the climb
    was: they count when they are told, also in the next climb.  One objective.  A step that is known, pending or refused is drawn anew.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "hill_climbing")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._top: tuple[Trial, Standing] | None = None
        self._best: tuple[Trial, Standing] | None = None
        self._waited = 0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Steps from the best of the climb; where one starts, kicks of the best of all, or random genotypes.  Takes as long whatever the number of trials told."""
        if self._top is None and self._best is not None and self._config.kick:
            trial = self._best[0]
            kick = partial(self._problem.decisions.mutate, trial.genotype, count=self._config.kick)
            return self._fresh.propose(numbers, pending, kick, f"{START} from {trial.number}")
        at = self._top and self._top[0]
        return steps(self._problem, self._fresh, at, self._config.mutations, numbers, pending)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Go on from each trial that is better; start again after `patience` that are not."""
        self._fresh.tell(trials)
        for trial in trials:
            self._take(trial, standing(self._problem, trial))

    def _take(self, trial: Trial, mine: Standing) -> None:
        if not mine.failed and (self._best is None or mine < self._best[1]):
            self._best = (trial, mine)
        if self._top is None:
            if trial.origin.startswith(START) and not mine.failed:
                self._top, self._waited = (trial, mine), 0
        elif mine < self._top[1]:
            self._top, self._waited = (trial, mine), 0
        else:
            self._waited += 1
            if self._waited >= self._config.patience:
                self._top = None


component = optimizer(Config, HillClimbing)

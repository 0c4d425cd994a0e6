"""Optimizer `nsga2`: non-dominated sorting and crowding (Deb et al., 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.nondominated import Breeder, crowding, ranked
from morphml_optimizers.ranking import Standing, standing


@attrs.frozen
class Config:
    """Who lives, and how children are made."""

    population: int = attrs.field(default=40, validator=attrs.validators.ge(2))
    """How many trials live: the best of all that are over, by front and then by crowding."""
    crossover: float = attrs.field(default=0.9, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a child has two parents, and not one."""


class Nsga2:
    """NSGA-II (Deb, Pratap, Agarwal, Meyarivan: "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002), asynchronous.

    It is the steady-state form (Durillo et al., "On the Effect of the Steady-State Selection Scheme in Multi-Objective Genetic Algorithms", 2009): each
    trial that is over joins the living, and the most crowded of the last front leaves.  Random genotypes until `population` trials are over or
    pending; then the parents of each child are the winners of two binary tournaments.  Constraints: domination by Deb (feasible before infeasible,
    less violation before more).  Failed trials, and those without an objective, come last; stopped ones count with what they
    reported.  With one objective the fronts are the order of the losses.  A trial whose genotype lives already does not join.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._problem = problem
        self._breeder = Breeder(problem, Fresh(problem), config.population, config.crossover)
        self._living: list[tuple[Trial, Standing]] = []
        self._last: list[int] = []
        self._order: list[tuple[int, float]] = []

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, children later.  Takes as long whatever the number of trials told."""
        return self._breeder.ask(numbers, pending, self._parents)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial joins the living if it is better than the worst of them."""
        for trial in trials:
            self._breeder.tell(trial)
            self._join(trial, standing(self._problem, trial))

    def _join(self, trial: Trial, mine: Standing) -> None:
        full = len(self._living) == self._config.population
        if full and any(self._living[index][1].dominates(mine) for index in self._last):
            return  # it would be a front behind the last
        if any(other.genotype == trial.genotype for other, _ in self._living):
            return
        self._living.append((trial, mine))
        self._sort()
        if full:
            worst = min(self._last, key=lambda index: (self._order[index][1], -index))
            del self._living[worst]
            self._sort()

    def _sort(self) -> None:
        """The front of each of the living, and its crowding, anew."""
        standings = [mine for _, mine in self._living]
        found = ranked(standings)
        self._order = [(0, 0.0)] * len(standings)
        for rank, front in enumerate(found):
            for index, distance in zip(front, crowding([standings[one].losses for one in front]), strict=True):
                self._order[index] = (rank, distance)
        self._last = found[-1]

    def _parents(self, number: int, rng: Generator) -> tuple[Trial, Trial] | None:
        if not self._living:
            return None
        drawn: list[int] = rng.integers(len(self._living), size=4).tolist()
        return self._winner(drawn[:2]), self._winner(drawn[2:])

    def _winner(self, drawn: Sequence[int]) -> Trial:
        return self._living[min(drawn, key=lambda index: (self._order[index][0], -self._order[index][1]))][0]


component = optimizer(Config, Nsga2)

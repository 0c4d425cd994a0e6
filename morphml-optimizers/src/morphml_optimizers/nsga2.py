"""Optimizer `nsga2`: non-dominated sorting and crowding (Deb et al., 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem
from morphml_optimizers.nondominated import crowding
from morphml_optimizers.steady import SteadyState


@attrs.frozen
class Config:
    """Who lives, and how children are made."""

    population: int = attrs.field(default=15, validator=attrs.validators.ge(2))
    """How many trials live: the best of all that are over, by front and then by crowding."""
    crossover: float = attrs.field(default=0.0, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a child has two parents, and not one.  In tables of known results crossing finds no more, and often less."""


class Nsga2(SteadyState):
    """NSGA-II (Deb, Pratap, Agarwal, Meyarivan: "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002), asynchronous.

    It is the steady-state form (Durillo et al., "On the Effect of the Steady-State Selection Scheme in Multi-Objective Genetic Algorithms", 2009): each
    trial that is over joins the living, and the most crowded of the last front leaves.  Random genotypes until `population` trials are over or
    pending; then the parents of each child are the winners of two binary tournaments.  Constraints: domination by Deb (feasible before infeasible,
    less violation before more).  Failed trials, and those without an objective, come last; stopped ones count with what they
    reported.  With one objective the fronts are the order of the losses.  A trial whose genotype lives already does not join.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        super().__init__(problem, config.population, config.crossover)
        self._distances: list[float] = []

    def settled(self) -> None:
        """Measure how crowded each of the living is, among its front."""
        self._distances = [0.0] * len(self.living)
        for front in self.fronts:
            for index, distance in zip(front, self._crowding(front), strict=True):
                self._distances[index] = distance

    def _crowding(self, front: Sequence[int]) -> list[float]:
        return crowding([self.living[index][1].losses for index in front])

    def leaving(self) -> int:
        """The most crowded of the last front; of those, the last that came."""
        last = self.fronts[-1]
        return min(zip(self._crowding(last), last, strict=True), key=lambda pair: (pair[0], -pair[1]))[1]

    def preference(self, index: int) -> float:
        """The less crowded wins."""
        return -self._distances[index]


component = optimizer(Config, Nsga2)

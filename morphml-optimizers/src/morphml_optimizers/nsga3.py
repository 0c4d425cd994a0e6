"""Optimizer `nsga3`: non-dominated sorting and reference directions (Deb and Jain, 2014)."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem
from morphml_optimizers.nondominated import directions
from morphml_optimizers.steady import SteadyState


@attrs.frozen
class Config:
    """Who lives, and how children are made."""

    population: int = attrs.field(default=20, validator=attrs.validators.ge(2))
    """How many trials live.  There are as many reference directions, or the next smaller number that a regular grid of them can have."""
    crossover: float = attrs.field(default=0.2, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a child has two parents, and not one."""


class Nsga3(SteadyState):
    """NSGA-III (Deb and Jain, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting", 2014).

    Asynchronous, in steady-state form: each trial that is over joins the living; one of the last front leaves, from the reference direction (of Das
    and Dennis, 1998) that has most of the living, the one that is farthest from it.  Losses are scaled by the first front: its least
    are 0, its greatest 1 (the fallback of Blank, Deb, Roy: "Investigating the Normalization Procedure of NSGA-III", 2019).  Random genotypes
    until `population` trials are over or pending; then the parents of each child are the winners of two binary tournaments by front.  Constraints:
    domination by Deb (2002).  Failed trials, and those without an objective, come last; stopped ones count with what they reported.  Works with
    any number of objectives; with one it keeps the best.  A trial whose genotype lives already does not join.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        super().__init__(problem, config.population, config.crossover)
        found = directions(len(problem.objectives), config.population)
        self._directions: NDArray[np.float64] = found / np.linalg.norm(found, axis=1, keepdims=True)

    def leaving(self) -> int:
        """The farthest from the most crowded direction; of equals, and of those that are not feasible, the last that came."""
        last = self.fronts[-1]
        standing = self.living[last[0]][1]
        if standing.failed or standing.violation > 0.0:
            return max(last)
        niches, distances = self._niches()
        crowd = np.bincount(niches, minlength=len(self._directions)).tolist()
        return max(last, key=lambda index: (crowd[niches[index]], distances[index], index))

    def _niches(self) -> tuple[list[int], list[float]]:
        """The nearest direction of each of the living, all of which are feasible, and how far it is."""
        losses = np.array([standing.losses for _, standing in self.living])
        best = losses[self.fronts[0]]
        low, span = best.min(axis=0), np.ptp(best, axis=0)
        scaled = (losses - low) / np.where(span > 0.0, span, 1.0)
        along = scaled @ self._directions.T
        squares = np.maximum((scaled**2).sum(axis=1, keepdims=True) - along**2, 0.0)
        nearest = squares.argmin(axis=1)
        found: list[float] = np.take_along_axis(squares, nearest[:, None], axis=1)[:, 0].tolist()
        return nearest.tolist(), found


component = optimizer(Config, Nsga3)

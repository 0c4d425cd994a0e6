"""Optimizer `nsga3`: non-dominated sorting and reference directions (Deb and Jain, 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem
from morphml_optimizers.nondominated import directions
from morphml_optimizers.steady import SteadyState

_FLAT = 1e-5  # how far an extreme point may be off the plane that was found, where its offset is 1


@attrs.frozen
class Config:
    """Who lives, and how children are made."""

    population: int = attrs.field(default=15, validator=attrs.validators.ge(2))
    """How many trials live.  There are as many reference directions, or the next smaller number that a regular grid of them can have."""
    crossover: float = attrs.field(default=0.0, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a child has two parents, and not one.  In tables of known results crossing finds no more, and often less."""


class Scale:
    """Brings losses to the same scale: 0.0 is the ideal, 1.0 where the plane through the extreme points meets the axis of a loss.

    Deb and Jain (2014), with the safeguards of Blank, Deb, Roy ("Investigating the Normalization Procedure of NSGA-III", EMO 2019): ideal, worst and
    extreme points are kept from one call to the next; where the extreme points span no plane, or it meets an axis not at all,
    1.0 is the greatest loss of the first front; where it meets one beyond the worst that was seen, the worst; and where that is the
    ideal, the greatest loss of all.
    """

    def __init__(self, objectives: int) -> None:
        self._ideal = np.full(objectives, np.inf)
        self._worst = np.full(objectives, -np.inf)
        self._extremes = np.empty((0, objectives))
        self._far = np.where(np.eye(objectives, dtype=bool), 1.0, 1e6)[:, None, :]
        self._spanned = b""  # the sides that `_meets` is of
        self._meets: NDArray[np.float64] | None = None

    def scaled(self, losses: NDArray[np.float64], first: Sequence[int]) -> NDArray[np.float64]:
        """The scaled losses, shape (trials, objectives); `first` are the indices of the first front."""
        ideal = self._ideal = np.minimum(self._ideal, np.minimum.reduce(losses))
        self._worst = np.maximum(self._worst, np.maximum.reduce(losses))
        front = losses[first]
        known = np.concatenate([self._extremes, front])
        reached = np.maximum.reduce((known - ideal) * self._far, axis=2)
        self._extremes = known[reached.argmin(axis=1)]
        span = self._nadir(front) - ideal
        if min(span.tolist()) <= 1e-9:
            span = np.where(span <= 1e-9, np.maximum.reduce(losses) - ideal, span)
            span[span <= 0.0] = 1.0
        found: NDArray[np.float64] = (losses - ideal) / span
        return found

    def _nadir(self, front: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the plane meets the axes, or the greatest losses of the front."""
        sides = self._extremes - self._ideal
        if (spanned := sides.tobytes()) != self._spanned:
            self._spanned, self._meets = spanned, _intercepts(sides)
        found: NDArray[np.float64] = np.maximum.reduce(front)
        if self._meets is not None:
            found = np.minimum(self._ideal + self._meets, self._worst)
        return found


def _intercepts(sides: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Where the plane through these points (rows) meets each axis; None where there is no plane, or not all of it is positive."""
    try:
        plane = np.linalg.solve(sides, np.ones(len(sides)))
    except np.linalg.LinAlgError:
        return None
    if np.abs(sides @ plane - 1.0).max() <= _FLAT and (plane > 0.0).all():
        found: NDArray[np.float64] = np.divide(1.0, plane)
        return found
    return None


class Nsga3(SteadyState):
    """NSGA-III (Deb and Jain, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated Sorting", 2014).

    Asynchronous, in steady-state form: each trial that is over joins the living; one of the last front leaves, from the reference direction (of Das
    and Dennis, 1998) that has most of the living, the one that is farthest from it.  Losses are scaled by `Scale`.  Random genotypes until `population` trials are over or pending; then the parents of each child are the winners of two binary tournaments by front.  Constraints:
    domination by Deb (2002).  Failed trials, and those without an objective, come last; stopped ones count with what they reported.  Works with
    any number of objectives; with one it keeps the best.  A trial whose genotype lives already does not join.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        super().__init__(problem, config.population, config.crossover)
        found = directions(len(problem.objectives), config.population)
        self._directions: NDArray[np.float64] = found / np.linalg.norm(found, axis=1, keepdims=True)
        self._scale = Scale(len(problem.objectives))

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
        scaled = self._scale.scaled(losses, self.fronts[0])
        along = scaled @ self._directions.T
        squares = np.maximum(np.add.reduce(scaled**2, axis=1, keepdims=True) - along**2, 0.0)
        found: list[float] = np.minimum.reduce(squares, axis=1).tolist()
        return squares.argmin(axis=1).tolist(), found


component = optimizer(Config, Nsga3)

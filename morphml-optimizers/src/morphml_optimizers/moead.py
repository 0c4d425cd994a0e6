"""Optimizer `moead`: decomposition into Tchebycheff problems (Zhang and Li, 2007)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.nondominated import Breeder, directions
from morphml_optimizers.ranking import standing


@attrs.frozen
class Config:
    """How the front is divided, and how children are made."""

    population: int = attrs.field(default=20, validator=attrs.validators.ge(2))
    """How many weight vectors there are at most (as many as a regular grid can have), and how many random genotypes begin the search."""
    neighbours: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    """How many of the nearest weight vectors the parents of a child come from."""
    local: float = attrs.field(default=0.9, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that parents come from the nearest weight vectors, and not from all."""
    crossover: float = attrs.field(default=0.2, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a child has two parents, and not one."""

    def __attrs_post_init__(self) -> None:
        if self.neighbours > self.population:
            raise ValueError(
                f"'neighbours' is {self.neighbours}, but 'population' is {self.population}; "
                "there are no more neighbours than weight vectors"
            )


class Moead:
    """MOEA/D (Zhang and Li, "MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition", 2007), asynchronous.

    Each weight vector (Das and Dennis, 1998) keeps the trial with the least weighted Tchebycheff distance from the ideal point; losses are
    scaled by the ideal point and by the worst of the kept trials.  Random genotypes until `population` trials are over or pending; then the
    parents of each child are kept by weight vectors near to one that is drawn.  A trial that is over takes every place where it is better
    (global replacement: Wang et al., 2014), so trials of any origin count.  Constraints: less violation before more, then
    the distance.  Failed trials, and those without an objective, are never kept; stopped ones count with what they reported.  With one
    objective there is one weight, and it climbs from the best.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._problem = problem
        self._breeder = Breeder(problem, Fresh(problem), config.population, config.crossover)
        weights = directions(len(problem.objectives), config.population)
        gaps = ((weights[:, None, :] - weights[None, :, :]) ** 2).sum(axis=2)
        self._near: list[list[int]] = np.argsort(gaps, axis=1, kind="stable")[:, : config.neighbours].tolist()
        self._weights = np.maximum(weights, 1e-6)
        self._kept: list[Trial | None] = [None] * len(weights)
        self._losses = np.full(weights.shape, math.inf)
        self._violations = np.full(len(weights), math.inf)
        self._ideal = np.full(weights.shape[1], math.inf)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, children later.  Takes as long whatever the number of trials told."""
        return self._breeder.ask(numbers, pending, self._parents)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial takes the places where it is better than what is kept.  O(population) a trial."""
        for trial in trials:
            self._breeder.tell(trial)
            mine = standing(self._problem, trial)
            if not mine.failed:
                self._place(trial, np.array(mine.losses), mine.violation)

    def _place(self, trial: Trial, losses: NDArray[np.float64], violation: float) -> None:
        self._ideal = np.minimum(self._ideal, losses)
        kept = self._losses[np.isfinite(self._losses[:, 0])]
        span = np.maximum(kept.max(axis=0, initial=-math.inf), losses) - self._ideal
        scales = self._weights / np.where(span > 0.0, span, 1.0)
        mine = (scales * (losses - self._ideal)).max(axis=1)
        theirs = (scales * (self._losses - self._ideal)).max(axis=1)
        better = (violation < self._violations) | ((violation == self._violations) & (mine < theirs))
        self._losses[better] = losses
        self._violations[better] = violation
        for index in np.flatnonzero(better).tolist():
            self._kept[index] = trial

    def _parents(self, number: int, rng: Generator) -> tuple[Trial, Trial] | None:
        near = self._near[int(rng.integers(len(self._kept)))]
        if rng.random() >= self._config.local:
            near = list(range(len(self._kept)))
        one, two = (self._kept[near[int(rng.integers(len(near)))]] for _ in range(2))
        return None if one is None or two is None else (one, two)


component = optimizer(Config, Moead)

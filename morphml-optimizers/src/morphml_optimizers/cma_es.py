"""Optimizer `cma_es`: a normal distribution that learns where the good genotypes are (Hansen and Ostermeier, 2001); with the package `cmaes`."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import attrs
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import proposed
from morphml_optimizers.cma import Law, Points, Vector, law, package
from morphml_optimizers.ranking import Standing, standing
from morphml_optimizers.single import single_objective

_RESTART = 5  # stream of problem.rng: the mean of a restart
_NOTE = "generation "
_LEAST = 4  # cmaes divides by zero with fewer
_PAST = 3  # generations of which a late trial's point is still known


@attrs.frozen
class Config:
    """How many trials make a generation, and how wide the first is."""

    population: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(_LEAST)))
    """How many trials are told before the distribution changes; without it 4 + 3 ln(dimensions), and no fewer than run at once."""
    sigma: float = attrs.field(default=1 / 6, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    """The first standard deviation, as a share of the range of a decision."""


class CmaEs:
    """CMA-ES (Hansen and Ostermeier, 2001) with margin (Hamano, Saito, Nomura, Shirakawa, GECCO 2022), by the package `cmaes`, asynchronous.

    Each proposal is a draw from a normal distribution over the vectors of `DecisionSpace.encode`.  When `population` trials are told, the better half of them
    moves and shapes it: by their order only.  Whole numbers, subsets and choices of two are discrete: the margin keeps every neighbouring value in reach.
    Where there is a choice of three or more values, choices have shares instead, of which the good values get more and none gets nothing: CatCMA with
    margin (Hamano et al., 2025), for which no order of the values matters.  Numbers on a log scale and very long ones are taken as reals.
    Inactive decisions keep their numbers, which then mean nothing and are not selected for.
    The order is by (failed, constraint violation, loss), then by trial number; stopped trials count with what they reported.  Pending ones count
    when they are told, with the point that they were drawn at if that is at most three generations ago.  Trials of others are not learned from, but the best of those
    that are told before the search's own is where the mean begins.  A draw that is known, pending or refused changes in one decision, and counts as the nearest point that
    means the same.  Where the distribution has collapsed, it begins again around a random point, with twice the population (Auger and Hansen, 2005).
    One objective.  Needs the package `cmaes`.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "cma_es")
        package()
        self._problem = problem
        self._fresh = Fresh(problem)
        self._points = Points(problem.decisions)
        size = len(self._points.free)
        self._sigma = config.sigma
        self._population = config.population or max(4 + int(3 * math.log(max(size, 1))), problem.parallelism)
        self._generation = 0
        self._first: Standing | None = None
        self._members: list[tuple[Standing, int, Any]] = []
        # By seed: what this generation has drawn, to save drawing it again.
        self._kept: dict[int, tuple[Genotype, Any]] = {}
        self._past: deque[Law] = deque(maxlen=_PAST)
        self._now: Law | None = self._begun(None) if size else None

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Draws from the distribution.  Takes as long whatever the number of trials told."""
        return proposed(self._problem, self._fresh, numbers, pending, self._plan)

    def _plan(self, pending: int, rng: Generator) -> tuple[Callable[[], Genotype], str]:
        if self._now is None:
            return partial(self._problem.decisions.sample, rng), "random"
        genotype, _ = self._drawn(0, self._now, rng)
        return partial(next, self._near(genotype, rng)), f"{_NOTE}{self._generation}"

    def _near(self, genotype: Genotype, rng: Generator) -> Iterator[Genotype]:
        yield genotype
        while True:
            yield self._problem.decisions.mutate(genotype, rng)

    def _drawn(self, ago: int, now: Law, rng: Generator) -> tuple[Genotype, Any]:
        """What the first number of a generator draws from the distribution so many generations ago."""
        seed = int(rng.integers(2**32))
        if ago:
            return self._past[-ago].draw(seed)
        found = self._kept.get(seed)
        if found is None:
            found = now.draw(seed)
            if len(self._kept) < 2 * self._population:
                self._kept[seed] = found
        return found

    def tell(self, trials: Sequence[Trial]) -> None:
        """Collect a generation; when it is complete, the distribution changes."""
        self._fresh.tell(trials)
        for trial in trials:
            if self._now is not None:
                self._take(trial, standing(self._problem, trial), self._now)

    def _take(self, trial: Trial, mine: Standing, now: Law) -> None:
        found = re.fullmatch(_NOTE + r"(\d+)", trial.origin)
        ago = self._generation - int(found[1]) if found else -1
        if not 0 <= ago <= len(self._past):
            if not self._generation and not self._members:
                self._begin_at(trial, mine)
            return
        drawn = self._drawn(ago, now, self._problem.lent_rng(trial.number))
        self._members.append((mine, trial.number, now.settled(drawn, trial.genotype)))
        if len(self._members) == self._population:
            self._learn(now)

    def _begin_at(self, trial: Trial, mine: Standing) -> None:
        if not mine.failed and (self._first is None or mine < self._first):
            self._first = mine
            self._now = self._begun(self._points.encode(trial.genotype))

    def _learn(self, now: Law) -> None:
        self._past.append(now.copied())
        collapsed = now.learn([solution for _, _, solution in sorted(self._members, key=lambda member: member[:2])])
        self._members, self._kept = [], {}
        self._generation += 1
        if collapsed:
            self._population *= 2
            self._past.clear()
            self._now = self._begun(self._problem.rng(self._generation, _RESTART).random(len(self._points.free)))

    def _begun(self, mean: Vector | None) -> Law:
        """The distribution of a first generation."""
        self._kept = {}
        return law(self._points, mean, self._sigma, self._population)


component = optimizer(Config, CmaEs)

"""Optimizer `cma_es`: a normal distribution that learns where the good genotypes are (Hansen and Ostermeier, 2001); with the package `cmaes`."""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import DecisionSpace, Genotype
from morphml_core.space.domains import Choice, Domain, Integer, Subset
from morphml_optimizers.ranking import Standing, standing
from morphml_optimizers.single import single_objective
from morphml_optimizers.vectors import Vector, proposed

_RESTART = 5  # stream of problem.rng: the mean of a restart
_NOTE = "generation "
_LEAST = 4  # cmaes divides by zero with fewer
_PAST = 3  # generations of which a late trial's point is still known
_FINE = 1000  # an integer with more values is as good as a real


def _positive(instance: Any, attribute: attrs.Attribute[Any], value: int | None) -> None:
    if value is not None and value < _LEAST:
        raise ValueError(f"'{attribute.alias}' must be >= {_LEAST}: {value}")


@attrs.frozen
class Config:
    """How many trials make a generation, and how wide the first is."""

    population: int | None = attrs.field(default=None, validator=_positive)
    """How many trials are told before the distribution changes; without it 4 + 3 ln(dimensions), and no fewer than run at once."""
    sigma: float = attrs.field(default=1 / 6, validator=[attrs.validators.gt(0.0), attrs.validators.le(1.0)])
    """The first standard deviation, as a share of the range of a decision."""


class CmaEs:
    """CMA-ES (Hansen and Ostermeier, 2001) with margin (Hamano, Saito, Nomura, Shirakawa, GECCO 2022), by the package `cmaes`, asynchronous.

    Each proposal is a draw from a normal distribution over the vectors of `DecisionSpace.encode`.  When `population` trials are told, the better half of them
    moves and shapes it: by their order only.  Choices, subsets and whole numbers are discrete: the margin keeps every neighbouring value in reach.
    So a choice is taken in the order of its values, as a number is; write them in a sensible order.  Numbers on a log scale and very long ones
    are taken as reals.  Inactive decisions keep their numbers, which then mean nothing and are not selected for.
    The order is by (failed, constraint violation, loss), then by trial number; stopped trials count with what they reported.  Pending ones count
    when they are told, with the point that they were drawn at if that is at most three generations ago.  Trials of others are not learned from, but the best of those
    that are told before the search's own is where the mean begins.  A draw that is known, pending or refused changes in one decision, and counts as the nearest point that
    means the same.  Where the distribution has collapsed, it begins again around a random point, with twice the population (Auger and Hansen, 2005).
    One objective.  Needs the package `cmaes`.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "cma_es")
        self._cmaes = _package()
        self._problem = problem
        self._fresh = Fresh(problem)
        self._points = Points(problem.decisions)
        size = len(self._points.free)
        self._sigma = config.sigma
        self._population = config.population or max(4 + int(3 * np.log(max(size, 1))), problem.parallelism)
        self._generation = 0
        self._told = 0
        self._first: tuple[Standing, Vector] | None = None
        self._members: list[tuple[Standing, int, Vector]] = []
        self._kept: dict[
            int, tuple[Vector, Vector]
        ] = {}  # by seed: what this generation has drawn, to save drawing it again
        self._now: Any = self._started(np.full(size, 0.5)) if size else None
        self._past: deque[Any] = deque(maxlen=_PAST)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Draws from the distribution.  Takes as long whatever the number of trials told."""
        return proposed(self._problem, self._fresh, numbers, pending, self._told, self._plan)

    def _plan(self, born: int, rng: Generator) -> tuple[Callable[[], Genotype], str]:
        if self._now is None:
            return partial(self._problem.decisions.sample, rng), "random"
        drawn, _ = self._drawn(0, rng)
        genotypes = self._near(self._points.decode(drawn), rng)
        return partial(next, genotypes), f"{_NOTE}{self._generation}"

    def _near(self, genotype: Genotype, rng: Generator) -> Iterator[Genotype]:
        yield genotype
        while True:
            yield self._problem.decisions.mutate(genotype, rng)

    def _drawn(self, ago: int, rng: Generator) -> tuple[Vector, Vector]:
        """A point as it is evaluated, and as the distribution wants to be told it: the first number of the generator decides."""
        seed = int(rng.integers(2**32))
        found = None if ago else self._kept.get(seed)
        if found is None:
            distribution = self._past[-ago] if ago else self._now
            distribution.reseed_rng(seed)
            found = distribution.ask()
            if not ago and len(self._kept) < 2 * self._population:
                self._kept[seed] = found
        return found

    def tell(self, trials: Sequence[Trial]) -> None:
        """Collect a generation; when it is complete, the distribution changes."""
        self._fresh.tell(trials)
        for trial in trials:
            self._told += 1
            if self._now is not None:
                self._take(trial, standing(self._problem, trial))

    def _take(self, trial: Trial, mine: Standing) -> None:
        found = re.fullmatch(_NOTE + r"(\d+)", trial.origin)
        ago = self._generation - int(found[1]) if found else -1
        if not 0 <= ago <= len(self._past):
            if not self._generation and not self._members:
                self._begin_at(trial, mine)
            return
        evaluated, told = self._drawn(ago, self._problem.lent_rng(trial.number))
        self._members.append((mine, trial.number, self._points.settled(told, evaluated, trial.genotype)))
        if len(self._members) == self._population:
            self._learn()

    def _begin_at(self, trial: Trial, mine: Standing) -> None:
        if not mine.failed and (self._first is None or mine < self._first[0]):
            self._first = (mine, self._points.encode(trial.genotype))
            self._now = self._started(self._first[1])

    def _learn(self) -> None:
        self._past.append(copy.deepcopy(self._now))
        ordered = sorted(self._members, key=lambda member: member[:2])
        with np.errstate(all="ignore"):
            self._now.tell([(point, float(rank)) for rank, (_, _, point) in enumerate(ordered)])
            collapsed = not np.isfinite(self._now.mean).all() or self._now.should_stop()
        self._members, self._kept = [], {}
        self._generation += 1
        if collapsed:
            self._population *= 2
            self._now = self._started(self._problem.rng(self._generation, _RESTART).random(len(self._points.free)))
            self._past.clear()

    def _started(self, mean: Vector) -> Any:
        """The distribution of a first generation."""
        self._kept.clear()
        bounds, steps = self._points.bounds, self._points.steps
        inside = np.clip(mean, bounds[:, 0], bounds[:, 1])
        return self._cmaes.CMAwM(inside, self._sigma, bounds, steps, population_size=self._population, seed=0)


class Points:
    """The numbers of `DecisionSpace.encode` that can vary, and how a discrete one looks to `cmaes`.

    `free` are their indices; `bounds` (n, 2) the centres of the first and last value, `steps` (n,) from centre to centre, 0 for reals.
    """

    def __init__(self, decisions: DecisionSpace) -> None:
        self._decisions = decisions
        domains = [decision.domain for decision in decisions.decisions]
        widths = [domain.width for domain in domains]
        free = [domain.size != 1 for domain in domains]
        self.free: NDArray[np.int64] = np.flatnonzero(np.repeat(free, widths))
        self._owners = np.repeat(np.arange(len(domains)), widths)[self.free]
        steps = [_step(domain) for domain in domains]
        self.steps: Vector = np.repeat(steps, widths)[self.free].astype(float)
        self.bounds: Vector = np.array([self.steps / 2, 1 - self.steps / 2]).T

    def decode(self, point: Vector) -> Genotype:
        """The genotype of a point."""
        vector = np.full(self._decisions.dimensions, 0.5)
        vector[self.free] = point
        return self._decisions.decode(vector)

    def encode(self, genotype: Genotype) -> Vector:
        """The point of a genotype."""
        point: Vector = self._decisions.encode(genotype)[self.free]
        return point

    def settled(self, told: Vector, evaluated: Vector, genotype: Genotype) -> Vector:
        """The point that was drawn, with the decisions that became others in the genotype moved to the nearest numbers that mean those."""
        drawn = self.decode(evaluated)
        if drawn == genotype:
            return told
        pairs = zip(drawn.slots, genotype.slots, strict=True)
        changed = np.array([new is not None and new != old for old, new in pairs])[self._owners]
        centre = self.encode(genotype)
        half = self.steps / 2
        moved: Vector = np.where(changed, np.clip(told, centre - half, centre + half), told)
        return moved


def _step(domain: Domain) -> float:
    if isinstance(domain, Subset):
        return 0.5
    fine = isinstance(domain, Integer) and (domain.log or domain.size > _FINE)
    return 1 / domain.size if isinstance(domain, Choice | Integer) and not fine else 0.0


def _package() -> ModuleType:
    try:
        import cmaes
    except ImportError:
        message = "the optimizer 'cma_es' needs cmaes, which is not installed; pip install 'morphml-optimizers[cmaes]'"
        raise ConfigurationError([Complaint("optimizer", message)]) from None
    module: ModuleType = cmaes
    return module


component = optimizer(Config, CmaEs)

"""Optimizer `differential_evolution`: differences of the living, added to one of them (Storn and Price, 1997)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import attrs
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import proposed
from morphml_optimizers.ranking import Standing, standing
from morphml_optimizers.single import single_objective
from morphml_optimizers.vectors import Vector, Vectors, place_of, reflected

_STREAM = 4  # of problem.rng: the numbers of inactive decisions
_PLACE = "for place "
_LEAST = 4  # of the living, for one difference beside the base and the target


@attrs.frozen
class Config:
    """Who lives, and how a child is calculated."""

    population: int = attrs.field(default=10, validator=attrs.validators.ge(_LEAST))
    """How many trials live."""
    tournament: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    """How many of the living are drawn, with replacement, for the base: the best of them is it.  1 is DE/rand/1, many is DE/best/1."""
    weight_low: float = attrs.field(default=0.5, validator=[attrs.validators.gt(0.0), attrs.validators.le(2.0)])
    """The least weight of the difference; each child draws its own."""
    weight_high: float = attrs.field(default=1.0, validator=[attrs.validators.gt(0.0), attrs.validators.le(2.0)])
    """The greatest weight of the difference."""
    crossover: float = attrs.field(default=0.9, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a decision is the calculated one, and not that of the trial whose place the child is for."""

    @tournament.validator
    def _fits(self, attribute: attrs.Attribute[int], value: int) -> None:
        if value > self.population:
            raise ValueError(f"'tournament' must be <= population ({self.population}): {value}")

    @weight_high.validator
    def _above_low(self, attribute: attrs.Attribute[float], value: float) -> None:
        if value < self.weight_low:
            raise ValueError(f"'weight_high' must be >= weight_low ({self.weight_low}): {value}")


@attrs.frozen(eq=False)
class _Member:
    trial: Trial
    standing: Standing
    vector: Vector


class DifferentialEvolution:
    """Differential evolution (Storn and Price, "Differential Evolution", Journal of Global Optimization, 1997), asynchronous as in DEHB (Awad et al., IJCAI 2021).

    Random genotypes until `population` trials are over or pending.  Then the places of the population take turns: a child is base + weight * (one - another), of
    three others of the living, crossed with the trial in its place, which it replaces when it is told as no worse.  So there are no
    generations to wait for.  A choice of three or more values is a number a value, of which the largest decides: then its difference says
    "where the base has what the second has, take what the first has", and no order of the values matters.  Numbers that leave
    their range are mirrored at its ends, and those of inactive decisions are drawn at random.
    Better is by (failed, constraint violation, loss); stopped trials count with what they reported, pending ones when they are told.
    Trials of others take the place of the worst, if they are better.  One objective.  A child that is known or refused changes in one
    decision.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "differential_evolution")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._vectors = Vectors(problem.decisions)
        self._living: list[_Member] = []
        self._told = 0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, children later.  Takes as long whatever the number of trials told."""
        return proposed(self._problem, self._fresh, numbers, pending, self._plan)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial takes its place, if it is no worse than who has it."""
        self._fresh.tell(trials)
        for trial in trials:
            self._told += 1
            if not any(member.trial.genotype == trial.genotype for member in self._living):
                self._join(trial, standing(self._problem, trial))

    def _join(self, trial: Trial, mine: Standing) -> None:
        full = len(self._living) == self._config.population
        place = place_of(trial, _PLACE, len(self._living)) if full else None
        if full and place is None:
            place = max(range(len(self._living)), key=lambda index: self._living[index].standing)
        if place is not None and mine > self._living[place].standing:
            return
        member = _Member(trial, mine, self._vectors.encode(trial.genotype, self._problem.rng(trial.number, _STREAM)))
        if place is None:
            self._living.append(member)
        else:
            self._living[place] = member

    def _plan(self, pending: int, rng: Generator) -> tuple[Callable[[], Genotype], str]:
        born = self._told + pending
        if born < self._config.population or len(self._living) < _LEAST:
            return partial(self._problem.decisions.sample, rng), "random"
        place = born % self._config.population % len(self._living)
        return partial(self._child, place, rng), f"{_PLACE}{place}"

    def _child(self, place: int, rng: Generator) -> Genotype:
        config, target = self._config, self._living[place].vector
        base, one, another = (self._living[index].vector for index in self._parents(place, rng))
        weight = config.weight_low + (config.weight_high - config.weight_low) * rng.random()
        mutant = reflected(base + weight * (one - another))
        genotype = self._vectors.crossed(target, mutant, config.crossover, rng)
        return genotype if self._fresh.is_open(genotype) else self._problem.decisions.mutate(genotype, rng)

    def _parents(self, place: int, rng: Generator) -> list[int]:
        """The base, and the two whose difference is taken: three others than that in the place, all different."""
        others = [index for index in range(len(self._living)) if index != place]
        drawn = [others[int(unit * len(others))] for unit in rng.random(self._config.tournament).tolist()]
        base = min(drawn, key=lambda index: self._living[index].standing)
        others.remove(base)
        one = others.pop(int(rng.random() * len(others)))
        return [base, one, others[int(rng.random() * len(others))]]


component = optimizer(Config, DifferentialEvolution)

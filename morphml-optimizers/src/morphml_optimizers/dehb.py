"""Optimizer `dehb`: differential evolution with a population for each budget, in the brackets of Hyperband (Awad et al., 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import attrs
import numpy as np
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.hyperband import Bracketed, kinds_of
from morphml_optimizers.inner import note, noted
from morphml_optimizers.ladder import Ladder, ladder
from morphml_optimizers.promotion import Entry, Identity, entry_of, identity_of, selected
from morphml_optimizers.vectors import Vector, Vectors, reflected

_STREAM = 4  # of problem.rng: the numbers of inactive decisions
_PARENTS = 3


@attrs.frozen
class Config(Bracketed):
    """How a child is calculated, and how many trials get how many epochs, in brackets that begin at different rungs."""

    population: int = attrs.field(default=10, validator=attrs.validators.ge(4))
    """How many live at each budget, at least: where a bracket has more trials there, it is as many."""
    weight: float = attrs.field(default=0.5, validator=[attrs.validators.gt(0.0), attrs.validators.le(2.0)])
    """The weight of the difference of two parents, which is added to the third (F in the paper)."""
    crossover: float = attrs.field(default=0.5, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a decision is the calculated one, and not that of the trial whose place the child is for."""


@attrs.frozen(eq=False)
class _Member(Entry):
    """A trial that lives at its budget, with its vector."""

    vector: Vector = attrs.field(factory=lambda: np.zeros(0), kw_only=True)


class _Population:
    """Those that live at one budget: at most `size`.  With one objective a child replaces whoever has its place if it is no worse, or the worst where it has no place;
    with several the one that is least wanted (by `selected`) of all leaves."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.living: list[_Member] = []
        self.known: set[Identity] = set()

    def join(self, member: _Member, place: int | None) -> None:
        """Take in a trial, if it is good enough."""
        if member.identity in self.known:
            return
        self.known.add(member.identity)
        if len(self.living) < self.size:
            self.living.append(member)
        elif len(member.standing.losses) > 1:
            self._replace_least(member)
        else:
            self._replace(member, place)

    def _replace(self, member: _Member, place: int | None) -> None:
        if place is None or place >= self.size:
            place = max(range(self.size), key=lambda index: self.living[index].standing)
        if member.standing <= self.living[place].standing:
            self.living[place] = member

    def _replace_least(self, member: _Member) -> None:
        everybody = [*self.living, member]
        kept = {each.identity for each in selected(everybody, self.size)}
        leaving = [index for index, each in enumerate(everybody) if each.identity not in kept]
        if leaving[0] < self.size:
            self.living[leaving[0]] = member


@attrs.frozen(eq=False)
class _Busy:
    """What is pending: genotypes, candidates by rung, and how many by bracket and rung."""

    genotypes: set[Genotype] = attrs.field(factory=set)
    places: set[tuple[int, Identity]] = attrs.field(factory=set)
    counts: dict[tuple[int, int], int] = attrs.field(factory=dict)
    at_rung: dict[int, int] = attrs.field(factory=dict)


class Dehb:
    """DEHB (Awad et al., "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization", IJCAI 2021), asynchronous.

    Each budget has a population, as large as the most trials that a bracket of `hyperband` has there.  The brackets say how many trials come next at which budget; a bracket
    goes on to a budget when all of its trials at the one before are over, and the next bracket begins meanwhile.  While the population of a
    budget is not full, the best of the one below go on to it, from their checkpoints, and those of a bracket's first budget are drawn at random.  Then children are born: one of
    three parents, and to it is added the difference of the others, crossed with the trial whose place the child is for (DE/rand/1/bin).  At a bracket's first
    budget the parents are from its own population, at the others from the best of the population below.  A child is trained from the beginning.

    It replaces the trial in its place if it is no worse, by (failed, constraint violation, loss).  With several objectives, of the population and the
    child the one leaves that comes last by fronts and an epsilon-net, infeasible ones before.  Failed and stopped trials are the worst, and are no parents at the next budget.
    Trials of others join the population of their budget.  How choices become numbers is said at `differential_evolution`.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config, self._problem = config, problem
        self._ladder = ladder(config, problem, "dehb")
        plans = kinds_of(config, self._ladder, "dehb")
        self._sizes = [_sizes(self._ladder, plan.rung, plan.trials) for plan in plans]
        most = [
            max(config.population, *(sizes.get(rung, 0) for sizes in self._sizes)) for rung in range(len(self._ladder))
        ]
        self._populations = [_Population(size) for size in most]
        self._vectors = Vectors(problem.decisions)
        self._fresh = Fresh(problem)
        self._told = [0] * len(self._ladder)
        self._open: dict[int, dict[int, int]] = {}
        self._over: set[int] = set()
        self._next = 0

    # told ----------------------------------------------------------------------------------------------

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial joins the population of its budget, and is counted in its bracket."""
        self._fresh.tell(trials)
        for trial in trials:
            rung = self._ladder.rung(trial)
            if rung is None or trial.repeat_of is not None:
                continue
            self._told[rung] += 1
            self._populations[rung].join(self._member(trial), note(trial.origin, "place"))
            bracket = note(trial.origin, "bracket")
            if bracket is not None and bracket not in self._over:
                self._count(bracket, rung)

    def _member(self, trial: Trial) -> _Member:
        vector = self._vectors.encode(trial.genotype, self._problem.rng(trial.number, _STREAM))
        entry = entry_of(self._problem, trial)
        return _Member(entry.identity, entry.genotype, entry.number, entry.standing, entry.origin, vector=vector)

    def _count(self, bracket: int, rung: int) -> None:
        self._next = max(self._next, bracket + 1)
        counts = self._open.setdefault(bracket, {})
        counts[rung] = counts.get(rung, 0) + 1
        if all(counts.get(place, 0) >= size for place, size in self._planned(bracket).items()):
            del self._open[bracket]
            self._over.add(bracket)

    def _planned(self, bracket: int) -> dict[int, int]:
        return self._sizes[bracket % len(self._sizes)]

    # asked ---------------------------------------------------------------------------------------------

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Trials of the oldest brackets that do not wait; then those of the next one."""
        busy, proposals = _Busy(), list[Proposal]()
        for trial in pending:
            self._note(trial.genotype, identity_of(trial), self._ladder.rung(trial), trial.origin, busy)
        for number in numbers:
            proposal = next(self._possible(number, busy), None)
            if proposal is None:
                break
            rung = self._ladder.epochs.index(proposal.budget.epochs or 0)
            self._note(proposal.genotype, proposal.genotype, rung, proposal.origin, busy)
            proposals.append(proposal)
        return proposals

    def _note(self, genotype: Genotype, identity: Identity, rung: int | None, origin: str, busy: _Busy) -> None:
        busy.genotypes.add(genotype)
        if rung is None:
            return
        busy.places.update(((rung, identity), (rung, genotype)))
        busy.at_rung[rung] = busy.at_rung.get(rung, 0) + 1
        bracket = note(origin, "bracket")
        if bracket is not None:
            busy.counts[bracket, rung] = busy.counts.get((bracket, rung), 0) + 1

    def _possible(self, number: int, busy: _Busy) -> Iterator[Proposal]:
        """What could be proposed, the best first."""
        pending = {bracket for bracket, _ in busy.counts} - self._over
        standing = sorted({*self._open, *pending})
        for bracket in standing:
            counts, planned = self._open.get(bracket, {}), self._planned(bracket)
            for rung, size in planned.items():
                waiting = busy.counts.get((bracket, rung), 0)
                if size > counts.get(rung, 0) + waiting:
                    yield from self._proposed(number, bracket, rung, busy)
                if waiting:
                    break
        fresh = max([self._next, *(bracket + 1 for bracket in pending)])
        yield from self._proposed(number, fresh, min(self._planned(fresh)), busy)

    def _proposed(self, number: int, bracket: int, rung: int, busy: _Busy) -> Iterator[Proposal]:
        population, rng = self._populations[rung], self._problem.rng(number)
        first = rung == min(self._planned(bracket))
        born = len(population.living) + busy.at_rung.get(rung, 0)
        if not first and born < population.size:
            yield from self._promoted(bracket, rung, busy)
        pool = self._pool(bracket, rung)
        place = (self._told[rung] + busy.at_rung.get(rung, 0)) % population.size
        if len(pool) < _PARENTS or born < population.size or place >= len(population.living):
            make, origin = partial(self._problem.decisions.sample, rng), noted("random", f"bracket {bracket}")
        else:
            make = partial(self._child, pool, population.living[place], rng)
            origin = noted("child", f"bracket {bracket}", f"place {place}")
        genotype = self._fresh.draw(make, busy.genotypes, rng)
        if genotype is not None:
            yield Proposal(genotype, self._ladder.budget(rung), priority=float(rung), origin=origin)
        elif not first:
            yield from self._promoted(bracket, rung, busy)

    def _promoted(self, bracket: int, rung: int, busy: _Busy) -> Iterator[Proposal]:
        """The best of the population below that has no result at this rung."""
        below, known = self._populations[rung - 1], self._populations[rung].known
        open_ones = [
            each
            for each in below.living
            if each.identity not in known and not {(rung, each.identity), (rung, each.genotype)} & busy.places
        ]
        for best in selected(open_ones, 1):
            origin = noted("promoted", f"bracket {bracket}", f"promotion of {best.number}")
            yield Proposal(best.genotype, self._ladder.budget(rung), best.number, float(rung), origin)

    def _pool(self, bracket: int, rung: int) -> list[_Member]:
        """Who can be a parent: the population itself, or the best of the one below and, where these are too few, of this one."""
        population = self._populations[rung].living
        planned = self._planned(bracket)
        if rung == min(planned):
            return population
        best = selected(self._populations[rung - 1].living, max(planned[rung], _PARENTS))
        return best if len(best) >= _PARENTS else [*best, *population]

    def _child(self, pool: Sequence[_Member], target: _Member, rng: Generator) -> Genotype:
        others = [each for each in pool if each is not target]
        parents = _distinct(len(others), rng) if len(others) >= _PARENTS else [0, 1, 0]
        base, one, another = (others[index].vector for index in parents)
        mutant = reflected(base + self._config.weight * (one - another))
        genotype = self._vectors.crossed(target.vector, mutant, self._config.crossover, rng)
        return genotype if self._fresh.is_open(genotype) else self._problem.decisions.mutate(genotype, rng)


def _distinct(count: int, rng: Generator) -> list[int]:
    """Three different numbers below `count`."""
    left = list(range(count))
    return [left.pop(int(rng.random() * len(left))) for _ in range(_PARENTS)]


def _sizes(rungs: Ladder, first: int, trials: int) -> dict[int, int]:
    """How many trials a bracket has at each rung."""
    return {rung: max(1, trials // rungs.reduction ** (rung - first)) for rung in range(first, len(rungs))}


component = optimizer(Config, Dehb)

"""Optimizer `genetic`: tournaments, crossover, mutation and elites (Goldberg, 1989)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs
from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.nondominated import Breeder, ranked
from morphml_optimizers.ranking import Standing, front, standing

Member = tuple[Trial, Standing]


@attrs.frozen
class Config:
    """Who lives, who mates, how children are made."""

    population: int = attrs.field(default=20, validator=attrs.validators.ge(2))
    """How many trials live: the elites, and the last that ended."""
    tournament: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    """How many of the living each tournament draws, with replacement; the best of them is a parent."""
    elites: int = attrs.field(default=2, validator=attrs.validators.ge(0))
    """How many trials stay, whatever their age: the best of those that ended before the others that live."""
    crossover: float = attrs.field(default=0.5, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """How probable it is that a child has two parents, and not one."""

    @tournament.validator
    def _fits(self, attribute: attrs.Attribute[int], value: int) -> None:
        if value > self.population:
            raise ValueError(f"'tournament' must be <= population ({self.population}): {value}")

    @elites.validator
    def _leave_room(self, attribute: attrs.Attribute[int], value: int) -> None:
        if value >= self.population:
            raise ValueError(f"'elites' must be < population ({self.population}): {value}")


class Genetic:
    """A genetic algorithm (Goldberg, "Genetic Algorithms in Search, Optimization and Machine Learning", 1989), asynchronous and steady-state.

    There are no generations: each trial that ends joins the living and pushes out the oldest, which stays as an elite if it is better than one of
    the `elites` before it.  So the best trial of all always lives, unless there are no elites.  Random genotypes until `population` trials are over or
    pending; then the parents of each child are the winners of two tournaments, and one decision of the child changes.
    Winner is the best by (failed, constraint violation, loss); with several objectives one that no other of the tournament dominates, and elites are the
    first by front.  Failed trials age like others; stopped ones count with what they reported.  A child that is known, pending or refused is bred anew.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._problem = problem
        self._breeder = Breeder(problem, Fresh(problem), config.population, config.crossover)
        self._elites: list[Member] = []
        self._young: deque[Member] = deque()

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, children later.  Takes as long whatever the number of trials told."""
        return self._breeder.ask(numbers, pending, self._parents)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial joins the living; the oldest leaves, or stays as an elite."""
        for trial in trials:
            self._breeder.tell(trial)
            self._young.append((trial, standing(self._problem, trial)))
            if len(self._young) > self._config.population - self._config.elites:
                self._retire(self._young.popleft())

    def _retire(self, member: Member) -> None:
        if any(other.genotype == member[0].genotype for other, _ in self._elites):
            return
        self._elites.append(member)
        if len(self._elites) > self._config.elites:
            del self._elites[max(ranked([mine for _, mine in self._elites])[-1])]

    def _parents(self, number: int, rng: Generator) -> tuple[Trial, Trial] | None:
        living = [*self._elites, *self._young]
        return (self._winner(living, rng), self._winner(living, rng)) if living else None

    def _winner(self, living: Sequence[Member], rng: Generator) -> Trial:
        drawn: list[int] = rng.integers(len(living), size=self._config.tournament).tolist()
        group = [living[index] for index in drawn]
        if len(self._problem.objectives) == 1:
            return min(group, key=_standing)[0]
        best = front(group, key=_standing)
        return best[int(rng.integers(len(best)))][0]


def _standing(member: Member) -> Standing:
    return member[1]


component = optimizer(Config, Genetic)

"""Optimizer `local_search`: climb from neighbour to neighbour, start again at the top (White et al., 2021)."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from functools import partial

import attrs

from morphml_core.optimizer.fresh import Fresh, taken
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.ranking import Standing, standing

_STREAM = 2  # of problem.rng: the order of a trial's neighbours
_NOTE = "neighbour of "
_SPARE = 10  # so many of the trials below the top are kept, for idle places


@attrs.frozen
class Config:
    """How the search begins."""

    starts: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How many random genotypes begin the search; it climbs from the best of them."""


class _Place:
    """A trial, how it stands, and those of its neighbours that are not told yet, in random order."""

    def __init__(self, problem: Problem, fresh: Fresh, trial: Trial, found: Standing) -> None:
        self.trial = trial
        self.standing = found
        self._problem = problem
        self._fresh = fresh
        self._neighbours: list[Genotype] | None = None

    def __lt__(self, other: _Place) -> bool:
        return self.standing < other.standing

    def is_open(self) -> bool:
        """Whether there are neighbours that are neither told nor refused."""
        return bool(self._left())

    def open(self) -> Iterator[Genotype]:
        """The neighbours that are neither told nor refused."""
        return (genotype for genotype in reversed(self._left()) if self._fresh.is_open(genotype))

    def _left(self) -> list[Genotype]:
        """The neighbours, where the last is neither told nor refused."""
        if self._neighbours is None:
            rng = self._problem.rng(self.trial.number, _STREAM)
            found = list(self._problem.decisions.neighbours(self.trial.genotype, rng))
            self._neighbours = [found[index] for index in rng.permutation(len(found)).tolist()]
        left, fresh = self._neighbours, self._fresh
        while left and not fresh.is_open(left[-1]):
            left.pop()
        return left


class LocalSearch:
    """Local search (White et al., "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021), asynchronous.

    A climb begins at a random genotype, and proposes the neighbours of the best trial of the climb in random order; when one of them is
    better, it goes on from there.  When all are told and none is better, the next climb begins.  With several objectives the climb goes
    on from every trial that no other of it dominates (Pareto local search, Paquete et al., 2004).  While the last neighbours are pending, idle
    places go to the neighbours of the next best trials of the climb.  Failed trials are never climbed from.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._told = 0
        self._top: list[_Place] = []
        self._below: list[_Place] = []

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Neighbours of the best, or random genotypes where a climb begins."""
        busy = taken(pending)
        proposals: list[Proposal] = []
        for number in numbers:
            born = self._told + len(pending) + len(proposals)
            proposal = (self._step(busy) if born >= self._config.starts else None) or self._start(number, busy)
            if proposal is None:
                break
            busy.add(proposal.genotype)
            proposals.append(proposal)
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take each trial into the climb, or begin one with it where the last has ended."""
        for trial in trials:
            if not trial.origin.startswith(_NOTE) and not self._climbs():
                self._top, self._below = [], []
            self._fresh.tell([trial])
            self._told += 1
            found = standing(self._problem, trial)
            if not found.failed:
                self._take(trial, found)

    def _take(self, trial: Trial, found: Standing) -> None:
        top = not any(other.standing.dominates(found) or other.standing == found for other in self._top)
        if not top and len(self._below) == _SPARE and not found < self._below[-1].standing:
            return
        place = _Place(self._problem, self._fresh, trial, found)
        if not top:
            self._put_below(place)
            return
        for other in [other for other in self._top if found.dominates(other.standing)]:
            self._top.remove(other)
            self._put_below(other)
        self._top.append(place)

    def _put_below(self, place: _Place) -> None:
        insort(self._below, place)
        del self._below[_SPARE:]

    def _climbs(self) -> bool:
        """Whether the climb has somewhere to go on from its top."""
        return any(place.is_open() for place in self._top)

    def _step(self, busy: set[Genotype]) -> Proposal | None:
        """A neighbour of the first trial that has one left; None where the climb is over or every place near the top is busy."""
        for place in [*self._top, *self._below] if self._climbs() else []:
            for genotype in place.open():
                if genotype not in busy:
                    return Proposal(genotype, origin=f"{_NOTE}{place.trial.number}")
        return None

    def _start(self, number: int, busy: set[Genotype]) -> Proposal | None:
        rng = self._problem.rng(number)
        genotype = self._fresh.draw(partial(self._problem.decisions.sample, rng), busy, rng)
        return None if genotype is None else Proposal(genotype, origin="start")


component = optimizer(Config, LocalSearch)

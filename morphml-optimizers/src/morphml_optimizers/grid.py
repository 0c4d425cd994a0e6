"""Optimizer `grid`: every genotype of the space once, in order or shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from morphml_core.optimizer.fresh import taken
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.enumeration import Enumeration, Permutation

_SHUFFLE = 5  # stream of problem.rng: the order
_FIRST = 20_000  # how many points are looked at where constraints refuse all
_EACH = 1_000  # and how many more with each trial


@attrs.frozen
class Config:
    """Which points there are, and in which order they are tried."""

    resolution: int = attrs.field(default=10, validator=[attrs.validators.ge(1), attrs.validators.le(10_000)])
    """How many points a real has, evenly on its own scale (linear or logarithmic) with both bounds among them; an integer with more than 100 values too.  Smaller integers are tried in full."""
    order: Literal["sequential", "shuffled"] = attrs.field(
        default="sequential", validator=attrs.validators.in_(("sequential", "shuffled"))
    )
    """In the order of the values, with the last decision changing first; or in a random order, which the seed decides: better where there is no time for all."""


class Grid:
    """Grid search: exhaustive enumeration of a space (what Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", 2012, compare with).

    Each genotype comes once: slots that are inactive do not multiply.  Points are computed from their place in the order, so that a space of any size begins at
    once; what is told, pending or refused by a constraint is passed over, and when nothing is left the search ends.  Where constraints refuse all of very many
    points in a row, a refused one is proposed instead of looking on for hours.  Results are not looked at: any number of objectives, of constraints and of failed or
    stopped trials is well.  It goes on where it was: the next point is the first that was not tried.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._problem = problem
        self._points = Enumeration(problem.decisions, config.resolution)
        shuffled = config.order == "shuffled"
        self._order = Permutation(self._points.size, problem.rng(0, _SHUFFLE).bytes(16)) if shuffled else None
        self._over: dict[int, int] = {}
        self._start = 0
        self._told = 0
        self._known: set[Genotype] = set()

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """The next points.  Takes as long whatever the number of trials told."""
        busy, place = taken(pending), 0
        proposals: list[Proposal] = []
        for _ in numbers:
            limit = _FIRST + _EACH * (self._told + len(pending) + len(proposals))
            place, genotype = self._next(place, busy, limit)
            if genotype is None:
                break
            busy.add(genotype)
            proposals.append(Proposal(genotype, origin=f"point {place + 1}"))
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was tried."""
        self._known.update([trial.genotype for trial in trials])
        self._told += len(trials)

    def _next(self, place: int, busy: set[Genotype], limit: int) -> tuple[int, Genotype | None]:
        """The first open place from this one on and its genotype; where none is open below `limit`, one that may be refused."""
        size = self._points.size
        while (place := self._after(place)) < min(limit, size):
            genotype = self._at(place)
            if genotype in busy:
                place += 1
            elif genotype in self._known or self._problem.refusal(genotype) is not None:
                self._over[place] = place + 1
            else:
                return place, genotype
        for place in range(limit, size):
            genotype = self._at(place)
            if genotype not in busy and genotype not in self._known:
                return place, genotype
        return size, None

    def _at(self, place: int) -> Genotype:
        return self._points.genotype(place if self._order is None else self._order[place])

    def _after(self, place: int) -> int:
        """The first place from this one on that is not known to be over: told or refused, whatever comes."""
        while self._start in self._over:
            self._start = self._over.pop(self._start)
        place, passed = max(place, self._start), list[int]()
        while (following := self._over.get(place)) is not None:
            passed.append(place)
            place = following
        for each in passed:
            self._over[each] = place
        return place


component = optimizer(Config, Grid)

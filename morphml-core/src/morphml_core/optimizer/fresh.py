"""Genotypes that were not tried before: what keeps an optimizer from asking for the same thing twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from numpy.random import Generator

from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype


class Fresh:
    """Remembers the genotypes of the trials it is told, and finds others that are not refused.

    `draws` is how often the optimizer may draw before `Fresh` looks by itself: where constraints are in the way, at `samples` of
    the whole space and at the `near` closest neighbours; where everything close is known, at the `far` closest.
    """

    def __init__(
        self, problem: Problem, draws: int = 20, samples: int = 100, near: int = 300, far: int = 20_000
    ) -> None:
        self._problem = problem
        self._draws, self._samples, self._near, self._far = draws, samples, near, far
        self._known: set[Genotype] = set()
        self._refused: set[Genotype] = set()

    def tell(self, trials: Iterable[Trial]) -> None:
        """Remember the genotypes of these trials."""
        self._known.update([trial.genotype for trial in trials])

    def is_open(self, genotype: Genotype) -> bool:
        """Whether a genotype is neither told nor refused."""
        return genotype not in self._known and not self._is_refused(genotype)

    def propose(
        self, numbers: Sequence[int], pending: Sequence[Trial], make: Callable[[Generator], Genotype], origin: str = ""
    ) -> list[Proposal]:
        """A proposal for each trial number, drawn by `make` with the generator of that number; fewer where the space is exhausted."""
        busy = taken(pending)
        proposals: list[Proposal] = []
        for number in numbers:
            rng = self._problem.lent_rng(number)
            genotype = self.draw(partial(make, rng), busy, rng)
            if genotype is None:
                break
            busy.add(genotype)
            proposals.append(Proposal(genotype, origin=origin))
        return proposals

    def draw(self, make: Callable[[], Genotype], taken: set[Genotype], rng: Generator) -> Genotype | None:
        """A genotype neither told nor in `taken`: from `make` if a few calls give one, otherwise near what `make` gave last.

        It is a refused one where the search for others was long and in vain, and None where the whole space was looked at
        and no other fits: the space is exhausted.
        """
        genotype = make()
        if genotype not in self._known and genotype not in taken and not self._is_refused(genotype):
            return genotype
        return self._look_for(genotype, make, taken, rng)

    def _look_for(
        self, first: Genotype, make: Callable[[], Genotype], taken: set[Genotype], rng: Generator
    ) -> Genotype | None:
        spare: Genotype | None = None
        for genotype in self._drawn(first, make, rng):
            if genotype in self._known or genotype in taken:
                continue
            if not self._is_refused(genotype):
                return genotype
            spare = genotype
        return self._around(genotype, taken, rng, spare)

    def _drawn(self, first: Genotype, make: Callable[[], Genotype], rng: Generator) -> Iterator[Genotype]:
        yield (genotype := first)
        for _ in range(self._draws - 1):
            genotype = make()
            yield genotype
        if self._is_refused(genotype):
            for _ in range(self._samples):
                yield self._problem.decisions.sample(rng)

    def _around(self, start: Genotype, taken: set[Genotype], rng: Generator, spare: Genotype | None) -> Genotype | None:
        """Breadth first over neighbours: the nearest new genotype that is not refused.

        Every genotype can be reached from every other by changing one decision at a time, so a walk that runs out of
        neighbours has seen them all.  Where it is cut short, a new but refused genotype is better than none.
        """
        queue, seen = deque([start]), {start}
        while queue and len(seen) < (self._far if spare is None else self._near):
            for genotype in self._problem.decisions.neighbours(queue.popleft(), rng):
                if genotype in seen:
                    continue
                seen.add(genotype)
                queue.append(genotype)
                if genotype not in self._known and genotype not in taken:
                    if not self._is_refused(genotype):
                        return genotype
                    spare = genotype
        return spare if queue else None

    def _is_refused(self, genotype: Genotype) -> bool:
        if not self._problem.selective:
            return False
        if genotype in self._refused:
            return True
        if self._problem.refusal(genotype) is None:
            return False
        self._refused.add(genotype)
        return True


def taken(pending: Sequence[Trial]) -> set[Genotype]:
    """The genotypes of trials that are not over."""
    return {trial.genotype for trial in pending}

"""Steady-state evolution with several objectives: what `nsga2` and `nsga3` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from numpy.random import Generator

from morphml_core.optimizer.fresh import Fresh
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.nondominated import Breeder, ranked
from morphml_optimizers.ranking import Standing, standing


class SteadyState(ABC):
    """The living: the best `population` of all trials that are over, by front and then by `leaving`.  Parents are winners of binary tournaments.

    `living` are the trials and how they stand, `fronts` their indices by front, `ranks` the front of each.
    """

    def __init__(self, problem: Problem, population: int, crossover: float) -> None:
        self._problem = problem
        self._population = population
        self._breeder = Breeder(problem, Fresh(problem), population, crossover)
        self.living: list[tuple[Trial, Standing]] = []
        self.fronts: list[list[int]] = []
        self.ranks: list[int] = []

    @abstractmethod
    def leaving(self) -> int:
        """The index of one of the last front: who leaves when there is one too many."""

    def settled(self) -> None:
        """Called when the living, their fronts and ranks have changed."""
        return

    def _sort(self) -> None:
        """Bring `fronts` and `ranks` up to date with `living`."""
        self.fronts = ranked([mine for _, mine in self.living])
        self.ranks = [0] * len(self.living)
        for rank, front in enumerate(self.fronts):
            for index in front:
                self.ranks[index] = rank

    def preference(self, index: int) -> float:
        """Which of two in the same front wins a tournament: the one with the smaller number, or the first drawn."""
        return 0.0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Random genotypes at first, children later.  Takes as long whatever the number of trials told."""
        return self._breeder.ask(numbers, pending, self._parents)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial joins the living if it is better than the worst of them."""
        for trial in trials:
            self._breeder.tell(trial)
            self._join(trial, standing(self._problem, trial))

    def _join(self, trial: Trial, mine: Standing) -> None:
        full = len(self.living) == self._population
        if full and any(self.living[index][1].dominates(mine) for index in self.fronts[-1]):
            return  # it would be a front behind the last
        if any(other.genotype == trial.genotype for other, _ in self.living):
            return
        self.living.append((trial, mine))
        self._sort()
        if full:
            self._leave(self.leaving())
        self.settled()

    def _leave(self, index: int) -> None:
        """Let one of the last front go: it dominates nobody, so that the fronts of all others stay as they are."""
        self.fronts[-1].remove(index)
        self.fronts = [[other - (other > index) for other in front] for front in self.fronts if front]
        del self.living[index], self.ranks[index]

    def _parents(self, number: int, rng: Generator) -> tuple[Trial, Trial] | None:
        if not self.living:
            return None
        drawn: list[int] = rng.integers(len(self.living), size=4).tolist()
        return self._winner(drawn[:2]), self._winner(drawn[2:])

    def _winner(self, drawn: Sequence[int]) -> Trial:
        return self.living[min(drawn, key=lambda index: (self.ranks[index], self.preference(index)))][0]

"""What a model learns from: the told trials, or a part of them that does not grow."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence

from morphml_core.problem import Problem, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.ranking import Standing, standing


class Past:
    """The genotypes of the told trials and their losses, with one objective: infinite for those that failed, lack it, or break a constraint.

    `most` is how many trials a model looks at, `best` the positions of the best third of so many, best first.
    """

    def __init__(self, problem: Problem, most: int) -> None:
        self._problem = problem
        self._most = most
        self._best: list[tuple[Standing, int]] = []
        self.genotypes: list[Genotype] = []
        self.losses: list[float] = []

    def __len__(self) -> int:
        return len(self.genotypes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember how these trials did."""
        for trial in trials:
            found = standing(self._problem, trial)
            insort(self._best, (found, len(self.genotypes)))
            del self._best[max(self._most // 3, 1) :]
            self.genotypes.append(trial.genotype)
            self.losses.append(math.inf if found.failed or found.violation > 0 else found.losses[0])

    @property
    def best(self) -> list[int]:
        """The positions of the best trials, best first."""
        return [position for _, position in self._best]

    def chosen(self) -> list[int]:
        """The positions of the trials to learn from: all, or a third each of the best, the most recent and an even spread."""
        told, third = len(self), self._most // 3
        if told <= self._most:
            return list(range(told))
        spread = [told * step // third for step in range(third)]
        return sorted({*self.best, *range(told - third, told), *spread})

"""What a model learns from: the told trials, or a part of them that does not grow."""

from __future__ import annotations

import math
from array import array
from bisect import insort
from collections.abc import Sequence

import numpy as np

from morphml_core.problem import Problem, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.ranking import Standing, standing

_BEST = 100


class Past:
    """The genotypes of the told trials and their losses, with one objective: infinite for those that failed, lack it, or break a constraint.

    `most` is how many trials a model looks at.
    """

    def __init__(self, problem: Problem, most: int) -> None:
        self._problem = problem
        self._most = most
        self._best: list[tuple[Standing, int]] = []
        self._known: set[Genotype] = set()
        self.genotypes: list[Genotype] = []
        self.losses = array("d")

    def __len__(self) -> int:
        return len(self.genotypes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember how these trials did."""
        for trial in trials:
            found = standing(self._problem, trial)
            insort(self._best, (found, len(self.genotypes)))
            del self._best[_BEST:]
            self._known.add(trial.genotype)
            self.genotypes.append(trial.genotype)
            self.losses.append(math.inf if found.failed or found.violation > 0 else found.losses[0])

    def knows(self, genotype: Genotype) -> bool:
        """Whether a trial of this genotype was told."""
        return genotype in self._known

    @property
    def best(self) -> list[int]:
        """The positions of the hundred best trials, best first."""
        return [position for _, position in self._best]

    def chosen(self, told: int | None = None, most: int | None = None) -> list[int]:
        """The positions of the trials to learn from: all of the first `told` (or of all), or a third each of the best, the last and an even spread.

        `most` takes the place of the number given at the beginning.
        """
        told, most = len(self) if told is None else told, most or self._most
        if told <= most:
            return list(range(told))
        third = most // 3
        best = np.argpartition(np.frombuffer(self.losses, count=told), third)[:third].tolist()
        spread = [told * step // third for step in range(third)]
        return sorted({*best, *range(told - third, told), *spread})

"""Where a search begins: genotypes that lie evenly in the space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from morphml_core.problem import Problem
from morphml_core.space.decisions import Genotype

_SHIFT = 1  # stream of problem.rng: where the sequence begins


class EvenDesign:
    """The R sequence (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018), even in any number of dimensions.

    It is shifted by the seed of the problem.  Where decisions have few values, two indices may give the same genotype.
    """

    def __init__(self, problem: Problem) -> None:
        self._decisions = problem.decisions
        dimensions = self._decisions.dimensions
        ratio = 2.0
        for _ in range(50):
            ratio = (1 + ratio) ** (1 / (dimensions + 1))
        self._steps = ratio ** -np.arange(1.0, dimensions + 1)
        self._start = problem.rng(0, _SHIFT).random(dimensions)

    def genotype(self, index: int) -> Genotype:
        """The genotype at an index, from 0 on."""
        return self._decisions.decode((self._start + index * self._steps) % 1.0)

    def first(self, index: int, others: Callable[[], Genotype]) -> Callable[[], Genotype]:
        """A function that returns the genotype at an index when it is first called, then what `others` returns: for `Fresh.draw`."""
        waiting = [self.genotype(index)]
        return lambda: waiting.pop() if waiting else others()

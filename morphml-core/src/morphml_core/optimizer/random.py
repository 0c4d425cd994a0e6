"""Optimizer `random`: every proposal is drawn evenly, independent of the results; no genotype twice."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial


@attrs.frozen
class Config:
    """Random search has no options."""


class RandomSearch:
    """Random search (Bergstra and Bengio, 2012): the proposal of trial n is drawn with `problem.rng(n)`.

    It draws again where a genotype is pending, told or refused, and ends when there is no other.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._problem = problem
        self._fresh = Fresh(problem)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """One random genotype a number."""
        return self._fresh.propose(numbers, pending, self._problem.decisions.sample, "random")

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was tried."""
        self._fresh.tell(trials)


component = optimizer(Config, RandomSearch)

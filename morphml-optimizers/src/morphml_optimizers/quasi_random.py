"""Optimizer `quasi_random`: scrambled Sobol points, which fill the space more evenly than random ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.space.decisions import Genotype
from morphml_optimizers.asking import Waiting, one_by_one

_SCRAMBLE = 6  # stream of problem.rng: how the points are scrambled
_BLOCK = 64  # points computed at a time
_POINTS = 2**30  # how many there are; the numbers of trials stay far below


@attrs.frozen
class Config:
    """Quasi-random search has no options."""


class QuasiRandom:
    """Quasi-random search (Bousquet et al., "Critical Hyper-Parameters: No Random, No Cry", 2017) with Sobol's sequence, scrambled (Owen, 1998).

    Trial n gets point n of the sequence that belongs to the seed, decoded like any vector of the space; where that genotype is pending, told or
    refused, trial n gets a random one.  Sobol's sequence is known for 21,201 dimensions (one a decision, one a value of a subset): a space with
    more is refused; random search takes it.  Results are not looked at: any number of objectives, of constraints and of failed or stopped trials
    is well.  Needs scipy.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._problem = problem
        self._fresh = Fresh(problem)
        self._sobol = _sobol(problem)
        self._block = -1
        self._points: NDArray[np.float64] = np.empty((0, 0))

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """One point a number.  Takes as long whatever the number of trials told."""
        return one_by_one(numbers, pending, self._propose)

    def _propose(self, number: int, waiting: Waiting) -> Proposal | None:
        rng = self._problem.lent_rng(number)
        first = self._problem.decisions.decode(self._point(number))
        genotype = self._fresh.draw(partial(next, self._drawn(first, rng)), waiting.taken, rng)
        return None if genotype is None else Proposal(genotype, origin="sobol" if genotype == first else "random")

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember what was tried."""
        self._fresh.tell(trials)

    def _drawn(self, first: Genotype, rng: Generator) -> Iterator[Genotype]:
        yield first
        while True:
            yield self._problem.decisions.sample(rng)

    def _point(self, number: int) -> NDArray[np.float64]:
        block, row = divmod(number % _POINTS, _BLOCK)
        if block != self._block:
            start = block * _BLOCK
            if self._sobol.num_generated > start:
                self._sobol.reset()
            if self._sobol.num_generated < start:
                self._sobol.fast_forward(start - self._sobol.num_generated)
            self._points, self._block = self._sobol.random(_BLOCK), block
        found: NDArray[np.float64] = self._points[row]
        return found


def _sobol(problem: Problem) -> Any:
    """The sequence of the problem's seed.  Raises `ConfigurationError` without scipy, and for more dimensions than it has."""
    try:
        from scipy.stats import qmc
    except ImportError:
        message = (
            "the optimizer 'quasi_random' needs scipy, which is not installed; pip install 'morphml-optimizers[models]'"
        )
        raise ConfigurationError([Complaint("optimizer", message)]) from None
    dimensions = problem.decisions.dimensions
    if dimensions > qmc.Sobol.MAXDIM:
        message = (
            f"the optimizer 'quasi_random' knows Sobol points of at most {qmc.Sobol.MAXDIM} dimensions, but the space has {dimensions}; "
            "choose 'random'"
        )
        raise ConfigurationError([Complaint("optimizer", message)])
    return qmc.Sobol(dimensions, bits=30, rng=int(problem.rng(0, _SCRAMBLE).integers(2**63)))


component = optimizer(Config, QuasiRandom)

"""Optimizer `bohb`: the brackets of Hyperband, with genotypes from a model of the largest budget that has enough results (Falkner et al., 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from morphml_core.plugins.component import ComponentRef, Part, optimizer, part
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_optimizers import tpe
from morphml_optimizers.hyperband import Bracketed, brackets_of
from morphml_optimizers.inner import Inner, check_wrapped

_STREAM = 4  # of problem.rng: which proposals are drawn at random
_LEAST = 10


@attrs.frozen
class Config(Bracketed):
    """Who proposes, and how many trials get how many epochs, in brackets that begin at different rungs."""

    optimizer: Part[Optimizer] | None = part("optimizer", "tpe")
    """The optimizer that proposes new genotypes.  It is told the trials of one budget: the largest with `enough` results."""
    enough: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """With how many finished trials a budget is enough to learn from.  Without it, three more than there are decisions, and at least 10."""
    random: float = attrs.field(default=1 / 3, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    """The share of the genotypes that is drawn at random, whatever the model says."""


class Bohb:
    """BOHB (Falkner et al., "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018).

    The brackets are those of `hyperband`, and so is what becomes of several objectives, constraints, failed, stopped and foreign trials.  New genotypes come from the
    wrapped optimizer, `tpe` as in the paper unless another is named, which is told the trials of the largest budget that has enough results; a
    share of them is drawn at random, so that a wrong model of short trainings cannot mislead the search for good.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        check_wrapped(config.optimizer, "bohb")
        self._problem, self._random = problem, config.random
        self._brackets = brackets_of(config, problem, "bohb")
        enough = config.enough or max(_LEAST, len(problem.decisions) + 3)
        self._inner = Inner(config.optimizer or _DEFAULT, problem, enough)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Trials that go on first, those of older brackets before others; then new ones."""
        return self._brackets.ask(numbers, pending, self._draw)

    def _draw(self, number: int, pending: Sequence[Trial]) -> Proposal | None:
        if self._problem.rng(number, _STREAM).random() < self._random:
            return self._inner.random(number, pending)
        return self._inner.draw(number, pending)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take the results into their brackets."""
        for trial in trials:
            self._inner.tell(trial)
            self._brackets.tell(trial)


_DEFAULT: Part[Optimizer] = Part(ComponentRef("optimizer", "tpe"), tpe.component, tpe.Config())

component = optimizer(Config, Bohb)

"""Optimizer `hyperband`: brackets of successive halving that begin with few epochs for many, or more for fewer (Li et al., 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.plugins.component import Part, optimizer, part
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_optimizers.brackets import Brackets, Plan
from morphml_optimizers.inner import Inner, check_wrapped
from morphml_optimizers.ladder import Fidelity, Ladder, ladder


@attrs.frozen
class Bracketed(Fidelity):
    """How many trials get how many epochs, in brackets that begin at different rungs."""

    brackets: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """How many kinds of bracket take turns: the first begins at the smallest budget, the next one rung higher.  Without it, one for each rung."""


@attrs.frozen
class Config(Bracketed):
    """Who proposes, and how many trials get how many epochs, in brackets that begin at different rungs."""

    optimizer: Part[Optimizer] | None = part("optimizer", "random")
    """The optimizer that proposes new genotypes.  It is told the trials of one budget: the largest with `enough` results."""
    enough: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    """With how many finished trials a budget is enough to learn from."""


class Hyperband:
    """Hyperband (Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 2018).

    With R rungs, the brackets take turns at beginning R, R - 1, ... 1 rungs below the largest budget, with ceil(R / r * reduction ** (r - 1)) genotypes where r rungs are
    left.  In each, the best share of a complete rung goes on, as in `successive_halving`.  While the rungs of all brackets wait for results, the
    next bracket begins, so that workers stay busy.

    What it does with several objectives, constraints, failed, stopped and foreign trials is what `successive_halving` does.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        check_wrapped(config.optimizer, "hyperband")
        self._brackets = brackets_of(config, problem, "hyperband")
        self._inner = Inner(config.optimizer, problem, config.enough)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Trials that go on first, those of older brackets before others; then new ones."""
        return self._brackets.ask(numbers, pending, self._inner.draw)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take the results into their brackets."""
        for trial in trials:
            self._inner.tell(trial)
            self._brackets.tell(trial)


def brackets_of(config: Bracketed, problem: Problem, name: str) -> Brackets:
    """The brackets of Hyperband.  Raises `ConfigurationError` where the options do not fit."""
    rungs = ladder(config, problem, name)
    plans = kinds_of(config, rungs, name)
    return Brackets(problem, rungs, lambda number: plans[number % len(plans)], overlapping=True)


def kinds_of(config: Bracketed, rungs: Ladder, name: str) -> list[Plan]:
    """The kinds of brackets that take turns.  Raises `ConfigurationError` where there cannot be so many."""
    kinds = config.brackets or len(rungs)
    if kinds > len(rungs):
        message = f"optimizer '{name}': 'brackets' is {kinds}, but there are {len(rungs)} budgets ({', '.join(map(str, rungs.epochs))}); give at most {len(rungs)}"
        raise ConfigurationError([Complaint("optimizer.brackets", message)])
    return [plan(rungs, first) for first in range(kinds)]


def plan(rungs: Ladder, first: int) -> Plan:
    """The bracket that begins at rung `first`: of so many trials that all brackets use about the same number of epochs."""
    left = len(rungs) - first
    return Plan(first, -(-len(rungs) * rungs.reduction ** (left - 1) // left))


component = optimizer(Config, Hyperband)

"""Optimizer `successive_halving`: rung by rung, the best share of the trials goes on (Jamieson and Talwalkar, 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from morphml_core.plugins.component import Part, optimizer, part
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_optimizers.brackets import Brackets, Plan
from morphml_optimizers.inner import Inner, check_wrapped
from morphml_optimizers.ladder import Fidelity, Ladder, ladder


@attrs.frozen
class Config(Fidelity):
    """Who proposes, how many of its genotypes begin, and how many epochs these get."""

    optimizer: Part[Optimizer] | None = part("optimizer", "random")
    """The optimizer that proposes new genotypes.  It is told the trials of one budget: the largest with `enough` results."""
    enough: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    """With how many finished trials a budget is enough to learn from."""
    candidates: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    """How many genotypes begin a bracket.  Without it, as many as `stop.trials` is enough for in one bracket; or else so many that one of them gets
    the largest budget."""


class SuccessiveHalving:
    """Successive halving (Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016).

    `candidates` genotypes get the smallest budget; when all of them have their result, the best share (one in `reduction`, at least one) goes on to the next budget,
    and so on up to the largest.  Then it begins anew with other genotypes.  While a rung is incomplete and all of it is running,
    it proposes nothing: `asha` and `hyperband` keep workers busy.

    With several objectives a rung is ranked by fronts, and within a front by an epsilon-net (Schmucker et al., 2021); infeasible trials come last.
    Failed and stopped trials count as the worst, complete their rung, and are never promoted.  Of trials with equal fingerprints one goes
    on.  The genotypes of trials that it did not ask for are not proposed, and their results are taken where one of its own trials
    would go on to that budget.  A trial that goes on `continues` the one before.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        check_wrapped(config.optimizer, "successive_halving")
        rungs = ladder(config, problem, "successive_halving")
        plan = Plan(0, config.candidates or _candidates(rungs, problem.trials))
        self._inner = Inner(config.optimizer, problem, config.enough)
        self._brackets = Brackets(problem, rungs, lambda number: plan, overlapping=False)

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Trials of the bracket; none while its rung waits for results."""
        return self._brackets.ask(numbers, pending, self._inner.draw)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take the results into the bracket."""
        for trial in trials:
            self._inner.tell(trial)
            self._brackets.tell(trial)


def _candidates(rungs: Ladder, trials: int | None) -> int:
    """The most genotypes whose whole bracket fits into so many trials, but enough for every rung to have one."""
    least: int = rungs.reduction ** (len(rungs) - 1)
    low, high = least, trials or least
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _trials(rungs, middle) <= (trials or 0) else (low, middle - 1)
    return low


def _trials(rungs: Ladder, first: int) -> int:
    return sum(first // rungs.reduction**rung for rung in range(len(rungs)))


component = optimizer(Config, SuccessiveHalving)

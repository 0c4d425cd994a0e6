"""Optimizer `asha`: asynchronous successive halving, with one objective or several (Li et al., 2020; Schmucker et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from morphml_core.plugins.component import Part, optimizer, part
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_optimizers.asking import as_pending
from morphml_optimizers.inner import Inner, check_wrapped, noted
from morphml_optimizers.ladder import Fidelity, ladder
from morphml_optimizers.promotion import Entry, Identity, Rung, entry_of, identity_of, rung


@attrs.frozen
class Config(Fidelity):
    """Who proposes, and how many trials get how many epochs."""

    optimizer: Part[Optimizer] | None = part("optimizer", "random")
    """The optimizer that proposes new genotypes.  It is told the trials of one budget: the largest with `enough` results."""
    enough: int = attrs.field(default=20, validator=attrs.validators.ge(1))
    """With how many finished trials a budget is enough to learn from."""


class Asha:
    """ASHA (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020), the variant that promotes.

    Each free place goes to a trial that goes on: the best of the highest rung whose best share (one in `reduction`) has a trial without a
    result at the next budget.  With one objective no more are promoted than that share of what the rung has, but for a trial that leads its rung, so that
    early promotions, which were chosen from few, cost no more than those of synchronous halving.  Where there is none, the wrapped optimizer proposes a new genotype for the smallest budget.  So nobody waits for a rung to fill.

    With several objectives a rung is ranked by fronts, and within a front by an epsilon-net (MO-ASHA, Schmucker et al., 2021); infeasible trials come last.
    Failed and stopped trials count as the worst of their rung, and are never promoted.  Trials that it did not ask for are taken into the
    rung whose budget they had; of trials with equal fingerprints only the first counts.  A trial that goes on `continues` the one before.
    It ends when the wrapped optimizer has no more to propose and nothing is left to promote; if no trial had the largest budget by then, the best of the highest
    rung goes on to it.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        check_wrapped(config.optimizer, "asha")
        self._problem = problem
        self._ladder = ladder(config, problem, "asha")
        self._inner = Inner(config.optimizer, problem, config.enough)
        self._rungs: list[Rung] = [rung(problem, config.reduction) for _ in self._ladder.epochs]

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Promotions first, from the highest rung down; new genotypes otherwise."""
        waiting, proposals = list(pending), list[Proposal]()
        busy = self._busy(pending)
        for number in numbers:
            proposal = self._promotion(busy) or self._new(number, waiting) or (None if waiting else self._last())
            if proposal is None:
                break
            waiting.append(as_pending(number, proposal))
            proposals.append(proposal)
        return proposals

    def _busy(self, pending: Sequence[Trial]) -> list[set[Identity]]:
        """The members of each rung that are pending at the next."""
        busy: list[set[Identity]] = [set() for _ in self._ladder.epochs]
        for trial in pending:
            place = self._ladder.rung(trial)
            if place and identity_of(trial) in self._rungs[place - 1]:
                busy[place - 1].add(identity_of(trial))
        return busy

    def _promotion(self, busy: Sequence[set[Identity]]) -> Proposal | None:
        for place in reversed(range(len(self._ladder) - 1)):
            entry = self._rungs[place].due(busy[place])
            if entry is not None:
                busy[place].add(entry.identity)
                return self._onward(place, entry)
        return None

    def _last(self) -> Proposal | None:
        """Who goes on when the search would be over before any trial had the largest budget: the best of the highest rung."""
        if self._rungs[-1].fit:
            return None
        for place in reversed(range(len(self._ladder) - 1)):
            entry = self._rungs[place].left()
            if entry is not None:
                return self._onward(place, entry)
        return None

    def _onward(self, place: int, entry: Entry) -> Proposal:
        origin = noted(entry.origin, f"promotion of {entry.number}")
        return Proposal(entry.genotype, self._ladder.budget(place + 1), entry.number, float(place + 1), origin)

    def _new(self, number: int, waiting: Sequence[Trial]) -> Proposal | None:
        found = self._inner.draw(number, waiting)
        return None if found is None else attrs.evolve(found, budget=self._ladder.budget(0))

    def tell(self, trials: Sequence[Trial]) -> None:
        """Each trial joins the rung of its budget."""
        for trial in trials:
            self._inner.tell(trial)
            place = self._ladder.rung(trial)
            if place is not None and trial.repeat_of is None:
                self._join(place, entry_of(self._problem, trial))

    def _join(self, place: int, entry: Entry) -> None:
        self._rungs[place].add(entry)
        for below in range(place):
            self._rungs[below].pass_on(entry.identity)


component = optimizer(Config, Asha)

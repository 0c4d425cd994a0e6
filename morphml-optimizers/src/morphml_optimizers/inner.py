"""The optimizer that proposes new genotypes for one that decides on budgets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import attrs
from numpy.random import Generator

from morphml_core.errors import Complaint, ConfigurationError
from morphml_core.optimizer.fresh import Fresh
from morphml_core.optimizer.random import Config as RandomConfig
from morphml_core.optimizer.random import RandomSearch
from morphml_core.plugins.building import built
from morphml_core.plugins.component import Part
from morphml_core.problem import Problem, Proposal, Trial, TrialState
from morphml_core.protocols import Optimizer
from morphml_core.space.decisions import Genotype
from morphml_optimizers.ladder import Fidelity, effort

_MARK = " | "


def noted(origin: str, *notes: str) -> str:
    """What the wrapped optimizer said of where a proposal came from, then notes of the one around it."""
    return _MARK.join([origin.split(_MARK)[0], *notes])


def note(origin: str, head: str) -> int | None:
    """The number in the note that begins with `head`, or None where there is none: 3 of "random | bracket 3" for "bracket"."""
    for text in origin.split(_MARK)[1:]:
        found, _, number = text.rpartition(" ")
        if found == head and number.isdecimal():
            return int(number)
    return None


class Unseen(Problem):
    """A problem that refuses the genotypes which are known, for a reason, so that a wrapped optimizer proposes new ones only."""

    def __init__(self, problem: Problem, known: Collection[Genotype], reason: str) -> None:
        self.__dict__.update(vars(problem))
        self.selective = True
        self._around = problem
        self._seen, self._reason = known, reason

    def refusal(self, genotype: Genotype) -> str | None:
        """Why a genotype need not be evaluated."""
        return self._reason if genotype in self._seen else self._around.refusal(genotype)


class Inner:
    """A wrapped optimizer, which is told the trials of one budget, as only these can be compared.

    That budget is the largest with `enough` results (Falkner et al., 2018), and until there is one, the one with most results.  When it
    changes, the optimizer begins anew, with the trials of the new budget.  No genotype is proposed that is known at any budget.
    """

    def __init__(self, part: Part[Optimizer] | None, problem: Problem, enough: int) -> None:
        self._part, self._problem, self._enough = part, problem, enough
        self._known: set[Genotype] = set()
        self._fresh = Fresh(problem)
        self._trials: dict[float, list[Trial]] = {}
        self._results: dict[float, int] = {}
        self._settled = 0.0
        self._current = 0.0
        self._told = 0
        self._optimizer = self._made()  # what it refuses, it refuses now

    def _made(self) -> Optimizer:
        unseen = Unseen(self._problem, self._known, "it is known at another budget")
        if self._part is None:
            return RandomSearch(RandomConfig(), unseen)
        made: Optimizer = built(self._part, unseen)
        return made

    def tell(self, trial: Trial) -> None:
        """Remember a trial; the optimizer is told when it is asked."""
        self._known.add(trial.genotype)
        self._fresh.tell([trial])
        budget = effort(trial, self._problem)
        if budget < self._settled:
            return
        self._trials.setdefault(budget, []).append(attrs.evolve(trial, origin=noted(trial.origin)))
        self._results[budget] = self._results.get(budget, 0) + (trial.state is TrialState.FINISHED)
        if budget > self._settled and self._results[budget] >= self._enough:
            self._settled = budget
            self._trials = {other: kept for other, kept in self._trials.items() if other >= budget}

    def _catch_up(self) -> None:
        found = self._settled or max(self._trials, key=lambda size: (self._results[size], -size), default=0.0)
        if found != self._current:
            self._optimizer, self._current, self._told = self._made(), found, 0
        held = self._trials.get(found, [])
        if len(held) > self._told:
            self._optimizer.tell(held[self._told :])
        self._told = len(held)
        if self._settled:  # from now on only a larger budget can make it begin anew
            held.clear()
            self._told = 0

    def draw(self, number: int, pending: Sequence[Trial]) -> Proposal | None:
        """A new genotype for a trial number; None where there is none (for now, while some of them are pending)."""
        self._catch_up()
        found = self._optimizer.ask([number], [trial for trial in pending if trial.genotype not in self._known])
        if not found or not (self._is_taken(found[0].genotype, pending)):
            return found[0] if found else None
        return self.random(number, pending)

    def random(self, number: int, pending: Sequence[Trial]) -> Proposal | None:
        """A genotype drawn evenly from those that are neither known nor pending; None where there is none."""
        rng: Generator = self._problem.rng(number)
        make: Callable[[], Genotype] = lambda: self._problem.decisions.sample(rng)  # noqa: E731
        genotype = self._fresh.draw(make, {trial.genotype for trial in pending}, rng)
        return None if genotype is None else Proposal(genotype, origin="random")

    def _is_taken(self, genotype: Genotype, pending: Sequence[Trial]) -> bool:
        return genotype in self._known or any(trial.genotype == genotype for trial in pending)


def check_wrapped(part: Part[Optimizer] | None, name: str) -> None:
    """Raise a `ConfigurationError` where what is wrapped decides on budgets itself."""
    if part is not None and issubclass(part.component.config, Fidelity):
        inner = part.ref.name
        message = f"'{name}' cannot wrap '{inner}', which gives trials budgets of its own; name an optimizer that only proposes, such as 'random'"
        raise ConfigurationError([Complaint("optimizer.optimizer", message)])

"""Optimizer `auto`: what a person gets who names none.  Chooses by space, objectives and number of trials, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from morphml_core.plugins.component import ComponentRef, Part, optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_core.protocols import Optimizer
from morphml_optimizers import gaussian_process, nsga2, parego, regularized_evolution

_DIMENSIONS = 300  # more decisions than that are more than a few hundred trials can tell apart


@attrs.frozen
class Config:
    """Where the model hands over."""

    model_trials: int = attrs.field(default=1000, validator=attrs.validators.ge(0))
    """So many trials are proposed by a model; evolution, which costs next to nothing, goes on from there.  0 for evolution from the first."""


@attrs.frozen
class _Stage:
    """An optimizer, by the name that people know, and what it is for."""

    name: str
    make: partial[Optimizer]
    reason: str


class Auto:
    """A model while trials are few, evolution when they are many.

    One objective: `gaussian_process`, which reads decisions and the structure of networks, and then `regularized_evolution`.  Several: `parego`
    around `gaussian_process`, and then `nsga2`.  The first evenly spread genotypes are a quarter of the trials, at most twelve.  Spaces of
    more than 300 dimensions begin with evolution.  Both stages are told every trial, whoever proposed it; constraints, failed, stopped
    and pending trials are handed on as they are.  It never lowers a trial's epochs: an optimizer of budgets, such as `asha`, is for you to choose,
    since it makes trials of another kind.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._problem = problem
        self._model_trials = config.model_trials if problem.decisions.dimensions <= _DIMENSIONS else 0
        self._stages = list(_stages(problem))
        self._trials: list[Trial] = []
        self._at = 0 if self._model_trials else 1
        self._made: Optimizer = self._stages[self._at].make(problem)

    def explain(self) -> str:
        """Which optimizers it uses here, and why."""
        first, second = self._stages
        trials, dimensions = self._problem.trials, self._problem.decisions.dimensions
        if dimensions > _DIMENSIONS:
            return f"{second.name}, since {dimensions:,} dimensions are too many for a model of at most a few hundred trials"
        if not self._model_trials:
            return f"{second.name}, since model_trials is 0"
        if trials is not None and trials <= self._model_trials:
            return f"{first.name}, {first.reason}"
        return f"{first.name} for the first {self._model_trials:,} trials, {first.reason}; then {second.name}, {second.reason}"

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> Sequence[Proposal]:
        """The proposals of the stage that the number of told trials is in."""
        return self._made.ask(numbers, pending)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Tell the stage; the second is told all of the past when it begins."""
        for trial in trials:
            if self._at == 0:
                self._trials.append(trial)
                self._made.tell([trial])
                if len(self._trials) >= self._model_trials:
                    self._hand_over()
            else:
                self._made.tell([trial])

    def _hand_over(self) -> None:
        self._at, self._made = 1, self._stages[1].make(self._problem)
        self._made.tell(self._trials)
        self._trials = []


def _stages(problem: Problem) -> tuple[_Stage, _Stage]:
    initial = 12 if problem.trials is None else max(2, min(12, problem.trials // 4))
    model = gaussian_process.Config(initial=initial)
    what = "the structure of networks and the decisions" if problem.space.operations else "the decisions"
    reason = f"a model of {what}, which needs the fewest trials"
    if len(problem.objectives) == 1:
        return (
            _Stage("gaussian_process", partial(gaussian_process.component.create, model), reason),
            _Stage(
                "regularized_evolution",
                partial(regularized_evolution.component.create, regularized_evolution.Config()),
                "which costs little however many there are",
            ),
        )
    part = Part(ComponentRef("optimizer", "gaussian_process", {}), gaussian_process.component, model)
    wrapping = partial(parego.component.create, parego.Config(part))
    count = len(problem.objectives)
    return (
        _Stage(
            "parego around gaussian_process", wrapping, f"{reason}, under changing weights of the {count} objectives"
        ),
        _Stage("nsga2", partial(nsga2.component.create, nsga2.Config()), "which costs little however many there are"),
    )


component = optimizer(Config, Auto)

"""Optimizer `simulated_annealing`: a walk that also takes worse steps, fewer and fewer of them (Kirkpatrick et al., 1983)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from morphml_core.optimizer.fresh import Fresh
from morphml_core.plugins.component import optimizer
from morphml_core.problem import Problem, Proposal, Trial
from morphml_optimizers.ranking import Standing, standing
from morphml_optimizers.single import single_objective
from morphml_optimizers.walk import steps

_STREAM = 3  # of problem.rng: whether the walk goes on from a trial


@attrs.frozen
class Config:
    """How hot the walk is, and how it cools."""

    hot: float = attrs.field(default=0.2, validator=[attrs.validators.gt(0.0), attrs.validators.lt(math.inf)])
    """The temperature of the first trial: a step that is worse by the mean change so far is taken with probability exp(-1/temperature)."""
    cold: float = attrs.field(default=0.02, validator=attrs.validators.gt(0.0))
    """The temperature after `cooling` trials, and from then on."""
    cooling: int = attrs.field(default=200, validator=attrs.validators.ge(1))
    """In how many trials the temperature falls, by the same factor each."""
    mutations: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """How many decisions a step changes."""

    @cold.validator
    def _below_hot(self, attribute: attrs.Attribute[float], value: float) -> None:
        if value > self.hot:
            raise ValueError(f"'cold' must be <= hot ({self.hot}): {value}")


class SimulatedAnnealing:
    """Simulated annealing (Kirkpatrick, Gelatt, Vecchi, "Optimization by Simulated Annealing", Science 1983), asynchronous.

    The walk is at one trial, and each proposal is a mutation of it.  A told trial that is as good or better takes its place; a worse one does with
    probability exp(-change / (temperature * mean absolute change of all told before)), so that the unit of the objective does not matter.  The
    temperature falls geometrically with the number of trials told.  A trial that breaks constraints by more than the current one, or failed,
    is never gone to from one that does not; stopped ones count with what they reported.  Pending trials count when they are
    told, against where the walk is then.  One objective.  A step that is known, pending or refused is drawn anew.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        single_objective(problem, "simulated_annealing")
        self._config = config
        self._problem = problem
        self._fresh = Fresh(problem)
        self._at: tuple[Trial, Standing] | None = None
        self._told = 0
        self._changes, self._sum = 0, 0.0

    def ask(self, numbers: Sequence[int], pending: Sequence[Trial]) -> list[Proposal]:
        """Steps from where the walk is; random genotypes before it is anywhere.  Takes as long whatever the number of trials told."""
        at = self._at and self._at[0]
        return steps(self._problem, self._fresh, at, self._config.mutations, numbers, pending)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Go on from each trial that is accepted."""
        self._fresh.tell(trials)
        for trial in trials:
            mine = standing(self._problem, trial)
            if not mine.failed and (self._at is None or self._accepts(trial.number, mine, self._at[1])):
                self._at = (trial, mine)
            self._told += 1

    def temperature(self) -> float:
        """Of the next trial that is told."""
        done = min(1.0, self._told / self._config.cooling)
        return self._config.hot * math.pow(self._config.cold / self._config.hot, done)

    def _accepts(self, number: int, mine: Standing, current: Standing) -> bool:
        if mine.violation != current.violation:
            return mine.violation < current.violation
        change = mine.losses[0] - current.losses[0]
        scale = self._sum / self._changes if self._changes else 0.0
        self._changes += 1
        self._sum += abs(change)
        if change <= 0:
            return True
        return scale > 0 and self._problem.rng(number, _STREAM).random() < math.exp(
            -change / (self.temperature() * scale)
        )


component = optimizer(Config, SimulatedAnnealing)

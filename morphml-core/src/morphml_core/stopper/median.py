"""Stopper `median`: the median stopping rule.

Golovin, Solnik, Moitra, Kochanski, Karro, Sculley: "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2:
a running trial is stopped at step s when its best value up to s is strictly worse than the median of the running averages, up to s, of
the finished trials.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import attrs

from morphml_core.errors import MorphMLError
from morphml_core.plugins.component import stopper
from morphml_core.problem import Metrics, Objective, Problem, Trial, TrialState


@attrs.frozen
class Config:
    """When the rule begins: after `warmup_steps` steps of a trial, and with at least `warmup_trials` finished ones to compare with.

    `objective`: the metric that it looks at; needed where the experiment has several objectives.
    """

    warmup_steps: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    warmup_trials: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    objective: str | None = None


class MedianStopper:
    """Stops a running trial whose best value is worse than half of the finished trials were, on average, at the same step.

    Of the trials that are over, only finished ones count: those that were stopped or failed say nothing of what a whole trial is like.
    A verdict takes time for the trial's own curve only, and a tell O(log n) a step, however many trials were told.
    """

    def __init__(self, config: Config, problem: Problem) -> None:
        self._config = config
        self._objective = _objective(config.objective, problem.objectives)
        self._averages: defaultdict[int, _RunningMedian] = defaultdict(_RunningMedian)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn the curves of finished trials."""
        for trial in trials:
            if trial.state is TrialState.FINISHED:
                total = 0.0
                for count, (step, loss) in enumerate(self._losses(trial), 1):
                    total += loss
                    self._averages[step].add(_worst_if_nan(total / count))

    def verdict(self, trial: Trial) -> str | None:
        """Why the running trial should stop now, or None to go on.  A finalist's repeat is never stopped."""
        losses = list(self._losses(trial))
        if not losses or losses[-1][0] <= self._config.warmup_steps or trial.repeat_of is not None:
            return None
        step, best = losses[-1][0], min(loss for _, loss in losses)
        others = self._averages.get(step)
        if others is None or len(others) < self._config.warmup_trials or not best > others.median:
            return None
        name, value, median = self._objective.name, self._objective.loss(best), self._objective.loss(others.median)
        return f"its best {name}, {value:g}, is worse at step {step} than the median {median:g} of {len(others)} finished trials"

    def _losses(self, trial: Trial) -> Iterator[tuple[int, float]]:
        """Step and loss of each report that has the objective, in order of steps; of a step reported twice, the later one."""
        curve: dict[int, Metrics] = dict(trial.curve)
        for step in sorted(curve):
            value = curve[step].get(self._objective.name)
            if value is not None:
                yield step, _worst_if_nan(self._objective.loss(value))


class _RunningMedian:
    """The median of the numbers added so far: the lower half and the upper half as heaps."""

    def __init__(self) -> None:
        self._lower: list[float] = []  # negated, so that its largest comes first
        self._upper: list[float] = []

    def __len__(self) -> int:
        return len(self._lower) + len(self._upper)

    def add(self, number: float) -> None:
        """Count one more number (infinity may be one; NaN not)."""
        heapq.heappush(self._upper, -heapq.heappushpop(self._lower, -number))
        if len(self._upper) > len(self._lower):
            heapq.heappush(self._lower, -heapq.heappop(self._upper))

    @property
    def median(self) -> float:
        """The middle number, or the mean of the two in the middle."""
        if len(self._lower) > len(self._upper):
            return -self._lower[0]
        return (self._upper[0] - self._lower[0]) / 2


def _worst_if_nan(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss


def _objective(name: str | None, objectives: Sequence[Objective]) -> Objective:
    names = ", ".join(objective.name for objective in objectives)
    if name is None:
        if len(objectives) > 1:
            raise MorphMLError(
                f"the stopper 'median' looks at one objective, but there are {len(objectives)} ({names}); "
                "say which with its option 'objective'"
            )
        return objectives[0]
    for objective in objectives:
        if objective.name == name:
            return objective
    raise MorphMLError(f"the stopper 'median' is to look at '{name}', but the objectives are {names}")


component = stopper(Config, MedianStopper)

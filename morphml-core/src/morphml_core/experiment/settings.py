"""What a search is told beside its problem: when to stop, how to repeat, retry and deduplicate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from attrs.validators import ge, gt, optional

from morphml_core.experiment.state import State
from morphml_core.plugins.units import Seconds
from morphml_core.problem import Cause, Problem, Resources, Trial, TrialState


def _finite(_: Any, attribute: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


@attrs.frozen
class Stop:
    """When the search ends: at the first of these conditions.  At least one is needed."""

    trials: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """All trials: duplicates, failures and the finalists' repeats included."""
    evaluations: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """Trials that were evaluated: without those that reuse the result of an equal network."""
    time: Seconds | None = attrs.field(default=None, validator=optional(gt(Seconds(0))))
    """Time of searching, over all runs of the experiment: 10m, 2h."""
    target: float | None = attrs.field(default=None, validator=_finite)
    """A value of the first objective that is good enough."""


@attrs.frozen
class Finalists:
    """The leaders are evaluated again, with new seeds, and the best is chosen among them."""

    top: int = attrs.field(default=5, validator=ge(1))
    """How many leaders."""
    repeats: int = attrs.field(default=3, validator=ge(1))
    """How many further evaluations each gets.  They come out of `stop.trials`."""
    epochs: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """Epochs of each repeat; the evaluator's own number where it is not set."""

    @property
    def total(self) -> int:
        """How many trials the finals take."""
        return self.top * self.repeats


@attrs.frozen
class Retries:
    """How many more attempts a trial gets, by the cause of which one failed.  One that the network itself is the cause of (`invalid`) gets none."""

    lost: int = attrs.field(default=3, validator=ge(0))
    """Its process or machine died: no verdict on the architecture."""
    error: int = attrs.field(default=0, validator=ge(0))
    """The evaluation raised: worth another try where it depends on something that is at times not there."""
    timeout: int = attrs.field(default=0, validator=ge(0))
    """It took longer than it may."""
    out_of_memory: int = attrs.field(default=0, validator=ge(0))
    """It needed more memory than it may have: worth another try where machines differ."""

    def after(self, cause: Cause) -> int:
        """How many attempts more there are after failures of this cause."""
        return 0 if cause is Cause.INVALID else int(getattr(self, cause.value))


def retries_of(given: int | Retries) -> Retries:
    """A number means that many for lost attempts.  Raises `ValueError` where it is negative."""
    if isinstance(given, Retries):
        return given
    if given < 0:
        raise ValueError(f"'retries' must be >= 0: {given}")
    return Retries(given)


@attrs.frozen
class Settings:
    """Everything that shapes the loop and is no component.

    `name` is the experiment's, for messages.  `configuration` and `versions` are recorded with `Started`.  `window` makes the search
    reproducible.  `retries` is how often a trial is run again after an attempt that failed, by cause (a number: after a lost one).  `timeout` (seconds) and `resources` go with each task.
    `digest` identifies the evaluator and its data in the cache's keys.  `take_over` opens an experiment that a process on another
    host has not closed.
    """

    name: str = "experiment"
    configuration: Mapping[str, Any] = attrs.field(factory=dict)
    versions: Mapping[str, str] = attrs.field(factory=dict)
    stop: Stop = attrs.field(factory=Stop)
    window: int | None = attrs.field(default=None, validator=optional(ge(1)))
    finalists: Finalists | None = None
    deduplicate: bool = True
    retries: Retries = attrs.field(default=Retries(), converter=retries_of)
    timeout: float | None = None
    resources: Resources = attrs.field(factory=Resources)
    digest: str = ""
    take_over: bool = False


IDLE = 1000
"""So many trials in a row without an evaluation end a search that has no limit on its trials: nothing new is being proposed."""


class Limits:
    """When the search phase is over, and how many trials may still be proposed."""

    def __init__(self, settings: Settings, problem: Problem) -> None:
        self._stop = settings.stop
        self._objective = problem.objectives[0]
        self._problem = problem
        self._reserved = settings.finalists.total if settings.finalists else 0

    def left(self, state: State) -> int | None:
        """How many trials of the search may still be proposed; None: any number."""
        stop = self._stop
        left = math.inf
        if stop.trials is not None:
            left = stop.trials - self._reserved - len(state.trials)
        if stop.evaluations is not None:
            left = min(left, stop.evaluations - self._reserved - state.evaluations)
        return None if left == math.inf else max(0, int(left))

    def full(self, state: State) -> str | None:
        """Why no more trials are proposed, by their number."""
        if self.left(state) != 0:
            return None
        stop = self._stop
        if stop.trials is not None and len(state.trials) >= stop.trials - self._reserved:
            return f"{stop.trials} trials are done"
        return f"{stop.evaluations} evaluations are done"

    def time_left(self, state: State, clock: Callable[[], float]) -> float | None:
        """Seconds of search left; None: any number."""
        return None if self._stop.time is None else max(0.0, self._stop.time - state.elapsed(clock()))

    def time_is_up(self, state: State, clock: Callable[[], float]) -> str | None:
        """Why the search ends now, by the clock."""
        if self.time_left(state, clock) != 0.0:
            return None
        return f"the time of {self._stop.time:g} s is up"

    def hits_target(self, trials: Sequence[Trial]) -> str | None:
        """Why the search ends, where one of these trials has reached the target."""
        target, objective = self._stop.target, self._objective
        if target is None:
            return None
        for trial in trials:
            value = trial.metrics.get(objective.name)
            if trial.state is not TrialState.FINISHED or value is None or self._problem.violation(trial):
                continue
            if objective.loss(value) <= objective.loss(target):
                return f"the target is reached: {objective.name} is {value:g} in trial {trial.number}, wanted was {target:g}"
        return None

    def is_stale(self, state: State) -> str | None:
        """Why the search ends, where many trials in a row needed no evaluation and nothing limits their number."""
        if self._stop.trials is not None or state.idle < IDLE:
            return None
        return f"the last {state.idle} proposals gave nothing new to evaluate"

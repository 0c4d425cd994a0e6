"""How trials end: each way as events, with what follows from it for equal trials and for the cache."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from morphml_core.experiment import events
from morphml_core.experiment.journal import Clock, Journal
from morphml_core.experiment.metrics import BadMetricsError, check, storable
from morphml_core.problem import Budget, Cause, Outcome, Problem, Trial, TrialState
from morphml_core.protocols import Cache
from morphml_core.space.decisions import Genotype

_LOG = logging.getLogger(__name__)


class Results:
    """Adds the events by which trials end to the journal, and collects the trials that are over."""

    def __init__(self, journal: Journal, problem: Problem, clock: Clock, cache: Cache | None, digest: str) -> None:
        self._journal = journal
        self._state = journal.state
        self._problem = problem
        self._clock = clock
        self._cache = cache
        self._digest = digest
        names = [objective.name for objective in problem.objectives]
        names += [constraint.metric for constraint in problem.constraints]
        self._needed = tuple(dict.fromkeys(names))
        self._followers: dict[int, list[int]] = {}
        self._over: list[int] = []
        self._to_cache: list[tuple[str, Mapping[str, float]]] = []

    # ways to end ---------------------------------------------------------------------------------------

    def finish(self, number: int, outcome: Outcome) -> None:
        """Record the metrics of an outcome; as a failure, where they are none."""
        try:
            metrics = self._complete(number, outcome.metrics)
        except BadMetricsError as error:
            self.fail(number, Cause.ERROR, str(error), outcome.duration, outcome.worker)
            return
        self._journal.add(events.Finished(number, metrics, self._clock(), outcome.duration, outcome.worker))
        if self._cache is not None:
            self._note_for_cache(number, metrics)
        self._ended(number)

    def _complete(self, number: int, returned: Any) -> dict[str, float]:
        """The metrics, with those that are known without evaluation where one that is needed is missing."""
        metrics = check(returned)
        for name in self._needed:
            if name not in metrics:
                return check({**self.known(self._state.proposed(number).genotype), **metrics}, self._needed)
        return metrics

    def fail(self, number: int, cause: Cause, message: str, duration: float = 0.0, worker: str = "") -> None:
        """Record a failure for good."""
        known = self.known(self._state.proposed(number).genotype)
        self._journal.add(events.Failed(number, cause, storable(message), self._clock(), duration, known, worker))
        self._ended(number)

    def stop(self, number: int, metrics: Mapping[str, float], reason: str, duration: float) -> None:
        """Record that a stopper ended the trial."""
        known = self.known(self._state.proposed(number).genotype)
        self._journal.add(events.Stopped(number, {**known, **metrics}, reason, self._clock(), duration))
        self._ended(number)

    def known(self, genotype: Genotype) -> dict[str, float]:
        """The metrics of a genotype that need no evaluation, as far as there are any."""
        try:
            return check(self._problem.known(genotype))
        except Exception:  # it cannot be built, or not be known: the failure that led here says why
            return {}

    def _ended(self, number: int) -> None:
        self._note_over(number)
        for follower in self._followers.pop(number, ()):
            self._copy(number, follower)

    def _note_over(self, number: int) -> None:
        if self._state.proposed(number).repeat_of is None:
            self._over.append(number)

    def take_over(self) -> list[Trial]:
        """The trials of the search that have ended since the last call.  To be called after a commit."""
        for key, metrics in self._to_cache:
            self._put(key, metrics)
        self._to_cache.clear()
        over, self._over = self._over, []
        trials = self._state.trials
        return [trials[number] for number in over]

    # equal trials --------------------------------------------------------------------------------------

    def follow(self, number: int, leader: int) -> None:
        """The trial gets the result of an equal one: now, or when that one has it."""
        if self._state.state_of(leader).over:
            self._copy(leader, number)
        else:
            self._followers.setdefault(leader, []).append(number)

    def _copy(self, leader: int, number: int) -> None:
        trial, now = self._state.trials[leader], self._clock()
        if trial.state is TrialState.FINISHED:
            self._journal.add(events.Finished(number, trial.metrics, now))
        elif trial.state is TrialState.STOPPED:
            self._journal.add(events.Stopped(number, trial.metrics, trial.message, now))
        else:
            cause = trial.cause or Cause.ERROR
            self._journal.add(events.Failed(number, cause, trial.message, now, metrics=trial.metrics))
        self._note_over(number)

    # the cache -----------------------------------------------------------------------------------------

    def reuse(self, number: int, fingerprint: str, budget: Budget) -> bool:
        """End the trial with a result of another experiment, if the cache has one."""
        if self._cache is None:
            return False
        try:
            held = self._cache.get(self._key(fingerprint, budget))
            metrics = None if held is None else check(held, self._needed)
        except Exception as error:  # a search goes on without its cache
            _LOG.warning("the cache could not be read: %s: %s", type(error).__name__, error)
            return False
        if metrics is None:
            return False
        self._journal.add(events.Finished(number, metrics, self._clock(), worker="cache"))
        self._ended(number)
        return True

    def _key(self, fingerprint: str, budget: Budget) -> str:
        return f"{self._digest}/{fingerprint}/{budget.epochs}/{budget.fraction:g}"

    def _note_for_cache(self, number: int, metrics: Mapping[str, float]) -> None:
        proposed = self._state.proposed(number)
        if proposed.repeat_of is None and proposed.continues is None:
            self._to_cache.append((self._key(proposed.fingerprint, proposed.budget), metrics))

    def _put(self, key: str, metrics: Mapping[str, float]) -> None:
        assert self._cache is not None
        try:
            self._cache.put(key, metrics)
        except Exception as error:  # a search goes on without its cache
            _LOG.warning("the cache could not be written: %s: %s", type(error).__name__, error)

"""The state of an experiment: a fold over its events, with one table that says which event is legal when.

`apply` is O(1), and O(log n) where a trial finishes.  Trials are kept in compact records and frozen to
`Trial` values when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from morphml_core.errors import StorageError
from morphml_core.experiment import events
from morphml_core.experiment.codec import no_collection
from morphml_core.experiment.events import Event
from morphml_core.experiment.ranking import Finalist, Ranking
from morphml_core.problem import Budget, Cause, Metrics, Problem, Trial, TrialState

_PENDING, _RUNNING = TrialState.PENDING, TrialState.RUNNING
_FINISHED, _FAILED, _STOPPED = TrialState.FINISHED, TrialState.FAILED, TrialState.STOPPED

TRANSITIONS: Mapping[type[Any], Mapping[TrialState, TrialState]] = {
    events.Submitted: {_PENDING: _RUNNING},
    events.Reported: {_RUNNING: _RUNNING},
    events.Finished: {_RUNNING: _FINISHED, _PENDING: _FINISHED},
    events.Failed: {_RUNNING: _FAILED, _PENDING: _FAILED},
    events.Stopped: {_RUNNING: _STOPPED, _PENDING: _STOPPED},
    events.Lost: {_RUNNING: _PENDING},
    events.Retried: {_FAILED: _PENDING},
}
"""The state of a trial after an event, by the state before it.  From pending to over: a reused result, or a refusal."""


class _Record:
    """What is known of one trial."""

    __slots__ = (
        "attempt",
        "cause",
        "curve",
        "duration",
        "frozen",
        "history",
        "losses",
        "message",
        "metrics",
        "proposed",
        "state",
    )

    def __init__(self, proposed: events.Proposed) -> None:
        self.proposed = proposed
        self.state = _PENDING
        self.attempt = 0
        self.metrics: Metrics = {}
        self.curve: list[tuple[int, Metrics]] | None = None
        self.cause: Cause | None = None
        self.message = ""
        self.duration = 0.0
        self.losses: dict[Cause, int] | None = None
        self.history: tuple[type[Any], ...] = (events.Proposed,)
        self.frozen: Trial | None = None

    def freeze(self) -> Trial:
        if self.frozen is None:
            told = self.proposed
            self.frozen = Trial(
                told.number, told.genotype, self.state, told.fingerprint, told.budget, self.metrics, tuple(self.curve or ()),
                self.cause, self.message, self.duration, self.attempt or 1, told.continues, told.duplicate_of, told.repeat_of,
                told.priority, told.origin,
            )  # fmt: skip
        return self.frozen


class Trials(Mapping[int, Trial]):
    """The trials of an experiment by number, in the order of their numbers: a live view."""

    def __init__(self, records: list[_Record]) -> None:
        self._records = records

    def __getitem__(self, number: int) -> Trial:
        if not 0 <= number < len(self._records):
            raise KeyError(number)
        return self._records[number].freeze()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._records)))


class State:
    """The fold.  With a `problem` it also knows the best trial, the front, and the finalists.

    Attributes to read: `index` (how many events there were), `trials`, `started`, `holder` (the `Opened` of the process that
    holds the experiment), `reason` (why it ended, "" while it has not), `active` (numbers of trials that are not over, in order),
    `over` (numbers of trials that are over, in the order in which they were), `searched` (numbers of trials that are no repeats),
    `repeats` (numbers of the repeats by the trial that they repeat), `duplicates`, `evaluations` (trials that were, are or will be
    evaluated: neither duplicates nor refused), `idle` (how many of the last trials in a row needed no evaluation).
    """

    def __init__(self, problem: Problem | None = None) -> None:
        self._records: list[_Record] = []
        self.trials: Mapping[int, Trial] = Trials(self._records)
        self.index = 0
        self.started: events.Started | None = None
        self.holder: events.Opened | None = None
        self.reason = ""
        self.active: dict[int, None] = {}
        self.over: dict[int, None] = {}
        self.searched: list[int] = []
        self.repeats: dict[int, list[int]] = {}
        self.duplicates = 0
        self.evaluations = 0
        self.idle = 0
        self._idle_before = 0
        self._problem = problem
        self._ranking = Ranking(problem) if problem else None
        self._counts = dict.fromkeys(TrialState, 0)
        self._leaders: dict[tuple[str, int | None, float], int] = {}
        self._spent = 0.0
        self._last = 0.0

    @classmethod
    def of(cls, log: Iterable[Event], problem: Problem | None = None) -> State:
        """The state after all of these events."""
        state = cls(problem)
        with no_collection():
            for event in log:
                state.apply(event)
        return state

    def apply(self, event: Event) -> None:
        """Take in the next event.  Raises `StorageError`, and changes nothing, where it is illegal now."""
        kind = type(event)
        if self.started is None and kind is not events.Started:
            raise StorageError(
                f"event {self.index} ({_word(kind)}) comes before the experiment started: the log is damaged"
            )
        _APPLY[kind](self, event)
        self.index += 1
        self._last = event.time

    # events of the experiment --------------------------------------------------------------------------

    def _started(self, event: events.Started) -> None:
        if self.started is not None:
            raise StorageError(f"event {self.index} starts the experiment a second time: the log is damaged")
        self.started = event

    def _opened(self, event: events.Opened) -> None:
        if self.holder is not None:
            self._spent += max(0.0, self._last - self.holder.time)
        self.holder = event
        self.reason = ""

    def _closed(self, event: events.Closed) -> None:
        if self.holder is None:
            raise StorageError(f"event {self.index} closes the experiment, but nobody holds it: the log is damaged")
        self._spent += max(0.0, event.time - self.holder.time)
        self.holder = None

    def _ended(self, event: events.Ended) -> None:
        self.reason = event.reason

    # events of trials ----------------------------------------------------------------------------------

    def _proposed(self, event: events.Proposed) -> None:
        number = event.number
        if number != len(self._records):
            raise StorageError(
                f"event {self.index} proposes trial {number}, but the next trial is {len(self._records)}: the log is damaged"
            )
        self._records.append(_Record(event))
        self._counts[_PENDING] += 1
        self.active[number] = None
        if event.repeat_of is not None:
            self.repeats.setdefault(event.repeat_of, []).append(number)
        else:
            self.searched.append(number)
        if event.duplicate_of is not None:
            self.duplicates += 1
            self.idle += 1
            return
        self.evaluations += 1
        self._idle_before, self.idle = self.idle, 0
        if event.repeat_of is None and event.continues is None:
            self._leaders[event.fingerprint, event.budget.epochs, event.budget.fraction] = number

    def _move(self, event: Any) -> _Record:
        number: int = event.number
        if not 0 <= number < len(self._records):
            raise StorageError(
                f"event {self.index} ({_word(type(event))}) is about trial {number}, which was never proposed"
            )
        record = self._records[number]
        before = record.state
        after = TRANSITIONS[type(event)].get(before)
        if after is None:
            history = ", ".join(_word(kind) for kind in record.history)
            raise StorageError(
                f"event {self.index}: trial {number} cannot be {_word(type(event))}, as it is {before} (it was {history}); the log is damaged"
            )
        if after is not before:
            record.history += (type(event),)
            record.state = after
            self._counts[before] -= 1
            self._counts[after] += 1
        record.frozen = None
        return record

    def _submitted(self, event: events.Submitted) -> None:
        self._move(event).attempt = event.attempt

    def _reported(self, event: events.Reported) -> None:
        record = self._move(event)
        curve = record.curve = record.curve if record.curve is not None else []
        while curve and curve[-1][0] >= event.step:
            curve.pop()
        curve.append((event.step, event.metrics))

    def _end(self, record: _Record, event: Any) -> None:
        record.metrics = event.metrics
        record.duration = event.duration
        del self.active[event.number]
        self.over[event.number] = None
        if record.attempt == 0 and record.proposed.duplicate_of is None:
            self.evaluations -= 1
            self.idle = self._idle_before + 1

    def _finished(self, event: events.Finished) -> None:
        record = self._move(event)
        self._end(record, event)
        if self._ranking is None:
            return
        repeated = record.proposed.repeat_of
        if repeated is None:
            self._ranking.add(record.freeze())
        else:
            self._ranking.add_repeat(self._records[repeated].freeze(), record.freeze())

    def _failed(self, event: events.Failed) -> None:
        record = self._move(event)
        self._end(record, event)
        record.cause, record.message = event.cause, event.message

    def _stopped(self, event: events.Stopped) -> None:
        record = self._move(event)
        self._end(record, event)
        record.message = event.reason

    def _lost(self, event: events.Lost) -> None:
        record = self._move(event)
        if event.counted:
            losses = record.losses = record.losses or {}
            losses[event.cause] = losses.get(event.cause, 0) + 1

    def _retried(self, event: events.Retried) -> None:
        record = self._move(event)
        del self.over[event.number]
        self.active[event.number] = None
        if record.attempt == 0 and record.proposed.duplicate_of is None:
            self.evaluations += 1
        record.cause, record.message, record.metrics, record.curve, record.losses, record.duration = (
            None,
            "",
            {},
            None,
            None,
            0.0,
        )

    # what it says --------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """`new` (no event yet), `running` (a process holds it), `ended` (a stop condition was met), or `interrupted`."""
        if self.started is None:
            return "new"
        if self.reason:
            return "ended"
        return "running" if self.holder is not None else "interrupted"

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state; `duplicates` are counted once more: trials (finished, mostly) whose result was reused."""
        counts = {state.value: self._counts[state] for state in (_FINISHED, _FAILED, _STOPPED, _RUNNING, _PENDING)}
        return {**counts, "duplicates": self.duplicates}

    @property
    def best(self) -> Trial | None:
        """The best finished trial; after finals, the best repeat of the finalist whose repeats have the best mean."""
        return self._ranking.best if self._ranking else None

    @property
    def front(self) -> Sequence[Trial]:
        """The Pareto front of the finished trials (with one objective, the best alone)."""
        return self._ranking.front if self._ranking else []

    @property
    def finalists(self) -> Sequence[Finalist]:
        """The leaders that were evaluated again, the best mean first."""
        return self._ranking.finalists if self._ranking else []

    def leaders(self, count: int) -> list[Trial]:
        """The `count` best finished trials of the search, with distinct fingerprints.  Raises without a problem."""
        if self._ranking is None:
            raise StorageError("the leaders of an experiment are asked for, but its state was made without a problem")
        finished = [number for number in self.searched if self._records[number].state is _FINISHED]
        return self._ranking.leaders([self.trials[number] for number in finished], count)

    def elapsed(self, now: float | None = None) -> float:
        """Seconds of search over all openings, up to `now` (default: the last event)."""
        if self.holder is None:
            return self._spent
        return self._spent + max(0.0, (self._last if now is None else now) - self.holder.time)

    def equal(self, fingerprint: str, budget: Budget) -> int | None:
        """The number of the last trial that was to be evaluated with this fingerprint and budget, or None."""
        return self._leaders.get((fingerprint, budget.epochs, budget.fraction))

    def state_of(self, number: int) -> TrialState:
        """The state of a trial, without freezing it."""
        return self._records[number].state

    def losses_of(self, number: int, cause: Cause = Cause.LOST) -> int:
        """How many attempts at the trial came to nothing of this cause, and count against it."""
        return (self._records[number].losses or {}).get(cause, 0)

    def attempts_of(self, number: int) -> int:
        """How many attempts at the trial were submitted."""
        return self._records[number].attempt

    def proposed(self, number: int) -> events.Proposed:
        """The event that proposed the trial."""
        return self._records[number].proposed

    def as_proposed(self, number: int) -> Trial:
        """The trial as it was when it was proposed: pending, whatever has happened since."""
        return _Record(self._records[number].proposed).freeze()

    def history(self, number: int) -> Sequence[str]:
        """What has happened to a trial, in words: proposed, submitted, ..."""
        return [_word(kind) for kind in self._records[number].history]


_APPLY: Mapping[type[Any], Callable[[State, Any], None]] = {
    events.Started: State._started, events.Opened: State._opened, events.Closed: State._closed, events.Ended: State._ended,
    events.Proposed: State._proposed, events.Submitted: State._submitted, events.Reported: State._reported,
    events.Finished: State._finished, events.Failed: State._failed, events.Stopped: State._stopped, events.Lost: State._lost,
    events.Retried: State._retried,
}  # fmt: skip


def _word(kind: type[Any]) -> str:
    return kind.__name__.lower()

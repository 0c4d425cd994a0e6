"""The tables of the storage `sql`, and how an append fills them.

`events` is the truth; `experiments`, `trials` and `metrics` are written along with it, in the same transaction, for people
and dashboards.  Times are seconds since 1970.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Column, Float, Integer, MetaData, String, Table, Text

from morphml_core.experiment import events
from morphml_core.experiment.codec import encode, genotype_in
from morphml_core.experiment.events import Event

SCHEMA = 1
"""The version of these tables; grows when an older MorphML could not use them."""

TABLES = MetaData()

MARK = Table(
    "morphml", TABLES,
    Column("schema", Integer, primary_key=True, autoincrement=False, comment="version of these tables"),
)  # fmt: skip

EXPERIMENTS = Table(
    "experiments", TABLES,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("status", String(20), nullable=False, comment="new, running (a process holds it), ended, interrupted"),
    Column("reason", Text, nullable=False, comment="why it ended"),
    Column("events", Integer, nullable=False, comment="how many events there are: the next position"),
    Column("started", Float, comment="when it began"),
    Column("updated", Float, comment="time of the last event that changed the status"),
)  # fmt: skip

EVENTS = Table(
    "events", TABLES,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False, comment="index in the log, from 0"),
    Column("json", Text, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

TRIALS = Table(
    "trials", TABLES,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String(20), nullable=False, comment="pending, running, finished, failed, stopped"),
    Column("fingerprint", Text, nullable=False, comment="equal for equal networks and hyperparameters"),
    Column("genotype", Text, nullable=False, comment="JSON array, one value a decision"),
    Column("epochs", Integer, comment="null: as the evaluator has it"),
    Column("fraction", Float, nullable=False, comment="of the training data"),
    Column("cause", String(20), comment="error, timeout, out_of_memory, invalid, lost"),
    Column("message", Text, nullable=False, comment="why it failed or was stopped"),
    Column("attempt", Integer, nullable=False, comment="0: not submitted"),
    Column("proposed", Float, nullable=False, comment="when it was proposed"),
    Column("ended", Float, comment="when it was over"),
    Column("duration", Float, comment="seconds of evaluation"),
    Column("worker", Text, nullable=False),
    Column("continues", Integer, comment="the trial whose checkpoint it goes on from"),
    Column("duplicate_of", Integer, comment="the trial whose result it reuses"),
    Column("repeat_of", Integer, comment="the finalist that it evaluates again"),
    Column("origin", Text, nullable=False, comment="what the optimizer says of it"),
    sqlite_with_rowid=False,
)  # fmt: skip

METRICS = Table(
    "metrics", TABLES,
    Column("experiment", Integer, primary_key=True, autoincrement=False),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False, comment="epoch of a report, from 1; 0 is the result"),
    Column("name", String(255), primary_key=True),
    Column("value", Float),
    sqlite_with_rowid=False,
)  # fmt: skip

Row: TypeAlias = dict[str, Any]

_AFTER_ANY_REPORT = sys.maxsize


class Changes:
    """What one append writes: rows of events, changed trials, metrics, and the experiment's status.

    Changes of one trial are merged, so that an append takes few statements however many events it has.  `steps` holds the last step
    of each running trial, over all appends: a step that comes again replaces what came from there on.  `closes` says that the
    experiment is closed, as ended or interrupted by what earlier appends have left.
    """

    def __init__(self, experiment: int, first: int, steps: dict[int, int]) -> None:
        self._experiment = experiment
        self._position = first
        self.steps = steps
        self.events: list[Row] = []
        self.new: dict[int, Row] = {}
        self.changed: dict[int, Row] = {}
        self.forgotten: list[Row] = []
        self.status: Row = {}
        self.closes = False
        self._metrics: dict[int, dict[int, Mapping[str, float]]] = {}

    def add(self, event: Event) -> None:
        """Take in the next event."""
        text = encode(event)
        self.events.append({"experiment": self._experiment, "position": self._position, "json": text})
        self._position += 1
        if type(event) is events.Proposed:
            self._proposed(event, genotype_in(text))
        else:
            _ADD[type(event)](self, event)

    def updates(self) -> Iterable[tuple[tuple[str, ...], list[Row]]]:
        """Changes of trials that were there before, grouped by the columns that change."""
        groups: dict[tuple[str, ...], list[Row]] = {}
        for number, row in self.changed.items():
            key = {"of_experiment": self._experiment, "of_number": number}
            groups.setdefault(tuple(row), []).append({**row, **key})
        return groups.items()

    def metrics(self) -> list[Row]:
        """The rows of new metrics."""
        return [
            {"experiment": self._experiment, "trial": trial, "step": step, "name": name, "value": value}
            for trial, steps in self._metrics.items()
            for step, metrics in steps.items()
            for name, value in metrics.items()
        ]

    def _change(self, number: int, **values: Any) -> None:
        row = self.new.get(number)
        if row is None:
            row = self.changed.setdefault(number, {})
        row.update(values)

    def _forget(self, number: int, step: int) -> None:
        """Drop the trial's metrics from that step on, written and yet unwritten."""
        self.forgotten.append({"of_experiment": self._experiment, "of_trial": number, "from_step": step})
        held = self._metrics.get(number, {})
        self._metrics[number] = {other: metrics for other, metrics in held.items() if other < step}

    # one function an event -----------------------------------------------------------------------------

    def _started(self, event: events.Started) -> None:
        self.status.update(status="interrupted", started=event.time, updated=event.time)

    def _opened(self, event: events.Opened) -> None:
        self.status.update(status="running", reason="", updated=event.time)
        self.closes = False

    def _ended(self, event: events.Ended) -> None:
        self.status.update(status="ended", reason=_clean(event.reason), updated=event.time)

    def _closed(self, event: events.Closed) -> None:
        self.status["updated"] = event.time
        if "status" not in self.status:
            self.closes = True
        elif self.status["status"] != "ended":
            self.status["status"] = "interrupted"

    def _proposed(self, event: events.Proposed, genotype: str) -> None:
        self.new[event.number] = {
            "experiment": self._experiment, "number": event.number, "state": "pending", "fingerprint": event.fingerprint,
            "genotype": genotype, "epochs": event.budget.epochs, "fraction": event.budget.fraction, "cause": None,
            "message": "", "attempt": 0, "proposed": event.time, "ended": None, "duration": None, "worker": "",
            "continues": event.continues, "duplicate_of": event.duplicate_of, "repeat_of": event.repeat_of,
            "origin": _clean(event.origin),
        }  # fmt: skip

    def _submitted(self, event: events.Submitted) -> None:
        self._change(event.number, state="running", attempt=event.attempt)
        self.steps[event.number] = 0 if event.attempt == 1 else _AFTER_ANY_REPORT

    def _reported(self, event: events.Reported) -> None:
        if event.step <= self.steps.get(event.number, _AFTER_ANY_REPORT):
            self._forget(event.number, event.step)
        self.steps[event.number] = event.step
        self._metrics.setdefault(event.number, {})[event.step] = event.metrics

    def _finished(self, event: events.Finished) -> None:
        self._end(event, "finished", worker=_clean(event.worker))

    def _failed(self, event: events.Failed) -> None:
        self._end(event, "failed", cause=event.cause.value, message=_clean(event.message), worker=_clean(event.worker))

    def _stopped(self, event: events.Stopped) -> None:
        self._end(event, "stopped", message=_clean(event.reason))

    def _end(self, event: Any, state: str, **values: Any) -> None:
        self._change(event.number, state=state, ended=event.time, duration=event.duration, **values)
        self.steps.pop(event.number, None)
        if event.metrics:
            self._metrics.setdefault(event.number, {})[0] = event.metrics

    def _lost(self, event: events.Lost) -> None:
        self._change(event.number, state="pending")

    def _retried(self, event: events.Retried) -> None:
        self._change(event.number, state="pending", cause=None, message="", ended=None, duration=None)
        self._forget(event.number, 0)


_ADD: Mapping[type[Any], Callable[[Changes, Any], None]] = {
    events.Started: Changes._started, events.Opened: Changes._opened, events.Ended: Changes._ended, events.Closed: Changes._closed,
    events.Submitted: Changes._submitted, events.Reported: Changes._reported,
    events.Finished: Changes._finished, events.Failed: Changes._failed, events.Stopped: Changes._stopped, events.Lost: Changes._lost,
    events.Retried: Changes._retried,
}  # fmt: skip


def _clean(text: str) -> str:
    """The text without what databases refuse: half characters and zero bytes."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")

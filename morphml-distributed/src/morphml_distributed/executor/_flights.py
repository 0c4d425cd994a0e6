"""Tasks that an engine (Ray, Dask) has, and what has happened to them: exactly one outcome for each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

import attrs

from morphml_core.problem import Cause, Outcome, Report, Resources, Task
from morphml_core.protocols import Shared, Workload

LABEL = 1 / 1024
"""How much of a label's resource a task takes: so little that a label never limits how many run."""

_OVERDUE = 10.0


@attrs.define(eq=False)
class Flight:
    """A task that the engine has.

    `handle`: what the engine knows it by.  `place`: where it runs; empty while it waits.  `deadline` (monotonic seconds): when a
    cancelled one is given up.
    """

    task: Task
    handle: Any
    since: float = attrs.field(factory=monotonic)
    place: str = ""
    reports: int = 0
    deadline: float | None = None
    last: tuple[Outcome, int] | None = None
    """The outcome, and after how many reports it is to be told."""


class Flights:
    """Keeps the tasks in flight, and the events that the next poll gives."""

    def __init__(self) -> None:
        self._open: dict[int, Flight] = {}
        self.events: list[Report | Outcome] = []

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[Flight]:
        """Those whose outcome is still to come."""
        return list(self._open.values())

    def add(self, task: Task, handle: Any) -> Flight:
        """The engine has a task."""
        flight = self._open[task.number] = Flight(task, handle)
        return flight

    def get(self, number: int, attempt: int | None = None) -> Flight | None:
        """The task in flight of that trial (and attempt)."""
        flight = self._open.get(number)
        return flight if flight is not None and attempt in (None, flight.task.attempt) else None

    def report(self, report: Report) -> None:
        """A task has reported; one that is over is not heard."""
        flight = self.get(report.number, report.attempt)
        if flight is not None:
            flight.reports += 1
            self.events.append(report)
            if flight.last is not None and flight.reports >= flight.last[1]:
                self.end(flight.last[0])

    def end(self, outcome: Outcome) -> None:
        """A task is over; it is told once."""
        if self.get(outcome.number, outcome.attempt) is not None:
            del self._open[outcome.number]
            self.events.append(outcome)

    def end_after(self, flight: Flight, outcome: Outcome, reports: int) -> None:
        """A task is over; its outcome is told when so many reports have come."""
        if flight.reports >= reports:
            self.end(outcome)
        else:
            flight.last, flight.deadline = (outcome, reports), monotonic() + _OVERDUE

    def fail(self, flight: Flight, message: str, cause: Cause = Cause.LOST, *, final: bool = False) -> None:
        """A task came to its end without an outcome of its own; for one that was cancelled that is what was wanted."""
        task, spent = flight.task, monotonic() - flight.since
        if flight.last is not None:
            self.end(flight.last[0])
        elif flight.deadline is not None:
            self.end(Outcome(task.number, task.attempt, duration=spent, worker=flight.place))
        else:
            self.end(Outcome(task.number, task.attempt, None, cause, message, spent, flight.place, final))

    def fail_all(self, message: str) -> None:
        """Everything in flight is lost."""
        for flight in self.all():
            self.fail(flight, message)

    def expire(self) -> list[Flight]:
        """Give up those that were cancelled and have not ended in time, and tell which they are."""
        now = monotonic()
        late = [flight for flight in self._open.values() if flight.deadline is not None and flight.deadline <= now]
        for flight in late:
            self.fail(flight, "")
        return late

    def take(self) -> list[Report | Outcome]:
        """The events since the last call."""
        events, self.events = self.events, []
        return events


def cancelled_by(grace: float) -> float:
    """When a task that is cancelled now is given up, should its process not answer."""
    return monotonic() + grace + _OVERDUE


def room(need: Mapping[str, float], machines: Iterable[Mapping[str, float]]) -> int:
    """How many tasks of that need run at once on machines with these totals; resources that a machine lacks it has none of."""
    asked = {name: amount for name, amount in need.items() if amount > 0}
    return sum(
        min((math.floor(machine.get(name, 0.0) / amount + 1e-6) for name, amount in asked.items()), default=1)
        for machine in machines
    )


def in_words(resources: Resources) -> str:
    """What a task needs, for a message."""
    parts = [f"{resources.cpus:g} CPU cores"]
    if resources.memory is not None:
        parts.append(f"{resources.memory / 2**20:,.0f} MiB of memory")
    if resources.gpus:
        parts.append(f"{resources.gpus:g} GPUs")
    parts += [f"the label '{label}'" for label in sorted(resources.labels)]
    return ", ".join(parts)


def unshared(workload: Workload) -> bool:
    """Whether its artifacts are on one machine only, as far as can be told."""
    store = getattr(workload, "artifacts", None)
    return store is not None and not (isinstance(store, Shared) and store.shared)


class Remembered:
    """The answer to a question that may be asked often: asked again when it is `age` seconds old."""

    def __init__(self, ask: Callable[[], list[dict[str, float]]], age: float = 1.0) -> None:
        self._ask = ask
        self._age = age
        self._until = -math.inf
        self._known: list[dict[str, float]] = []

    def __call__(self) -> list[dict[str, float]]:
        """The answer."""
        if monotonic() >= self._until:
            self._known = self._ask()
            self._until = monotonic() + self._age
        return self._known

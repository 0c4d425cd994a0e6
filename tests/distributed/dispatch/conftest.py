"""A machine with a clock, driven by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from morphml_core.problem import Cause, Outcome, Report, Resources, Task
from morphml_core.protocols import Scheduler
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch import messages as m
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.rules import Rules
from morphml_distributed.scheduler.fifo import Fifo

T = TypeVar("T")


class Cluster:
    """Each call feeds the machine, checks it, and keeps what it said: `said` has all of the last call."""

    def __init__(self, rules: Rules | None = None, scheduler: Scheduler | None = None, term: int = 1) -> None:
        self.rules = rules or Rules()
        self.machine = Machine(self.rules, scheduler or Fifo(), term, seed=3)
        self.now = 0.0
        self.said: list[m.Instruction] = []
        self.everything: list[m.Instruction] = []
        self.sessions: dict[str, int] = {}
        self.beating: set[str] = set()
        self.held: dict[str, tuple[m.Held, ...]] = {}
        self.received: dict[str, int] = {}
        self.health = m.Health()

    def feed(self, *events: m.Event) -> list[m.Instruction]:
        self.said = []
        for event in events:
            self._one(event)
        return self.said

    def _one(self, event: m.Event) -> None:
        said = self.machine.handle(event, self.now)
        self.machine.check()
        for each in said:
            if isinstance(each, m.Assign):
                self.received[each.worker] = each.lease.serial
                kept = tuple(held for held in self.held.get(each.worker, ()) if held.number != each.task.number)
                self.held[each.worker] = (*kept, m.Held(each.task.number, each.task.attempt, each.lease, False))
        self.said += said
        self.everything += said

    def pass_time(self, seconds: float) -> list[m.Instruction]:
        """Time goes by; the workers in `beating` send their heartbeats, each second."""
        said: list[m.Instruction] = []
        end = self.now + seconds
        while self.now < end - 1e-9:
            beat = int(self.now + 1e-9) + 1.0
            due = self.machine.due
            self.now = min(end, beat, end if due is None else max(due, self.now + 1e-6))
            if abs(self.now - beat) < 1e-9:
                for worker in sorted(self.beating):
                    said += self.feed(self.heartbeat(worker))
            said += self.feed(m.Ticked())
        self.said = said
        return said

    # the search -------------------------------------------------------------------------------------------

    def submit(self, *numbers: int, attempt: int = 1, **options: Any) -> list[m.Instruction]:
        needs = Resources(**options)
        return self.feed(*(m.Submitted(Task(n, Genotype((n,)), n, attempt, resources=needs)) for n in numbers))

    def cancel(self, number: int) -> list[m.Instruction]:
        return self.feed(m.Cancelled(number))

    # workers ----------------------------------------------------------------------------------------------

    def join(
        self, worker: str, cpus: float = 1.0, held: tuple[m.Held, ...] = (), **options: Any
    ) -> list[m.Instruction]:
        self.sessions[worker] = self.sessions.get(worker, 0) + 1
        self.beating.add(worker)
        self.held[worker] = held
        self.received[worker] = 0
        capacity = m.Capacity(cpus, options.pop("memory", 2**33), **options)
        return self.feed(m.Joined(worker, self.sessions[worker], capacity, held))

    def heartbeat(self, worker: str, health: m.Health | None = None) -> m.Heartbeat:
        return m.Heartbeat(
            worker, self.sessions[worker], health or self.health, self.received[worker], self.held.get(worker, ())
        )

    def begin(self, assign: m.Assign) -> list[m.Instruction]:
        self.held[assign.worker] = tuple(
            m.Held(held.number, held.attempt, held.lease, True, held.step) if held.lease == assign.lease else held
            for held in self.held[assign.worker]
        )
        return self.feed(m.Began(assign.worker, self.sessions[assign.worker], assign.lease, assign.task.number))

    def report(self, assign: m.Assign, step: int) -> list[m.Instruction]:
        report = Report(assign.task.number, assign.task.attempt, step, {"loss": 0.5})
        return self.feed(m.Reported(assign.worker, self.sessions[assign.worker], assign.lease, report))

    def finish(self, assign: m.Assign, duration: float = 1.0) -> list[m.Instruction]:
        return self.result(assign, metrics={"loss": 0.5}, duration=duration)

    def fail(self, assign: m.Assign, cause: Cause = Cause.ERROR, message: str = "it failed") -> list[m.Instruction]:
        return self.result(assign, cause=cause, message=message)

    def result(self, assign: m.Assign, **options: Any) -> list[m.Instruction]:
        worker = assign.worker
        self.held[worker] = tuple(held for held in self.held[worker] if held.lease != assign.lease)
        outcome = Outcome(assign.task.number, assign.task.attempt, worker=worker, **options)
        return self.feed(m.Resulted(worker, self.sessions[worker], assign.lease, outcome))

    def disconnect(self, worker: str) -> list[m.Instruction]:
        self.beating.discard(worker)
        return self.feed(m.Disconnected(worker, self.sessions[worker]))

    # what was said ----------------------------------------------------------------------------------------

    def all(self, kind: type[T]) -> list[T]:
        return [each for each in self.said if isinstance(each, kind)]

    def one(self, kind: type[T]) -> T:
        (found,) = self.all(kind)
        return found

    @property
    def outcomes(self) -> list[Outcome]:
        return [each.message for each in self.all(m.Deliver) if isinstance(each.message, Outcome)]

    @property
    def outcome(self) -> Outcome:
        (found,) = self.outcomes
        return found

    @property
    def notes(self) -> list[str]:
        return [note.kind for note in self.all(m.Note)]

    def note(self, kind: str) -> m.Note:
        (found,) = [note for note in self.all(m.Note) if note.kind == kind]
        return found

    def worker(self, name: str) -> dict[str, Any]:
        (found,) = [each for each in self.machine.snapshot(self.now)["workers"] if each["name"] == name]
        return found


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def make() -> Callable[..., Cluster]:
    return Cluster

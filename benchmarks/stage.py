"""A cluster in simulated time around the real dispatch machine, for comparing scheduling policies: machines with a speed, tasks with an amount of work.

Nothing fails here (`simulated_cluster` is for that); so a worker is a queue and a clock, and a thousand tasks take a second.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from morphml_core.plugins.units import Seconds
from morphml_core.problem import Budget, Outcome, Resources, Task
from morphml_core.protocols import Scheduler
from morphml_core.space.decisions import Genotype
from morphml_distributed.dispatch.machine import Machine
from morphml_distributed.dispatch.messages import (
    Assign,
    Began,
    Capacity,
    Deliver,
    Event,
    Joined,
    Lease,
    Resulted,
    Returned,
    Revoke,
    Submitted,
    Ticked,
)  # fmt: skip
from morphml_distributed.dispatch.rules import Rules

GIB = 2**30
QUIET = 1e7
"""The heartbeat in seconds: workers that cannot fail need none."""
RULES = Rules(heartbeat=Seconds(QUIET))
LATENCY = 0.001
"""Seconds of a message's way."""


@attrs.frozen
class Site:
    """A machine.  `crowding`: by how much longer a task takes when others use all the rest of it (they share caches and memory's bandwidth)."""

    name: str
    cpus: float = 1.0
    speed: float = 1.0
    crowding: float = 0.0


@attrs.frozen
class Job:
    """A task: seconds of work on a machine of speed 1, when it is submitted, and what the scheduler sees of it."""

    number: int
    work: float
    at: float = 0.0
    cpus: float = 1.0
    priority: float = 0.0
    epochs: int = 1
    continues: int | None = None
    features: tuple[float, ...] = ()

    def task(self) -> Task:
        """What the machine is given."""
        return Task(
            self.number, Genotype((self.number,)), seed=0, budget=Budget(self.epochs), continues=self.continues, priority=self.priority,
            resources=Resources(self.cpus),
        )  # fmt: skip


@attrs.define
class Ran:
    """What became of a job: where it ran, and when it was queued, began and ended."""

    job: Job
    queued: float
    worker: str = ""
    began: float = 0.0
    ended: float = 0.0

    @property
    def wait(self) -> float:
        """Seconds in the queues of master and worker."""
        return self.began - self.queued


class Stage:
    """Runs jobs on sites by a policy.  With `lean`, no more jobs are in the master's hands than it has slots for, as in a search."""

    def __init__(
        self, scheduler: Scheduler, sites: Iterable[Site], rules: Rules = RULES, seed: int = 0, lean: bool = False
    ) -> None:
        self.now = 0.0
        self.ran: dict[int, Ran] = {}
        self._machine = Machine(rules, scheduler, 1, seed)
        self._workers = {site.name: _Worker(site, self) for site in sites}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = itertools.count()
        self._lean, self._back, self._flying = lean, deque[Job](), 0
        for name, worker in self._workers.items():
            self.tell(Joined(name, 1, Capacity(worker.site.cpus, 64 * GIB)))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something later."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._counter), call))

    def submit(self, jobs: Iterable[Job]) -> None:
        """Hand in jobs; those with a time at that time."""
        for job in jobs:
            self.after(max(0.0, job.at - self.now), lambda job=job: self._queue(job))  # type: ignore[misc]

    def run(self, jobs: Iterable[Job], more: Callable[[Ran], Iterable[Job]] = lambda ran: ()) -> list[Ran]:
        """Run jobs, and those that follow from each that has ended, until nothing is left."""
        self._more = more
        self.submit(jobs)
        while self._heap:
            due = self._machine.due
            if due is not None and self._flying and due <= self._heap[0][0]:
                self.now = max(self.now, due)
                self.tell(Ticked())
                continue
            self.now, _, call = heapq.heappop(self._heap)
            call()
        assert not self._flying, f"{self._flying} jobs never ended: {self._machine.snapshot(self.now)}"
        return list(self.ran.values())

    def tell(self, event: Event) -> None:
        """Let the machine hear an event, and do what it says."""
        for instruction in self._machine.handle(event, self.now):
            if isinstance(instruction, Assign | Revoke):
                worker = self._workers[instruction.worker]
                self.after(LATENCY, lambda worker=worker, said=instruction: worker.hear(said))  # type: ignore[misc]
            elif isinstance(instruction, Deliver) and isinstance(instruction.message, Outcome):
                self._ended(instruction.message)

    def _queue(self, job: Job) -> None:
        self.ran.setdefault(job.number, Ran(job, self.now))
        if self._lean and self._flying >= self._machine.slots(Resources(job.cpus)):
            self._back.append(job)
            return
        self._flying += 1
        self.tell(Submitted(job.task(), job.features))

    def _ended(self, outcome: Outcome) -> None:
        assert outcome.metrics is not None, outcome
        self._flying -= 1
        ran = self.ran[outcome.number]
        ran.ended = self.now
        self.submit(self._more(ran))
        if self._back:
            self._queue(self._back.popleft())


class _Worker:
    """Begins what it is sent, in that order, as soon as there is room; it runs slower the more of it is taken."""

    def __init__(self, site: Site, stage: Stage) -> None:
        self.site = site
        self._stage = stage
        self._waiting: dict[Lease, Task] = {}
        self._running: dict[Lease, tuple[Task, float]] = {}  # with the work that is left
        self._since, self._turn = 0.0, 0

    def hear(self, said: Assign | Revoke) -> None:
        """The master's message has arrived."""
        if isinstance(said, Assign):
            self._waiting[said.lease] = said.task
            self._begin()
        elif self._waiting.pop(said.lease, None) is not None:
            self._say(Returned(self.site.name, 1, said.lease, said.number))

    def _begin(self) -> None:
        self._work()
        for lease, task in list(self._waiting.items()):
            if self._taken() + task.resources.cpus > self.site.cpus + 1e-9:
                break
            del self._waiting[lease]
            ran = self._stage.ran[task.number]
            ran.began, ran.worker = self._stage.now, self.site.name
            self._running[lease] = task, ran.job.work
            self._say(Began(self.site.name, 1, lease, task.number))
        self._plan()

    def _taken(self) -> float:
        return sum(task.resources.cpus for task, _ in self._running.values())

    def _rate(self, task: Task) -> float:
        others = (self._taken() - task.resources.cpus) / max(self.site.cpus - task.resources.cpus, 1.0)
        return self.site.speed / (1 + self.site.crowding * others)

    def _work(self) -> None:
        """What has been done since the last change."""
        passed, self._since = self._stage.now - self._since, self._stage.now
        rates = {lease: self._rate(task) for lease, (task, _) in self._running.items()}
        self._running = {lease: (task, left - passed * rates[lease]) for lease, (task, left) in self._running.items()}

    def _plan(self) -> None:
        """Wake up when the next task ends, unless something changes before."""
        self._turn += 1
        if self._running:
            left = min(max(0.0, left) / self._rate(task) for task, left in self._running.values())
            self._stage.after(left, lambda turn=self._turn: self._wake(turn))  # type: ignore[misc]

    def _wake(self, turn: int) -> None:
        if turn != self._turn:
            return
        self._work()
        for lease, (task, left) in list(self._running.items()):
            if left <= 1e-9 * max(1.0, self._stage.now):
                del self._running[lease]
                took = self._stage.now - self._stage.ran[task.number].began
                outcome = Outcome(task.number, task.attempt, {"value": 0.0}, duration=took, worker=self.site.name)
                self._say(Resulted(self.site.name, 1, lease, outcome))
        self._begin()

    def _say(self, event: Any) -> None:
        self._stage.after(LATENCY, lambda: self._stage.tell(event))

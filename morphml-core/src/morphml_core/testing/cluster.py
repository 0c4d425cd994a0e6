"""A small cluster that gives tasks to workers by a scheduler's ranks: what schedulers are tested on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import numpy as np

from morphml_core.problem import Resources
from morphml_core.protocols import Patient, QueuedTask, Scheduler, Stealing, WorkerView


def fits(queued: QueuedTask, free: Resources) -> bool:
    """Whether a task fits; a worker without a memory limit (None) holds any."""
    need = queued.task.resources
    memory = free.memory is None or (need.memory or 0) <= free.memory
    return need.cpus <= free.cpus + 1e-9 and memory and need.gpus <= free.gpus + 1e-9


class Cluster:
    """Workers that run what a scheduler ranks first, on a clock of their own.  Each may hold one task that it has not begun.

    A master does the same, faster: it keeps sorted what is sorted here again for each decision.  Tasks take `shortest` to 9 seconds.
    """

    def __init__(self, scheduler: Scheduler, workers: Sequence[WorkerView], seed: int, shortest: int = 1) -> None:
        self.now = 100.0
        self._scheduler = scheduler
        self._workers = {
            worker.name: attrs.evolve(worker, free=worker.capacity, running=(), prefetched=(), assigned=0)
            for worker in workers
        }
        self._waiting: list[QueuedTask] = []
        self._held: dict[int, QueuedTask] = {}
        self._ends: dict[int, tuple[float, float, str]] = {}
        self._assigned = 0
        self._rng, self._shortest = np.random.default_rng(seed), shortest

    def run(self, queue: Iterable[QueuedTask], coming: Iterable[QueuedTask] = ()) -> list[int]:
        """The numbers of the tasks in the order in which they ended; with each that ends, one more is queued while some are `coming`."""
        self._waiting.extend(queue)
        coming = iter(coming)
        ended: list[int] = []
        self._decide()
        while self._ends:
            number = min(self._ends, key=lambda number: self._ends[number][0])
            self._end(number)
            ended.append(number)
            self._waiting.extend([more] if (more := next(coming, None)) is not None else [])
            self._decide()
        return ended

    def _end(self, number: int) -> None:
        self.now, seconds, name = self._ends.pop(number)
        queued, worker = self._held.pop(number), self._workers[name]
        running = tuple(held for held in worker.running if held != number)
        self._workers[name] = attrs.evolve(worker, free=_less(worker.free, queued, -1), running=running)
        self._scheduler.observe(queued, worker, seconds)
        for ahead in self._workers[name].prefetched:
            if fits(self._held[ahead], self._workers[name].free):
                self._begin(ahead, name)

    def _decide(self) -> None:
        while self._assign_one():
            pass
        if isinstance(self._scheduler, Stealing):
            for thief in list(self._workers.values()):
                if not thief.running:
                    self._steal(self._scheduler, thief)

    def _assign_one(self) -> bool:
        for queued in sorted(self._waiting, key=self._scheduler.task_rank):  # a sort keeps the order of equals
            worker = self._place(queued)
            if worker is not None:
                self._waiting = [other for other in self._waiting if other is not queued]
                self._give(queued, worker)
                return True
        return False

    def _place(self, queued: QueuedTask) -> WorkerView | None:
        ranked = sorted(self._workers.values(), key=self._scheduler.worker_rank)
        able = [worker for worker in ranked if fits(queued, worker.capacity) and not worker.prefetched]
        free = next((worker for worker in able if fits(queued, worker.free)), None)
        busy = next((worker for worker in able if not fits(queued, worker.free)), None)
        if free is None or busy is None or not isinstance(self._scheduler, Patient):
            return free or busy
        return busy if self._scheduler.waits(queued, free, busy) else free

    def _give(self, queued: QueuedTask, worker: WorkerView) -> None:
        number, self._assigned = queued.task.number, self._assigned + 1
        assert number not in self._held, f"trial {number} was given out twice"
        self._held[number] = queued
        held = (*worker.prefetched, number)
        self._workers[worker.name] = attrs.evolve(worker, prefetched=held, assigned=self._assigned)
        if fits(queued, worker.free):
            self._begin(number, worker.name)

    def _begin(self, number: int, name: str) -> None:
        worker, queued = self._workers[name], self._held[number]
        left = tuple(held for held in worker.prefetched if held != number)
        free, running = _less(worker.free, queued, 1), (*worker.running, number)
        self._workers[name] = attrs.evolve(worker, free=free, running=running, prefetched=left)
        seconds = float(self._rng.integers(self._shortest, 10))
        self._ends[number] = self.now + seconds, seconds, name

    def _steal(self, scheduler: Stealing, thief: WorkerView) -> None:
        victim = max(self._workers.values(), key=lambda worker: len(worker.prefetched))
        if not victim.prefetched or not fits(self._held[victim.prefetched[-1]], thief.free):
            return
        if scheduler.steals(thief, victim):
            number = victim.prefetched[-1]
            self._workers[victim.name] = attrs.evolve(victim, prefetched=victim.prefetched[:-1])
            self._give(self._held.pop(number), thief)


def _less(free: Resources, queued: QueuedTask, sign: int) -> Resources:
    need = queued.task.resources
    memory = None if free.memory is None else free.memory - sign * (need.memory or 0)
    return Resources(free.cpus - sign * need.cpus, memory, free.gpus - sign * need.gpus)

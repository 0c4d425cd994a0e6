"""The board: waiting tasks and the workers that could take them, sorted by the scheduler's ranks, for each distinct need.

A decision looks at the head of each queue only, so that it takes the same time however many tasks and workers there are; a worker
that has changed is sorted in again before the next decision.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappush
from itertools import islice
from typing import Any

from morphml_core.problem import Resources
from morphml_core.protocols import QueuedTask, Rank, Scheduler, Stealing, Vectorized
from morphml_distributed.dispatch.queues import Crowd, Line, Place
from morphml_distributed.dispatch.tasks import Entry
from morphml_distributed.dispatch.workers import WorkerState

_LANES = 32
_LOOKED_AT = 8
_SLICE = 2000
"""So many waiting tasks are ranked again at once; where there are more, the rest has its turn after the next events."""


class Lane:
    """One need: the tasks that wait with it; workers that have room for one, and workers that have none but can prefetch one."""

    __slots__ = ("credit", "need", "room", "tasks", "unable_since")

    def __init__(self, need: Resources) -> None:
        self.need = need
        self.tasks = Line()
        self.room = Crowd()
        self.credit = Crowd()
        self.unable_since: float | None = None

    def place(self, worker: WorkerState, rank: Rank | None) -> None:
        """Sort a worker in anew; with None it gets nothing."""
        crowd = None
        if rank is not None:
            if worker.has_room(self.need):
                crowd = self.room
            elif worker.has_credit(self.need):
                crowd = self.credit
        former = worker.keys.get(self)
        if former is not None:
            if former[0] is crowd:
                if former[1][0] == rank:
                    return
            else:
                former[0].remove(former[1])
        if crowd is None:
            worker.keys[self] = None
        else:
            key = (rank, worker.order, worker)
            worker.keys[self] = (crowd, key)
            crowd.add(key)

    def first(self, workers: Crowd, shunned: Iterable[str]) -> WorkerState | None:
        """The first of the workers, and among the first few one that is not shunned, where there is one."""
        if not workers.live:
            return None
        if shunned:
            for key in workers.some(_LOOKED_AT):
                if key[2].name not in shunned:
                    found: WorkerState = key[2]
                    return found
        first: WorkerState = workers.first[2]
        return first


class Board:
    """All lanes.  `touch` a worker whenever anything about it has changed."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._vectorized = scheduler if isinstance(scheduler, Vectorized) else None
        self._stealing = isinstance(scheduler, Stealing)
        self.lanes: dict[Resources, Lane] = {}
        self.workers: dict[str, WorkerState] = {}
        self.hoarders = Crowd()
        self.idle: dict[str, WorkerState] = {}
        self.waiting = 0
        self._touched: dict[str, WorkerState] = {}
        self._last: Lane | None = None
        self.ranking: list[Ranking] = []

    # tasks -----------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """A task waits."""
        lane = entry.lane = self.lane(entry.task.resources)
        lane.tasks.add((*self._scheduler.task_rank(entry.queued), entry.sequence), entry)
        self.waiting += 1

    def remove(self, entry: Entry) -> None:
        """It waits no more."""
        if entry.lane is not None:
            entry.lane.tasks.remove(entry.sequence)
            entry.lane = None
            self.waiting -= 1

    def lane(self, need: Resources) -> Lane:
        """The lane of a need; made where there is none, in place of one that nothing waits in where there are too many."""
        last = self._last
        if last is not None and last.need is need:
            return last
        lane = self.lanes.get(need)
        if lane is None:
            if len(self.lanes) >= _LANES:
                self._drop_empty()
            lane = self.lanes[need] = Lane(need)
            self._touched.update(self.workers)
        self._last = lane
        return lane

    def _drop_empty(self) -> None:
        for need in [need for need, lane in self.lanes.items() if not lane.tasks]:
            lane = self.lanes.pop(need)
            for worker in self.workers.values():
                worker.keys.pop(lane, None)

    def rank_again(self) -> None:
        """The scheduler has learned something: everything is ranked anew, workers at once, tasks as soon as `go_on` comes to them."""
        self.ranking = [Ranking(lane) for lane in self.lanes.values() if lane.tasks]
        self._touched.update(self.workers)
        if self.waiting <= _SLICE:
            self.go_on()

    def go_on(self) -> None:
        """Rank some more tasks again, where that has not come to its end."""
        left = _SLICE
        while self.ranking and left > 0:
            left -= self.ranking[-1].go_on(self._ranks, left)
            if self.ranking[-1].done:
                self.ranking.pop()

    def _ranks(self, entries: Sequence[Entry]) -> Iterable[Rank]:
        queue = [entry.queued for entry in entries]
        return (
            self._vectorized.task_ranks(queue)
            if self._vectorized is not None
            else map(self._scheduler.task_rank, queue)
        )

    # workers ---------------------------------------------------------------------------------------------

    def touch(self, worker: WorkerState) -> None:
        """A worker has changed: it is sorted in again before the next decision."""
        self._touched[worker.name] = worker

    def refresh(self) -> None:
        """Sort in again whoever has changed."""
        touched, ranked, lanes = self._touched, self._scheduler.worker_rank, self.lanes
        while touched:
            _, worker = touched.popitem()
            rank = ranked(worker.view()) if worker.willing else None
            for lane in lanes.values():
                lane.place(worker, rank)
            if self._stealing:
                self._note_hoard(worker)

    def _note_hoard(self, worker: WorkerState) -> None:
        count = -len(worker.stealable) if worker.stealable and worker.connected else 0
        if count != worker.held:
            key = (count, -worker.order, worker)
            if count:
                self.hoarders.add(key)
            else:
                self.hoarders.remove(key)
            worker.held = count
        if not worker.entries and not worker.expecting and worker.willing:
            self.idle[worker.name] = worker
        elif self.idle:
            self.idle.pop(worker.name, None)

    # decisions -------------------------------------------------------------------------------------------

    def next(self) -> tuple[Lane, Entry] | None:
        """The first task that fits somewhere; None where none does."""
        best: Any = None
        found = None
        for lane in self.lanes.values():
            if lane.tasks.live and (lane.room.live or lane.credit.live):
                head = lane.tasks.first
                if best is None or head < best:
                    best, found = head, lane
        return None if found is None else (found, found.tasks.live[best[-1]])

    def queued(self) -> Iterator[QueuedTask]:
        """All that wait."""
        for lane in self.lanes.values():
            for entry in lane.tasks:
                yield entry.queued


class Ranking:
    """The tasks of a lane, being ranked again: meanwhile they go by their former ranks, and new ones by their new."""

    def __init__(self, lane: Lane) -> None:
        self._line = lane.tasks
        self._left = iter(array("q", lane.tasks.live))
        self._heap: list[Place] = []
        self._replaced = self.done = False
        lane.tasks.begin()

    def go_on(self, ranks: Any, most: int) -> int:
        """Rank so many more.  The work that was done, in tasks."""
        if self._replaced:
            return self._forget(most)
        numbers = list(islice(self._left, most))
        live = self._line.live
        waiting = [live[number] for number in numbers if number in live]
        for rank, entry in zip(ranks(waiting), waiting, strict=True):
            heappush(self._heap, (*rank, entry.sequence))
        if len(numbers) < most:
            self._heap, self._replaced = self._line.replace(self._heap), True
        return len(numbers)

    def _forget(self, most: int) -> int:
        """Let go of the former keys, bit by bit too: to free a hundred thousand of them takes 30 ms."""
        del self._heap[-10 * most :]
        self.done = not self._heap
        return most

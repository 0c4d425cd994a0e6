"""The board: waiting tasks and the workers that could take them, sorted by the scheduler's ranks, for each distinct need.

A decision looks at the head of each queue only, so that it takes the same time however many tasks and workers there are; a worker
that has changed is sorted in again before the next decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sortedcontainers import SortedList

from morphml_core.problem import Resources
from morphml_core.protocols import QueuedTask, Scheduler, Stealing
from morphml_distributed.dispatch.tasks import Entry
from morphml_distributed.dispatch.workers import WorkerState

_LANES = 32
_LOOKED_AT = 8


class Lane:
    """One need: the tasks that wait with it; workers that have room for one, and workers that have none but can prefetch one."""

    __slots__ = ("credit", "need", "room", "tasks", "unable_since")

    def __init__(self, need: Resources) -> None:
        self.need = need
        self.tasks: Any = SortedList()
        self.room: Any = SortedList()
        self.credit: Any = SortedList()
        self.unable_since: float | None = None

    def place(self, worker: WorkerState, rank: tuple[float, ...] | None) -> None:
        """Sort a worker in anew; with None it gets nothing."""
        key = None
        if rank is not None:
            if worker.has_room(self.need):
                key = (self.room, (rank, worker.order, worker))
            elif worker.has_credit(self.need):
                key = (self.credit, (rank, worker.order, worker))
        former = worker.keys.get(self)
        if former is not None:
            if key is not None and former[0] is key[0] and former[1][0] == rank:
                return
            former[0].remove(former[1])
        worker.keys[self] = key
        if key is not None:
            key[0].add(key[1])

    def first(self, workers: Any, shunned: Iterable[str]) -> WorkerState | None:
        """The first of the workers, and among the first few one that is not shunned, where there is one."""
        if not workers:
            return None
        if shunned:
            for key in workers.islice(0, _LOOKED_AT):
                if key[2].name not in shunned:
                    found: WorkerState = key[2]
                    return found
        first: WorkerState = workers[0][2]
        return first


class Board:
    """All lanes.  `touch` a worker whenever anything about it has changed."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._stealing = isinstance(scheduler, Stealing)
        self.lanes: dict[Resources, Lane] = {}
        self.workers: dict[str, WorkerState] = {}
        self.hoarders: Any = SortedList()
        self.idle: dict[str, WorkerState] = {}
        self.waiting = 0
        self._touched: dict[str, WorkerState] = {}

    # tasks -----------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """A task waits."""
        lane = self.lane(entry.task.resources)
        entry.rank = (self._scheduler.task_rank(entry.queued), entry.sequence, entry)
        lane.tasks.add(entry.rank)
        self.waiting += 1

    def remove(self, entry: Entry) -> None:
        """It waits no more."""
        if entry.rank is not None:
            self.lanes[entry.task.resources].tasks.remove(entry.rank)
            entry.rank = None
            self.waiting -= 1

    def lane(self, need: Resources) -> Lane:
        """The lane of a need; made where there is none, in place of one that nothing waits in where there are too many."""
        lane = self.lanes.get(need)
        if lane is None:
            if len(self.lanes) >= _LANES:
                self._drop_empty()
            lane = self.lanes[need] = Lane(need)
            self._touched.update(self.workers)
        return lane

    def _drop_empty(self) -> None:
        for need in [need for need, lane in self.lanes.items() if not lane.tasks]:
            lane = self.lanes.pop(need)
            for worker in self.workers.values():
                worker.keys.pop(lane, None)

    def rank_again(self) -> None:
        """The scheduler has learned something: everything is ranked anew."""
        for lane in self.lanes.values():
            entries: list[Entry] = [key[2] for key in lane.tasks]
            for entry in entries:
                entry.rank = (self._scheduler.task_rank(entry.queued), entry.sequence, entry)
            lane.tasks = SortedList(entry.rank for entry in entries)
        self._touched.update(self.workers)

    # workers ---------------------------------------------------------------------------------------------

    def touch(self, worker: WorkerState) -> None:
        """A worker has changed: it is sorted in again before the next decision."""
        self._touched[worker.name] = worker

    def refresh(self) -> None:
        """Sort in again whoever has changed."""
        touched = self._touched
        while touched:
            _, worker = touched.popitem()
            rank = self._scheduler.worker_rank(worker.view()) if worker.willing else None
            for lane in self.lanes.values():
                lane.place(worker, rank)
            if self._stealing:
                self._note_hoard(worker)

    def _note_hoard(self, worker: WorkerState) -> None:
        key = None
        if worker.stealable and worker.connected:
            key = (len(worker.stealable), worker.order)
        if key != worker.held:
            if worker.held is not None:
                self.hoarders.remove((*worker.held, worker))
            worker.held = key
            if key is not None:
                self.hoarders.add((*key, worker))
        if worker.willing and not worker.entries and not worker.expecting:
            self.idle[worker.name] = worker
        else:
            self.idle.pop(worker.name, None)

    # decisions -------------------------------------------------------------------------------------------

    def next(self) -> tuple[Lane, Entry] | None:
        """The first task that fits somewhere; None where none does."""
        best: Any = None
        found = None
        for lane in self.lanes.values():
            if lane.tasks and (lane.room or lane.credit):
                head = lane.tasks[0]
                if best is None or head < best:
                    best, found = head, lane
        return None if found is None else (found, best[2])

    def queued(self) -> Iterator[QueuedTask]:
        """All that wait."""
        for lane in self.lanes.values():
            for key in lane.tasks:
                yield key[2].queued

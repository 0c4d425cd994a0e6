"""Idle workers take over what others have not begun."""

from __future__ import annotations

import attrs

from morphml_core.plugins.component import scheduler
from morphml_core.protocols import QueuedTask, Rank, WorkerView


@attrs.frozen
class Config:
    """First come, first served, to the worker that holds the fewest tasks; an idle worker takes over what another has not begun."""


class WorkStealing:
    """Tasks in the order in which they were queued, workers by how many tasks they hold for each of their CPUs.

    Work that was handed out ahead of time may wait behind a task that takes long.  A worker with nothing to do takes the last of it
    (R. D. Blumofe and C. E. Leiserson: Scheduling Multithreaded Computations by Work Stealing, 1999: the thief takes from the end that the
    owner comes to last).
    """

    def task_rank(self, queued: QueuedTask) -> Rank:
        """The time at which it was queued."""
        return (queued.since,)

    def worker_rank(self, worker: WorkerView) -> Rank:
        """How many tasks it holds, begun or not, for each of its CPUs."""
        return ((len(worker.running) + len(worker.prefetched)) / max(worker.capacity.cpus, 1.0),)

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """It learns nothing."""
        return False

    def steals(self, thief: WorkerView, victim: WorkerView) -> bool:
        """Whenever the thief itself has nothing left to begin."""
        return bool(victim.prefetched) and not thief.prefetched


def create(config: Config) -> WorkStealing:
    """The scheduler."""
    return WorkStealing()


component = scheduler(Config, create)

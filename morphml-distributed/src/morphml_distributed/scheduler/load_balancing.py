"""The least loaded worker first."""

from __future__ import annotations

import attrs

from morphml_core.plugins.component import scheduler
from morphml_core.protocols import QueuedTask, Rank, WorkerView


@attrs.frozen
class Config:
    """First come, first served, to the worker with the largest share of its CPUs, memory and GPUs free."""


class LoadBalancing:
    """Tasks in the order in which they were queued, workers by how much of what they have is taken.

    A share is relative to the worker's own capacity: a machine with 64 cores gets eight times the tasks of one with 8.  The scarcest of CPUs,
    memory and GPUs counts first, for it is what tasks on the machine wait for; among equals the mean of the three, then how many tasks it
    holds that it has not begun, for each of its CPUs.
    """

    def task_rank(self, queued: QueuedTask) -> Rank:
        """The time at which it was queued."""
        return (queued.since,)

    def worker_rank(self, worker: WorkerView) -> Rank:
        """The share that is taken of its scarcest resource, the mean of the shares, and its backlog for each CPU."""
        has, free = worker.capacity, worker.free
        shares = [_taken(has.cpus, free.cpus), _taken(has.memory, free.memory), _taken(has.gpus, free.gpus)]
        known = [share for share in shares if share is not None]
        backlog = len(worker.prefetched) / max(has.cpus, 1.0)
        return max(known, default=0.0), sum(known) / max(len(known), 1), backlog

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """It learns nothing."""
        return False


def _taken(has: float | None, free: float | None) -> float | None:
    return None if not has else 1.0 - (has if free is None else free) / has


def create(config: Config) -> LoadBalancing:
    """The scheduler."""
    return LoadBalancing()


component = scheduler(Config, create)

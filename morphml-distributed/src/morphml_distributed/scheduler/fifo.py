"""First come, first served: the plain policy that the others are measured against."""

from __future__ import annotations

import attrs

from morphml_core.plugins.component import scheduler
from morphml_core.protocols import QueuedTask, Rank, WorkerView


@attrs.frozen
class Config:
    """First come, first served, to the worker that joined first among those with room."""


class Fifo:
    """Tasks in the order in which they were queued, workers in the order in which they joined."""

    def task_rank(self, queued: QueuedTask) -> Rank:
        """The time at which it was queued."""
        return (queued.since,)

    def worker_rank(self, worker: WorkerView) -> Rank:
        """The same for all."""
        return (0.0,)

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """It learns nothing."""
        return False


def create(config: Config) -> Fifo:
    """The scheduler."""
    return Fifo()


component = scheduler(Config, create)

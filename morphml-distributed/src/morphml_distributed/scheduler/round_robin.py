"""Each worker in turn."""

from __future__ import annotations

import attrs

from morphml_core.plugins.component import scheduler
from morphml_core.protocols import QueuedTask, Rank, WorkerView


@attrs.frozen
class Config:
    """First come, first served, to the worker that was given a task longest ago: all get about the same number of tasks."""


class RoundRobin:
    """Tasks in the order in which they were queued, workers in the order of their last assignments."""

    def task_rank(self, queued: QueuedTask) -> Rank:
        """The time at which it was queued."""
        return (queued.since,)

    def worker_rank(self, worker: WorkerView) -> Rank:
        """The number of its last assignment; a worker that had none yet is first."""
        return (float(worker.assigned),)

    def observe(self, queued: QueuedTask, worker: WorkerView, duration: float) -> bool:
        """It learns nothing."""
        return False


def create(config: Config) -> RoundRobin:
    """The scheduler."""
    return RoundRobin()


component = scheduler(Config, create)
